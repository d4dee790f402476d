"""
Tests for L{ociregd.storage.hosts}.
"""

from __future__ import annotations

import socket

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from ociregd.storage.hosts import beginning_with, resolved

from ..workers import Later, now


class HostsTests(SynchronousTestCase):
    """Where the hosts of a URL are."""

    def setUp(self) -> None:
        self.threads = Later()

    def resolved(self, **parameters: str) -> dict[str, str]:
        """What the client library is told instead, after the threads have done what they do."""
        resolving = Deferred.fromCoroutine(resolved(parameters, self.threads))
        self.looked_up = self.threads.waiting
        self.threads.perform_all()
        found: dict[str, str] = self.successResultOf(resolving)
        return found

    def test_nothing_to_look_up(self) -> None:
        """Addresses, directories of sockets and what is resolved already stay as they are."""
        for parameters in (
            {"dbname": "metadata"},
            {"host": "127.0.0.1", "port": "5433"},
            {"host": "::1"},
            {"host": "fe80::1%eth0"},
            {"host": "/run/postgresql,@abstract"},
            {"host": "127.0.0.1,::1,/tmp", "port": "1,2,3"},
            {"host": "db.example", "hostaddr": "192.0.2.1"},
            {"hostaddr": "192.0.2.1"},
            {"service": "registry", "host": "db.example"},
        ):
            assert self.resolved(**parameters) == parameters
            assert self.looked_up == 0

    def test_a_name(self) -> None:
        """A name is looked up in a thread, and stays beside its addresses for the certificate."""
        addresses = [
            str(entry[4][0])
            for entry in socket.getaddrinfo("localhost", None, type=socket.SOCK_STREAM)
        ]
        found = self.resolved(host="localhost", user="registry")
        assert self.looked_up == 1
        assert found == {
            "host": ",".join(["localhost"] * len(addresses)),
            "hostaddr": ",".join(addresses),
            "port": ",".join([""] * len(addresses)),
            "user": "registry",
        }

    def test_names_among_others(self) -> None:
        """Each place keeps its port, and the order is kept."""
        found = self.resolved(host="192.0.2.1,localhost,/tmp,::1", port="1,2,3,4")
        count = found["host"].count("localhost")
        assert found["host"].split(",") == [
            "192.0.2.1",
            *["localhost"] * count,
            "/tmp",
            "::1",
        ]
        addresses = found["hostaddr"].split(",")
        # A place without an address is what its host says.
        assert (addresses[0], addresses[1 + count :]) == ("", ["", ""])
        assert all(addresses[1 : 1 + count])
        assert found["port"].split(",") == ["1", *["2"] * count, "3", "4"]

    def test_one_port_for_all(self) -> None:
        """A single port is that of all hosts."""
        found = self.resolved(host="localhost,192.0.2.1", port="5433")
        assert set(found["port"].split(",")) == {"5433"}
        assert found["port"].count(",") == found["host"].count(",")

    def test_unknown(self) -> None:
        """A name that nobody knows is the same as a server that is away."""
        resolving = Deferred.fromCoroutine(resolved({"host": "registry.invalid"}, now))
        self.failureResultOf(resolving, OSError)

    def test_in_turn(self) -> None:
        """Each attempt may begin with another host, and each host keeps its port."""
        hosts = {"host": "a,b,c", "port": "1,2,3", "user": "registry"}
        for first, host, port in (
            (0, "a,b,c", "1,2,3"),
            (1, "b,c,a", "2,3,1"),
            (5, "c,a,b", "3,1,2"),
        ):
            assert beginning_with(first, hosts) == {**hosts, "host": host, "port": port}
        same = {"host": "a,b", "hostaddr": "192.0.2.1,192.0.2.2", "port": "5433"}
        turned = {"host": "b,a", "hostaddr": "192.0.2.2,192.0.2.1", "port": "5433"}
        assert beginning_with(1, same) == turned
        assert beginning_with(7, {"dbname": "metadata"}) == {"dbname": "metadata"}
