"""Where an episode comes from: the provider, and the model that was asked for, to which most of what went
wrong was sent.

Nothing of it is kept: like causes it is worked out whenever a record of the episode is written, from panes
and evidence, and so is the same after a restart. Episodes of one origin that begin together are told as one,
so a name that is not sure is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from monitor.incidents.origin import NOWHERE, Origin
from monitor.protocol.severity import severity_rank
from monitor.stats.category_counts import CategoryCounts
from monitor.stats.number_summary import NumberSummary
from monitor.stats.rate import Rate
from monitor.stats.sampling_weights import MILLION
from monitor.windows.feature_series import HOUR_US, FeatureState, SegmentSeries
from monitor.windows.metric_definitions import CATEGORIES, LANGUAGES, SUCCESS_RATES
from monitor.windows.pane import Pane
from monitor.windows.segment_keys import OTHER

# Of what went wrong. Simulated at the first record of an episode: of two providers that fail alike one is
# named in half of cases at 0.6, and in one of ten at this, while the one that alone went from 2 % to 30 % is
# named in nineteen of twenty, and never the other.
MOST = 0.75
BEFORE_US = 5 * 60 * 1_000_000  # what breaches began to go wrong before it did
USUAL_US = 30 * 60 * 1_000_000  # before that: what is usual
LEAST_EVENTS = 20  # of a segment, to know what is usual there; else it is what is usual in the feature
PANES = 1000  # looked at in all; unpacked, each takes some 50 microseconds
SILENCE = "events"
_ABSENT = {one.name: one.absent for one in CATEGORIES + LANGUAGES}

Incident = Mapping[str, Any]


class _Part(NamedTuple):
    """A segment, now and before."""

    provider: str
    model: str
    now: list[Pane]
    before: list[Pane]


def origin(feature: FeatureState, incidents: Mapping[str, Incident], started_us: int, edge_us: int) -> Origin:
    """The provider and the model of an episode, where one of each has three quarters of what went wrong.

    What went wrong is told by the gravest incidents, those of the whole feature before those of segments: of
    a rate its failures, of a category the calls that have it, of a number its sum, each in excess of what the
    half hour before brought; of anything else, and where nothing is in excess, the calls. A segment's
    provider is the one that answers most of its calls that name one: which of its providers failed is not
    known.

    A feature that fell silent has no origin. It had a provider before, but silence is rarely the provider's
    fault: a provider that is gone gives errors, and it is the service, its deployment or its producer that is
    silent.

    Args:
        feature: of the episode.
        incidents: id -> incident, as the episode shows them.
        started_us: the first breaching edge, microseconds since 1970.
        edge_us: now; of what came an hour after the beginning nothing is looked at.
    """
    firing = _gravest(
        [one for one in incidents.values() if one["state"] == "firing"] or list(incidents.values())
    )
    where = _where(feature, firing)
    if not where:
        return NOWHERE
    segments = {id(one): one for several in where.values() for one in several}.values()
    length_us = max(BEFORE_US, min([HOUR_US, *(round(one["evidence"]["window_s"] * 1e6) for one in firing)]))
    room = max(1, PANES // 2 // len(segments))
    parts = {
        id(one): _part(one, started_us, started_us - length_us, min(edge_us, started_us + HOUR_US), room)
        for one in segments
    }
    names: dict[str, dict[str, float]] = {"provider": {}, "model": {}}
    evidence = {one["evidence"]["metric"]: one["evidence"] for one in firing}
    for metric, several in where.items():
        mine = [parts[id(one)] for one in several]
        weights = _excess(evidence[metric], mine)
        for of in ("provider", "model"):
            for name, share in _shares([getattr(part, of) for part in mine], weights).items():
                names[of][name] = names[of].get(name, 0.0) + share
    return Origin(_most(names["provider"], MOST), _most(names["model"], MOST))


def _gravest(firing: list[Incident]) -> list[Incident]:
    """Those that decide: of the worst severity, of the whole feature if there are any; silence is nobody's."""
    worst = max((severity_rank(one["severity"]) for one in firing), default=0)
    grave = [
        one
        for one in firing
        if severity_rank(one["severity"]) == worst
        and one["evidence"]
        and one["evidence"]["metric"] != SILENCE
    ]
    return [one for one in grave if one["level"] == "feature"] or grave


def _where(feature: FeatureState, firing: list[Incident]) -> dict[str, list[SegmentSeries]]:
    """Metric -> the segments in which it went wrong, in order."""
    known = {
        _labels(key.model, key.prompt_version, key.variant, dict(key.dimensions)): segment
        for key, segment in sorted(feature.segments.items())
    }
    found: dict[str, list[SegmentSeries]] = {}
    for one in firing:
        mine = known.get(_labels(one["model"], one["prompt_version"], one["variant"], one["dimensions"]))
        whole = one["level"] == "feature"
        if whole or mine is not None:
            held = found.setdefault(one["evidence"]["metric"], [])
            held += [
                segment
                for segment in (known.values() if whole or mine is None else (mine,))
                if segment not in held
            ]
    return {metric: segments for metric, segments in found.items() if segments}


