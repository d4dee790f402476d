"""
Tests for L{ociregd.service}: what is started and stopped, and in which order.
"""

from __future__ import annotations

import threading
from typing import Any

from attrs import evolve
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from ociregd.service import (
    OrderedService,
    TreeService,
    patience_of,
    policy_of,
    registry_service,
)
from ociregd.settings import Settings, parse
from ociregd.storage.disk import Tree

from .storage.places import temporary
from .workers import RealThreads


class Part(Service):
    """
    A part of a service, which tells when it starts and stops, and stops when it is told.
    """

    def __init__(self, name: str, told: list[str]) -> None:
        self.part = name
        self.told = told
        self.stopped: Deferred[None] = Deferred()

    def startService(self) -> None:
        super().startService()
        self.told.append(f"start {self.part}")

    def stopService(self) -> Deferred[None]:
        super().stopService()
        self.told.append(f"stop {self.part}")
        return self.stopped


class OrderedServiceTests(SynchronousTestCase):
    """Parts that need each other."""

    def setUp(self) -> None:
        self.told: list[str] = []
        self.service = OrderedService()
        self.parts = [Part(name, self.told) for name in ("threads", "database", "site")]
        for part in self.parts:
            part.setServiceParent(self.service)

    def test_starts_in_order(self) -> None:
        """Each part starts after those that it needs."""
        self.service.startService()
        assert self.told == ["start threads", "start database", "start site"]

    def test_stops_the_other_way_round(self) -> None:
        """Each part stops when all that need it have ended, not earlier."""
        self.service.startService()
        self.told.clear()
        stopping = self.service.stopService()
        threads, database, site = self.parts
        assert self.told == ["stop site"]
        site.stopped.callback(None)
        assert self.told == ["stop site", "stop database"]
        database.stopped.callback(None)
        self.assertNoResult(stopping)
        threads.stopped.callback(None)
        self.successResultOf(stopping)
        assert not self.service.running

    def test_a_part_that_does_not_stop_well(self) -> None:
        """What goes wrong with one part does not keep the others from their end."""
        self.service.startService()
        for part in self.parts[::2]:
            part.stopped.callback(None)
        self.parts[1].stopped.errback(OSError("the database"))
        self.successResultOf(self.service.stopService())
        assert len(self.flushLoggedErrors(OSError)) == 1
        assert self.told[-3:] == ["stop site", "stop database", "stop threads"]


class TreeServiceTests(SynchronousTestCase):
    """The files, when it starts."""

    def test_prepares(self) -> None:
        """A directory that is not there yet is made, and can be used again after a stop."""
        root = temporary(self) / "new" / "root"
        for _ in range(2):
            service = TreeService(Tree(root))
            service.startService()
            assert (root / "blobs" / "sha512" / "ff").is_dir()
            service.stopService()

    def test_a_root_that_cannot_be(self) -> None:
        """Where no directory can be made, the daemon ends with a word about it."""
        root = temporary(self) / "file"
        root.touch()
        told = self.assertRaises(SystemExit, TreeService(Tree(root)).startService)
        assert str(root) in str(told)


class RegistryServiceTests(SynchronousTestCase):
    """The daemon as a whole, without a network."""

    def setUp(self) -> None:
        self.reactor = RealThreads()
        settings = parse('listen = ["tcp:5001:interface=127.0.0.1", "tcp:5002"]')
        self.root = temporary(self)
        self.settings: Settings = evolve(
            settings, storage=evolve(settings.storage, root=str(self.root))
        )

    def stopped(self, service: Any) -> None:
        """Stop the daemon, and wait for that."""
        stopping = service.stopService()
        self.reactor.turn_until(lambda: stopping.called)
        self.successResultOf(stopping)

    def test_starts_and_stops(self) -> None:
        """
        It listens where it is told, and after the stop nothing is left of it; and it may be
        started again.
        """
        threads = threading.enumerate()
        for started in (1, 2):
            service = registry_service(self.settings, self.reactor)
            service.privilegedStartService()
            service.startService()
            ports = [(port, interface) for port, _, _, interface in self.reactor.tcpServers]
            assert ports == [(5001, "127.0.0.1"), (5002, "")] * started
            self.stopped(service)
            assert self.reactor.getDelayedCalls() == []
            assert threading.enumerate() == threads
            files = sorted(path.name for path in self.root.iterdir())
            assert files == ["blobs", "metadata.sqlite3", "uploads"]

    def test_makes_nothing_before_it_starts(self) -> None:
        """Making the service touches neither disk nor network."""
        registry_service(self.settings, self.reactor)
        assert list(self.root.iterdir()) == []
        assert self.reactor.tcpServers == []

    def test_the_policy_follows_the_settings(self) -> None:
        """What the operator decides reaches the registry."""
        settings = parse("[registry]\ndeletes = false\n[limits]\nmanifest_bytes = '5MiB'\n")
        policy = policy_of(settings)
        assert (policy.deletes, policy.manifest_bytes) == (False, 5 * 1024 * 1024)

    def test_the_patience_follows_the_settings(self) -> None:
        """What the operator puts up with reaches the site, each in its place."""
        settings = parse(
            "[limits]\nidle_time = '11s'\nheader_time = '12s'\nrate_time = '13s'\n"
            "body_rate = '14B'\nreader_rate = '15B'\n"
        )
        patience = patience_of(settings)
        assert (patience.idle_seconds, patience.header_seconds) == (11, 12)
        assert (patience.rate_seconds, patience.body_rate, patience.reader_rate) == (13, 14, 15)
