"""
The composition root: settings and a reactor make one service. Read it from top to bottom.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from twisted.application.internet import TimerService
from twisted.application.service import IService, MultiService, Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IReactorTime, IStreamServerEndpoint
from twisted.logger import Logger

from ociregd.accessservice import gate_for
from ociregd.databaseservice import database_for
from ociregd.errors import RegistryError
from ociregd.operations.health import OperationsAPI, Readiness, database_check
from ociregd.registry.expiry import UploadExpiry
from ociregd.registry.repository import Policy, Registry
from ociregd.settings import Settings
from ociregd.storage.disk import DiskBlobStore, DiskUploads, Tree
from ociregd.storage.metadata import records_in
from ociregd.threads import WorkerService
from ociregd.web.api import RegistryAPI
from ociregd.web.channel import Patience
from ociregd.web.routing import RegistryResource
from ociregd.web.site import QuietSite, RegistrySite, SiteService

#: Threads for uploads, and as many for pulls: a disk that is slow to sync must not stop readers.
FILE_THREADS = 16

#: Parsing keeps the interpreter to itself: with more of them, large manifests would starve the
#: reactor.
MANIFEST_THREADS = 1


def registry_service(settings: Settings, reactor: Any) -> IService:
    """
    The whole daemon as a service that is not started yet.

    @raise ValueError: if an endpoint string in C{listen} means nothing.
    """
    tree = Tree(Path(settings.storage.root))
    pushes = WorkerService(reactor, "pushes", FILE_THREADS)
    pulls = WorkerService(reactor, "pulls", FILE_THREADS)
    manifests = WorkerService(reactor, "manifests", MANIFEST_THREADS)
    database, services_of_database = database_for(settings, reactor)
    gate, services_of_access = gate_for(settings, reactor)
    uploads = DiskUploads(tree, pushes.in_thread)
    registry = Registry(
        blobs=DiskBlobStore(tree, pulls.in_thread),
        uploads=uploads,
        records=records_in(database),
        now=time.time,
        in_thread=manifests.in_thread,
        policy=policy_of(settings),
    )
    expiry = UploadExpiry(uploads, registry.records, time.time, settings.uploads.lifetime)
    patience, grace = patience_of(settings), settings.operations.grace
    api = RegistryAPI(registry, gate=gate)
    site = RegistrySite(RegistryResource(api.app.resource()), reactor, patience)
    serving = SiteService(site, endpoints(reactor, settings.listen), grace)
    readiness = Readiness(
        {
            "service": serving.check,
            "database": database_check(database),
            "storage": partial(pulls.in_thread, tree.check),
        },
        reactor,
    )
    operations = QuietSite(OperationsAPI(readiness).app.resource(), reactor, patience)
    daemon = OrderedService()
    for service in (
        TreeService(tree),
        *services_of_database,
        manifests,
        pulls,
        pushes,
        *services_of_access,
        upload_expiry_service(expiry, reactor, settings.uploads.sweep_interval),
        # Asked until the very end whether the registry is ready.
        SiteService(operations, endpoints(reactor, settings.operations.listen), grace_seconds=0.0),
        serving,
    ):
        service.setServiceParent(daemon)
    return daemon


def endpoints(reactor: Any, texts: Iterable[str]) -> dict[str, IStreamServerEndpoint]:
    """Where to listen, by the text that the configuration has for it."""
    return {text: serverFromString(reactor, text) for text in texts}


def policy_of(settings: Settings) -> Policy:
    """What the settings say to the registry."""
    return Policy(
        deletes=settings.registry.deletes,
        manifest_bytes=settings.limits.manifest_bytes,
    )


def patience_of(settings: Settings) -> Patience:
    """What the settings say about slow clients."""
    limits = settings.limits
    return Patience(
        idle_seconds=limits.idle_time,
        header_seconds=limits.header_time,
        rate_seconds=limits.rate_time,
        body_rate=limits.body_rate,
        reader_rate=limits.reader_rate,
    )


def upload_expiry_service(
    expiry: UploadExpiry, clock: IReactorTime, interval: float
) -> TimerService:
    """
    Sweeps at intervals, at once when it starts.
    """
    service = UploadExpiryService(expiry, interval)
    service.clock = clock
    return service


class UploadExpiryService(TimerService):
    """
    A stop waits for the end of one upload, not of a whole sweep.
    """

    def __init__(self, expiry: UploadExpiry, interval: float) -> None:
        super().__init__(interval, expiry.sweep)
        self._expiry = expiry

    def stopService(self) -> Deferred[None]:
        self._expiry.stop()
        stopped: Deferred[None] = super().stopService()
        return stopped


class TreeService(Service):
    """
    Makes the tree of files ready. This blocks, and may: the reactor does not run yet.
    """

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    def startService(self) -> None:
        super().startService()
        try:
            self._tree.prepare()
        except (OSError, RegistryError) as problem:
            raise SystemExit(f"ociregd: cannot use {self._tree.root}: {problem}") from None


class OrderedService(MultiService):
    """
    Starts its parts one after the other, and stops them the other way round, each when the one
    before has ended: requests that may still finish need the threads, and the threads the
    database.
    """

    _log = Logger()

    def stopService(self) -> Deferred[None]:
        Service.stopService(self)
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        for service in reversed(list(self)):
            try:
                await maybeDeferred(service.stopService)
            except Exception:
                # The others have to end all the same, or their threads would keep the process.
                self._log.failure("{service} did not stop well", service=service)
