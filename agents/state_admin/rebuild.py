"""``state rebuild``: records that cannot be read are replaced by what the log of the source still says."""

from __future__ import annotations

import argparse
import json
from typing import NamedTuple

from faust.types import TP

from agents.kafka.state_topic import HEADER, POSITION, StateRecord, StateTopic
from agents.process.exits import Refused
from agents.runtime.clock import wall_clock_us
from agents.state_admin.contents import CLOCK, Contents, contents, shown
from agents.state_admin.open_episodes import OpenEpisodes, of_partitions, open_episodes
from agents.state_admin.replay import ReplayResult, replay
from agents.state_admin.report import SHOWN, confirm
from agents.state_admin.rewriter import rewriter_of
from monitor.alerts.forced_resolution import as_told, ended_episodes
from monitor.protocol.messages import Message
from monitor.state.partition_state import Book
from monitor.watch import Watch
from monitor.windows.feature_series import DAY, FINE, HOUR
from schemas.config.monitor_config import Config
from schemas.times import rfc3339
from softfail.sanitize import sanitize

REBUILT = "state_rebuilt"  # why an episode ended that the rebuilt state does not know
_NO_PANE = -(2**62)


class RebuildPlan(NamedTuple):
    """What is to change in one partition. ``mended``, ``partly``, ``lost``: keys of unreadable records, by
    what becomes of them.
    """

    contents: Contents
    replayed: ReplayResult
    changes: dict[bytes, bytes | None]
    mended: list[bytes]
    partly: list[bytes]
    lost: list[bytes]


async def rebuild(config: Config, options: argparse.Namespace) -> None:
    """Mend the partitions that need it.

    Raises:
        Refused: a worker owns one of them, or the state is not one that can be mended.
    """
    state = StateTopic(config.kafka, options.agent)
    numbers, partitions = await state.partitions(options.partition), await state.count()
    await state.require_unowned(numbers)
    cluster, told = await state.cluster(), await open_episodes(config.kafka)
    plans = []
    for snapshot in await state.read(numbers):
        found = contents(snapshot)
        if not found.broken and not options.all:
            print(f"{state.name}/{snapshot.partition}: every record can be read; nothing to mend")
            continue
        rewriter_of(state, snapshot.partition, cluster).check(snapshot.records.get(HEADER), partitions)
        plan = await _plan(
            config,
            found,
            partitions,
            of_partitions(told, partitions, [snapshot.partition]),
            everything=options.all,
        )
        for line in _lines(state, plan):
            print(sanitize(line))
        plans.append(plan)
    if not plans:
        return
    confirm(config.kafka.prefix, yes=options.yes)
    await state.require_unowned([plan.contents.snapshot.partition for plan in plans])
    for plan in plans:
        await _carry_out(config, state, plan, partitions, cluster)
        print(
            f"{state.name}/{plan.contents.snapshot.partition}: rebuilt; it stands at"
            f" {plan.contents.snapshot.position} as before"
        )


async def _plan(
    config: Config, found: Contents, partitions: int, told: OpenEpisodes, *, everything: bool
) -> RebuildPlan:
    snapshot = found.snapshot
    ours = Watch(config).book.digest
    if HEADER in found.broken or POSITION in found.broken or snapshot.position is None:
        raise Refused(
            f"partition {snapshot.partition}: its header or position cannot be read, so it is not known what"
            " was counted; state reset forgets it"
        )
    if not snapshot.begin <= snapshot.position <= snapshot.end:
        raise Refused(
            f"partition {snapshot.partition} stands at {snapshot.position}, outside the log"
            f" [{snapshot.begin}, {snapshot.end}); a worker counts what is lost, or: state reset"
        )
    if found.clock is not None and found.clock[0] != ours:
        raise Refused(
            f"partition {snapshot.partition} was counted with {found.clock[0]}, the configuration says"
            f" {ours}; set it back"
        )
    began = found.header.get("began")
    first = max(snapshot.begin, began) if isinstance(began, int) else snapshot.begin
    whole = first in (began, 0)
    until_us = found.clock[1] if found.clock is not None else _closed_us(found.book, config.time.pane_us)
    watch = Watch(config, snapshot.partition, partitions)
    replayed = await replay(
        config.kafka,
        TP(f"{config.kafka.prefix}.events", snapshot.partition),
        watch,
        first,
        snapshot.position,
        until_us,
        whole=whole,
    )
    return _compared(found, replayed, told, everything=everything)


