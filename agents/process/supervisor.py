"""A small process over the worker: it kills a worker that holds the interpreter, and starts it again.

The watchdog of the worker (``agents.runtime.watchdog``) is a thread, and no thread runs while a C function
holds the interpreter. The supervisor is the process that was started (PID 1 of a container). It forks the
worker before anything large is imported, passes signals and exit codes on, and imports nothing of Kafka.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import os
import select
import signal
import sys
import time
from types import FrameType

from agents.process import exits, pulse
from agents.process.session_secret import session_secret

HANG_S = 30.0  # without a sign of life; no step of a worker holds the interpreter for a tenth of it
BRIEF_S = 5.0  # while the worker applies a few records that may be poison
TRACE_S = 0.5  # time to write the stack of a worker that is going to be killed
TICK_S = 0.25
PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1)
TRACE_SIGNAL = signal.SIGUSR2
_PR_SET_PDEATHSIG = 1


def supervise(hang_s: float = HANG_S, brief_s: float = BRIEF_S) -> None:
    """Return in a child process, which does the work, and supervise it in this process, which never returns.

    In a worker that has restarted itself it returns at once, because its supervisor is still there.

    Args:
        hang_s: how long the worker may send no sign of life.
        brief_s: the same while it applies a few records.
    """
    if not pulse.is_supervised():
        session_secret()  # the same in every child
        _Supervisor(hang_s, brief_s).run()
    faulthandler.register(TRACE_SIGNAL, all_threads=True)
    pulse.start()


class _Supervisor:
    def __init__(self, hang_s: float, brief_s: float) -> None:
        self._hang_s, self._brief_s = hang_s, brief_s
        self._restarts = self._restarts_in_all = 0
        self._child = 0
        self._stopping = False

    def run(self) -> None:
        """Fork workers until one ends by itself; return in each of them, and never here."""
        for number in PASSED_ON:
            signal.signal(number, self._pass_on)
        while True:
            reader, writer = os.pipe()
            parent = os.getpid()
            _flush()
            signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)  # until there is a child to pass them on to
            self._child = os.fork()
            if self._child == 0:
                os.close(reader)
                self._become_worker(writer, parent)
                return
            signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
            os.close(writer)
            status, is_hung = self._watch(reader)
            os.close(reader)
            self._end_or_restart(status, is_hung=is_hung)

    def _become_worker(self, writer: int, parent: int) -> None:
        for number in PASSED_ON:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
        os.setpgid(0, 0)  # Ctrl-C reaches the supervisor only, which passes it on once
        _die_with(parent)
        os.set_inheritable(writer, True)  # a worker that restarts itself keeps it
        os.set_blocking(writer, False)
        pulse.use(writer, parent)
        exits.set_restarts(self._restarts, self._restarts_in_all)

    def _watch(self, reader: int) -> tuple[int, bool]:
        """Return the status with which the worker ended, and whether it was killed because it hung."""
        patience_s, is_suspended = self._hang_s, False
        seen = ticked = time.monotonic()
        while True:
            signs = b""
            if select.select([reader], [], [], TICK_S)[0]:
                signs = os.read(reader, 4096)
                if not signs:  # the worker has closed it: it ends
                    time.sleep(TICK_S)
            for sign in signs:
                patience_s = self._take(bytes((sign,)), patience_s)
            now = time.monotonic()
            if signs or is_suspended or now - ticked > 5 * TICK_S:  # this process was suspended, too
                seen = now
            ticked = now
            while (ended := _wait()) is not None:
                pid, status = ended
                if pid != self._child:  # an orphan, as PID 1 of a container
                    continue
                if not os.WIFSTOPPED(status) and not os.WIFCONTINUED(status):
                    return status, False
                is_suspended = os.WIFSTOPPED(status)
            if now - seen > patience_s:
                return self._kill(patience_s), True

    def _take(self, sign: bytes, patience_s: float) -> float:
        """Note a sign; return how long the worker may be silent from now on."""
        if sign == pulse.CHECKPOINT:
            self._restarts = 0
        elif sign == pulse.RESTART:
            self._restarts += 1
            self._restarts_in_all += 1
            return self._hang_s
        return {pulse.BRIEF: self._brief_s, pulse.NORMAL: self._hang_s}.get(sign, patience_s)

    def _kill(self, patience_s: float) -> int:
        _say(
            f"the worker has held the interpreter for {patience_s:g} s; this is where it hangs, and it is killed"
        )
        os.kill(self._child, TRACE_SIGNAL)
        time.sleep(TRACE_S)
        os.kill(self._child, signal.SIGKILL)
        return os.waitpid(self._child, 0)[1]

    def _end_or_restart(self, status: int, *, is_hung: bool) -> None:
        if os.WIFEXITED(status):
            os._exit(os.WEXITSTATUS(status))
        number = os.WTERMSIG(status)
        code = exits.WATCHDOG if is_hung else 128 + number
        why = "the worker hung" if is_hung else f"the worker ended by signal {number}"
        if self._stopping or self._restarts >= exits.MOST_RESTARTS:
            _say(f"EXIT {code}: {why}")
            os._exit(code)
        self._restarts += 1
        self._restarts_in_all += 1
        _say(f"RESTART {self._restarts} of {exits.MOST_RESTARTS}: {why}")

    def _pass_on(self, number: int, _: FrameType | None) -> None:
        self._stopping = self._stopping or number in (signal.SIGTERM, signal.SIGINT)
        with contextlib.suppress(ProcessLookupError):
            if self._child:
                os.kill(self._child, number)


def _wait() -> tuple[int, int] | None:
    try:
        pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
    except ChildProcessError:
        return None
    return (pid, status) if pid else None


def _die_with(parent: int) -> None:
    """End this process when its supervisor ends in any way (Linux)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(exits.STATE)


def _say(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        print(f"{time.strftime('%H:%M:%S')} C softfail.supervisor {text}", flush=True)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
