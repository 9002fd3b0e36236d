"""Recent rollouts: a version of the prompt or the service, a requested model or an answering model that was
first seen shortly before an episode began.

A rollout is named only where it may be the cause: it has enough of what is worse, and where failures can be
counted apart, it fails more than the old.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from monitor.incidents.records import ShownIncident
from monitor.windows.feature_series import FeatureState
from monitor.windows.metric_definitions import SUCCESS_RATES
from monitor.windows.metric_reader import MetricReader
from monitor.windows.pane import Pane
from monitor.windows.segment_keys import OTHER, OVERFLOW, UNLABELLED
from monitor.windows.segment_series import DAY, HOUR_US, SegmentSeries

ANSWERING, SERVICE_VERSION = "answering model", "service version"
PANED = {ANSWERING: "response_model", SERVICE_VERSION: "service_version"}
"""Kinds that only panes count, because no segment is labelled with them -> their category. A service version
may be a label too; then segments know it.
"""
SHORTLY_US = 30 * 60 * 1_000_000  # before the episode
SOON_US = 5 * 60 * 1_000_000  # after it began: by then a new answering model is seen often enough
LEAST_BEFORE_US = 10 * 60 * 1_000_000  # a feature that began with a version knows no other
# of the feature's events since the rollout; less cannot be why all of the feature is worse
LEAST_SHARE = 0.05
LEAST_SHARE_OF_NUMBERS = 0.2  # the same where it is unknown whether the old version is healthy
# the same of a service version that only panes know: whether it fails more than the old is not known
LEAST_SHARE_OF_DEPLOYED = 0.5
LEAST_EVENTS = 20  # of the old, to say that it is healthy
WORSE = 1.5  # times the failure rate of the old
LEAST_OF_FAILURES = 1 / 3  # of all failures: those of the new
OFTEN = 5  # where more of a kind are new, new ones are usual
# older panes that are searched for a name; to unpack one takes some 50 microseconds
SEARCHED = 2000
_ORDER = ("prompt version", "service version", "model", ANSWERING)

Incidents = Sequence[ShownIncident]


class Rollout(NamedTuple):
    """A name of some kind (version, model) and when it was first seen. ``by_hour``: known by the hour only,
    because its panes are rolled up.
    """

    kind: str
    name: str
    begun_us: int
    by_hour: bool


class _Episode(NamedTuple):
    """The incident that rollouts are compared with. ``until_us``: the latest time of a possible cause."""

    feature: FeatureState
    firing: Incidents
    started_us: int
    until_us: int
    rolled_us: int

    @property
    def is_of_feature(self) -> bool:
        """Whether the feature as a whole fires."""
        return any(incident.of_feature for incident in self.firing)


def recent_rollouts(
    feature: FeatureState, firing: Incidents, started_us: int, edge_us: int, rolled_us: int
) -> list[Rollout]:
    """Return the rollouts that may be the cause, the likeliest first.

    Args:
        feature: of the episode.
        firing: its incidents.
        started_us: the first breaching edge, microseconds since 1970.
        edge_us: now.
        rolled_us: hours before this edge are known as a whole only.
    """
    episode = _Episode(feature, firing, started_us, min(edge_us, started_us + HOUR_US), rolled_us)
    segments_of = _segments_by_version(feature)
    recent = [
        rollout
        for (kind, name), segments in segments_of.items()
        if _is_shortly_before(
            rollout := _rollout(kind, name, min(map(_first_us, segments)), rolled_us), episode
        )
    ]
    often = Counter(rollout.kind for rollout in recent)
    rollouts = [
        rollout
        for rollout in recent
        if often[rollout.kind] <= OFTEN
        and _may_be_cause(rollout, segments_of[rollout.kind, rollout.name], episode)
    ]
    affected = [
        segment
        for _, segment in sorted(feature.segments.items())
        if episode.is_of_feature or _fires_in(segment, firing)
    ]
    # a new requested model answers by its own name
    requested = {rollout.name for rollout in recent if rollout.kind == "model"}
    suspects = [segment for segment in affected if segment.key.model not in requested]
    rollouts += _in_panes(ANSWERING, suspects, episode)
    if not any(
        name == PANED[SERVICE_VERSION] and value for key in feature.segments for name, value in key.dimensions
    ):
        deployed = _in_panes(SERVICE_VERSION, affected, episode)
        rollouts += deployed if len(deployed) <= OFTEN else []
    return sorted(rollouts, key=_likeliest)


def _likeliest(rollout: Rollout) -> tuple[int, int, str]:
    rank = _ORDER.index(rollout.kind) if rollout.kind in _ORDER else 1
    return rank, -rollout.begun_us, rollout.name


def _segments_by_version(feature: FeatureState) -> dict[tuple[str, str], list[SegmentSeries]]:
    """Map each (kind, name) that labels segments to these segments."""
    out: dict[tuple[str, str], list[SegmentSeries]] = {}
    for key, segment in sorted(feature.segments.items()):
        if key in (OVERFLOW, UNLABELLED):
            continue
        versions = [(name.replace("_", " "), value) for name, value in key.dimensions if "version" in name]
        for kind, name in (("prompt version", key.prompt_version), *versions, ("model", key.model)):
            if name and name != OTHER:
                out.setdefault((kind, name), []).append(segment)
    return out


def _rollout(kind: str, name: str, first_us: int, rolled_us: int) -> Rollout:
    by_hour = first_us < rolled_us
    return Rollout(kind, name, first_us // HOUR_US * HOUR_US if by_hour else first_us, by_hour)


def _first_us(segment: SegmentSeries) -> int:
    """Return the start of a segment's first pane; 0 where that is days ago, or not known."""
    if segment.panes_by_resolution[DAY]:
        return 0
    return min((start_us for panes in segment.panes_by_resolution.values() for start_us in panes), default=0)


