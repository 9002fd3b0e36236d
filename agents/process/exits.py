"""How the process ends: by itself, again, or for good.

State that is uncertain is never repaired in place. The process re-executes itself under the same pid and
knows then only what is durable.
"""

from __future__ import annotations

import contextlib
import logging
import os
import random
import signal
import sys
import time
from typing import NoReturn

OK = 0
REFUSED = 1  # a command does not do what was asked for
STATE = 70  # what is in memory is no longer certain: fenced, a failed or ambiguous checkpoint, a crash
WATCHDOG = 75  # stuck
CONFIGURATION = 78  # trying again cannot help

MOST_RESTARTS = 10
JITTER_S = (0.2, 5.0)
_RESTARTS = "_SOFTFAIL_RESTARTS"  # not SOFTFAIL_...: those are configuration
_RESTARTED = "_SOFTFAIL_RESTARTED"

_final = False

log = logging.getLogger("softfail.exits")


class Misconfigured(ValueError):
    """Something that a person must mend. The message names it and the remedy; the process ends with 78."""


class Refused(Exception):
    """A command does not do what was asked for. The message says why; what it names is unchanged."""


def restarts() -> int:
    """How often this process has re-executed itself since its last checkpoint."""
    return _count(_RESTARTS)


def restarted() -> int:
    """How often it has done so in all."""
    return _count(_RESTARTED)


def forgive() -> None:
    """A checkpoint succeeded: count restarts from zero again."""
    os.environ.pop(_RESTARTS, None)


def stopping() -> None:
    """The process was told to stop: from now on nothing starts it again."""
    global _final
    _final = True


def again(code: int, why: str) -> NoReturn:
    """End at once and start anew as the same process; after ten times without a checkpoint between, for good
    with ``code``.
    """
    if _final:
        leave(code, f"{why}; told to stop, so not started again")
    count = restarts() + 1
    if count > MOST_RESTARTS:
        leave(code, f"{why}; given up after {MOST_RESTARTS} restarts without a checkpoint")
    log.critical("RESTART %d of %d (code %d): %s", count, MOST_RESTARTS, code, why)
    os.environ[_RESTARTS], os.environ[_RESTARTED] = str(count), str(restarted() + 1)
    _flush()
    # Descriptors close on exec, threads end with it: no connection, no lease and no thought of the old
    # process survives.
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    raise AssertionError("execv returned")  # pragma: no cover


def leave(code: int, why: str) -> NoReturn:
    """End the process for good, without running anything that could hang."""
    log.log(logging.INFO if code == OK else logging.CRITICAL, "EXIT %d: %s", code, why)
    _flush()
    os._exit(code)
    raise AssertionError("_exit returned")  # pragma: no cover


def pause() -> None:
    """After a restart, wait 0.2 to 5 s, so that workers that failed together do not come back together. To be
    called first.

    It waits after the exec and not before, where signals would be lost.
    """
    if restarts():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: leave(OK, "told to stop while waiting to start again"))
        wait_s = random.uniform(*JITTER_S)
        log.info("restart %d: starting in %.1f s", restarts(), wait_s)
        time.sleep(wait_s)


def _count(name: str) -> int:
    text = os.environ.get(name, "0")
    return int(text) if text.isdigit() else 0


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # closed, or a pipe that nobody reads
            stream.flush()
