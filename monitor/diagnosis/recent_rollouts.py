"""What was first seen in a feature shortly before an episode began: a version of the prompt or the service, a
model, a model that answers.

What is new is named only where it may be why: enough of what is worse, and where failures can be counted
apart, failing more than the old.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from monitor.windows.feature_series import DAY, HOUR_US, FeatureState, SegmentSeries
from monitor.windows.metric_definitions import SUCCESS_RATES
from monitor.windows.pane import MetricReader, Pane
from monitor.windows.segment_keys import OVERFLOW, UNLABELLED

ANSWERING, SERVICE_VERSION = "answering model", "service version"
PANED = {ANSWERING: "response_model", SERVICE_VERSION: "service_version"}
"""What only panes know, as no segment has it for a label -> the category that counts it. A service version may be a label too: then segments know it."""
SHORTLY_US = 30 * 60 * 1_000_000  # before the episode
SOON_US = 5 * 60 * 1_000_000  # after it began: by then another model that answers is seen often enough
LEAST_BEFORE_US = 10 * 60 * 1_000_000  # a feature that began with it knows nothing else, so it is not new
# of the feature's events since it came; what is used less cannot be why all of it is worse
LEAST_SHARE = 0.05
LEAST_SHARE_OF_NUMBERS = 0.2  # the same where nobody can tell whether the old is well
# the same of a service version that only panes know: whether it fails more than the one before is not known
LEAST_SHARE_OF_DEPLOYED = 0.5
LEAST_EVENTS = 20  # of the old, to say that it is well
WORSE = 1.5  # times as many failures as the old
LEAST_OF_FAILURES = 1 / 3  # that are its own
OFTEN = 5  # where more of a kind are new, that is how it always is
# older panes that are asked whether they know a model that answers: unpacked, each takes some 50 microseconds
SEARCHED = 2000
_ORDER = ("prompt version", "service version", "model", ANSWERING)

Incidents = list[Mapping[str, Any]]


class Newcomer(NamedTuple):
    """Something that was first seen then. ``by_hour``: known by the hour only, for its panes are rolled up."""

    kind: str
    name: str
    begun_us: int
    by_hour: bool


def newcomers(
    feature: FeatureState, firing: Incidents, started_us: int, edge_us: int, rolled_us: int
) -> list[Newcomer]:
    """Those that may be the cause, the likeliest first.

    Args:
        feature: of the episode.
        firing: its incidents, as records have them.
        started_us: the first breaching edge, microseconds since 1970.
        edge_us: now.
        rolled_us: hours before this edge are known as a whole only.
    """
    edge_us = min(edge_us, started_us + HOUR_US)  # what comes later is not why
    held: dict[tuple[str, str], list[SegmentSeries]] = {}
    for key, segment in sorted(feature.segments.items()):
        if key not in (OVERFLOW, UNLABELLED):
            versions = [
                (name.replace("_", " "), value) for name, value in key.dimensions if "version" in name
            ]
            for kind, name in (("prompt version", key.prompt_version), *versions, ("model", key.model)):
                if name:
                    held.setdefault((kind, name), []).append(segment)
    begun = [
        _begun(kind, name, min(_first_us(one) for one in segments), rolled_us)
        for (kind, name), segments in held.items()
    ]
    fresh = [one for one in begun if _is_shortly_before(one, feature, started_us)]
    asked = {one.name for one in fresh if one.kind == "model"}  # what answers there is what was asked for
    often = Counter(one.kind for one in fresh)
    found = [
        one
        for one in fresh
        if often[one.kind] <= OFTEN and _may_be_it(one, feature, held[one.kind, one.name], firing, edge_us)
    ]
    whole = any(one["level"] == "feature" for one in firing)
    suspects = [
        one
        for _, one in sorted(feature.segments.items())
        if one.key.model not in asked and (whole or _is_one_of(one, firing))
    ]
    found += _in_panes(ANSWERING, suspects, feature, started_us, edge_us, rolled_us)
    if not any(
        name == PANED[SERVICE_VERSION] and value for key in feature.segments for name, value in key.dimensions
    ):
        mine = [one for _, one in sorted(feature.segments.items()) if whole or _is_one_of(one, firing)]
        deployed = _in_panes(SERVICE_VERSION, mine, feature, started_us, edge_us, rolled_us)
        found += deployed if len(deployed) <= OFTEN else []
    return sorted(
        found, key=lambda one: (_ORDER.index(one.kind) if one.kind in _ORDER else 1, -one.begun_us, one.name)
    )


def _begun(kind: str, name: str, first_us: int, rolled_us: int) -> Newcomer:
    by_hour = first_us < rolled_us
    return Newcomer(kind, name, first_us // HOUR_US * HOUR_US if by_hour else first_us, by_hour)


def _first_us(segment: SegmentSeries) -> int:
    return (
        0
        if segment.panes_by_resolution[DAY]
        else min(
            (start_us for panes in segment.panes_by_resolution.values() for start_us in panes), default=0
        )
    )


def _is_shortly_before(one: Newcomer, feature: FeatureState, started_us: int) -> bool:
    last_us = one.begun_us + (HOUR_US if one.by_hour else 1)
    return (
        one.begun_us < started_us
        and last_us > started_us - SHORTLY_US
        and one.begun_us - feature.first_us >= LEAST_BEFORE_US
    )


def _may_be_it(
    one: Newcomer, feature: FeatureState, mine: list[SegmentSeries], firing: Incidents, edge_us: int
) -> bool:
    """Whether the new is enough of what is worse; where its failures can be told from those of the old,
    whether it fails more.
    """
    wanted = [incident for incident in firing if incident["level"] == "feature"]
    if not wanted:  # segments only: the new must be one of them
        return any(_is_one_of(segment, firing) for segment in mine)
    names = {segment.key for segment in mine}
    others = [segment for segment in feature.segments.values() if segment.key not in names]
    new, old = panes_of(mine, one.begun_us, edge_us), panes_of(others, one.begun_us, edge_us)
    n, m = (sum(pane.events for pane in panes) for panes in (new, old))
    told = [incident["evidence"]["metric"] for incident in wanted if incident["evidence"]]
    rates = [metric for metric in told if metric.endswith("_rate")]
    if not n or n < (n + m) * (LEAST_SHARE if rates else LEAST_SHARE_OF_NUMBERS):
        return False
    if not rates:
        return not one.by_hour  # within the hour it may have come after this began, as a remedy
    return any(_fails_more(metric, new, old) for metric in rates)


def _is_one_of(segment: SegmentSeries, firing: Incidents) -> bool:
    key = segment.key
    mine = key.model, key.prompt_version, key.variant, dict(key.dimensions)
    return any(
        mine == (one["model"], one["prompt_version"], one["variant"], one["dimensions"]) for one in firing
    )


def _fails_more(metric: str, new: list[Pane], old: list[Pane]) -> bool:
    now, then = (MetricReader(metric).add(panes).estimate(0.0) for panes in (new, old))
    if now.value is None:
        return False
    if then.value is None or then.n < LEAST_EVENTS:
        return True
    bad, well = (1 - one if metric in SUCCESS_RATES else one for one in (now.value, then.value))
    return bad > WORSE * well and bad * now.n >= LEAST_OF_FAILURES * (bad * now.n + well * then.n)


def panes_of(segments: Iterable[SegmentSeries], since_us: int, edge_us: int) -> list[Pane]:
    """Panes of a window, to be looked at once."""
    return [pane.unpacked() for segment in segments for pane in segment.window(since_us, edge_us)]


def _in_panes(
    kind: str,
    segments: list[SegmentSeries],
    feature: FeatureState,
    started_us: int,
    edge_us: int,
    rolled_us: int,
) -> list[Newcomer]:
    """Models that answer and never did before, or versions. Looked for backwards: what is not new is found in
    the panes just before.
    """
    until_us = min(edge_us, started_us + SOON_US)
    panes = sorted(
        (pane for segment in segments for pane in segment.window(0, until_us)), key=lambda one: -one.start_us
    )
    old = next(
        (
            nth
            for nth, one in enumerate(panes)
            if one.start_us + (HOUR_US if one.start_us < rolled_us else 1) <= started_us - SHORTLY_US
        ),
        len(panes),
    )
    least = LEAST_SHARE_OF_DEPLOYED if kind == SERVICE_VERSION else LEAST_SHARE_OF_NUMBERS
    first: dict[str, int] = {}
    recent = [(pane.start_us, names_in(pane, PANED[kind])) for pane in panes[:old]]
    for start_us, names in recent:
        first |= dict.fromkeys(names, start_us)
    new: dict[str, Newcomer] = {}
    for name, at_us in first.items():
        since = [names for start_us, names in recent if start_us >= at_us]
        enough = sum(names.get(name, 0) for names in since) >= least * sum(
            sum(names.values()) for names in since
        )
        if enough and _is_shortly_before(one := _begun(kind, name, at_us, rolled_us), feature, started_us):
            new[name] = one
    for pane in panes[old : old + SEARCHED]:
        if not new:
            break
        for name in names_in(pane, PANED[kind]):
            new.pop(name, None)
    return [new[name] for name in sorted(new)]


def names_in(pane: Pane, category: str) -> dict[str, int]:
    """Events of each name, unweighted."""
    held = pane.unpacked().categories.get(category)
    counted: dict[str, int] = {}
    for names in held.classes.values() if held is not None else ():
        for name, n in names.items():
            counted[name] = counted.get(name, 0) + n
    return counted