def _is_shortly_before(rollout: Rollout, episode: _Episode) -> bool:
    last_us = rollout.begun_us + (HOUR_US if rollout.by_hour else 1)
    return (
        rollout.begun_us < episode.started_us
        and last_us > episode.started_us - SHORTLY_US
        and rollout.begun_us - episode.feature.first_us >= LEAST_BEFORE_US
    )


def _may_be_cause(rollout: Rollout, segments: list[SegmentSeries], episode: _Episode) -> bool:
    """Return whether the new version has enough failing calls and, where its failures can be distinguished
    from those of the old version, fails more.
    """
    if not episode.is_of_feature:  # only segments fire: the new must be one of them
        return any(_fires_in(segment, episode.firing) for segment in segments)
    keys = {segment.key for segment in segments}
    others = [segment for segment in episode.feature.segments.values() if segment.key not in keys]
    new = panes_of(segments, rollout.begun_us, episode.until_us)
    old = panes_of(others, rollout.begun_us, episode.until_us)
    n, m = (sum(pane.events for pane in panes) for panes in (new, old))
    metrics = [incident.evidence.metric for incident in episode.firing if incident.of_feature]
    rates = [metric for metric in metrics if metric.endswith("_rate")]
    if not n or n < (n + m) * (LEAST_SHARE if rates else LEAST_SHARE_OF_NUMBERS):
        return False
    if not rates:
        return not rollout.by_hour  # within that hour it may have come later, as a remedy
    return any(_fails_more(metric, new, old) for metric in rates)


def _fires_in(segment: SegmentSeries, firing: Incidents) -> bool:
    key = segment.key
    labels = key.model, key.prompt_version, key.variant, dict(key.dimensions)
    return any(
        labels == (incident.model, incident.prompt_version, incident.variant, incident.dimensions)
        for incident in firing
    )


def _fails_more(metric: str, new: list[Pane], old: list[Pane]) -> bool:
    now, then = (MetricReader(metric).add(panes).estimate(0.0) for panes in (new, old))
    if now.value is None:
        return False
    if then.value is None or then.n < LEAST_EVENTS:
        return True
    new_rate, old_rate = (1 - rate if metric in SUCCESS_RATES else rate for rate in (now.value, then.value))
    new_failures, old_failures = new_rate * now.n, old_rate * then.n
    return new_rate > WORSE * old_rate and new_failures >= LEAST_OF_FAILURES * (new_failures + old_failures)


def panes_of(segments: Iterable[SegmentSeries], since_us: int, edge_us: int) -> list[Pane]:
    """Return the panes of a window, unpacked."""
    return [pane.unpacked() for segment in segments for pane in segment.window(since_us, edge_us)]


def _in_panes(kind: str, segments: list[SegmentSeries], episode: _Episode) -> list[Rollout]:
    """Find rollouts of a kind that only panes count, backwards: what is not new stands in the panes just
    before.
    """
    panes = sorted(
        (
            pane
            for segment in segments
            for pane in segment.window(0, min(episode.until_us, episode.started_us + SOON_US))
        ),
        key=lambda pane: -pane.start_us,
    )
    old = next(
        (
            nth
            for nth, pane in enumerate(panes)
            if pane.start_us + (HOUR_US if pane.start_us < episode.rolled_us else 1)
            <= episode.started_us - SHORTLY_US
        ),
        len(panes),
    )
    least = LEAST_SHARE_OF_DEPLOYED if kind == SERVICE_VERSION else LEAST_SHARE_OF_NUMBERS
    recent = [(pane.start_us, names_in(pane, PANED[kind])) for pane in panes[:old]]
    first_us: dict[str, int] = {}
    for start_us, names in recent:
        first_us |= dict.fromkeys(names, start_us)
    new: dict[str, Rollout] = {}
    for name, begun_us in first_us.items():
        since = [names for start_us, names in recent if start_us >= begun_us]
        n = sum(names.get(name, 0) for names in since)
        rollout = _rollout(kind, name, begun_us, episode.rolled_us)
        is_enough = n >= least * sum(sum(names.values()) for names in since)
        if is_enough and _is_shortly_before(rollout, episode):
            new[name] = rollout
    for pane in panes[old : old + SEARCHED]:
        if not new:
            break
        for name in names_in(pane, PANED[kind]):
            new.pop(name, None)
    return [new[name] for name in sorted(new)]


def names_in(pane: Pane, category: str) -> dict[str, int]:
    """Count the events of each label of a category, unweighted."""
    categories = pane.unpacked().categories.get(category)
    counts: dict[str, int] = {}
    for labels in categories.classes.values() if categories is not None else ():
        for label, n in labels.items():
            counts[label] = counts.get(label, 0) + n
    return counts
