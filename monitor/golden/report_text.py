"""The report of a run as text for a terminal."""

from __future__ import annotations

from monitor.golden.gate import Outcome
from monitor.golden.report import (
    FAILED,
    FAILS_TOO,
    FLAKY,
    MUST_PASS,
    NEWLY_FAILING,
    UNANSWERED,
    CaseResult,
    GoldenReport,
)
from monitor.wording.number_format import counted
from softfail.sanitize import sanitize

MOST_CASES = 20
_REASON_CHARS = 120
HEADLINES = {Outcome.NO_WORSE: "NO WORSE", Outcome.WORSE: "WORSE", Outcome.CANNOT_TELL: "CANNOT TELL"}
SECTIONS = {
    MUST_PASS: "must pass, and always fail",
    NEWLY_FAILING: "newly failing",
    FLAKY: "failed some of their answers",
    FAILED: "fail",
    FAILS_TOO: "fail in the baseline too",
    UNANSWERED: "without an answer",
}


def text_report(report: GoldenReport) -> str:
    """Return the report as text: the decision, why, and the cases that it names."""
    lines = [f"{headline(report)}: {sanitize(report.decision.reasons[0].text)}"]
    lines += [f"  also: {sanitize(reason.text)}" for reason in report.decision.reasons[1:MOST_CASES]]
    lines += ["", _totals(report)]
    for kind, title in SECTIONS.items():
        found = report.of_kind(kind)
        if not found or (kind == FAILS_TOO and report.decision.outcome is Outcome.NO_WORSE):
            continue
        lines += ["", f"{len(found)} {title}:"]
        lines += [f"  {_case(result)}" for result in found[:MOST_CASES]]
        if len(found) > MOST_CASES:
            lines.append(f"  and {len(found) - MOST_CASES} more (--format json lists all)")
    comparison = report.comparison
    if comparison is not None:
        if comparison.better:
            names = ", ".join(sanitize(case.case_id) for case in comparison.better[:MOST_CASES])
            lines += ["", f"{len(comparison.better)} better than before: {names}"]
        if comparison.tags:
            lines += ["", f"{'tag':<24} {'cases':>6} {'failed before':>14} {'now':>8} {'p':>8}"]
            lines += [
                f"{sanitize(tag.tag, 24):<24} {tag.cases:>6} {tag.before:>14.1%} {tag.after:>8.1%} {'-' if tag.p_value is None else f'{tag.p_value:.2g}':>8}"
                for tag in comparison.tags
            ]
    return "\n".join(lines) + "\n"


def headline(report: GoldenReport) -> str:
    """Return the outcome in capitals; without a comparison it does not claim one."""
    name = report.decision.reasons[0].name
    if name in ("no_baseline", "must_pass_only"):
        return "PASSED" if name == "must_pass_only" else "NOT COMPARED"
    return HEADLINES[report.decision.outcome]


def _totals(report: GoldenReport) -> str:
    rate = report.pass_rate
    parts = [
        counted(len(report.results), "case"),
        counted(report.run.count, "answer"),
        "pass rate of first answers " + ("unknown" if rate is None else f"{rate:.1%}"),
    ]
    if report.run.cost_usd:
        parts.append(f"${report.run.cost_usd:.4g}")
    return ", ".join(parts)


def _case(result: CaseResult) -> str:
    counts = f"{result.failures} of {result.answers} failed" if result.answers else "no answer"
    return f"{sanitize(result.case.id, 60)} (line {result.line}, {counts}): {sanitize(result.reason, _REASON_CHARS)}"
