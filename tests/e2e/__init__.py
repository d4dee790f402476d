"""
Real clients against a real daemon: every test here starts programs and moves bytes over loopback.

C{make e2e} installs the clients and runs this. An absent client is a skip on a developer's machine
and an error where CI=true. OCIREGD_E2E_URL=host:port runs the tests against a registry that is
already up.
"""
