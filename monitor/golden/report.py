"""The report of a run: decision, comparison and cases, as one value that text, JSON, JUnit and GitHub show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from monitor.golden.comparison import ChangedCase, Comparison, all_failed
from monitor.golden.gate import Decision
from monitor.golden.run_record import AnswerRecord, Run, passed_of
from schemas.golden import GoldenCase

NEWLY_FAILING, FAILS_TOO, FLAKY, MUST_PASS, UNANSWERED, PASSED, FAILED = (
    "newly_failing",
    "fails_in_the_baseline_too",
    "flaky",
    "must_pass",
    "unanswered",
    "passed",
    "failed",
)


class CaseResult(NamedTuple):
    """A case in the report.

    ``kind``: one of the constants of this module. ``reason``: evaluators that failed, with why. ``line``: in the
    file of the set.
    """

    case: GoldenCase
    kind: str
    answers: int
    failures: int
    reason: str
    line: int


class GoldenReport(NamedTuple):
    """All that a run reports."""

    set_name: str
    set_path: str
    run: Run
    decision: Decision
    comparison: Comparison | None
    results: tuple[CaseResult, ...]

    def of_kind(self, *kinds: str) -> list[CaseResult]:
        """Return the cases of some kinds, in the order of the set."""
        return [result for result in self.results if result.kind in kinds]

    @property
    def pass_rate(self) -> float | None:
        """Share of the first answers that passed; None without answers."""
        first = [passed[0] for passed in self.run.answers().values() if passed]
        return sum(first) / len(first) if first else None


def case_results(
    cases: Sequence[GoldenCase], lines: Mapping[str, int], run: Run, comparison: Comparison | None
) -> tuple[CaseResult, ...]:
    """Classify the cases of a run.

    Args:
        cases: the active ones.
        lines: case id -> line of the file.
        run: its answers.
        comparison: with the baseline; None without one.
    """
    worse = {case.case_id: case for case in comparison.worse} if comparison else {}
    return tuple(
        _result(case, lines.get(case.id, 0), run.records.get(case.id, []), worse.get(case.id), comparison)
        for case in cases
    )


def _result(
    case: GoldenCase,
    line: int,
    records: Sequence[AnswerRecord],
    change: ChangedCase | None,
    comparison: Comparison | None,
) -> CaseResult:
    passed = passed_of(records)
    failures = len(passed) - sum(passed)
    if not passed:
        kind = UNANSWERED
    elif case.must_pass and all_failed(passed):
        kind = MUST_PASS
    elif not failures:
        kind = PASSED
    elif change is not None:
        kind = NEWLY_FAILING if change.is_broken and not change.is_flaky else FLAKY
    elif comparison is None:
        kind = FAILED
    else:
        kind = FAILS_TOO if all_failed(passed) else FLAKY
    return CaseResult(case, kind, len(passed), failures, reason_of(records), line)


def reason_of(records: Sequence[AnswerRecord]) -> str:
    """Return why the first failing answer failed; else why there is no answer; else an empty text."""
    for record in records:
        if record.failed:
            return _joined(record.failed)
    for record in records:
        if record.passed is None:
            return record.error or _joined(record.undecided)
    return ""


def _joined(reasons: Mapping[str, str]) -> str:
    """Return reasons by evaluator in one line; those that begin with its name, and checks, stand alone."""
    return "; ".join(
        reason
        if name == "checks" or reason.startswith(f"{name}:")
        else f"{name}: {reason}"
        if reason
        else name
        for name, reason in reasons.items()
    )


def report_json(report: GoldenReport) -> dict[str, Any]:
    """Return the report as JSON types."""
    comparison, decision = report.comparison, report.decision
    tree: dict[str, Any] = {
        "record": "golden_report",
        "outcome": decision.outcome.name.lower(),
        "exit_code": decision.outcome.value,
        "reasons": [reason._asdict() for reason in decision.reasons],
        "set": report.set_name,
        "set_digest": report.run.header.set_digest,
        "evaluator_digest": report.run.header.evaluator_digest,
        "target": report.run.header.target,
        "repeat": report.run.header.repeat,
        "cases": len(report.results),
        "answers": report.run.count,
        "pass_rate": report.pass_rate,
        "cost_usd": report.run.cost_usd,
        "comparison": None,
        "results": [
            {
                "id": result.case.id,
                "line": result.line,
                "kind": result.kind,
                "answers": result.answers,
                "failures": result.failures,
                "reason": result.reason,
                "tags": list(result.case.tags),
            }
            for result in report.results
        ],
    }
    if comparison is not None:
        tree["comparison"] = {
            "cases": comparison.cases,
            "failure_rate_before": comparison.before,
            "failure_rate": comparison.after,
            "rise": comparison.bounds.rise,
            "rise_low": comparison.bounds.low,
            "rise_high": comparison.bounds.high,
            "p_value": comparison.p_value,
            "smallest_visible_cases": comparison.smallest,
            "worse": [case._asdict() for case in comparison.worse],
            "better": [case._asdict() for case in comparison.better],
            "tags": [tag._asdict() for tag in comparison.tags],
            "missing": list(comparison.missing),
        }
    return tree
