"""
Whatever two transactions do at the same time comes to what they do one after the other, in one
order or the other, and neither has to be done again.

PostgreSQL does not see to that at this isolation level: which rows are locked does, and when. A
collector, too, has to lock a blob first, and to look only then who needs it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from itertools import count, product
from typing import Any

import psycopg2
from twisted.trial.unittest import SynchronousTestCase

from ..contracts.files import OTHER_SESSION, SESSION
from ..contracts.records import EARLY
from .acts import (
    BEGINNING,
    CONFIG,
    FIRST,
    LAYER,
    LEFT,
    NEW,
    PARENT,
    SECOND,
    THIRD,
    cancel,
    collecting,
    commit,
    delete,
    discard,
    expire,
    mount,
    put,
    renew,
    start,
    unlink,
    untag,
)
from .interleaving import NAMED, TABLES, Act, State, Stop, outcome
from .on_postgres import OnPostgres

#: How often somebody looks whether a transaction waits for another one.
GLANCE_SECONDS = 0.002

MANIFESTS = [
    put(FIRST, "v1"),
    put(SECOND, "v1", "v3"),
    put(FIRST, "v2", "v3"),
    put(THIRD, "v1", "v4"),
    put(THIRD),
    put(PARENT, "v1"),
    delete(FIRST),
    delete(SECOND),
    delete(PARENT),
    untag("v1"),
    untag("v3"),
]

BLOBS = [
    commit(LEFT, SESSION, stored=True),
    commit(LEFT, OTHER_SESSION, stored=False, generation=2),
    commit(NEW, SESSION, stored=False),
    commit(NEW, OTHER_SESSION, stored=False),
    mount(LEFT),
    unlink(LEFT),
    renew(LEFT),
    discard(NEW),
    cancel(SESSION),
    expire(SESSION),
    *collecting(LEFT),
]

#: Those of a manifest's that have to do with those of a blob's.
NEEDING = [put(THIRD, "v1", "v4"), delete(FIRST)]


def unlike(state: State, *others: State) -> State:
    """The tables that are as in none of the others."""
    return {
        table: rows
        for table, rows in state.items()
        if not any(rows == other[table] for other in others)
    }


class InterleavingTests(OnPostgres, SynchronousTestCase):
    """Two at once, cut before each statement of one of them."""

    def setUp(self: Any) -> None:
        super().setUp()
        self.database = self.make_database()
        connection = psycopg2.connect(self.url)
        connection.autocommit = True
        self.addCleanup(connection.close)
        self.statements = connection.cursor()
        self.prepare()

    def prepare(self: Any) -> None:
        """What there is before anything happens, in tables that keep it."""
        numbers = count()
        for content in (CONFIG, LAYER, LEFT):
            session_id = f"{next(numbers):08}"
            self.done(start(session_id))
            self.done(commit(content, session_id, stored=False, lease=EARLY))
        for tag, document in BEGINNING.items():
            self.done(put(document, tag, lease=EARLY))
        for session_id in (SESSION, OTHER_SESSION):
            self.done(start(session_id))
        for table in TABLES:
            self.statements.execute(f"CREATE TABLE kept_{table} AS SELECT * FROM {table}")

    def restore(self: Any) -> None:
        """Let nothing have happened."""
        for table in TABLES:
            self.statements.execute(
                f"DELETE FROM {table}; INSERT INTO {table} SELECT * FROM kept_{table}"
            )

    def done(self: Any, act: Act) -> str:
        """Do one act; how it ended."""
        ended: str = self.result_of(outcome(self.database, [], act, None))
        return ended

    def state(self: Any) -> State:
        """What there is now."""
        state = {}
        for table, sql in TABLES.items():
            self.statements.execute(sql.format(named=NAMED))
            state[table] = sorted(self.statements.fetchall())
        return state

    def someone_waits(self: Any) -> bool:
        """Whether a transaction waits for another one."""
        self.statements.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return bool(self.statements.fetchone()[0])

    def one_after_the_other(self: Any, *acts: Act) -> tuple[list[str], State]:
        """How each ends, and what there is then."""
        self.restore()
        ends = [self.done(act) for act in acts]
        return ends, self.state()

    def at_once(self: Any, cut: int, first: Act, second: Act) -> tuple[list[str], State] | None:
        """
        The same, if the first stops before one of its statements until the second has ended, or
        waits for it; or nothing if it has not so many.
        """
        self.restore()
        attempts: list[Act] = []
        stop = Stop(cut)
        one = self.begin(outcome(self.database, attempts, first, stop))
        self.reactor.turn_until(lambda: one.called or stop.reached)
        if one.called:
            return None
        two = self.begin(outcome(self.database, attempts, second, None))
        while not (two.called or self.someone_waits()):
            with contextlib.suppress(TimeoutError):
                self.reactor.turn_until(lambda: two.called, GLANCE_SECONDS)
        stop.go_on()
        self.perform_all()
        ends = [self.successResultOf(one), self.successResultOf(two)]
        # Otherwise they waited for each other, until the database undid one.
        ends += ["again"] * (len(attempts) - 2)
        return ends, self.state()

    def check(self: Any, pairs: Sequence[tuple[Act, Act]]) -> None:
        """Each pair, at each cut, against what they come to alone."""
        wrong = []
        for first, second in pairs:
            forth = self.one_after_the_other(first, second)
            ends, state = self.one_after_the_other(second, first)
            back = ends[::-1], state
            for cut in count():
                found = self.at_once(cut, first, second)
                if found is None:
                    break
                if found not in (forth, back):
                    wrong.append(
                        f"{first.title}, cut before statement {cut}, and {second.title}:"
                        f" {found[0]}, {unlike(found[1], forth[1], back[1])}"
                    )
        assert wrong == [], "\n".join(wrong)

    def test_manifests(self) -> None:
        """Pushes and deletes of manifests and tags."""
        self.check(list(product(MANIFESTS, MANIFESTS)))

    def test_blobs(self) -> None:
        """Commits, mounts, leases, deletes, and a collector."""
        self.check(list(product(BLOBS, BLOBS)))

    def test_manifests_and_blobs(self) -> None:
        """A push of a manifest, and whatever may happen to its blobs meanwhile."""
        pairs = list(product(NEEDING, BLOBS))
        self.check(pairs + [(two, one) for one, two in pairs])
