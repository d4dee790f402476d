"""
Registries in memory, for tests that speak bytes; nothing may be logged as an error unexpectedly.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.logger import ILogObserver, LogEvent, LogLevel, globalLogPublisher
from zope.interface import implementer

from ..harness import InMemoryRegistry
from ..workers import Later, now

NewRegistry = Callable[..., InMemoryRegistry]


@implementer(ILogObserver)
class Faults:
    """
    What was logged as an error.
    """

    def __init__(self) -> None:
        self._events: list[LogEvent] = []

    def __call__(self, event: LogEvent) -> None:
        if event["log_level"] >= LogLevel.error:
            self._events.append(event)

    def take(self) -> list[LogEvent]:
        """All of them; a test that takes them has expected them."""
        events, self._events = self._events, []
        return events


@pytest.fixture(autouse=True)
def faults() -> Iterator[Faults]:
    """Nothing may be logged as an error that the test does not take."""
    observer = Faults()
    globalLogPublisher.addObserver(observer)
    yield observer
    globalLogPublisher.removeObserver(observer)
    assert observer.take() == []


@pytest.fixture(autouse=True, scope="module")
def unhandled() -> Iterator[None]:
    """No failure may be found by the garbage collector alone."""
    gc.collect()
    observer = Faults()
    globalLogPublisher.addObserver(observer)
    yield
    gc.collect()
    globalLogPublisher.removeObserver(observer)
    formats = [str(event.get("log_format")) for event in observer.take()]
    assert [text for text in formats if "Unhandled error" in text] == []


@pytest.fixture(scope="session")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all these registries keep their data: making a tree for each test takes longer."""
    return tmp_path_factory.mktemp("registry")


@pytest.fixture
def new_registry(directory: Path) -> Iterator[NewRegistry]:
    """Make registries that are closed at the end of the test."""
    made = []

    def make(**more: Any) -> InMemoryRegistry:
        made.append(InMemoryRegistry(directory, **more))
        return made[-1]

    yield make
    for registry in made:
        registry.close()


@pytest.fixture
def registry(new_registry: NewRegistry) -> InMemoryRegistry:
    """A registry whose worker does everything at once."""
    return new_registry()


@pytest.fixture(params=["now", "later"])
def either_registry(request: pytest.FixtureRequest, new_registry: NewRegistry) -> InMemoryRegistry:
    """A registry whose worker does everything at once, and one whose worker does it afterwards."""
    return new_registry(worker=now if request.param == "now" else Later())


@pytest.fixture
def lazy_registry(new_registry: NewRegistry) -> InMemoryRegistry:
    """A registry whose worker can be told to stop: C{at_work}."""
    return new_registry(worker=Later())
