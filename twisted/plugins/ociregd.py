from twisted.application.service import ServiceMaker

ociregd = ServiceMaker("ociregd", "ociregd.tap", "An OCI container-image registry.", "ociregd")