def _labels(model: str, prompt_version: str, variant: str, dimensions: Mapping[str, str]) -> tuple[Any, ...]:
    return model, prompt_version, variant, tuple(sorted(dimensions.items()))


def _part(segment: SegmentSeries, started_us: int, since_us: int, until_us: int, room: int) -> _Part:
    """Of each time at most ``room`` panes, the nearest to the beginning first."""
    now = sorted(
        segment.window(since_us, until_us), key=lambda pane: (abs(pane.start_us - started_us), pane.start_us)
    )
    taken = set(map(id, now))  # an hour lies in both, and belongs to now
    before = sorted(
        (pane for pane in segment.window(since_us - USUAL_US, since_us) if id(pane) not in taken),
        key=lambda pane: -pane.start_us,
    )
    opened = [pane.unpacked() for pane in now[:room]]
    served = _counts("provider", opened)
    return _Part(_most(served, 0.5), segment.key.model, opened, [pane.unpacked() for pane in before[:room]])


def _excess(evidence: Mapping[str, Any], parts: list[_Part]) -> list[float]:
    """Of each part how much more of what is wrong it has than is usual there, below zero where less; its
    calls where that says nothing.
    """
    metric, fell = evidence["metric"], -1.0 if _fell(evidence) else 1.0
    amount = _amount_of(metric)
    if amount is not None:
        now, before = [amount(part.now) for part in parts], [amount(part.before) for part in parts]
        usual = _ratio(sum(n for n, _ in before), sum(wrong for _, wrong in before))
        rates = [_ratio(m, then) if m >= LEAST_EVENTS else usual for m, then in before]
        found = [fell * (wrong - n * rate) for (n, wrong), rate in zip(now, rates, strict=True)]
        if any(one > 0 for one in found):
            return found
    return [_calls(part.now) for part in parts]


def _fell(evidence: Mapping[str, Any]) -> bool:
    """Whether what is wrong is that there is less of it."""
    value, before = evidence.get("value"), evidence.get("reference")
    if evidence.get("below") is not None or evidence.get("above") is not None:
        return evidence.get("below") is not None
    return value < before if value is not None and before is not None else evidence["metric"] in SUCCESS_RATES


def _amount_of(metric: str) -> Callable[[list[Pane]], tuple[float, float]] | None:
    """What gives (weight of events, amount of the metric) of panes; None of a metric that has no amount."""
    if "=" in metric:
        name, _, label = metric.partition("=")
        return lambda panes: _labelled(name, label, panes)
    if metric.endswith("_rate"):
        return lambda panes: _rated(metric, panes)
    return (lambda panes: _summed(metric.rpartition(".")[0], panes)) if "." in metric else None


def _rated(metric: str, panes: list[Pane]) -> tuple[float, float]:
    rate = Rate()
    rate.merge_all([held for pane in panes if (held := pane.rates.get(metric)) is not None])
    classes = sorted(rate.classes.items())
    n, failed = (
        sum(n * MILLION / ppm for ppm, (n, _) in classes),
        sum(failures * MILLION / ppm for ppm, (_, failures) in classes),
    )
    return n, n - failed if metric in SUCCESS_RATES else failed


def _labelled(category: str, label: str, panes: list[Pane]) -> tuple[float, float]:
    counts, absent = _counts(category, panes), _ABSENT.get(category)
    counted = sum(counts.values())
    n = counted if absent is None else max(counted, _calls(panes))
    return n, counts.get(label, 0.0) + (n - counted if label == absent else 0.0)


def _summed(name: str, panes: list[Pane]) -> tuple[float, float]:
    number = NumberSummary()
    for pane in panes:
        if (held := pane.numbers.get(name)) is not None:
            number.merge(held)
    return sum(held.n * MILLION / ppm for ppm, held in sorted(number.classes.items())), number.weighted_sum()


def _calls(panes: list[Pane]) -> float:
    return _rated("error_rate", panes)[0]


def _counts(category: str, panes: list[Pane]) -> dict[str, float]:
    held = CategoryCounts()
    held.merge_all([found for pane in panes if (found := pane.categories.get(category)) is not None])
    return held.weighted_counts()


def _shares(names: Iterable[str], weights: Iterable[float]) -> dict[str, float]:
    """Name -> its share of what is in excess; a name that has less than usual has none."""
    sums: dict[str, float] = {}
    for name, weight in zip(names, weights, strict=True):
        sums[name] = sums.get(name, 0.0) + weight
    total = sum(one for one in sums.values() if one > 0)
    return {name: one / total for name, one in sums.items() if one > 0} if total else {}


def _most(weights: Mapping[str, float], least: float) -> str:
    """The name that has more than this share of all weight, if it is one."""
    total = sum(weights.values())
    name = max(sorted(weights), key=lambda one: weights[one], default="")
    return name if name != OTHER and total and weights[name] > least * total else ""


def _ratio(n: float, amount: float) -> float:
    return amount / n if n else 0.0
