"""Ask a release gate about two arms: once at the end, and at earlier times for since when its verdict stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from monitor.backtest.arm_counts import MINUTE_US
from monitor.compare.arm import Arm
from monitor.compare.comparison import CALLS, compare_arms, metric_evidence
from monitor.compare.inputs import MIX_PREFIX, MIXES, SIZES, input_differences
from monitor.compare.pairing import pair_cells
from monitor.compare.release_gate import Finding, GateMetric, Look, Progress, Terms, decide, find
from monitor.evaluators.suite import Suite
from monitor.windows.metric_definitions import quantile_of, unit_of
from schemas.config.gates import Gate

LOOKS = 32
"""Earlier times at which the gate is asked, at most."""


class Question(NamedTuple):
    """What a gate is asked.

    Attributes:
        metrics: that decide; at least one.
        terms: when it may decide.
        length_us: length of the times within which versions are compared, microseconds.
        prompt_changes: whether the versions are versions of the prompt.
        split: share of the calls that the new version should get; None: not checked.
    """

    metrics: tuple[GateMetric, ...]
    terms: Terms
    length_us: int = MINUTE_US
    prompt_changes: bool = True
    split: float | None = None


def question_of(gate: Gate, suite: Suite) -> Question:
    """Return the question of a configured gate; one without metrics reads the pass rate and all gating evaluators."""
    if gate.metrics is None:
        metrics = default_metrics(suite)
    else:
        metrics = tuple(
            GateMetric(
                metric.metric,
                metric.margin,
                metric.margin_share,
                metric.worse_by,
                metric.critical,
                metric.higher_is_worse or metric.metric.endswith("_rate"),
            )
            for metric in gate.metrics
        )
    return Question(
        metrics,
        Terms(gate.least_time, gate.longest_time, gate.least_events),
        int(gate.pair) * 1_000_000,
        gate.by == "prompt_version",
        gate.split,
    )


def default_metrics(suite: Suite) -> tuple[GateMetric, ...]:
    """Return the pass rate, the error rate, and the failures of each gating evaluator."""
    evaluators = [
        f"evaluator.{name}.fail_rate"
        for name, gates in zip(suite.names, suite.gating, strict=True)
        if gates and name != "error"  # the error rate
    ]
    return tuple(GateMetric(name) for name in ("pass_rate", CALLS, *evaluators))


def present_metrics(metrics: Sequence[GateMetric], a: Arm, b: Arm) -> tuple[GateMetric, ...]:
    """Return the metrics that one of the arms has: evaluators that never apply are no reason to wait."""
    names = {name for arm in (a, b) for counts in arm.cells.values() for name in counts.rates}
    return tuple(metric for metric in metrics if metric.metric in names)


def look(a: Arm, b: Arm, question: Question, end_us: int) -> Look:
    """Ask the gate at a time.

    Args:
        a, b: the stable version and the new one; events after ``end_us`` do not count.
        end_us: the time, microseconds since 1970.
    """
    a, b = _until(a, end_us), _until(b, end_us)
    critical = sum(metric.critical for metric in question.metrics)
    progress = _progress(a, b, question.length_us, end_us)
    findings = [
        _find(a, b, metric, question.length_us, critical, progress.events) for metric in question.metrics
    ]
    inputs = input_differences(
        compare_arms(a, b, length_us=question.length_us, unit=unit_of, only=_is_input),
        prompt_changes=question.prompt_changes,
        split=question.split,
    )
    return Look(end_us, decide(findings, inputs, progress, question.terms), progress)


def earlier_looks(a: Arm, b: Arm, question: Question, end_us: int) -> list[Look]:
    """Ask the gate at up to ``LOOKS`` times since both arms have events; the last is ``end_us``.

    Everything that was counted until a time counts in its minute, so late events are known too early here.
    """
    start_us = max(a.first_us, b.first_us)
    minutes = max(1, -(-(end_us - start_us) // MINUTE_US))
    times = sorted({start_us + minutes * step // LOOKS * MINUTE_US for step in range(1, LOOKS)} | {end_us})
    return [look(a, b, question, time_us) for time_us in times if start_us < time_us <= end_us]


def _is_input(metric: str) -> bool:
    return (
        metric == CALLS
        or metric in MIXES
        or metric.startswith(MIX_PREFIX)
        or metric in [f"{name}.mean" for name in SIZES]
    )


def _find(a: Arm, b: Arm, metric: GateMetric, length_us: int, critical: int, calls: float) -> Finding:
    name, _, reading = metric.metric.rpartition(".")
    if metric.metric.endswith("_rate"):
        name = metric.metric
    evidence, _ = metric_evidence(
        a,
        b,
        name,
        length_us,
        None if metric.metric.endswith("_rate") else quantile_of(reading),
        unit_of(name),
    )
    return find(metric, evidence, critical, calls)


def _until(arm: Arm, end_us: int) -> Arm:
    """Return an arm as it was at a time."""
    if arm.last_us < end_us:
        return arm
    cells = {key: counts for key, counts in arm.cells.items() if key.start_us < end_us}
    events = sum(rate.events for counts in cells.values() if (rate := counts.rates.get(CALLS)) is not None)
    last_us = max((key.start_us + MINUTE_US for key in cells), default=arm.first_us)
    return arm._replace(cells=cells, events=events, last_us=min(end_us, last_us))


def _progress(a: Arm, b: Arm, length_us: int, end_us: int) -> Progress:
    calls = [
        {key: rate for key, counts in arm.cells.items() if (rate := counts.rates.get(CALLS)) is not None}
        for arm in (a, b)
    ]
    events = sum(pair.b.events for pair in pair_cells(calls[0], calls[1], length_us))
    if not (a.events and b.events):
        return Progress(0.0, events, 0.0, 0.0)
    since = max(a.first_us, b.first_us)
    gap_s = (b.last_us - b.first_us) / 1e6 / max(1, b.events - 1)
    return Progress(max(0, end_us - since) / 1e6, events, max(0, end_us - b.last_us) / 1e6, gap_s)
