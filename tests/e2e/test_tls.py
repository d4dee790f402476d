"""
A registry that speaks TLS with a certificate of our own authority, and clients that check it.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from attrs import frozen

from tests.e2e.conftest import Registry, running_registry
from tests.e2e.images import MEGABYTE, Layout, digest_of, noise
from tests.e2e.programs import Client, clean_environment, free_port, program
from tests.e2e.pulled import tagged_digest

EXTENSIONS = """\
subjectAltName = DNS:localhost, IP:127.0.0.1
basicConstraints = critical, CA:FALSE
"""
DRIVER = Path(__file__).with_name("oras_client.py")


@frozen
class Certificates:
    """
    Where an authority's certificate and a server's certificate and key lie.
    """

    authority: Path
    server: Path
    key: Path


@pytest.fixture(scope="module")
def certificates(scratch: Path) -> Certificates:
    """An authority that nobody knows, and a certificate of it for this machine."""
    root = scratch / "certificates"
    root.mkdir()
    openssl = Client([program("openssl")], clean_environment(root / "home"))
    made = Certificates(root / "authority.crt", root / "server.crt", root / "server.key")
    authority_key, request, extensions = (
        root / name for name in ("authority.key", "server.csr", "server.ext")
    )
    extensions.write_text(EXTENSIONS)
    new = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subject = ["-subj", "/CN=Test authority"]
    openssl(*new, "-x509", "-days", "2", *subject, "-keyout", authority_key, "-out", made.authority)
    openssl(*new, "-subj", "/CN=localhost", "-keyout", made.key, "-out", request)
    openssl(
        "x509",
        "-req",
        "-days",
        "2",
        *("-in", request, "-CA", made.authority, "-CAkey", authority_key),
        *("-CAcreateserial", "-extfile", extensions, "-out", made.server),
    )
    return made


@pytest.fixture(scope="module")
def tls_registry(scratch: Path, certificates: Certificates) -> Iterator[Registry]:
    """A registry of its own behind a TLS endpoint."""
    if os.environ.get("OCIREGD_E2E_URL"):
        pytest.skip("a registry that was started by somebody else has no certificate of ours")
    root = scratch / "tls-registry"
    root.mkdir()
    port = free_port()
    endpoint = (
        f"ssl:{port}:interface=127.0.0.1"
        f":privateKey={certificates.key}:certKey={certificates.server}"
    )
    with running_registry(root, endpoint, port) as registry:
        assert registry.daemon is not None
        registry.daemon.wait_until(lambda: _listens(registry))
        yield registry


def test_skopeo_pushes_and_pulls(
    skopeo: Client,
    tls_registry: Registry,
    certificates: Certificates,
    small: Layout,
    workspace: Path,
    name: str,
) -> None:
    """Skopeo checks the certificate, and an image comes back as it went."""
    trusted = workspace / "certs.d"
    trusted.mkdir()
    (trusted / "ca.crt").write_bytes(certificates.authority.read_bytes())
    remote = f"docker://{tls_registry}/{name}:1"

    skopeo("copy", f"--dest-cert-dir={trusted}", f"oci:{small.path}:image", remote)
    skopeo("copy", f"--src-cert-dir={trusted}", remote, f"oci:{workspace}/out:it")

    assert tagged_digest(workspace / "out", "it") == small.digests["image"]


def test_skopeo_refuses_an_unknown_authority(
    skopeo: Client, tls_registry: Registry, name: str
) -> None:
    """Without the authority's certificate the client turns away."""
    assert "certificate" in skopeo.refused("inspect", f"docker://{tls_registry}/{name}:1")


def test_dxf_pushes_and_pulls(
    python_client: Callable[[str], str],
    tls_registry: Registry,
    certificates: Certificates,
    workspace: Path,
    name: str,
) -> None:
    """python-dxf pushes a blob and knows its digest."""
    settings = {
        "DXF_HOST": str(tls_registry),
        "REQUESTS_CA_BUNDLE": str(certificates.authority),
    }
    environment = clean_environment(workspace / "dxf", settings)
    dxf = Client([python_client("dxf")], environment)
    file, pulled = workspace / "file.bin", workspace / "pulled.bin"
    file.write_bytes(noise(name, MEGABYTE))

    digest = dxf("push-blob", name, file, "@it").strip()
    script = '"$0" pull-blob "$1" @it >"$2"'
    Client(["/bin/sh", "-c", script, *dxf.command], environment)(name, pulled)

    assert digest_of(pulled.read_bytes()) == digest == digest_of(file.read_bytes())


def test_oras_pushes_and_pulls(
    python_client: Callable[[str], str],
    tls_registry: Registry,
    certificates: Certificates,
    workspace: Path,
    name: str,
) -> None:
    """oras-py pushes an artifact and pulls it unchanged."""
    settings = {"REQUESTS_CA_BUNDLE": str(certificates.authority)}
    environment = clean_environment(workspace / "oras", settings)
    oras = Client([python_client("python"), str(DRIVER), "--secure"], environment)
    file = workspace / "file.bin"
    file.write_bytes(noise(name, MEGABYTE))

    oras(str(tls_registry), "push", f"{tls_registry}/{name}:1", file)
    oras(str(tls_registry), "pull", f"{tls_registry}/{name}:1", workspace / "out")

    assert (workspace / "out" / "file.bin").read_bytes() == file.read_bytes()


def test_only_http_1_1_is_negotiated(tls_registry: Registry, certificates: Certificates) -> None:
    """A client that offers HTTP/2 and HTTP/1.1 is not given HTTP/2."""
    context = ssl.create_default_context(cafile=str(certificates.authority))
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection((tls_registry.host, tls_registry.port), 10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        assert connection.selected_alpn_protocol() in (None, "http/1.1")
        connection.sendall(b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")


def _listens(registry: Registry) -> bool:
    try:
        socket.create_connection((registry.host, registry.port), 5).close()
    except OSError:
        return False
    return True
