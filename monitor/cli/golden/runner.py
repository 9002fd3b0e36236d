"""Ask the cases of a set: concurrently, with retries and limits of time and cost; each answer is kept at once."""

from __future__ import annotations

import heapq
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from monitor.cli.golden.targets import Target, TargetFailure
from monitor.golden.case_score import answers_wanted
from monitor.golden.case_verdict import Grades, rubrics_of
from monitor.golden.run_record import AnswerRecord, Run, passed_of
from schemas.golden import GoldenCase

GRACE_S = 2.0
FAILURES_IN_A_ROW = 10
"""Attempts that failed before the first answer: the target is down, and the other cases are not asked."""
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 10.0


class Limits(NamedTuple):
    """Limits of a run. ``max_cost_usd``, ``max_time_s``: None is no limit. ``timeout_s``: of one attempt.

    ``grade_s``: longest time of one grade by a judge with its own retries; 0: a judge has ``timeout_s``.
    """

    repeat: int = 1
    concurrency: int = 4
    retries: int = 3
    timeout_s: float = 60.0
    max_cost_usd: float | None = None
    max_time_s: float | None = None
    grade_s: float = 0.0


@dataclass(order=True, slots=True)
class _Call:
    """An attempt at one answer; ordered by when it may start, then by the order of the set."""

    start_s: float
    order: int
    case: GoldenCase = field(compare=False)
    number: int = field(compare=False)
    attempt: int = field(compare=False, default=1)


JudgeAnswer = Callable[[GoldenCase, Mapping[str, Any], float, Grades], AnswerRecord]
"""(case, answer of the target, duration in seconds, grades) -> record."""
AskJudge = Callable[[GoldenCase, Mapping[str, Any]], Grades]


class _Answered(NamedTuple):
    answer: Mapping[str, Any]
    seconds: float
    grades: Grades


