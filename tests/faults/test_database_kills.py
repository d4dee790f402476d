"""
The database is killed, stopped, and rid of its clients at random moments while clients push.
"""

from __future__ import annotations

import os
import random
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import cycle, islice

from tests.functional.daemon import eventually

from ..postgres import PostgresServer
from .daemon import Daemon
from .lives import Lives
from .promises import Account, Setback, exchange
from .pushing import Images, Pusher, push_everything

ROUNDS = int(os.environ.get("OCIREGD_FAULT_DATABASE_KILLS", "16"))

CLIENTS = 4

#: A database lives at most so long. It is a few pushes of each client.
LIFE_SECONDS = 1.5


def terminate(server: PostgresServer) -> None:
    """End all connections to it; it runs on."""
    server.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'troubled'"
    )


def restarted(end: Callable[[PostgresServer], None]) -> Callable[[PostgresServer], None]:
    """End it in some way, and start it again."""

    def trouble(server: PostgresServer) -> None:
        end(server)
        server.start()

    return trouble


TROUBLES = {
    "kill": restarted(PostgresServer.kill),
    "stop immediate": restarted(lambda server: server.stop("immediate")),
    "terminate": terminate,
    "stop fast": restarted(lambda server: server.stop("fast")),
}


def serves(daemon: Daemon) -> bool:
    """Whether what needs the database is answered."""
    return exchange(daemon.port, "GET", "/v2/_catalog", {}, None).status == 200


def push_until(over: threading.Event, daemon: Daemon, client: int, lives: Lives) -> list[Account]:
    """
    Push one image after the other; after each setback, look whether all promises to this client
    hold.

    @return: one account for each image.
    """
    accounts: list[Account] = []

    def recover(setback: Setback) -> None:
        # The registry itself runs all the time: it answers, and it says what is the matter.
        assert setback.answer is not None, setback
        assert setback.answer.status == 503, setback
        eventually(lambda: serves(daemon))
        # In trouble again meanwhile: the next setback brings us back here.
        with suppress(Setback):
            accounts[-1].check()

    while not over.is_set():
        number = len(accounts)
        account = Account(daemon.port, lives.directory / f"journal{client}")
        accounts.append(account)
        pusher = Pusher(account, recover)
        common = Images(f"common {number}").layer()
        pusher.push_in_chunks(f"client{client}/common", common, len(common))
        push_everything(pusher, f"client{client}/app{number}", Images(f"{client} {number}"))
        # Before the next trouble, if it leaves time for that.
        with suppress(Setback):
            account.check()
    return accounts


def test_trouble_at_any_moment_loses_nothing(
    daemons: Lives, durable_server: PostgresServer
) -> None:
    """
    However often the database goes away under it, the registry answers everybody: that it was done,
    or to come again; and all that was acknowledged can be pulled afterwards.
    """
    url = durable_server.create_database("troubled")
    daemon = daemons.make("daemon", configuration=f'[metadata]\ndatabase = "{url}"\n')
    daemon.start()
    seed = os.environ.get("OCIREGD_FAULT_SEED", str(random.randrange(10**6)))
    print(f"OCIREGD_FAULT_SEED={seed}")
    moments, over = random.Random(seed), threading.Event()
    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [
            pool.submit(push_until, over, daemon, number, daemons) for number in range(CLIENTS)
        ]
        try:
            for trouble in islice(cycle(TROUBLES.values()), ROUNDS):
                daemon.live(moments.uniform(0.0, LIFE_SECONDS))
                trouble(durable_server)
                if any(client.done() for client in clients):
                    break
        finally:
            over.set()
        accounts = [account for client in clients for account in client.result()]
    for account in accounts:
        account.check()
    acknowledged = sum(account.acknowledged for account in accounts)
    print(f"{ROUNDS} troubles, {len(accounts)} images, {acknowledged} requests acknowledged")
    assert acknowledged > ROUNDS
    daemon.stop()
    log = daemon.log.read_text("utf-8", "replace")
    assert re.findall("(?m)^.*(?:incident|Unhandled).*(?:\n\t.*)*", log) == []
