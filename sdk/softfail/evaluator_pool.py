"""Run evaluators of users in processes of their own, each with limits of time, memory and errors.

A process that hangs, ends or takes too much memory costs the response that it was at; the others are
evaluated by its successor. Evaluators do not wait for each other, and ``evaluate`` returns in time whatever
they do.
"""

from __future__ import annotations

import selectors
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from softfail.evaluator import Verdict
from softfail.evaluator_budget import CUT_OFF_S
from softfail.evaluator_process import Description, EvaluatorSpec
from softfail.evaluator_runner import EvaluatorCounts, EvaluatorRunner

_STALL_S = 0.5  # this process did not run for so long: the time is not that of the evaluators

Request = tuple[EvaluatorSpec, bytes]
"""An evaluator, and a response in JSON."""


class CutOff(NamedTuple):
    """An evaluator that is not asked now. ``since_s``: of the clock of ``evaluate``."""

    spec: EvaluatorSpec
    reason: str
    since_s: float


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
        self._runners: dict[EvaluatorSpec, EvaluatorRunner] = {}
        self._turn = threading.Lock()

    def __enter__(self) -> EvaluatorPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self, specs: Iterable[EvaluatorSpec]) -> None:
        """Start processes and do not wait, so that they import their evaluators at the same time."""
        with self._turn:
            for spec in specs:
                self._runner(spec).begin([], self._clock(), self._clock(), starts=True)

    def describe(self, spec: EvaluatorSpec) -> Description:
        """Return what an evaluator states about itself; its process then waits for responses.

        Raises:
            ValueError: it cannot be made; the message names the fault and the remedy.
        """
        with self._turn:
            runner = self._runner(spec)
            ((description, fault),) = self._started([runner])
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
            work: dict[EvaluatorRunner, list[bytes]] = {}
            for spec, payload in dict.fromkeys(requests):
                work.setdefault(self._runner(spec), []).append(payload)
            for runner, payloads in work.items():
                runner.begin(payloads, now_s, self._clock())
            end_s = None if budget_s is None else self._clock() + budget_s
            self._run([runner for runner in work if runner.is_busy], end_s)
            return {
                (runner.spec, payload): verdict
                for runner in work
                for payload, verdict in runner.take().items()
            }

    def cut_offs(self, now_s: float | None = None) -> list[CutOff]:
        """Return the evaluators that are cut off. ``now_s``: as in ``evaluate``."""
        now_s = self._clock() if now_s is None else now_s
        return [
            CutOff(runner.spec, runner.budget.reason, since_s)
            for runner in list(self._runners.values())
            if (since_s := runner.budget.since_s) is not None and since_s <= now_s < since_s + CUT_OFF_S
        ]

    def counts(self) -> Mapping[EvaluatorSpec, EvaluatorCounts]:
        """Return the counts of each evaluator that was described or asked."""
        return {runner.spec: runner.counts for runner in list(self._runners.values())}

    def close(self) -> None:
        """End all processes."""
        with self._turn:
            for runner in self._runners.values():
                runner.close()

    def _runner(self, spec: EvaluatorSpec) -> EvaluatorRunner:
        if spec not in self._runners:
            self._runners[spec] = EvaluatorRunner(
                spec, cuts_off=self._cuts_off, shows_output=self._shows_output
            )
        return self._runners[spec]

    def _started(self, runners: Sequence[EvaluatorRunner]) -> list[tuple[Description | None, str]]:
        for runner in runners:
            runner.begin([], self._clock(), self._clock(), starts=True)
        self._run([runner for runner in runners if runner.is_busy], None)
        return [(runner.description, runner.fault) for runner in runners]

    def _run(self, runners: Sequence[EvaluatorRunner], end_s: float | None) -> None:
        """Feed and read processes until each runner is idle, or the time is over."""
        busy = list(runners)
        while busy:
            now_s = self._clock()
            wake_s = min([runner.wake_s(now_s) for runner in busy] + ([] if end_s is None else [end_s]))
            with selectors.PollSelector() as selector:
                for runner in busy:
                    runner.register(selector)
                ready = selector.select(max(0.0, wake_s - now_s))
            woke_s = self._clock()
            stalled_s = woke_s - max(now_s, wake_s) if not ready or woke_s > wake_s else 0.0
            for runner in busy:
                if stalled_s > _STALL_S:
                    runner.deadline_s += stalled_s
                runner.step(self._clock())
            clock_s = self._clock()
            for runner in busy:
                if end_s is not None and clock_s >= end_s and runner.is_busy:
                    runner.give_up(clock_s)
            busy = [runner for runner in busy if runner.is_busy]
