"""The weekly report as plain values; ``weekly.html.j2`` shows them."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from monitor.judging.calibration import compare
from monitor.reports.plot_panels import Panel
from monitor.reports.report_text import figure, place
from monitor.reports.weekly.changes import Change, changes
from monitor.reports.weekly.layers import LayerRow, layer_rows
from monitor.reports.weekly.new_inputs import NewInputs, find_new_inputs
from monitor.reports.weekly.week import Feature, Week
from monitor.stats.judge_agreement import Share, agreement_of
from monitor.wording.incident_text import clock
from schemas.config.judges import Judge
from schemas.times import utc
from softfail.redact import redact
from softfail.sanitize import sanitize

ROWS = 60
CLUSTERS = 8
MOST_CHARS = 240
_TO_REVIEW = 8
_LEAST_LABELS = 100
_LEAST_NEW = 0.03


class ChangeRow(NamedTuple):
    """A figure that moved. ``mark``: worse, better, or empty."""

    feature: str
    title: str
    before: str
    now: str
    mark: str


class ClusterRow(NamedTuple):
    """New inputs that are alike, with what is known that is most like them."""

    size: str
    examples: Sequence[str]
    nearest: str
    similarity: str


class NewSection(NamedTuple):
    """New inputs of one feature."""

    feature: str
    summary: str
    clusters: Sequence[ClusterRow]
    more: int


class CostRow(NamedTuple):
    """Cost of a feature. Texts are empty where it is unknown."""

    feature: str
    calls: str
    usd: str
    usd_before: str
    a_call: str
    a_call_before: str
    tokens: str


class JudgeRow(NamedTuple):
    """Trust in a judge, from labels of people."""

    name: str
    labels: str
    sensitivity: str
    specificity: str
    agreement: str
    corrected: str


class ReviewRow(NamedTuple):
    """A feature whose answers people should read, why, and with which command."""

    feature: str
    why: str
    command: str


class WeeklyReport(NamedTuple):
    """All sections of the report. ``notes``: what could not be compared, and why."""

    title: str
    period: str
    notes: Sequence[str]
    changes: Sequence[ChangeRow]
    more_changes: int
    layers: Sequence[LayerRow]
    new_inputs: Sequence[NewSection]
    costs: Sequence[CostRow]
    total_cost: str
    judges: Sequence[JudgeRow]
    review: Sequence[ReviewRow]


def weekly_report(
    last: Week,
    this: Week,
    panels: Sequence[Panel],
    judges: Sequence[Judge],
    evaluations: Sequence[tuple[Any, int]],
) -> WeeklyReport:
    """Compare two weeks.

    Args:
        last, this: the weeks.
        panels: metrics to compare.
        judges: of the configuration; their trust is read from ``evaluations``.
        evaluations: decoded evaluation events of both weeks, with their times in microseconds since 1970.
    """
    before, now = last.bins(), this.bins()
    moved = changes(before, now, panels)
    found = {
        feature: new
        for feature in sorted(now)
        if (new := find_new_inputs(last.inputs(feature), this.inputs(feature))) is not None
    }
    start, end = utc(this.period.start_us), utc(this.period.end_us)
    worse = sum(bool(change.is_worse) for change in moved)
    return WeeklyReport(
        f"Week of {start:%d %B %Y}: {worse} {'figure' if worse == 1 else 'figures'} got worse",
        f"{clock(start)} to {clock(end)} beside the seven days before",
        list(_notes(last, this, now, before, found)),
        [_change_row(change) for change in moved[:ROWS]],
        max(0, len(moved) - ROWS),
        layer_rows(before, now, panels)[:ROWS],
        [_new_section(feature, new) for feature, new in found.items() if new.clusters],
        _cost_rows(last, this),
        _total(last, this),
        [_judge_row(judge, evaluations) for judge in judges],
        list(_review_rows(moved, found, evaluations, now))[:_TO_REVIEW],
    )


def _notes(
    last: Week, this: Week, now: Iterable[Feature], before: Iterable[Feature], found: Iterable[Feature]
) -> Iterator[str]:
    known, current = set(before), set(now)
    if not known:
        yield "There are no events of the week before, so nothing can be compared; give files of two weeks."
        return
    for text, features in (
        ("first seen this week", current - known),
        ("not seen any more", known - current),
        ("too few input texts of last week to tell which inputs are new", (current & known) - set(found)),
    ):
        if features:
            names = ", ".join(place(feature) for feature in sorted(features)[:10])
            yield f"{names}{' and others' if len(features) > 10 else ''}: {text}."


def _change_row(change: Change) -> ChangeRow:
    mark = {True: "worse", False: "better", None: ""}[change.is_worse]
    return ChangeRow(
        place(change.feature),
        change.title,
        figure(change.metric, change.before, change.now),
        figure(change.metric, change.now, change.before),
        mark,
    )


def _new_section(feature: Feature, new: NewInputs) -> NewSection:
    rows = [
        ClusterRow(
            f"{100 * cluster.share:.1f} % of inputs",
            [_shown(text) for text in cluster.examples],
            _shown(cluster.nearest),
            f"{100 * cluster.similarity:.0f} % alike",
        )
        for cluster in new.clusters[:CLUSTERS]
    ]
    summary = f"{100 * new.share:.1f} % of {new.compared:,} inputs are unlike all {new.known:,} of last week; 1 % would be usual"
    return NewSection(place(feature), summary, rows, max(0, len(new.clusters) - CLUSTERS))


def _shown(text: str) -> str:
    return sanitize(redact(text), MOST_CHARS)


def _cost_rows(last: Week, this: Week) -> list[CostRow]:
    rows = []
    for feature, costs in sorted(this.costs.items(), key=lambda item: (-item[1].usd, item[0])):
        old = last.costs.get(feature)
        rows.append(
            CostRow(
                place(feature),
                f"{costs.calls:,.0f}",
                _usd(costs.usd if costs.priced else None),
                _usd(old.usd if old is not None and old.priced else None),
                _usd(costs.usd_a_call),
                _usd(old.usd_a_call if old is not None else None),
                f"{costs.input_tokens:,.0f} in, {costs.output_tokens:,.0f} out",
            )
        )
    return rows[:ROWS]


def _total(last: Week, this: Week) -> str:
    now = math.fsum(costs.usd for costs in this.costs.values())
    before = math.fsum(costs.usd for costs in last.costs.values())
    return f"{_usd(now)} this week, {_usd(before)} last week" if now or before else ""


def _usd(value: float | None) -> str:
    return "" if value is None else f"${value:,.2f}" if value >= 1 else f"${value:.4g}"


def _judge_row(judge: Judge, evaluations: Iterable[tuple[Any, int]]) -> JudgeRow:
    comparison = compare(judge, evaluations)
    if not comparison.labels.n:
        return JudgeRow(judge.name, "0", "", "", "no answer has both its verdict and a label", "")
    agreement = agreement_of(comparison.labels, comparison.judged)
    return JudgeRow(
        judge.name,
        f"{comparison.labels.n:,}",
        _share(agreement.sensitivity),
        _share(agreement.specificity),
        f"{_share(agreement.agreement)}, wanted {100 * judge.bar:.0f} %",
        _share(agreement.failure_rate),
    )


def _share(share: Share) -> str:
    if math.isnan(share.value):
        return "unknown"
    return f"{100 * share.value:.1f} % ({100 * share.low:.1f} to {100 * share.high:.1f} %)"


def _review_rows(
    moved: Sequence[Change],
    found: dict[Feature, NewInputs],
    evaluations: Iterable[tuple[Any, int]],
    now: Iterable[Feature],
) -> Iterator[ReviewRow]:
    """Yield what people should read: what got worse, what is new, what nobody has read; one row a feature."""
    labelled: dict[tuple[str, str], int] = {}
    for event, _ in evaluations:
        if event.evaluator.startswith("human:"):
            key = event.service, event.feature
            labelled[key] = labelled.get(key, 0) + 1
    reasons: dict[Feature, list[str]] = {}
    for change in moved:
        if change.is_worse:
            reasons.setdefault(change.feature, []).append(f"worse: {change.title.lower()}")
    for feature, new in sorted(found.items(), key=lambda item: -item[1].share):
        if new.share >= _LEAST_NEW and new.clusters:
            reasons.setdefault(feature, []).append(f"{100 * new.share:.0f} % of inputs are new")
    for feature in sorted(now):
        count = labelled.get(feature[:2], 0)
        if count < _LEAST_LABELS:
            reasons.setdefault(feature, []).append(f"{count} labels of people in two weeks")
    for feature, why in reasons.items():
        match = shlex.quote(f"{feature[0]}/{feature[1]}")
        command = f"python -m monitor review sample FILES --question correct --match {match} --output review"
        yield ReviewRow(place(feature), "; ".join(why[:4]), sanitize(command))
