"""
The daemon is killed at random moments while several clients push.
"""

from __future__ import annotations

import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.functional.daemon import eventually

from ..postgres import PostgresServer
from .daemon import Daemon
from .lives import Lives
from .promises import Account, Setback
from .pushing import Images, Pusher, push_everything

ROUNDS = int(os.environ.get("OCIREGD_FAULT_KILLS", "25"))

CLIENTS = 4

#: A daemon lives at most so long. It is a few pushes of each client.
LIFE_SECONDS = 1.0


def push_until(over: threading.Event, daemon: Daemon, client: int, lives: Lives) -> list[Account]:
    """
    Push one image after the other; after each setback, look whether all promises to this client
    hold.

    @return: one account for each image.
    """
    accounts: list[Account] = []

    def recover(setback: Setback) -> None:
        # Only a daemon that is gone may be silent, and no fault of a disk is to be heard of.
        assert setback.answer is None, setback
        eventually(daemon.answers)
        try:
            accounts[-1].check()
        except (ConnectionError, EOFError):
            # Killed again meanwhile: the next setback brings us back here.
            return

    while not over.is_set():
        number = len(accounts)
        account = Account(daemon.port, lives.directory / f"journal{client}")
        accounts.append(account)
        pusher = Pusher(account, recover)
        # Everybody's, so that the same bytes are committed by several at the same time.
        common = Images(f"common {number}").layer()
        pusher.push_in_chunks(f"client{client}/common", common, len(common))
        push_everything(pusher, f"client{client}/app{number}", Images(f"{client} {number}"))
    return accounts


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_a_kill_at_any_moment_loses_nothing(
    daemons: Lives, engine: str, request: pytest.FixtureRequest
) -> None:
    """
    However often the daemon is killed while clients push, all that was acknowledged can be pulled
    afterwards, unfinished uploads go on where they were, and nobody has to help it up.
    """
    configuration = ""
    if engine == "postgresql":
        server: PostgresServer = request.getfixturevalue("durable_server")
        configuration = f'[metadata]\ndatabase = "{server.create_database("killed")}"\n'
    daemon = daemons.make("daemon", configuration=configuration)
    daemon.start()
    seed = os.environ.get("OCIREGD_FAULT_SEED", str(random.randrange(10**6)))
    print(f"OCIREGD_FAULT_SEED={seed}")
    moments, over = random.Random(seed), threading.Event()
    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [
            pool.submit(push_until, over, daemon, number, daemons) for number in range(CLIENTS)
        ]
        try:
            for _ in range(ROUNDS):
                daemon.live(moments.uniform(0.0, LIFE_SECONDS))
                daemon.kill()
                daemon.start()
                if any(client.done() for client in clients):
                    break
        finally:
            over.set()
        accounts = [account for client in clients for account in client.result()]
    for account in accounts:
        account.check()
    acknowledged = sum(account.acknowledged for account in accounts)
    print(f"{ROUNDS} kills, {len(accounts)} images, {acknowledged} requests acknowledged")
    assert acknowledged > ROUNDS
    daemon.stop()
