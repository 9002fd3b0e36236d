"""Run evaluators of users in processes of their own, each with limits of time, memory and errors.

A process that hangs, ends or takes too much memory costs the response that it was at; the others are
evaluated by its successor. Evaluators do not wait for each other, and ``evaluate`` returns in time whatever
they do.
"""

from __future__ import annotations

import selectors
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from softfail.evaluator import Verdict
from softfail.evaluator_budget import CUT_OFF_S, ErrorBudget
from softfail.evaluator_process import START_S, WINDOW, Description, EvaluatorProcess, EvaluatorSpec

CUT_OFF = Verdict("skipped", "cut off")
NO_TIME = Verdict("skipped", "no time")
"""Verdicts on responses that an evaluator is not asked about: it broke too often, or the bundle was due."""
ENDS = ("start", "timeout", "memory", "exit")
"""Why a process ends: it cannot make its evaluator, a response takes too long, too much memory, all else."""
_STALL_S = 0.5  # this process did not run for so long: the time is not that of the evaluators

Request = tuple[EvaluatorSpec, bytes]
"""An evaluator, and a response in JSON."""


class CutOff(NamedTuple):
    """An evaluator that is not asked now. ``since_s``: of the clock of ``evaluate``."""

    spec: EvaluatorSpec
    reason: str
    since_s: float


@dataclass(slots=True)
class EvaluatorCounts:
    """Counts of one evaluator since the pool was made."""

    verdicts: int = 0
    errors: int = 0
    cut_off: int = 0
    no_time: int = 0
    seconds: float = 0.0
    ends: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ENDS, 0))


