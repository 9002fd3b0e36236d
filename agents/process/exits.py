"""End or restart a process; exit codes.

Uncertain state is never repaired in place. The process executes itself again under the same pid, and then
knows only what is durable.
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

from agents.process import pulse

OK = 0
REFUSED = 1  # a command does not do what was asked for
STATE = 70  # the state in memory is uncertain: fenced, a failed or ambiguous checkpoint, a crash
WATCHDOG = 75  # stuck
CONFIGURATION = 78  # a retry cannot help

MOST_RESTARTS = 10
JITTER_S = (0.2, 5.0)
_RESTARTS = "_SOFTFAIL_RESTARTS"  # not SOFTFAIL_...: those are configuration
_RESTARTED = "_SOFTFAIL_RESTARTED"

_final = False

log = logging.getLogger("softfail.exits")


class Misconfigured(ValueError):
    """Something that a person must correct. The message names it and the remedy; the process ends with 78."""


class Refused(Exception):
    """A command does not do what was asked for. The message says why; what it names is unchanged."""


def restarts() -> int:
    """Return how often this process has restarted since its last checkpoint."""
    return _count(_RESTARTS)


def total_restarts() -> int:
    """Return how often this process has restarted in all."""
    return _count(_RESTARTED)


def reset_restarts() -> None:
    """Count restarts from zero again, because a checkpoint succeeded."""
    os.environ.pop(_RESTARTS, None)
    pulse.send(pulse.CHECKPOINT)


def set_restarts(since_checkpoint: int, in_all: int) -> None:
    """Continue the counts of a process that was killed."""
    os.environ[_RESTARTS], os.environ[_RESTARTED] = str(since_checkpoint), str(in_all)


def refuse_restarts() -> None:
    """Never restart from now on, because the process was told to stop."""
    global _final
    _final = True


def restart(code: int, why: str) -> NoReturn:
    """Restart as the same process at once; after ten restarts without a checkpoint end it with ``code``."""
    if _final:
        leave(code, f"{why}; told to stop, so not restarted")
    count = restarts() + 1
    if count > MOST_RESTARTS:
        leave(code, f"{why}; given up after {MOST_RESTARTS} restarts without a checkpoint")
    log.critical("RESTART %d of %d (code %d): %s", count, MOST_RESTARTS, code, why)
    set_restarts(count, total_restarts() + 1)
    pulse.send(pulse.RESTART)
    _flush()
    # Descriptors close and threads end on exec: no connection and no state of the old process survives.
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    raise AssertionError("execv returned")  # pragma: no cover


def leave(code: int, why: str) -> NoReturn:
    """End the process, without running anything that could hang."""
    log.log(logging.INFO if code == OK else logging.CRITICAL, "EXIT %d: %s", code, why)
    _flush()
    os._exit(code)
    raise AssertionError("_exit returned")  # pragma: no cover


def pause_after_restart() -> None:
    """Wait 0.2 to 5 s after a restart, so that workers that failed together do not come back together.

    To be called first. It waits after the exec and not before, where signals would be lost.
    """
    if restarts():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: leave(OK, "told to stop while waiting to start again"))
        wait_s = random.uniform(*JITTER_S)
        log.info("restart %d: starting in %.1f s", restarts(), wait_s)
        time.sleep(wait_s)


def reap() -> None:
    """Take the exit codes of the children that this process had before it restarted itself.

    They are the processes of users' evaluators, which end when their pipes close. To be called before there are
    new ones.
    """
    with contextlib.suppress(ChildProcessError):
        while total_restarts() and os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _count(name: str) -> int:
    text = os.environ.get(name, "0")
    return int(text) if text.isdigit() else 0


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # closed, or a pipe that nobody reads
            stream.flush()
