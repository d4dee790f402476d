"""
Tests for L{ociregd.storage.pool}: how connections are lent, waited for, and lost.
"""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase

from ociregd.errors import Unavailable
from ociregd.storage.connection import PooledConnection

from ..postgres import PASSWORD, ROLE, free_port
from .trouble import TroubleCase

#: What a server says that is not ready yet; a client may try another one.
STARTING = b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0"

SSL_REQUEST_BYTES = 8

#: What a socket does to notice that nobody is at the other end any more.
NOTICING = (
    socket.TCP_KEEPIDLE,
    socket.TCP_KEEPINTVL,
    socket.TCP_KEEPCNT,
    socket.TCP_USER_TIMEOUT,
)


class NotReady(Protocol):
    """A server that starts up."""

    def dataReceived(self, data: bytes) -> None:
        if len(data) == SSL_REQUEST_BYTES:
            self.transport.write(b"N")
        else:
            self.transport.write(b"E" + (len(STARTING) + 4).to_bytes(4, "big") + STARTING)
            self.transport.loseConnection()


class Silent(Protocol):
    """A server that never says anything."""


class LendingTests(TroubleCase, SynchronousTestCase):
    """Who gets a connection, and when."""

    def test_lends_again(self) -> None:
        """A connection that was given back is lent again."""
        pool = self.make_pool()
        first = self.take(pool)
        pool.give_back(first)
        assert self.take(pool) is first
        pool.give_back(first)

    def test_no_more_than_there_may_be(self) -> None:
        """Who finds all connections lent waits until one is given back."""
        pool = self.make_pool()
        first, second = self.take_many(pool, 2)
        third = self.begin(pool.take())
        self.reactor.turn_until(lambda: len(self.backends()) == 2)
        self.assertNoResult(third)
        pool.give_back(second)
        assert self.successResultOf(third) is second
        pool.give_back(second)
        pool.give_back(first)
        assert len(self.backends()) == 2
        self.assert_whole(pool)

    def test_in_order(self) -> None:
        """Of those who wait the first is the first."""
        pool = self.make_pool(size=1)
        connection = self.take(pool)
        waiting = [self.begin(pool.take()) for _ in range(5)]
        for number, one in enumerate(waiting):
            assert [self.ended(other) for other in waiting] == [True] * number + [False] * (
                5 - number
            )
            pool.give_back(connection)
            assert self.successResultOf(one) is connection
        pool.give_back(connection)

    def test_nobody_is_overtaken(self) -> None:
        """Who comes while somebody waits waits behind him."""
        pool = self.make_pool(size=1)
        connection = self.take(pool)
        order: list[str] = []

        async def want(name: str) -> None:
            taken = await pool.take()
            order.append(name)
            if name == "first":
                second = self.begin(want("third"))
                self.assertNoResult(second)
            pool.give_back(taken)

        outcomes = [self.begin(want("first")), self.begin(want("second"))]
        pool.give_back(connection)
        self.perform_all()
        for outcome in outcomes:
            self.successResultOf(outcome)
        assert order == ["first", "second", "third"]

    def test_too_many_wait(self) -> None:
        """Who finds too many waiting is told so at once."""
        pool = self.make_pool(size=1, queue_size=2)
        connection = self.take(pool)
        waiting = [self.begin(pool.take()) for _ in range(2)]
        told = self.failureResultOf(self.begin(pool.take()), Unavailable).value
        assert "too many" in str(told)
        for one in waiting:
            pool.give_back(connection)
            self.successResultOf(one)
        pool.give_back(connection)

    def test_waits_too_long(self) -> None:
        """Whose time is up leaves the queue; the others wait on."""
        pool = self.make_pool(size=1, queue_seconds=0.1)
        connection = self.take(pool)
        impatient = self.begin(pool.take())
        self.reactor.turn_until(lambda: self.ended(impatient))
        told = self.failureResultOf(impatient, Unavailable).value
        assert "too much to do" in str(told)
        patient = self.begin(pool.take())
        pool.give_back(connection)
        assert self.successResultOf(patient) is connection
        pool.give_back(connection)
        assert self.said == []

    def test_who_waits_is_cancelled(self) -> None:
        """Who goes while he waits leaves the queue, and takes no connection with him."""
        pool = self.make_pool(size=1, queue_size=1)
        connection = self.take(pool)
        gone = self.begin(pool.take())
        gone.addErrback(lambda _: None)
        gone.cancel()
        waiting = self.begin(pool.take())
        self.assertNoResult(waiting)
        pool.give_back(connection)
        assert self.successResultOf(waiting) is connection
        pool.give_back(connection)
        self.assert_whole(pool)

    def test_cancelled_while_it_is_opened(self) -> None:
        """A connection whose first user goes before it is open is there for the next."""
        for turns in range(12):
            pool = self.make_pool()
            gone = self.begin(pool.take())
            for _ in range(turns):
                self.reactor.runUntilCurrent()
                self.reactor.doIteration(0.01)
            if gone.called:
                pool.give_back(self.successResultOf(gone))
            else:
                gone.addErrback(lambda _: None)
                gone.cancel()
            self.assert_whole(pool)

    def test_after_much_was_sent(self) -> None:
        """A connection that keeps much memory is not lent again."""
        pool = self.make_pool()
        connection = self.take(pool)
        connection.bloated = True
        pool.give_back(connection)
        assert connection.closed
        assert connection.statement is None
        another = self.take(pool)
        assert another is not connection
        pool.give_back(another)
        self.assert_whole(pool)

    def test_whose_backend_has_gone(self) -> None:
        """Of connections that end while nobody uses them nobody hears anything."""
        pool = self.make_pool()
        self.assert_whole(pool)
        connections = self.take_many(pool, 2)
        for connection in connections:
            pool.give_back(connection)
        self.terminate()
        self.reactor.turn_until(lambda: all(connection.closed for connection in connections))
        self.assert_whole(pool)
        assert self.said == []

    def test_whose_backend_has_gone_unnoticed(self) -> None:
        """A connection that has just ended is not lent, even if its end was not heard yet."""
        pool = self.make_pool()
        for _ in range(3):
            taken = self.take_many(pool, 2)
            assert all(connection.is_idle() for connection in taken)
            for connection in taken:
                pool.give_back(connection)
            self.terminate()
        self.assert_whole(pool)
        assert self.said == []

    def test_session(self) -> None:
        """Each connection is told how long a statement may take, and to be durable."""
        for given, wanted in (("off", "on"), ("on", "on"), ("remote_apply", "remote_apply")):
            self.execute(f'ALTER DATABASE "{self.name}" SET synchronous_commit = {given}')
            self.execute(
                f'ALTER DATABASE "{self.name}"'
                " SET default_transaction_isolation = 'repeatable read'"
            )
            database, _ = self.make(statement_seconds=7.5)
            settings = self.result_of(
                database.read(
                    lambda cursor: cursor.rows(
                        "SELECT current_setting('synchronous_commit'),"
                        " current_setting('transaction_isolation'),"
                        " current_setting('statement_timeout'),"
                        " current_setting('idle_in_transaction_session_timeout'),"
                        " current_setting('application_name')"
                    )
                )
            )
            assert settings == [(wanted, "read committed", "7500ms", "7500ms", "ociregd")]

    def test_silent_networks(self) -> None:
        """A network that falls silent is noticed soon, or when the URL says."""
        url = self.server.tcp_url(self.name)
        for more, wanted in (("", [30, 10, 3, 5000]), ("?keepalives_idle=7", [7, 10, 3, 5000])):
            pool = self.make_pool(url + more)
            connection = self.take(pool)
            with socket.socket(fileno=os.dup(connection.fileno())) as wire:
                found = [wire.getsockopt(socket.IPPROTO_TCP, option) for option in NOTICING]
            pool.give_back(connection)
            assert found == wanted


