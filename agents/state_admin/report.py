"""Render the state of partitions as text for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from agents.process.exits import Refused
from agents.state_admin.contents import StoredPartition, features_matching
from monitor.windows.segment_keys import FeatureKey, SegmentKey
from monitor.windows.segment_series import DAY, FINE, HOUR
from schemas.times import rfc3339

# of unreadable records and of incidents of a feature; `--format ndjson` has all of them
SHOWN = 20


def report_lines(partitions: Sequence[StoredPartition], topic: str, source: str, match: str) -> Iterator[str]:
    """Return the report: partition by partition, then totals.

    Args:
        match: `service/feature` with * and ?; only these features are listed.
    """
    features = panes = incidents = episodes = 0
    for contents in partitions:
        yield from _partition(contents, topic, source)
        for feature_key in features_matching(contents, match):
            yield from _feature(contents, feature_key)
            features += 1
            panes += sum(_panes(contents, feature_key).values())
            incidents += len(contents.partition_state.incidents.get(feature_key, ()))
            episodes += feature_key in contents.partition_state.episodes
        yield from _deliveries(contents)
        for key, why in list(contents.unreadable.items())[:SHOWN]:
            yield f"  UNREADABLE  {key!s}: {why}"
        if len(contents.unreadable) > SHOWN:
            yield f"  ... and {len(contents.unreadable) - SHOWN} more that cannot be read"
    lags = [
        contents.snapshot.end - contents.snapshot.position
        for contents in partitions
        if contents.snapshot.position is not None
    ]
    yield (
        f"{len(partitions)} partitions, {sum(len(contents.snapshot.records) for contents in partitions)}"
        f" records, {sum(contents.bytes for contents in partitions)} bytes, lag {sum(lags)}; {features}"
        f" features, {panes} panes, {incidents} incidents, {episodes} open episodes,"
        f" {sum(len(contents.unreadable) for contents in partitions)} unreadable"
    )


def reset_summary(partitions: Sequence[StoredPartition], ending: Iterable[str] = ()) -> Iterator[str]:
    """Say what a reset of these partitions deletes. ``ending``: a line for each episode that it resolves."""
    names = sorted(
        {
            f"{feature_key.service}/{feature_key.feature} ({feature_key.environment})"
            for contents in partitions
            for feature_key in contents.features()
        }
    )
    records = sum(len(contents.snapshot.records) for contents in partitions)
    yield (
        f"{records} records in {len(partitions)} partitions,"
        f" {sum(len(contents.unreadable) for contents in partitions)} of them unreadable"
    )
    yield f"{len(names)} features: {', '.join(names[:SHOWN])}{' ...' if len(names) > SHOWN else ''}"
    ends = list(ending)
    if ends:
        yield (
            f"{len(ends)} open episodes, which will be resolved (state_reset), so that the notifier closes"
            " their pages:"
        )
        yield from (f"  {line}" for line in ends)
    pages = [pair for contents in partitions for pair in contents.open_pages()]
    if pages:
        yield (
            f"{len(pages)} open pages, which nothing will resolve; close them by hand at the receiver, by"
            " these keys:"
        )
        yield from (f"  {key}  {about}" for key, about in pages)


def confirm(prefix: str, *, yes: bool) -> None:
    """Ask for the prefix as confirmation, unless ``yes``.

    Raises:
        Refused: another answer was given.
    """
    if yes:
        return
    try:
        answer = input(f"Type the prefix, {prefix}, to go on: ")
    except EOFError:
        answer = ""
    if answer.strip() != prefix:
        raise Refused("not confirmed, nothing was changed; without a terminal: --yes")


def _partition(contents: StoredPartition, topic: str, source: str) -> Iterator[str]:
    snapshot, header = contents.snapshot, contents.header
    yield f"{topic}/{snapshot.partition}: {len(snapshot.records)} records, {contents.bytes} bytes"
    if len(contents.layouts) > 1:
        yield "  layouts    " + ", ".join(
            f"{count} records of {layout}" for layout, count in sorted(contents.layouts.items())
        )
    if header:
        yield (
            f"  header     layout {header.get('layout')}, agent {header.get('agent')}, cluster"
            f" {header.get('cluster')}, {header.get('partitions')} partitions of {header.get('source')}"
        )
    if snapshot.position is None:
        yield (
            f"  position   none: a worker begins anew (kafka.start); {source} holds [{snapshot.begin},"
            f" {snapshot.end})"
        )
    else:
        beyond = "  BEYOND THE END of the source" if snapshot.position > snapshot.end else ""
        lost = f"  {snapshot.begin - snapshot.position} LOST" if snapshot.position < snapshot.begin else ""
        yield (
            f"  position   {snapshot.position} of [{snapshot.begin}, {snapshot.end}), lag"
            f" {snapshot.end - snapshot.position}{beyond}{lost}"
        )
    if contents.clock is not None:
        digest, watermark_us, rolled_us, dead_letters, forwarded, left_out = contents.clock
        yield (
            f"  watermark  {_at(watermark_us)}; rolled up to {_at(rolled_us or None)}; counted with {digest}"
        )
        yield (
            f"  counts     {sum(dead_letters.values())} dead letters, {forwarded} forwarded,"
            f" {sum(left_out.values())} fields left out"
        )


def _feature(contents: StoredPartition, feature_key: FeatureKey) -> Iterator[str]:
    panes, state = _panes(contents, feature_key), contents.partition_state.features.get(feature_key)
    yield (
        f"  {feature_key.service}/{feature_key.feature} ({feature_key.environment}):"
        f" {len(state.segments) if state else 0} segments, panes {panes[FINE]} fine {panes[HOUR]} hours"
        f" {panes[DAY]} days, {contents.bytes_by.get(feature_key, 0)} bytes"
    )
    incidents = list(contents.partition_state.incidents.get(feature_key, {}).items())
    for (segment, _), incident in incidents[:SHOWN]:
        yield (
            f"    {incident.state} since {_at(incident.since_us)}: {incident.rule}, {_segment(segment)}"
            f" ({incident.severity})"
        )
    if len(incidents) > SHOWN:
        yield f"    ... and {len(incidents) - SHOWN} more incidents"
    if (episode := contents.partition_state.episodes.get(feature_key)) is not None:
        muted = f", muted: {episode.muted}" if episode.muted else ""
        yield (
            f"    EPISODE {episode.episode_id} since {_at(episode.started_us)}: {episode.severity}, urgency"
            f" {episode.urgency}{muted}"
        )


def _deliveries(contents: StoredPartition) -> Iterator[str]:
    waiting = [(key, entry) for key, entry in contents.deliveries.items() if entry.done_us is None]
    if contents.deliveries:
        yield f"  deliveries {len(contents.deliveries)}, {len(waiting)} not done"
    for (channel, episode_id), entry in waiting[:SHOWN]:
        standing = ", ".join(f"{urgency} {standing}" for urgency, standing in sorted(entry.keys.items()))
        yield (
            f"    {channel}: {episode_id} {entry.latest.episode.state if entry.latest else ''}, keys"
            f" {standing or 'none'}"
        )
    if len(waiting) > SHOWN:
        yield f"    ... and {len(waiting) - SHOWN} more"


def _panes(contents: StoredPartition, feature_key: FeatureKey) -> Counter[str]:
    state = contents.partition_state.features.get(feature_key)
    return Counter(
        {
            name: sum(len(segment.panes_by_resolution[name]) for segment in state.segments.values())
            for name in (FINE, HOUR, DAY)
        }
        if state
        else {}
    )


def _segment(segment: SegmentKey | None) -> str:
    if segment is None:
        return "whole feature"
    return (
        " ".join(
            [
                segment.model,
                segment.prompt_version,
                segment.variant,
                *(f"{name}={item}" for name, item in segment.dimensions),
            ]
        ).strip()
        or "unlabelled"
    )


def _at(microseconds: int | None) -> str:
    return "never" if microseconds is None else rfc3339(microseconds)