class EvaluatorPool:
    """One process for each specification. Several threads may use a pool; they take turns.

    Args:
        clock: monotonic, seconds.
        cuts_off: whether an evaluator that breaks too often is not asked for a while.
        shows_output: whether the evaluators may print.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        *,
        cuts_off: bool = True,
        shows_output: bool = False,
    ) -> None:
        self._clock, self._cuts_off, self._shows_output = clock, cuts_off, shows_output
        self._lines: dict[EvaluatorSpec, _Line] = {}
        self._turn = threading.Lock()

    def __enter__(self) -> EvaluatorPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def describe(self, spec: EvaluatorSpec) -> Description:
        """Return what an evaluator states about itself; its process then waits for responses.

        Raises:
            ValueError: it cannot be made; the message names the fault and the remedy.
        """
        with self._turn:
            line = self._line(spec)
            ((description, fault),) = self._started([line])
            if description is None:
                raise ValueError(fault)
            return description

    def evaluate(
        self, requests: Iterable[Request], now_s: float | None = None, budget_s: float | None = None
    ) -> dict[Request, Verdict]:
        """Return the verdict on each request.

        Args:
            requests: equal ones are evaluated once.
            now_s: time for the error budgets, seconds of any clock; None: that of the pool.
            budget_s: how long it may take in all; what is left then is ``NO_TIME``. None: as long as it takes.
        """
        with self._turn:
            now_s = self._clock() if now_s is None else now_s
            work: dict[_Line, list[bytes]] = {}
            for spec, payload in dict.fromkeys(requests):
                work.setdefault(self._line(spec), []).append(payload)
            for line, payloads in work.items():
                line.begin(payloads, now_s, self._clock())
            end_s = None if budget_s is None else self._clock() + budget_s
            self._run([line for line in work if line.is_busy], end_s)
            return {
                (line.spec, payload): verdict for line in work for payload, verdict in line.take().items()
            }

    def cut_offs(self, now_s: float | None = None) -> list[CutOff]:
        """Return the evaluators that are cut off. ``now_s``: as in ``evaluate``."""
        now_s = self._clock() if now_s is None else now_s
        return [
            CutOff(line.spec, line.budget.reason, since_s)
            for line in list(self._lines.values())
            if (since_s := line.budget.since_s) is not None and since_s <= now_s < since_s + CUT_OFF_S
        ]

    def counts(self) -> Mapping[EvaluatorSpec, EvaluatorCounts]:
        """Return the counts of each evaluator that was described or asked."""
        return {line.spec: line.counts for line in list(self._lines.values())}

    def close(self) -> None:
        """End all processes."""
        with self._turn:
            for line in self._lines.values():
                line.close()

    def _line(self, spec: EvaluatorSpec) -> _Line:
        if spec not in self._lines:
            self._lines[spec] = _Line(spec, cuts_off=self._cuts_off, shows_output=self._shows_output)
        return self._lines[spec]

    def _started(self, lines: Sequence[_Line]) -> list[tuple[Description | None, str]]:
        for line in lines:
            line.begin([], self._clock(), self._clock(), starts=True)
        self._run([line for line in lines if line.is_busy], None)
        return [(line.description, line.fault) for line in lines]

    def _run(self, lines: Sequence[_Line], end_s: float | None) -> None:
        """Feed and read processes until each line is idle, or the time is over."""
        busy = list(lines)
        while busy:
            now_s = self._clock()
            wake_s = min([line.deadline_s for line in busy] + ([] if end_s is None else [end_s]))
            with selectors.PollSelector() as selector:
                for line in busy:
                    line.register(selector)
                ready = selector.select(max(0.0, wake_s - now_s))
            woke_s = self._clock()
            stalled_s = woke_s - max(now_s, wake_s) if not ready or woke_s > wake_s else 0.0
            for line in busy:
                if stalled_s > _STALL_S:
                    line.deadline_s += stalled_s
                line.step(self._clock())
            clock_s = self._clock()
            for line in busy:
                if end_s is not None and clock_s >= end_s and line.is_busy:
                    line.give_up(clock_s)
            busy = [line for line in busy if line.is_busy]


class _Line:
    """One evaluator: its process, what waits for it, and its budget.

    ``deadline_s``: when the process must have made the next step.
    """

    def __init__(self, spec: EvaluatorSpec, *, cuts_off: bool, shows_output: bool) -> None:
        self.spec = spec
        self.budget = ErrorBudget(cuts_off=cuts_off)
        self.counts = EvaluatorCounts()
        self.description: Description | None = None
        self.fault = ""
        self.deadline_s = 0.0
        self._shows_output = shows_output
        self._process: EvaluatorProcess | None = None
        self._waiting: deque[bytes] = deque()
        self._results: dict[bytes, Verdict] = {}
        self._stale = 0  # of the pending ones of the process: their results are wanted no more
        self._now_s = 0.0
        self._began_s = 0.0
        self._starts = False

    @property
    def is_busy(self) -> bool:
        """Whether a result is missing, or the process is to start and has not."""
        return bool(self._waiting) or self._asked > 0 or self._starts

    @property
    def _asked(self) -> int:
        return 0 if self._process is None else len(self._process.pending) - self._stale

    def begin(self, payloads: Sequence[bytes], now_s: float, clock_s: float, *, starts: bool = False) -> None:
        """Take responses to evaluate; those of an evaluator that is cut off are skipped."""
        self._now_s, self._began_s, self._results = now_s, clock_s, {}
        if payloads and self.budget.is_cut_off(now_s):
            self._skip(payloads)
            return
        self._starts = starts and self.description is None
        self._waiting.extend(payloads)
        if self.is_busy:
            if self._process is None:
                self._start(clock_s)
            elif self._process.description is not None:
                self.deadline_s = clock_s + self.spec.timeout_s
            self._feed()

    def take(self) -> dict[bytes, Verdict]:
        """Return the verdicts since ``begin``."""
        return self._results

    def register(self, selector: selectors.BaseSelector) -> None:
        """Watch the pipes of the process."""
        if self._process is not None:
            selector.register(self._process.reader, selectors.EVENT_READ)
            selector.register(self._process.ended, selectors.EVENT_READ)
            if self._process.has_unsent:
                selector.register(self._process.writer, selectors.EVENT_WRITE)

    def step(self, clock_s: float) -> None:
        """Read and feed the process; end it if it is late."""
        if self._process is None:
            return
        was_ready = self._process.description is not None
        results, end = self._process.read()
        for payload, verdict in results:
            if self._stale:
                self._stale -= 1
            else:
                self._note(payload, verdict)
        if self._process.description is not None and not was_ready:
            self.description, self.fault, self._starts = self._process.description, "", False
            self.deadline_s = clock_s + self.spec.timeout_s
        if results:
            self.deadline_s = clock_s + self.spec.timeout_s
        if end:
            self._over(
                "start" if not was_ready and self._process.description is None else _kind(end), end, clock_s
            )
        elif clock_s >= self.deadline_s:
            if self._process.description is None:
                self._over("start", f"took more than {START_S:g} s to import", clock_s)
            else:
                self._over("timeout", f"took more than {self.spec.timeout_s:g} s", clock_s)
        else:
            self._process.write()
            self._feed()
        if not self.is_busy:
            self.counts.seconds += max(0.0, clock_s - self._began_s)

    def give_up(self, clock_s: float) -> None:
        """Skip what is left: there is no more time. What the process was given it finishes meanwhile."""
        self.counts.seconds += max(0.0, clock_s - self._began_s)
        left = list(self._waiting)
        if self._process is not None:
            left = list(self._process.pending)[self._stale :] + left
            self._stale = len(self._process.pending)
        self._waiting.clear()
        for payload in left:
            self._results[payload] = NO_TIME
            self.budget.note(self._now_s, "it takes too long; give it a lower `sample`")
        self.counts.no_time += len(left)

    def close(self) -> None:
        """End the process."""
        self._waiting.clear()
        if self._process is not None:
            self._process.kill()
            self._process = None

    def _start(self, clock_s: float) -> None:
        self._stale = 0
        self.deadline_s = clock_s + START_S
        try:
            self._process = EvaluatorProcess(self.spec, shows_output=self._shows_output)
        except OSError as error:
            self._over("start", f"its process cannot be started: {error}", clock_s)

    def _feed(self) -> None:
        process = self._process
        if process is None or process.description is None:
            return
        payloads: list[bytes] = []
        while self._waiting and len(process.pending) + len(payloads) < WINDOW:
            payloads.append(self._waiting.popleft())
        if payloads:
            process.give(payloads)

    def _over(self, kind: str, why: str, clock_s: float) -> None:
        """Replace a process that ended or has to; the response that it was at is an error."""
        pending, stale, was_ready = deque[bytes](), self._stale, False
        if self._process is not None:
            pending, was_ready = self._process.pending, self._process.description is not None
            self._process.kill()
            self._process = None
        self._stale = 0
        self.counts.ends[kind] += 1
        self.budget.note_death(self._now_s, why)
        wanted = list(pending)[stale:]
        if wanted and not stale:  # else it was at a response of an earlier call, which has its verdict
            self._note(wanted.pop(0), Verdict("error", why))
        self._waiting.extendleft(reversed(wanted))
        if not was_ready:
            self.fault, self._starts = why, False
            while self._waiting:
                self._note(self._waiting.popleft(), Verdict("error", f"cannot be started: {why}"))
        if self.budget.is_cut_off(self._now_s):
            self._skip(self._waiting)
            self._waiting.clear()
        if self._waiting:
            self._start(clock_s)

    def _note(self, payload: bytes, verdict: Verdict) -> None:
        self._results[payload] = verdict
        if verdict.state == "error":
            self.counts.errors += 1
            self.budget.note(self._now_s, verdict.reason)
        else:
            self.counts.verdicts += 1
            self.budget.note(self._now_s)

    def _skip(self, payloads: Iterable[bytes]) -> None:
        for payload in payloads:
            self._results[payload] = CUT_OFF
            self.counts.cut_off += 1


def _kind(end: str) -> str:
    return "memory" if end.startswith("used more") else "exit"
