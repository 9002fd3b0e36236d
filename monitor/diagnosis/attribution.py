"""Attribution: the provider and the requested model to which most of what went wrong was sent.

Nothing of it is stored. Like likely causes it is computed from panes and evidence whenever a record of the
episode is written, so it is the same after a restart. Episodes of one origin that begin together become one
page, so an uncertain name is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from monitor.incidents.origin import NO_ORIGIN, Origin
from monitor.incidents.records import ShownIncident
from monitor.protocol.severity import severity_rank
from monitor.rules.evidence import Evidence
from monitor.stats.category_counts import CategoryCounts
from monitor.stats.number_summary import NumberSummary
from monitor.stats.rate import Rate
from monitor.stats.sampling_weights import MILLION
from monitor.windows.feature_series import FeatureState
from monitor.windows.figure_comparison import falls
from monitor.windows.metric_definitions import CATEGORIES, SUCCESS_RATES, TEXT_CATEGORIES
from monitor.windows.pane import Pane
from monitor.windows.segment_keys import OTHER
from monitor.windows.segment_series import HOUR_US, SegmentSeries

# Share of what went wrong. Simulated at the first record of an episode: of two providers that fail alike one
# is named in half of cases at 0.6, and in one of ten at this share; a single one that went from 2 % to 30 %
# is named in nineteen of twenty, and the other never.
MOST = 0.75
BEFORE_US = 5 * 60 * 1_000_000  # a breach begins to go wrong before its edge
USUAL_US = 30 * 60 * 1_000_000  # before that: the usual
LEAST_EVENTS = 20  # of a segment, to know its usual; else the usual of the feature is taken
PANES = 1000  # read in all; to unpack one takes some 50 microseconds
SILENCE = "events"
_ABSENT = {category.name: category.absent for category in CATEGORIES + TEXT_CATEGORIES}


class _Part(NamedTuple):
    """A segment, now and before."""

    provider: str
    model: str
    now: list[Pane]
    before: list[Pane]


def origin_of(
    feature: FeatureState, incidents: Mapping[str, ShownIncident], started_us: int, edge_us: int
) -> Origin:
    """Return the provider and the model of an episode, where one of each has three quarters of what went
    wrong.

    The gravest incidents say what went wrong, those of the whole feature before those of segments: of a rate
    its failures, of a category the calls that have it, of a number its sum, each in excess of the half hour
    before; of anything else, and where nothing is in excess, the calls. A segment's provider is the one that
    answers most of its calls that name one: which of its providers failed is not known.

    A silent feature has no origin. It had a provider before, but silence is rarely the provider's fault: a
    provider that is gone gives errors, so the service, its deployment or its producer is silent.

    Args:
        feature: of the episode.
        incidents: id -> incident, as the episode shows them.
        started_us: the first breaching edge, microseconds since 1970.
        edge_us: now; nothing is read that came more than an hour after the beginning.
    """
    firing = [incident for incident in incidents.values() if incident.is_firing]
    gravest = _gravest(firing or list(incidents.values()))
    segments_of = _segments_of(feature, gravest)
    if not segments_of:
        return NO_ORIGIN
    # several metrics may have the same segments
    segments = {id(segment): segment for several in segments_of.values() for segment in several}.values()
    windows_us = [round(incident.evidence.window_s * 1e6) for incident in gravest]
    since_us = started_us - max(BEFORE_US, min([HOUR_US, *windows_us]))
    limit = max(1, PANES // 2 // len(segments))
    parts = {
        id(segment): _part(segment, started_us, since_us, min(edge_us, started_us + HOUR_US), limit)
        for segment in segments
    }
    evidence = {incident.evidence.metric: incident.evidence for incident in gravest}
    providers: dict[str, float] = {}
    models: dict[str, float] = {}
    for metric, several in segments_of.items():
        metric_parts = [parts[id(segment)] for segment in several]
        weights = _excess(evidence[metric], metric_parts)
        for totals, names in (
            (providers, [part.provider for part in metric_parts]),
            (models, [part.model for part in metric_parts]),
        ):
            for name, share in _shares(names, weights).items():
                totals[name] = totals.get(name, 0.0) + share
    return Origin(_most(providers, MOST), _most(models, MOST))


def _gravest(incidents: list[ShownIncident]) -> list[ShownIncident]:
    """Return the incidents of the worst severity that have an origin; those of the whole feature if there are
    any. Silence has none.
    """
    worst = max((severity_rank(incident.severity) for incident in incidents), default=0)
    gravest = [
        incident
        for incident in incidents
        if severity_rank(incident.severity) == worst and incident.evidence.metric != SILENCE
    ]
    return [incident for incident in gravest if incident.of_feature] or gravest


def _segments_of(feature: FeatureState, incidents: list[ShownIncident]) -> dict[str, list[SegmentSeries]]:
    """Map each metric to the segments in which it went wrong, in order."""
    by_labels = {
        _labels(key.model, key.prompt_version, key.variant, dict(key.dimensions)): segment
        for key, segment in sorted(feature.segments.items())
    }
    out: dict[str, list[SegmentSeries]] = {}
    for incident in incidents:
        labels = _labels(incident.model, incident.prompt_version, incident.variant, incident.dimensions)
        segment = by_labels.get(labels)
        if incident.of_feature:
            segments = list(by_labels.values())
        elif segment is not None:
            segments = [segment]
        else:
            continue
        known = out.setdefault(incident.evidence.metric, [])
        known += [segment for segment in segments if segment not in known]
    return {metric: segments for metric, segments in out.items() if segments}


def _labels(
    model: str, prompt_version: str, variant: str, dimensions: Mapping[str, str]
) -> tuple[str, str, str, tuple[tuple[str, str], ...]]:
    return model, prompt_version, variant, tuple(sorted(dimensions.items()))


def _part(segment: SegmentSeries, started_us: int, since_us: int, until_us: int, limit: int) -> _Part:
    """Read at most ``limit`` panes of now and of before, the nearest to the beginning first."""
    now = sorted(
        segment.window(since_us, until_us), key=lambda pane: (abs(pane.start_us - started_us), pane.start_us)
    )
    taken = set(map(id, now))  # an hour lies in both, and belongs to now
    before = sorted(
        (pane for pane in segment.window(since_us - USUAL_US, since_us) if id(pane) not in taken),
        key=lambda pane: -pane.start_us,
    )
    opened = [pane.unpacked() for pane in now[:limit]]
    provider = _most(_counts("provider", opened), 0.5)
    return _Part(provider, segment.key.model, opened, [pane.unpacked() for pane in before[:limit]])


def _excess(evidence: Evidence, parts: list[_Part]) -> list[float]:
    """Return by how much each part exceeds its usual amount of what is wrong, below zero where it has less;
    its calls where that says nothing.
    """
    sign = -1.0 if falls(evidence) else 1.0
    amount = _amount_of(evidence.metric)
    if amount is not None:
        now, before = [amount(part.now) for part in parts], [amount(part.before) for part in parts]
        usual = _ratio(sum(n for n, _ in before), sum(wrong for _, wrong in before))
        rates = [_ratio(n, wrong) if n >= LEAST_EVENTS else usual for n, wrong in before]
        excess = [sign * (wrong - n * rate) for (n, wrong), rate in zip(now, rates, strict=True)]
        if any(amount > 0 for amount in excess):
            return excess
    return [_calls(part.now) for part in parts]


def _amount_of(metric: str) -> Callable[[list[Pane]], tuple[float, float]] | None:
    """Return the function from panes to (weight of events, amount of the metric); None for a metric that has
    no amount.
    """
    if "=" in metric:
        name, _, label = metric.partition("=")
        return lambda panes: _labelled(name, label, panes)
    if metric.endswith("_rate"):
        return lambda panes: _rated(metric, panes)
    return (lambda panes: _summed(metric.rpartition(".")[0], panes)) if "." in metric else None


def _rated(metric: str, panes: list[Pane]) -> tuple[float, float]:
    total = Rate()
    total.merge_all([rate for pane in panes if (rate := pane.rates.get(metric)) is not None])
    classes = sorted(total.classes.items())
    n = sum(n * MILLION / ppm for ppm, (n, _) in classes)
    failed = sum(failures * MILLION / ppm for ppm, (_, failures) in classes)
    return n, n - failed if metric in SUCCESS_RATES else failed


def _labelled(category: str, label: str, panes: list[Pane]) -> tuple[float, float]:
    counts, absent = _counts(category, panes), _ABSENT.get(category)
    counted = sum(counts.values())
    n = counted if absent is None else max(counted, _calls(panes))
    return n, counts.get(label, 0.0) + (n - counted if label == absent else 0.0)


def _summed(name: str, panes: list[Pane]) -> tuple[float, float]:
    total = NumberSummary()
    for pane in panes:
        if (number := pane.numbers.get(name)) is not None:
            total.merge(number)
    n = sum(counts.n * MILLION / ppm for ppm, counts in sorted(total.classes.items()))
    return n, total.weighted_sum()


def _calls(panes: list[Pane]) -> float:
    return _rated("error_rate", panes)[0]


def _counts(category: str, panes: list[Pane]) -> dict[str, float]:
    total = CategoryCounts()
    total.merge_all([counts for pane in panes if (counts := pane.categories.get(category)) is not None])
    return total.weighted_counts()


def _shares(names: Iterable[str], weights: Iterable[float]) -> dict[str, float]:
    """Return each name's share of the excess; a name that has less than usual has none."""
    sums: dict[str, float] = {}
    for name, weight in zip(names, weights, strict=True):
        sums[name] = sums.get(name, 0.0) + weight
    total = sum(weight for weight in sums.values() if weight > 0)
    return {name: weight / total for name, weight in sums.items() if weight > 0} if total else {}


def _most(weights: Mapping[str, float], least: float) -> str:
    """Return the name that has more than this share of all weight; empty if there is none, or it is
    ``other``.
    """
    total = sum(weights.values())
    name = max(sorted(weights), key=lambda name: weights[name], default="")
    return name if name != OTHER and total and weights[name] > least * total else ""


def _ratio(n: float, amount: float) -> float:
    return amount / n if n else 0.0