class ClosingTests(TroubleCase, SynchronousTestCase):
    """How a pool ends."""

    def test_idle(self) -> None:
        """Connections that nobody uses are closed at once, and nobody gets one any more."""
        pool = self.make_pool()
        self.assert_whole(pool)
        for _ in range(2):
            self.successResultOf(self.begin(pool.close()))
        self.failureResultOf(self.begin(pool.take()), Unavailable)
        self.reactor.turn_until(lambda: self.backends() == [])

    def test_lent(self) -> None:
        """Those in use are closed when they are given back; whoever closes waits for that."""
        pool = self.make_pool()
        connections = self.take_many(pool, 2)
        closing = [self.begin(pool.close()) for _ in range(2)]
        for connection in connections:
            for one in closing:
                self.assertNoResult(one)
            pool.give_back(connection)
        for one in closing:
            self.successResultOf(one)
        assert self.reactor.left_behind() == []

    def test_waiting(self) -> None:
        """Who waits for one is told at once."""
        pool = self.make_pool(size=1)
        connection = self.take(pool)
        waiting = [self.begin(pool.take()) for _ in range(3)]
        closing = self.begin(pool.close())
        for one in waiting:
            assert "stop" in str(self.failureResultOf(one, Unavailable).value)
        pool.give_back(connection)
        self.successResultOf(closing)

    def test_connecting(self) -> None:
        """A connection that is being opened is waited for, and closed."""
        for turns in range(12):
            pool = self.make_pool()
            taking = self.begin(pool.take())
            for _ in range(turns):
                self.reactor.runUntilCurrent()
                self.reactor.doIteration(0.01)
            if taking.called:
                pool.give_back(self.successResultOf(taking))
            self.result_of(pool.close())
            if taking.called:
                self.outcome(taking)
            assert self.reactor.left_behind() == []

    def test_between_attempts(self) -> None:
        """No further attempt to connect is made."""
        pool = self.make_pool(url=f"postgresql://{ROLE}@127.0.0.1:{free_port()}/any")
        waiting = self.begin(pool.take())
        self.reactor.turn_until(lambda: self.said)
        self.successResultOf(self.begin(pool.close()))
        self.failureResultOf(waiting, Unavailable)
        assert self.reactor.left_behind() == []

    def test_what_takes_long(self) -> None:
        """Who still uses one after a while has it closed under him."""
        database, pool = self.make(connect_seconds=0.2)
        sleeping = self.begin(database.read(lambda c: c.rows("SELECT pg_sleep(30)")))
        self.until_it_sleeps()
        closing = self.begin(pool.close())
        self.assertNoResult(closing)
        self.reactor.turn_until(lambda: self.ended(closing))
        self.failureResultOf(sleeping, Unavailable)
        self.successResultOf(closing)
        self.terminate()


