"""Wait for a condition that another thread, another process or the broker brings about."""

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


async def turns(condition: Callable[[], Any], timeout_s: float = 10.0) -> Any:
    """Let other tasks of the event loop run until the condition is true; return its result.

    Raises:
        AssertionError: it is not within the timeout.
    """
    deadline_s = time.monotonic() + timeout_s
    while not (result := condition()):
        assert time.monotonic() < deadline_s, f"not true within {timeout_s:g} s"
        await asyncio.sleep(0)
    return result