class Runner:
    """Ask what a run still lacks.

    Args:
        target: answers.
        run: what is known already; new records are added.
        judge: makes the record of an answer; runs in the thread of ``ask``, because a native evaluator in another
            one could abort the process when it ends.
        ask_judge: asks a judge about an answer; runs in the thread of the call.
        keep: stores a record, before the run goes on.
        limits: of the run.
        progress: is called after each record, with the number of answers that are still wanted.
    """

    def __init__(
        self,
        target: Target,
        run: Run,
        judge: JudgeAnswer,
        ask_judge: AskJudge,
        keep: Callable[[AnswerRecord], None],
        limits: Limits,
        progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._target, self._run, self._keep = target, run, keep
        self._judge, self._ask_judge = judge, ask_judge
        self._limits, self._progress = limits, progress
        self._done: queue.Queue[tuple[int, _Answered | TargetFailure]] = queue.Queue()
        self._waiting: list[_Call] = []
        self._running: dict[int, tuple[_Call, float]] = {}
        self._calls = 0
        self._failures = 0
        self._last_failure = ""
        self._has_answered = False
        self._largest_cost = 0.0
        self._has_cost = True

    def ask(self, cases: Sequence[GoldenCase]) -> str:
        """Ask until every case has its answers; return why it stopped before, or an empty text."""
        for order, case in enumerate(cases):
            self._want(case, order)
        began_s = time.monotonic()
        stopped = ""
        try:
            while (self._waiting and not stopped) or self._running:
                now_s = time.monotonic()
                stopped = stopped or self._stop_reason(now_s - began_s)
                if not stopped:
                    self._start(now_s)
                elif not self._running:
                    break
                self._take(now_s)
        finally:
            self._target.close()
        return stopped

    def _want(self, case: GoldenCase, order: int, start_s: float = 0.0) -> None:
        passed = passed_of(self._run.records.get(case.id, []))
        wanted = answers_wanted(passed, self._limits.repeat)
        pending = {call.number for call in self._waiting if call.case.id == case.id}
        pending |= {call.number for call, _ in self._running.values() if call.case.id == case.id}
        for number in range(len(passed) + 1, wanted + 1):
            if number not in pending:
                heapq.heappush(self._waiting, _Call(start_s, order, case, number))

    def _stop_reason(self, elapsed_s: float) -> str:
        limits = self._limits
        if limits.max_time_s is not None and elapsed_s >= limits.max_time_s:
            return f"stopped by the time limit of {limits.max_time_s:g} s"
        if not self._has_answered and self._failures >= FAILURES_IN_A_ROW:
            return f"the target gave no answer in {self._failures} attempts; the last failure: {self._last_failure}"
        if limits.max_cost_usd is not None and not self._has_cost:
            return "stopped: the answers have no cost_usd, so the cost limit cannot be kept"
        if limits.max_cost_usd is not None and not self._running and not self._can_pay():
            return f"stopped by the cost limit of ${limits.max_cost_usd:g}"
        return ""

    def _can_pay(self) -> bool:
        """Return whether one more call stays within the limit if each call costs as much as the dearest one."""
        most = self._limits.max_cost_usd
        if most is None:
            return True
        if not self._largest_cost:
            return not self._running and self._run.cost_usd < most  # the first call says what a call costs
        return self._run.cost_usd + (len(self._running) + 1) * self._largest_cost <= most

    def _start(self, now_s: float) -> None:
        while (
            self._waiting
            and self._waiting[0].start_s <= now_s
            and len(self._running) < self._limits.concurrency
            and self._can_pay()
        ):
            call = heapq.heappop(self._waiting)
            self._calls += 1
            self._running[self._calls] = call, now_s
            # a daemon: a function that hangs must not keep the process from ending
            threading.Thread(target=self._call, args=(self._calls, call), daemon=True).start()

    def _call(self, token: int, call: _Call) -> None:
        began_s = time.monotonic()
        # The target gets the input alone: a reference or a check would give the answer away.
        request = {"id": call.case.id, "input": call.case.model_dump(mode="json", include={"input"})["input"]}
        if call.case.context is not None:
            request["context"] = call.case.context
        try:
            answer = self._target.ask(request, self._limits.timeout_s)
            seconds = time.monotonic() - began_s
            self._done.put((token, _Answered(answer, seconds, self._ask_judge(call.case, answer))))
        except TargetFailure as failure:
            self._done.put((token, failure))
        except Exception as error:  # noqa: BLE001  # the run goes on; the attempt failed
            self._done.put((token, TargetFailure(f"{type(error).__name__}: {error}", is_retried=False)))

    def _take(self, now_s: float) -> None:
        """Take one result, or end the calls that hang; wait until something can happen."""
        wake_s = now_s + 1.0
        if self._waiting and len(self._running) < self._limits.concurrency and self._can_pay():
            wake_s = min(wake_s, self._waiting[0].start_s)
        for call, started_s in self._running.values():
            wake_s = min(wake_s, started_s + self._hung_s(call))
        try:
            token, result = self._done.get(timeout=max(0.01, wake_s - now_s))
        except queue.Empty:
            now_s = time.monotonic()
            for token, (call, started_s) in list(self._running.items()):
                if now_s >= started_s + self._hung_s(call):
                    failure = TargetFailure(f"no answer within {self._limits.timeout_s:g} s")
                    self._finish(self._running.pop(token)[0], failure)
            return
        if token in self._running:  # else it was given up before
            self._finish(self._running.pop(token)[0], result)

    def _hung_s(self, call: _Call) -> float:
        """Return after how many seconds a call is given up: the target and each grade have their time."""
        limits, rubrics = self._limits, len(rubrics_of(call.case.checks))
        grades_s = (1 + rubrics) * limits.grade_s if limits.grade_s else rubrics * limits.timeout_s
        return limits.timeout_s + grades_s + GRACE_S

    def _finish(self, call: _Call, answered: _Answered | TargetFailure) -> None:
        result = answered if isinstance(answered, TargetFailure) else self._judged(call, answered)
        if isinstance(result, TargetFailure):
            self._failures += 1
            self._last_failure = str(result)
            if result.is_retried and call.attempt <= self._limits.retries:
                wait_s = max(result.wait_s, min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** (call.attempt - 1)))
                again = _Call(time.monotonic() + wait_s, call.order, call.case, call.number, call.attempt + 1)
                heapq.heappush(self._waiting, again)
                return
            self._store(
                call,
                AnswerRecord(
                    case=call.case.id,
                    number=call.number,
                    passed=None,
                    error=str(result),
                    attempts=call.attempt,
                ),
            )
            return
        self._has_answered = True
        self._has_cost &= result.cost_usd is not None
        self._largest_cost = max(self._largest_cost, (result.cost_usd or 0.0) + result.judge_cost_usd)
        self._store(call, result)
        if result.passed is False:
            self._want(call.case, call.order)

    def _judged(self, call: _Call, answered: _Answered) -> AnswerRecord | TargetFailure:
        try:
            return self._judge(call.case, *answered)
        except ValueError as error:
            return TargetFailure(str(error))

    def _store(self, call: _Call, record: AnswerRecord) -> None:
        fields = {name: getattr(record, name) for name in record.__struct_fields__}
        record = AnswerRecord(**{**fields, "number": call.number, "attempts": call.attempt})
        self._keep(record)
        self._run.add(record)
        self._progress(len(self._waiting) + len(self._running))
