"""Wait for a condition that another task, another thread, another process or the broker brings about."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any


def wait_until(
    condition: Callable[[], Any], timeout_s: float = 10.0, missing: str = "", every_s: float = 0.005
) -> Any:
    """Return the first result of the condition that is true.

    Args:
        missing: what did not happen, for the message.
        every_s: pause between two tries; longer if a try costs something, such as a read of a topic.

    Raises:
        AssertionError: there is none within the timeout.
    """
    deadline_s = time.monotonic() + timeout_s
    while not (result := condition()):
        assert time.monotonic() < deadline_s, missing or f"not true within {timeout_s:g} s"
        time.sleep(every_s)
    return result


async def until(
    condition: Callable[[], Any], timeout_s: float = 10.0, missing: str = "", every_s: float = 0.002
) -> Any:
    """Return the first result of the condition that is true, like ``wait_until``, while other tasks run.

    Raises:
        AssertionError: there is none within the timeout.
    """
    deadline_s = time.monotonic() + timeout_s
    while not (result := condition()):
        assert time.monotonic() < deadline_s, missing or f"not true within {timeout_s:g} s"
        await asyncio.sleep(every_s)
    return result


async def idle(turns: int = 50) -> None:
    """Let all tasks that are ready run, for this many turns of the event loop, before nothing is asserted."""
    for _ in range(turns):
        await asyncio.sleep(0)
