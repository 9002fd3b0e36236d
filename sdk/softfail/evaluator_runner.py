"""One evaluator of a user as its pool sees it: its process, what waits for it, its budget and its counts."""

from __future__ import annotations

import selectors
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from softfail.evaluator import Verdict
from softfail.evaluator_budget import ErrorBudget
from softfail.evaluator_process import START_S, WINDOW, Description, EvaluatorProcess, EvaluatorSpec

CUT_OFF = Verdict("skipped", "cut off")
NO_TIME = Verdict("skipped", "no time")
"""Verdicts on responses that an evaluator is not asked about: it broke too often, or the bundle was due."""
ENDS = ("start", "timeout", "memory", "exit")
"""Why a process ends: it cannot make its evaluator, a response takes too long, too much memory, all else."""
_LOOK_S = 0.05  # between two looks at a process whose end is not noticed otherwise


@dataclass(slots=True)
class EvaluatorCounts:
    """Counts of one evaluator since the pool was made."""

    verdicts: int = 0
    errors: int = 0
    cut_off: int = 0
    no_time: int = 0
    seconds: float = 0.0
    ends: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ENDS, 0))


class EvaluatorRunner:
    """Runs one evaluator: its process, what waits for it, and its budget.

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

    def wake_s(self, clock_s: float) -> float:
        """Return when the process must be looked at, if its pipes are silent until then."""
        is_noticed = self._process is None or self._process.ended is not None
        return self.deadline_s if is_noticed else min(self.deadline_s, clock_s + _LOOK_S)

    def take(self) -> dict[bytes, Verdict]:
        """Return the verdicts since ``begin``."""
        return self._results

    def register(self, selector: selectors.BaseSelector) -> None:
        """Watch the pipes of the process."""
        if self._process is not None:
            selector.register(self._process.reader, selectors.EVENT_READ)
            if self._process.ended is not None:
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
                self._over(
                    "start",
                    f"the import of {self.spec.use} took more than {START_S:g} s; see what its module does at import",
                    clock_s,
                )
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
