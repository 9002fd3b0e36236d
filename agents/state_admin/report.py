"""The state of a partition in words, for a person at a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from agents.process.exits import Refused
from agents.state_admin.contents import Contents, only
from monitor.windows.feature_series import DAY, FINE, HOUR
from monitor.windows.segment_keys import FeatureKey, SegmentKey
from schemas.times import rfc3339

# unreadable records, incidents of one feature: more of them help nobody at a terminal; `--format ndjson` has
# all
SHOWN = 20


def lines(found: Sequence[Contents], topic: str, source: str, match: str) -> Iterator[str]:
    """Everything, partition by partition, then totals."""
    features = panes = incidents = episodes = 0
    for one in found:
        yield from _partition(one, topic, source)
        for at in only(one, match):
            yield from _feature(one, at)
            features += 1
            panes += sum(_panes(one, at).values())
            incidents += len(one.book.incidents.get(at, ()))
            episodes += at in one.book.episodes
        yield from _deliveries(one)
        for key, why in list(one.unreadable.items())[:SHOWN]:
            yield f"  UNREADABLE  {key!s}: {why}"
        if len(one.unreadable) > SHOWN:
            yield f"  ... and {len(one.unreadable) - SHOWN} more that cannot be read"
    lags = [one.snapshot.end - one.snapshot.position for one in found if one.snapshot.position is not None]
    yield (
        f"{len(found)} partitions, {sum(len(one.snapshot.records) for one in found)} records,"
        f" {sum(one.bytes for one in found)} bytes, lag {sum(lags)}; {features} features, {panes} panes,"
        f" {incidents} incidents, {episodes} open episodes, {sum(len(one.unreadable) for one in found)}"
        " unreadable"
    )


def forgotten(found: Sequence[Contents], ending: Iterable[str] = ()) -> Iterator[str]:
    """What a reset of these partitions forgets. ``ending``: episodes that it resolves, in words."""
    names = sorted(
        {f"{at.service}/{at.feature} ({at.environment})" for one in found for at in one.features()}
    )
    records = sum(len(one.snapshot.records) for one in found)
    yield (
        f"{records} records in {len(found)} partitions, {sum(len(one.unreadable) for one in found)} of them"
        " unreadable"
    )
    yield f"{len(names)} features: {', '.join(names[:SHOWN])}{' ...' if len(names) > SHOWN else ''}"
    ends = list(ending)
    if ends:
        yield (
            f"{len(ends)} open episodes, which will be resolved (state_reset), so that the notifier closes"
            " their pages:"
        )
        yield from (f"  {one}" for one in ends)
    held = [pair for one in found for pair in one.held()]
    if held:
        yield (
            f"{len(held)} open pages, which nobody will resolve; close them by hand at the receiver, by these"
            " keys:"
        )
        yield from (f"  {key}  {about}" for key, about in held)


def confirm(prefix: str, *, yes: bool) -> None:
    """Have the prefix typed, unless ``--yes``.

    Raises:
        Refused: it was not.
    """
    if yes:
        return
    try:
        answer = input(f"Type the prefix, {prefix}, to go on: ")
    except EOFError:
        answer = ""
    if answer.strip() != prefix:
        raise Refused("not confirmed, nothing was changed; without a terminal: --yes")


def _partition(one: Contents, topic: str, source: str) -> Iterator[str]:
    snapshot, header = one.snapshot, one.header
    yield f"{topic}/{snapshot.partition}: {len(snapshot.records)} records, {one.bytes} bytes"
    if len(one.layouts) > 1:
        yield "  layouts    " + ", ".join(
            f"{count} records of {layout}" for layout, count in sorted(one.layouts.items())
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
    if one.clock is not None:
        digest, watermark_us, rolled_us, dead_letters, forwarded = one.clock
        yield (
            f"  watermark  {_at(watermark_us)}; rolled up to {_at(rolled_us or None)}; counted with {digest}"
        )
        yield f"  counts     {sum(dead_letters.values())} dead letters, {forwarded} forwarded"


def _feature(one: Contents, at: FeatureKey) -> Iterator[str]:
    panes, state = _panes(one, at), one.book.features.get(at)
    yield (
        f"  {at.service}/{at.feature} ({at.environment}): {len(state.segments) if state else 0} segments,"
        f" panes {panes[FINE]} fine {panes[HOUR]} hours {panes[DAY]} days, {one.bytes_by.get(at, 0)} bytes"
    )
    incidents = list(one.book.incidents.get(at, {}).items())
    for (segment, _), incident in incidents[:SHOWN]:
        yield (
            f"    {incident.state} since {_at(incident.since_us)}: {incident.rule}, {_segment(segment)}"
            f" ({incident.severity})"
        )
    if len(incidents) > SHOWN:
        yield f"    ... and {len(incidents) - SHOWN} more incidents"
    if (episode := one.book.episodes.get(at)) is not None:
        muted = f", muted: {episode.muted}" if episode.muted else ""
        yield (
            f"    EPISODE {episode.episode_id} since {_at(episode.started_us)}: {episode.severity}, urgency"
            f" {episode.urgency}{muted}"
        )


def _deliveries(one: Contents) -> Iterator[str]:
    waiting = [(key, entry) for key, entry in one.deliveries.items() if entry.done_us is None]
    if one.deliveries:
        yield f"  deliveries {len(one.deliveries)}, {len(waiting)} not done"
    for (channel, episode_id), entry in waiting[:SHOWN]:
        standing = ", ".join(f"{urgency} {standing}" for urgency, standing in sorted(entry.keys.items()))
        yield (
            f"    {channel}: {episode_id} {entry.latest.episode.state if entry.latest else ''}, keys"
            f" {standing or 'none'}"
        )
    if len(waiting) > SHOWN:
        yield f"    ... and {len(waiting) - SHOWN} more"


def _panes(one: Contents, at: FeatureKey) -> Counter[str]:
    state = one.book.features.get(at)
    return Counter(
        {
            name: sum(len(segment.held[name]) for segment in state.segments.values())
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
