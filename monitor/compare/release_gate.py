"""The decision of a release gate: promote, roll back, hold or cannot tell, each with named reasons."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from monitor.compare.confidence_sequence import Bounds
from monitor.compare.evidence import Evidence
from monitor.compare.inputs import InputDifference

WORSE_ALPHA = 0.01
"""Probability, over all looks and all critical metrics together, that a release that is as good is rolled back."""
NO_WORSE_ALPHA = 0.05
"""Probability, over all looks, that a release that is worse by the margin is promoted. All gating metrics must be no
worse, so their number needs no correction.
"""
LEAST_MARGIN = 0.01
"""Margin of a rate, if the gate names none: at least one point,"""
MARGIN_SHARE = 0.25
"""and at least this share of the stable rate."""
NUMBER_MARGIN_SHARE = 0.1
"""Margin of a number, if the gate names none: this share of the stable value."""

_LONGEST_SILENCE_GAPS = 10.0


class Verdict(Enum):
    """What the gate says."""

    PROMOTE = "promote"
    ROLL_BACK = "roll back"
    HOLD = "hold"
    CANNOT_TELL = "cannot tell"


class GateMetric(NamedTuple):
    """A metric that the gate reads.

    Attributes:
        metric: its name.
        margin: greatest change for the worse that does not matter, in the unit of the metric; None: the default.
        margin_share: the same as a share of the stable value.
        worse_by: the change must be above this, surely, to roll back.
        critical: whether it rolls back; otherwise a change for the worse holds the release.
        higher_is_worse: False of a number of which less is worse, like a rating. Rates count failures.
    """

    metric: str
    margin: float | None = None
    margin_share: float | None = None
    worse_by: float = 0.0
    critical: bool = True
    higher_is_worse: bool = True


class Terms(NamedTuple):
    """When a gate may decide.

    Attributes:
        least_s, longest_s: time since both arms have events, before which it does not promote, and after which
            it gives up; seconds.
        least_events: calls of the new version, without which it does not promote.
        silence_s: the new version is silent if it sent nothing for so long, and for ten times as long as usual.
    """

    least_s: float = 0.0
    longest_s: float = math.inf
    least_events: int = 500
    silence_s: float = 600.0


class Progress(NamedTuple):
    """How far a release is.

    Attributes:
        seconds: since both arms have events.
        events: calls of the new version in times and strata in which both have events.
        silent_s: since its last event; 0 if all of its traffic ended with the data.
        gap_s: usual time between its events.
    """

    seconds: float
    events: float
    silent_s: float
    gap_s: float


class Reason(NamedTuple):
    """Why: a name for programs, and a sentence."""

    name: str
    text: str


class Finding(NamedTuple):
    """What the gate sees in one metric.

    ``state``: ``no worse``, ``worse``, ``undecided`` or ``no data``. ``change``: for the worse, with bounds at 5 %.
    ``needed``: further events of the new version until it is decided, about; None if that cannot be said.
    """

    metric: GateMetric
    state: str
    a: float | None
    b: float | None
    change: Bounds
    margin: float
    needed: int | None


class Decision(NamedTuple):
    """The verdict with its reasons, the most important first, and what was found in each metric."""

    verdict: Verdict
    reasons: tuple[Reason, ...]
    findings: tuple[Finding, ...]

    @property
    def needed(self) -> int | None:
        """Further events of the new version until every gating metric is decided, about; None: not known."""
        open_findings = [finding for finding in self.findings if finding.state == "undecided"]
        if any(finding.needed is None for finding in open_findings):
            return None
        return max((finding.needed or 0 for finding in open_findings), default=0)


class Look(NamedTuple):
    """What the gate said at a time, microseconds since 1970."""

    time_us: int
    decision: Decision
    progress: Progress


def since_us(looks: Sequence[Look]) -> int:
    """Return since when the last verdict stands without a break, of the times asked; 0 without any."""
    since = 0
    for one in reversed(looks):
        if one.decision.verdict is not looks[-1].decision.verdict:
            break
        since = one.time_us
    return since


def find(metric: GateMetric, evidence: Evidence | None, critical: int, calls: float = 0.0) -> Finding:
    """Judge one metric.

    Args:
        metric: what the gate says about it.
        evidence: None if neither arm has it.
        critical: number of critical metrics, which share ``WORSE_ALPHA``.
        calls: of the new version in the same cells, for ``needed``; 0: the effective number.
    """
    nothing = Bounds(math.nan, -math.inf, math.inf)
    if evidence is None or min(evidence.sizes) <= 0 or evidence.a is None:
        a, b = (None, None) if evidence is None else (evidence.a, evidence.b)
        return Finding(metric, "no data", a, b, nothing, math.nan, None)
    margin = _margin(metric, evidence)
    change = _for_the_worse(metric, evidence.bounds(NO_WORSE_ALPHA))
    surely = _for_the_worse(metric, evidence.bounds(WORSE_ALPHA / max(1, critical)))
    if surely.low > metric.worse_by:
        state = "worse"
    elif change.high < margin:
        state = "no worse"
    else:
        state = "undecided"
    needed = None
    if state == "undecided":
        needed = _needed(change, surely, margin, metric.worse_by, calls or evidence.sizes[1])
    return Finding(metric, state, evidence.a, evidence.b, change, margin, needed)


def decide(
    findings: Sequence[Finding],
    inputs: Sequence[InputDifference],
    progress: Progress,
    terms: Terms,
) -> Decision:
    """Decide about a release.

    Silence, no data and other questions never promote. Other questions give no verdict at all, whatever was found.

    Args:
        findings: of all gating metrics, at least one.
        inputs: how the questions of both arms differ.
        progress: how far the release is.
        terms: when the gate may decide.
    """
    if inputs:
        reasons = [Reason("arms_differ", f"arms differ: inputs: {difference.text}") for difference in inputs]
        return _decision(Verdict.CANNOT_TELL, reasons, findings)
    worse = [finding for finding in findings if finding.state == "worse"]
    if critical := [finding for finding in worse if finding.metric.critical]:
        return _decision(
            Verdict.ROLL_BACK,
            [Reason("worse", f"{finding.metric.metric} is worse") for finding in critical],
            findings,
        )
    if missing := _missing(findings, progress, terms):
        return _decision(Verdict.CANNOT_TELL, missing, findings)
    waiting = [
        Reason("worse_not_critical", f"{finding.metric.metric} is worse, and not critical")
        for finding in worse
    ]
    waiting += _too_early(progress, terms)
    waiting += [
        Reason("undecided", f"{finding.metric.metric} is not decided")
        for finding in findings
        if finding.state == "undecided"
    ]
    if not waiting:
        return _decision(Verdict.PROMOTE, [Reason("no_worse", "no gating metric is worse")], findings)
    if progress.seconds >= terms.longest_s:
        late = Reason("too_long", f"not decided after {terms.longest_s / 3600:g} h")
        return _decision(Verdict.CANNOT_TELL, [late, *waiting], findings)
    return _decision(Verdict.HOLD, waiting, findings)


def _decision(verdict: Verdict, reasons: Sequence[Reason], findings: Sequence[Finding]) -> Decision:
    return Decision(verdict, tuple(reasons), tuple(findings))


def _missing(findings: Sequence[Finding], progress: Progress, terms: Terms) -> list[Reason]:
    if progress.events <= 0:
        return [Reason("no_data", "there is no time in which both versions have events")]
    reasons = []
    if progress.silent_s > max(terms.silence_s, _LONGEST_SILENCE_GAPS * progress.gap_s):
        reasons.append(Reason("silent", f"the new version sent nothing for {progress.silent_s / 60:.0f} min"))
    reasons += [
        Reason("no_data", f"{finding.metric.metric} has no data of {_without_data(finding)}")
        for finding in findings
        if finding.state == "no data"
    ]
    return reasons


def _without_data(finding: Finding) -> str:
    if finding.a is None and finding.b is None:
        return "both versions at the same time"
    return "the stable version" if finding.a is None else "the new version"


def _too_early(progress: Progress, terms: Terms) -> list[Reason]:
    reasons = []
    if progress.seconds < terms.least_s:
        reasons.append(
            Reason(
                "too_early", f"{progress.seconds / 60:.0f} of at least {terms.least_s / 60:.0f} min are over"
            )
        )
    if progress.events < terms.least_events:
        reasons.append(
            Reason(
                "too_few",
                f"{progress.events:,.0f} of at least {terms.least_events:,} calls of the new version",
            )
        )
    return reasons


def _margin(metric: GateMetric, evidence: Evidence) -> float:
    """Return the margin in the unit of the metric."""
    a = abs(evidence.a or 0.0)
    if metric.margin is not None:
        return metric.margin
    if metric.margin_share is not None:
        return metric.margin_share * a
    if metric.metric.endswith("_rate"):
        return max(LEAST_MARGIN, MARGIN_SHARE * a)
    return NUMBER_MARGIN_SHARE * a


def _for_the_worse(metric: GateMetric, bounds: Bounds) -> Bounds:
    return bounds if metric.higher_is_worse else Bounds(-bounds.value, -bounds.high, -bounds.low)


def _needed(change: Bounds, surely: Bounds, margin: float, worse_by: float, n: float) -> int | None:
    """Return how many more calls make the bounds narrow enough, if the change stays as it is.

    Bounds narrow with the root of the calls. Either the upper bound falls below the margin, or the lower one at the
    level for *worse* rises above ``worse_by``: whatever needs fewer calls. A change near both counts as half a margin
    away, for there nothing is ever decided.
    """
    options = []
    for width, distance in (
        (change.high - change.value, margin - max(change.value, 0.0)),
        (surely.value - surely.low, change.value - worse_by),
    ):
        if math.isfinite(width):
            options.append((width / max(distance, margin / 2)) ** 2 - 1)
    return max(1, math.ceil(n * min(options))) if options and margin > 0 else None