class RefusedTests(TroubleCase, SynchronousTestCase):
    """Servers that let nobody in."""

    def refused(self, url: str) -> str:
        """What is logged if connections are refused; it is one line, whoever wants one."""
        pool = self.make_pool(url=url, queue_seconds=0.5)
        waiting = [self.begin(pool.take()) for _ in range(3)]
        self.perform_all()
        for one in waiting:
            told = str(self.failureResultOf(one, Unavailable).value)
            assert "does not answer" in told
        assert not any(PASSWORD in line for line in self.said)
        [line], self.said = self.said, []
        assert line.startswith("warn: cannot connect to the database: ")
        assert "\n" not in line
        return line

    def test_wrong_password(self) -> None:
        """A password that the server does not take is not logged, but that it is wrong."""
        url = self.server.tcp_url(self.name).replace(f":{PASSWORD}@", ":indiscreet@")
        line = self.refused(url)
        assert "password authentication failed" in line
        assert "indiscreet" not in line

    def test_unknown_database(self) -> None:
        """A database that is not there is named."""
        assert '"elsewhere" does not exist' in self.refused(self.server.tcp_url("elsewhere"))

    def test_nobody_listens(self) -> None:
        """Where nobody listens is said."""
        url = f"postgresql://{ROLE}:{PASSWORD}@127.0.0.1:{free_port()}/any"
        assert "refused" in self.refused(url)
        assert "/nowhere" in self.refused(f"postgresql://{ROLE}:{PASSWORD}@/any?host=/nowhere")

    def test_unknown_host(self) -> None:
        """A host that nobody knows is waited for like a server that is away."""
        line = self.refused(f"postgresql://{ROLE}:{PASSWORD}@registry.invalid/any")
        assert "not known" in line or "resolution" in line

    def test_fewer_connections_than_there_may_be(self) -> None:
        """If the server allows fewer connections than we do, who waits takes turns on those."""
        self.execute(f'ALTER DATABASE "{self.name}" CONNECTION LIMIT 1')
        pool = self.make_pool(size=3)
        connection = self.take(pool)
        waiting = [self.begin(pool.take()) for _ in range(3)]
        self.reactor.turn_until(lambda: self.said)
        for one in waiting:
            pool.give_back(connection)
            assert self.successResultOf(one) is connection
        pool.give_back(connection)
        [line] = self.said
        assert "too many connections" in line

    def test_busy_with_fewer_connections(self) -> None:
        """Who waits too long for one of the few that there are is told that all are busy."""
        self.execute(f'ALTER DATABASE "{self.name}" CONNECTION LIMIT 1')
        pool = self.make_pool(size=3, queue_seconds=0.2)
        connection = self.take(pool)
        told = self.failure_of(pool.take(), Unavailable)
        assert "too much to do" in str(told)
        pool.give_back(connection)


