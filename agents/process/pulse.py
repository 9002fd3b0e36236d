"""Signs of life of a worker to its supervisor: one byte each, over a pipe that survives a restart.

Without a supervisor nothing is sent.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time

_PULSE = "_SOFTFAIL_PULSE"  # descriptor and pid of the supervisor; not SOFTFAIL_...: those are configuration
PERIOD_S = 1.0
ALIVE, BRIEF, NORMAL, RESTART, CHECKPOINT = b".", b"b", b"n", b"r", b"c"
"""The thread runs; what follows takes moments, until NORMAL; the process restarts itself; a checkpoint was
written.
"""


def use(descriptor: int, supervisor: int) -> None:
    """Send signs to the pipe of a supervisor from now on, also after a restart.

    Args:
        supervisor: its pid. Other children of a worker inherit the environment, and must not send.
    """
    os.environ[_PULSE] = f"{descriptor} {supervisor}"


def is_supervised() -> bool:
    """Return whether this process has a supervisor."""
    return _descriptor() is not None


def send(sign: bytes) -> None:
    """Send one byte; a supervisor that is gone or suspended is ignored."""
    if (descriptor := _descriptor()) is not None:
        with contextlib.suppress(OSError):  # BlockingIOError: nobody reads now
            os.write(descriptor, sign)


def start() -> None:
    """Send a sign of life each second from a thread, which needs only the interpreter."""
    threading.Thread(target=_beat, name="pulse", daemon=True).start()


def _descriptor() -> int | None:
    descriptor, _, supervisor = os.environ.get(_PULSE, "").partition(" ")
    return int(descriptor) if supervisor == str(os.getppid()) else None


def _beat() -> None:
    while True:
        send(ALIVE)
        time.sleep(PERIOD_S)
