"""
What everything behind a seam does, whoever made it.

Each contract is mixed into a test case together with threads (see L{tests.workers}) and a way to
make the thing.
"""
