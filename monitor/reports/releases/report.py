"""The report of a comparison, as one value that text, JSON and HTML show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from monitor.compare.comparison import Comparison, MetricDifference
from monitor.compare.confidence_sequence import Bounds
from monitor.compare.inputs import InputDifference
from monitor.compare.release_gate import Decision, Look, Verdict, since_us
from monitor.reports.releases.figures import finding_text
from monitor.windows.metric_definitions import SUCCESS_RATES
from monitor.windows.segment_keys import FeatureKey
from monitor.wording.incident_text import clock

EXIT_CODES = {Verdict.PROMOTE: 0, Verdict.ROLL_BACK: 1, Verdict.HOLD: 3, Verdict.CANNOT_TELL: 3}
"""Exit codes of `monitor gate`."""
_ALPHA = 0.05


class ReleaseReport(NamedTuple):
    """All that a comparison reports.

    Attributes:
        feature: with its environment.
        by: the label that distinguishes the versions.
        within: labels within whose values they are compared.
        comparison: of all metrics; of a gate, of none but those it reads.
        inputs: how the questions of both differ.
        looks: what the gate said at some times; the last one counts.
    """

    feature: FeatureKey
    by: str
    within: tuple[str, ...]
    comparison: Comparison
    inputs: tuple[InputDifference, ...]
    looks: tuple[Look, ...]

    @property
    def decision(self) -> Decision:
        """The verdict at the end."""
        return self.looks[-1].decision

    @property
    def since(self) -> datetime:
        """Since when the verdict stands, of the times at which the gate was asked."""
        return datetime.fromtimestamp(since_us(self.looks) / 1e6, UTC)


def title(report: ReleaseReport) -> str:
    """Return the first line: the feature and both versions."""
    service, feature, environment = report.feature
    place = f"{service}/{feature}" + ("" if environment == "production" else f" ({environment})")
    return f"{place}: {report.by} {report.comparison.a.name or '(none)'} and {report.comparison.b.name or '(none)'}"


def facts(report: ReleaseReport) -> list[str]:
    """Return what was compared, in sentences."""
    comparison = report.comparison
    a, b = comparison.a, comparison.b
    lines = [
        f"{arm.name}: {arm.events:,} calls, {_time(arm.first_us)} to {_time(arm.last_us)}"
        if arm.events
        else f"{arm.name}: no calls"
        for arm in (a, b)
    ]
    if comparison.length_us:
        length = (
            f"{comparison.length_us // 60_000_000} min" if comparison.length_us != 60_000_000 else "minute"
        )
        lines.append(
            f"Compared within each {length} in which both have events: {comparison.cells:,}, with"
            f" {comparison.paired[0] * 100:.0f} % of the calls of {a.name} and {comparison.paired[1] * 100:.0f} % of {b.name}."
        )
        if b.events and comparison.paired[1] < 0.5:
            lines.append(
                "Most calls were left out; --pair 1h compares within hours, --pair all whole periods."
            )
    else:
        lines.append("Whole periods were compared, so times of day and week may explain a difference.")
    if report.within:
        lines.append(f"Compared within each {', '.join(report.within)}, so the mix of it is the same.")
    calls = comparison.find("error_rate")
    if not comparison.has_sessions:
        lines.append("Events name no sessions, so each call counts as independent.")
    elif calls is not None and calls.design_effect > 1.05:
        lines.append(
            f"Calls of a session are alike: {calls.design_effect:.1f} calls say as much as one (error_rate)."
        )
    return lines


def verdict_lines(report: ReleaseReport) -> list[str]:
    """Return the verdict and its reasons, the most important first."""
    decision = report.decision
    a, b = report.comparison.a.name, report.comparison.b.name
    described = {finding.metric.metric: finding for finding in decision.findings}
    lines = [f"Verdict: {decision.verdict.value}, since {clock(report.since)}"]
    for reason in decision.reasons:
        metric = reason.text.split(" ", 1)[0]
        finding = described.get(metric)
        detailed = finding is not None and reason.name in ("worse", "worse_not_critical", "undecided")
        lines.append(f"  {finding_text(finding, a, b) if detailed and finding else reason.text}")
    if decision.verdict is Verdict.PROMOTE:
        lines += [f"  {finding_text(finding, a, b)}" for finding in decision.findings]
    return lines


def report_json(report: ReleaseReport) -> dict[str, Any]:
    """Return the report as JSON types. Differences are b - a in the unit of the metric, as it is named."""
    comparison, decision = report.comparison, report.decision
    service, feature, environment = report.feature
    return {
        "record": "release_report",
        "verdict": decision.verdict.value,
        "exit_code": EXIT_CODES[decision.verdict],
        "reasons": [
            {"name": reason.name, "text": line.strip()}
            for reason, line in zip(decision.reasons, verdict_lines(report)[1:], strict=False)
        ],
        "since": report.since.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "needed": decision.needed,
        "service": service,
        "feature": feature,
        "environment": environment,
        "by": report.by,
        "within": list(report.within),
        "arms": {
            name: {
                "value": arm.name,
                "events": arm.events,
                "first": _iso(arm.first_us) if arm.events else None,
                "last": _iso(arm.last_us) if arm.events else None,
                "paired": paired,
            }
            for name, arm, paired in zip("ab", (comparison.a, comparison.b), comparison.paired, strict=True)
        },
        "cells": comparison.cells,
        "pair_s": comparison.length_us / 1e6,
        "inputs_differ": [difference._asdict() for difference in report.inputs],
        "findings": [
            {
                "metric": finding.metric.metric,
                "state": finding.state,
                "critical": finding.metric.critical,
                "change_for_the_worse": _number(finding.change.value),
                "low": _number(finding.change.low),
                "high": _number(finding.change.high),
                "margin": _number(finding.margin),
                "needed": finding.needed,
            }
            for finding in decision.findings
        ],
        "metrics": [_metric_json(metric) for metric in comparison.metrics],
        "looks": [
            {"time": _iso(look.time_us), "verdict": look.decision.verdict.value} for look in report.looks
        ],
    }


def shown_bounds(metric: MetricDifference) -> Bounds:
    """Return the difference as the metric is named: of a rate of successes with the other sign."""
    bounds = metric.evidence.bounds(_ALPHA)
    if metric.metric in SUCCESS_RATES:
        return Bounds(-bounds.value, -bounds.high, -bounds.low)
    return bounds


def by_interest(metrics: Sequence[MetricDifference]) -> list[MetricDifference]:
    """Return the metrics with those that moved first; shares of values only if they moved."""
    shown = [metric for metric in metrics if metric.kind != "share" or metric.moved]
    return sorted(shown, key=lambda metric: (not metric.moved, metric.p_value is None))


def _metric_json(metric: MetricDifference) -> dict[str, Any]:
    inverted = metric.metric in SUCCESS_RATES
    a, b = (
        None if value is None else 1 - value if inverted else value
        for value in (metric.evidence.a, metric.evidence.b)
    )
    bounds = shown_bounds(metric)
    return {
        "metric": metric.metric,
        "kind": metric.kind,
        "a": a,
        "b": b,
        "difference": _number(bounds.value),
        "low": _number(bounds.low),
        "high": _number(bounds.high),
        "effect": None if not a or b is None else b / a - 1,
        "n_a": metric.evidence.sizes[0],
        "n_b": metric.evidence.sizes[1],
        "design_effect": metric.design_effect,
        "smallest_visible": _number(metric.smallest),
        "p_adjusted": metric.p_value,
        "moved": metric.moved,
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _time(time_us: int) -> str:
    return clock(datetime.fromtimestamp(time_us / 1e6, UTC))


def _iso(time_us: int) -> str:
    return datetime.fromtimestamp(time_us / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
