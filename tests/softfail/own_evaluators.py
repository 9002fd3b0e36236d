"""Evaluators of a user, good and bad, for the tests of their processes. They are imported in those only."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from typing import Any

from softfail.evaluator import ModelResponse, Verdict, failed, passed, skipped

LEAK: list[bytearray] = []


class CitesSource:
    """The good one: an answer cites a source."""

    version = "3"

    def __init__(self, mark: str = "[1]") -> None:
        self.mark = mark

    def __call__(self, response: ModelResponse) -> Verdict:
        if response.output == "skip":
            return skipped("not asked for")
        return passed(1.0) if self.mark in (response.output or "") else failed(f"no {self.mark}", 0.0)


def is_short(response: ModelResponse, *, most: int) -> bool:
    return len(response.output or "") <= most


def by_text(response: ModelResponse) -> Any:
    """Do what the answer says; pass otherwise. An answer that is asked twice does the same again."""
    return _ACTIONS.get(response.output or "", lambda: True)()


def _sleep() -> bool:
    time.sleep(3600)
    return True


def _hold_interpreter() -> bool:
    return sum(range(10**12)) > 0


def _raise() -> bool:
    raise ValueError("no such answer")


class _Awkward(Exception):
    def __str__(self) -> str:
        raise RuntimeError("never")


def _raise_awkward() -> bool:
    raise _Awkward


def _leak() -> bool:
    while True:
        LEAK.append(bytearray(10 << 20))


def _fork() -> bool:
    os.fork()  # both return, and evaluate what comes
    return True


def _fork_and_stay() -> bool:
    if os.fork() == 0:
        time.sleep(3600)  # with the pipes of its parent
    return True


def _print() -> bool:
    for _ in range(200):
        print("x" * 50_000)
        print("x" * 50_000, file=sys.stderr)
    return True


def _thread() -> bool:
    threading.Thread(target=time.sleep, args=(3600,)).start()
    return True


class _Unpicklable(str):
    def __reduce__(self) -> Any:
        raise TypeError("not to be copied")


def _write_everywhere() -> bool:
    for descriptor in range(3, 64):
        try:
            os.write(descriptor, b'["passed", "", null]\n' * 3 + b"garbage\n")
        except OSError:
            continue
    return True


def _read_input() -> bool:
    return sys.stdin.read() == "" and os.read(0, 1) == b""


def _ignore_sigterm() -> bool:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return _hold_interpreter()


_ACTIONS: dict[str, Any] = {
    "read input": _read_input,
    "ignore SIGTERM": _ignore_sigterm,
    "sleep": _sleep,
    "hold": _hold_interpreter,
    "raise": _raise,
    "awkward": _raise_awkward,
    "exit": lambda: sys.exit(3),
    "interrupt": lambda: (_ for _ in ()).throw(KeyboardInterrupt()),
    "leak": _leak,
    "die": lambda: os._exit(7),
    "kill": lambda: os.kill(os.getpid(), 9),
    "print": _print,
    "fork": _fork,
    "fork and stay": _fork_and_stay,
    "thread": _thread,
    "close": lambda: os.closerange(3, 64),
    "garbage": lambda: {"passed": 1},
    "nothing": lambda: None,
    "long": lambda: failed("x" * 50_000_000),
    "not a number": lambda: passed(float("nan")),
    "other state": lambda: Verdict("fine"),  # type: ignore[arg-type]
    "unpicklable": lambda: failed(_Unpicklable("my own text")),
    "write": _write_everywhere,
}


class TakesTwo:
    def __call__(self, response: ModelResponse, other: str) -> bool:
        return True


class NoCall:
    pass


async def waits(response: ModelResponse) -> bool:
    return True


class BadVersion:
    version = 3

    def __call__(self, response: ModelResponse) -> bool:
        return True
