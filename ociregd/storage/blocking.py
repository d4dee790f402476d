"""
Interactions on cursors that never wait: each runs whole, in the thread that asks for it.
"""

from __future__ import annotations

from typing import Any, TypeVar

from ociregd.transactions import ICursor, Interaction

T = TypeVar("T")


def run_to_end(interaction: Interaction[T], cursor: ICursor, args: tuple[object, ...]) -> T:
    """
    Run an interaction on a cursor that never suspends.
    """
    coroutine: Any = interaction(cursor, *args)
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    coroutine.close()
    raise RuntimeError(f"{interaction} waited for something other than its cursor")