class SeveralHostsTests(TroubleCase, SynchronousTestCase):
    """A URL with several hosts, some of which are of no use."""

    def listen(self: Any, protocol: type[Protocol]) -> int:
        """Where a server listens that is none; its port."""
        port = self.reactor.listenTCP(0, Factory.forProtocol(protocol), interface="127.0.0.1")

        def close() -> None:
            ending = port.stopListening()
            self.reactor.turn_until(lambda: ending.called)

        self.addCleanup(close)
        return int(port.getHost().port)

    def connected(self, *ports: int) -> None:
        """Assert that a server is found behind these ports, and nothing else is heard of."""
        hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
        pool = self.make_pool(url=f"postgresql://{ROLE}:{PASSWORD}@{hosts}/{self.name}")
        self.assert_whole(pool)
        self.result_of(pool.close())
        assert self.said == []

    def test_the_first_that_can_be_used(self) -> None:
        """Hosts that are down, and hosts that are not ready, are passed over."""
        down, ready = free_port(), self.server.port
        starting = [self.listen(NotReady) for _ in range(2)]
        self.connected(down, ready)
        self.connected(starting[0], ready)
        self.connected(*starting, ready)
        self.connected(starting[0], down, ready)
        self.connected(down, starting[0], down, starting[1], down, ready)

    def test_heard_of_another_socket(self) -> None:
        """What a reactor has still to tell of a socket that is closed does no harm to the next."""
        starting = self.listen(NotReady)
        for port, outcome in ((self.server.port, PooledConnection), (starting, Unavailable)):
            pool = self.make_pool(
                url=f"postgresql://{ROLE}:{PASSWORD}@127.0.0.1:{port}/{self.name}",
                queue_seconds=1.0,
            )
            taking = self.begin(pool.take())
            while not taking.called:
                for one in {*self.reactor.getReaders(), *self.reactor.getWriters()}:
                    if isinstance(one, PooledConnection):
                        one.doRead()
                        one.doWrite()
                self.reactor.runUntilCurrent()
                self.reactor.doIteration(0.01)
            found = self.outcome(taking)
            assert isinstance(found, outcome)
            if isinstance(found, PooledConnection):
                pool.give_back(found)
            self.result_of(pool.close())
        assert [line.partition(":")[0] for line in self.said] == ["warn"]

    def test_after_one_that_never_answers(self) -> None:
        """A host that says nothing costs one attempt: the next one begins with the next host."""
        silent = [self.listen(Silent) for _ in range(2)]
        hosts = ",".join(f"127.0.0.1:{port}" for port in (*silent, self.server.port))
        pool = self.make_pool(
            url=f"postgresql://{ROLE}:{PASSWORD}@{hosts}/{self.name}", connect_seconds=0.5
        )
        self.assert_whole(pool)
        assert [line.partition(":")[0] for line in self.said] == ["warn", "info"]
        self.result_of(pool.close())

    def test_who_never_answers(self) -> None:
        """An attempt to connect to who says nothing ends in time."""
        pool = self.make_pool(
            url=f"postgresql://{ROLE}:{PASSWORD}@127.0.0.1:{self.listen(Silent)}/any",
            queue_seconds=0.5,
            connect_seconds=0.1,
        )
        told = self.failure_of(pool.take(), Unavailable)
        assert "does not answer" in str(told)
        [line] = self.said
        assert "does not answer" in line
        self.result_of(pool.close())