def _compared(
    found: Contents, replayed: ReplayResult, told: OpenEpisodes, *, everything: bool
) -> RebuildPlan:
    """What of the replay takes the place of which record."""
    counted = {
        key: value for key, value in replayed.records.items() if not key.startswith(b'["episode"')
    } | _episodes(told)
    changes: dict[bytes, bytes | None] = {}
    mended: list[bytes] = []
    partly: list[bytes] = []
    lost: list[bytes] = []
    for key in found.broken:
        value = changes[key] = counted.get(key)
        (lost if value is None else mended if replayed.covers(_start_us(key)) else partly).append(key)
    if everything:
        for key in {*found.snapshot.records, *counted}:
            start_us = _start_us(key)
            if (
                start_us != _NO_PANE
                and replayed.covers(start_us)
                and found.snapshot.records.get(key) != counted.get(key)
            ):
                changes[key] = counted.get(key)
    return RebuildPlan(found, replayed, changes, mended, partly, lost)


def _episodes(told: OpenEpisodes) -> dict[bytes, bytes]:
    """Records of open episodes. What was told last is what the record said; a replay might give it another
    name, and nobody would end the old one.
    """
    book = Book(0, "")
    for one in told.values():
        at, episode = as_told(one)
        book.episodes[at] = episode
        book.mark_episode(at)
    return {key: value for key, value in book.changed() if key != CLOCK and value is not None}


async def _carry_out(
    config: Config, state: StateTopic, plan: RebuildPlan, partitions: int, cluster: str
) -> None:
    """In one transaction, if nobody has written meanwhile and a worker will be able to read what comes of it."""
    snapshot = plan.contents.snapshot
    kept = {
        key: value
        for key, value in (snapshot.records | plan.changes).items()
        if value is not None and key not in (HEADER, POSITION)
    }
    watch = Watch(config, snapshot.partition, partitions)
    try:
        watch.restore(kept.items())
    except ValueError as error:
        raise Refused(
            f"{state.name}/{snapshot.partition}: even so a worker could not read it: {error}; state reset"
            " forgets it"
        ) from error
    rewriter = rewriter_of(state, snapshot.partition, cluster)
    try:
        taken = await rewriter.take()
        if taken != snapshot.records:
            raise Refused(f"{state.name}/{snapshot.partition} has changed meanwhile; run it again")
        rewriter.check(taken.get(HEADER), partitions)
        told = of_partitions(await open_episodes(config.kafka), partitions, [snapshot.partition])
        going_on = {episode.episode_id for episode in watch.book.episodes.values()}
        endings: list[Message] = list(
            ended_episodes(Book(0, ""), told, REBUILT, wall_clock_us(), config.kafka.prefix, going_on)
        )
        changes: list[StateRecord] = [*plan.changes.items(), (HEADER, rewriter.header(partitions))]
        await rewriter.rewrite(changes, endings)
    finally:
        await rewriter.close()


def _lines(state: StateTopic, plan: RebuildPlan) -> list[str]:
    snapshot, replayed, found = plan.contents.snapshot, plan.replayed, plan.contents
    out = [
        f"{state.name}/{snapshot.partition}: {len(found.broken)} records of {len(snapshot.records)} cannot be"
        " read"
    ]
    out += [f"  UNREADABLE  {name}: {why}" for name, why in list(found.unreadable.items())[:SHOWN]]
    reach = (
        "all that was ever counted here"
        if replayed.since_us is None
        else f"entirely what begins at {rfc3339(replayed.since_us)} or later"
    )
    out.append(
        f"  replayed    [{replayed.first}, {snapshot.position}) of {state.source}/{snapshot.partition},"
        f" {replayed.events} records: it has {reach}"
    )
    out.append(
        f"  mended {len(plan.mended)}, mended as far as the log reaches {len(plan.partly)}, lost"
        f" {len(plan.lost)}"
    )
    out += [f"  partly: {shown(key)}" for key in plan.partly[:SHOWN]] + [
        f"  lost: {shown(key)}" for key in plan.lost[:SHOWN]
    ]
    others = len(plan.changes) - len(found.broken)
    if others:
        out.append(
            f"  and {others} panes that can be read are counted anew, with the evaluators of this"
            " configuration"
        )
    return out


def _start_us(key: bytes) -> int:
    """Where a pane begins, microseconds since 1970; of another record the beginning of time, for it may tell
    of anything since.
    """
    try:
        plain = json.loads(key)
    except ValueError:
        plain = None
    is_pane = (
        isinstance(plain, list) and len(plain) == 7 and plain[0] == "pane" and plain[5] in (FINE, HOUR, DAY)
    )
    return plain[6] if is_pane and isinstance(plain[6], int) else _NO_PANE


def _closed_us(book: Book, pane_us: int) -> int:
    """How far a partition had come whose clock cannot be read: as far as the panes that were written, and the
    incidents that were looked at.
    """
    panes = [
        start_us + pane_us
        for feature in book.features.values()
        for segment in feature.segments.values()
        for start_us, pane in segment.panes.items()
        if pane.revision and not pane.stale
    ]
    edges = [incident.edge_us for incidents in book.incidents.values() for incident in incidents.values()]
    return max([*panes, *edges], default=0)
