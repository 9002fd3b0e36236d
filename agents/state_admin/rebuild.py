"""``state rebuild``: replace records that cannot be read, by replaying what the source topic still holds."""

from __future__ import annotations

import argparse
import json
from typing import NamedTuple

from faust.types import TP

from agents.kafka.state_topic import HEADER, POSITION, StateRecord, StateTopic
from agents.process.exits import Refused
from agents.runtime.clock import wall_clock_us
from agents.state_admin.contents import CLOCK, StoredPartition, decode_contents, printable_key
from agents.state_admin.open_episodes import OpenEpisodes, in_partitions, open_episodes
from agents.state_admin.replay import Evaluate, ReplayResult, replay
from agents.state_admin.report import SHOWN, confirm
from agents.state_admin.rewriter import rewriter_for
from monitor.alerts.forced_resolution import as_on_topic, ended_episodes
from monitor.config_check import folder_of, with_user_evaluators
from monitor.protocol.messages import Message
from monitor.state.partition_state import PartitionState
from monitor.watch import Watch
from monitor.windows.segment_series import DAY, FINE, HOUR, LATE
from schemas.config.monitor_config import Config
from schemas.times import rfc3339
from softfail.evaluator_pool import EvaluatorPool
from softfail.sanitize import sanitize

REBUILT = "state_rebuilt"  # why an episode ended that the rebuilt state does not know
_NO_PANE = -(2**62)


class RebuildPlan(NamedTuple):
    """The changes of one partition.

    ``restored``, ``partly``, ``lost``: keys of unreadable records that are rebuilt whole, as far as the log
    reaches, or not at all.
    """

    contents: StoredPartition
    replayed: ReplayResult
    changes: dict[bytes, bytes | None]
    restored: list[bytes]
    partly: list[bytes]
    lost: list[bytes]


async def rebuild(config: Config, options: argparse.Namespace) -> None:
    """Rebuild the partitions that have unreadable records.

    Raises:
        Refused: a worker owns one of them, or its state cannot be rebuilt.
    """
    with EvaluatorPool() as pool:
        config, _ = with_user_evaluators(config, folder_of(options.config), pool.describe)
        await _rebuild(config, options, pool.evaluate)


async def _rebuild(config: Config, options: argparse.Namespace, evaluate: Evaluate) -> None:
    state = StateTopic(config.kafka, options.agent)
    numbers, partitions = await state.partitions(options.partition), await state.count()
    await state.require_unowned(numbers)
    cluster, episodes = await state.cluster(), await open_episodes(config.kafka)
    plans = []
    for snapshot in await state.read(numbers):
        contents = decode_contents(snapshot)
        if not contents.broken and not options.all:
            print(f"{state.name}/{snapshot.partition}: every record can be read; nothing to rebuild")
            continue
        rewriter_for(state, snapshot.partition, cluster).check(snapshot.records.get(HEADER), partitions)
        plan = await _plan(
            config,
            contents,
            partitions,
            in_partitions(episodes, partitions, [snapshot.partition]),
            everything=options.all,
            evaluate=evaluate,
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
            f"{state.name}/{plan.contents.snapshot.partition}: rebuilt; its position is still"
            f" {plan.contents.snapshot.position}"
        )


async def _plan(
    config: Config,
    contents: StoredPartition,
    partitions: int,
    episodes: OpenEpisodes,
    *,
    everything: bool,
    evaluate: Evaluate,
) -> RebuildPlan:
    snapshot = contents.snapshot
    ours = Watch(config).partition_state.digest
    if HEADER in contents.broken or POSITION in contents.broken or snapshot.position is None:
        raise Refused(
            f"partition {snapshot.partition}: its header or position cannot be read, so it is not known what"
            " was counted; state reset deletes it"
        )
    if not snapshot.begin <= snapshot.position <= snapshot.end:
        raise Refused(
            f"partition {snapshot.partition} has position {snapshot.position}, outside the log"
            f" [{snapshot.begin}, {snapshot.end}); a worker counts what is lost, or: state reset"
        )
    if contents.clock is not None and contents.clock[0] != ours:
        raise Refused(
            f"partition {snapshot.partition} was counted with {contents.clock[0]}, the configuration says"
            f" {ours}; set it back"
        )
    began = contents.header.get("began")
    first = max(snapshot.begin, began) if isinstance(began, int) else snapshot.begin
    whole = first in (began, 0)
    until_us = (
        contents.clock[1]
        if contents.clock is not None
        else _closed_us(contents.partition_state, config.time.pane_us)
    )
    watch = Watch(config, snapshot.partition, partitions)
    replayed = await replay(
        config.kafka,
        TP(f"{config.kafka.prefix}.events", snapshot.partition),
        watch,
        first,
        snapshot.position,
        until_us,
        whole=whole,
        evaluate=evaluate,
    )
    return _compared(contents, replayed, episodes, everything=everything)


def _compared(
    contents: StoredPartition, replayed: ReplayResult, episodes: OpenEpisodes, *, everything: bool
) -> RebuildPlan:
    """Compare state and replay; return which records change."""
    counted = {
        key: value for key, value in replayed.records.items() if not key.startswith(b'["episode"')
    } | _episodes(episodes)
    changes: dict[bytes, bytes | None] = {}
    restored: list[bytes] = []
    partly: list[bytes] = []
    lost: list[bytes] = []
    for key in contents.broken:
        value = changes[key] = counted.get(key)
        (lost if value is None else restored if replayed.covers(_start_us(key)) else partly).append(key)
    if everything:
        for key in {*contents.snapshot.records, *counted}:
            start_us = _start_us(key)
            if (
                start_us != _NO_PANE
                and replayed.covers(start_us)
                and contents.snapshot.records.get(key) != counted.get(key)
            ):
                changes[key] = counted.get(key)
    return RebuildPlan(contents, replayed, changes, restored, partly, lost)


def _episodes(episodes: OpenEpisodes) -> dict[bytes, bytes]:
    """Return the state records of open episodes, made from their last records on the alerts topic.

    A replay might give an episode another id, and then nothing would resolve the old one.
    """
    partition_state = PartitionState(0, "")
    for record in episodes.values():
        feature_key, episode = as_on_topic(record)
        partition_state.episodes[feature_key] = episode
        partition_state.mark_episode(feature_key)
    return {key: value for key, value in partition_state.changed() if key != CLOCK and value is not None}


async def _carry_out(
    config: Config, state: StateTopic, plan: RebuildPlan, partitions: int, cluster: str
) -> None:
    """Write a plan in one transaction, if the state is unchanged and a worker can read the result."""
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
            f"{state.name}/{snapshot.partition}: even rebuilt, a worker could not read it: {error}; state"
            " reset deletes it"
        ) from error
    rewriter = rewriter_for(state, snapshot.partition, cluster)
    try:
        records = await rewriter.fence_and_read()
        if records != snapshot.records:
            raise Refused(f"{state.name}/{snapshot.partition} has changed meanwhile; run it again")
        rewriter.check(records.get(HEADER), partitions)
        episodes = in_partitions(await open_episodes(config.kafka), partitions, [snapshot.partition])
        going_on = {episode.episode_id for episode in watch.partition_state.episodes.values()}
        endings: list[Message] = list(
            ended_episodes(
                PartitionState(0, ""), episodes, REBUILT, wall_clock_us(), config.kafka.prefix, going_on
            )
        )
        changes: list[StateRecord] = [*plan.changes.items(), (HEADER, rewriter.header(partitions))]
        await rewriter.rewrite(changes, endings)
    finally:
        await rewriter.close()


def _lines(state: StateTopic, plan: RebuildPlan) -> list[str]:
    snapshot, replayed, contents = plan.contents.snapshot, plan.replayed, plan.contents
    out = [
        f"{state.name}/{snapshot.partition}: {len(contents.broken)} records of {len(snapshot.records)} cannot"
        " be read"
    ]
    out += [f"  UNREADABLE  {name}: {why}" for name, why in list(contents.unreadable.items())[:SHOWN]]
    reach = (
        "all that was ever counted here"
        if replayed.since_us is None
        else f"entirely what begins at {rfc3339(replayed.since_us)} or later"
    )
    out.append(
        f"  replayed    [{replayed.first}, {snapshot.position}) of {state.source}/{snapshot.partition},"
        f" {replayed.events} records: it covers {reach}"
    )
    out.append(
        f"  rebuilt {len(plan.restored)}, rebuilt as far as the log reaches {len(plan.partly)}, lost"
        f" {len(plan.lost)}"
    )
    out += [f"  partly: {printable_key(key)}" for key in plan.partly[:SHOWN]] + [
        f"  lost: {printable_key(key)}" for key in plan.lost[:SHOWN]
    ]
    others = len(plan.changes) - len(contents.broken)
    if others:
        out.append(
            f"  and {others} readable panes are counted again, with the evaluators of this configuration"
        )
    return out


def _start_us(key: bytes) -> int:
    """Return where a pane begins, microseconds since 1970; for another record the beginning of time, because
    it may depend on anything since.
    """
    try:
        plain = json.loads(key)
    except (ValueError, RecursionError):
        plain = None
    is_pane = (
        isinstance(plain, list)
        and len(plain) == 7
        and plain[0] == "pane"
        and plain[5] in (FINE, HOUR, DAY, LATE)
    )
    return plain[6] if is_pane and isinstance(plain[6], int) else _NO_PANE


def _closed_us(partition_state: PartitionState, pane_us: int) -> int:
    """Return the watermark of a partition whose clock cannot be read: the end of its newest written pane or
    evaluated incident.
    """
    panes = [
        start_us + pane_us
        for feature in partition_state.features.values()
        for segment in feature.segments.values()
        for start_us, pane in segment.panes.items()
        if pane.revision and not pane.stale
    ]
    edges = [
        incident.edge_us
        for incidents in partition_state.incidents.values()
        for incident in incidents.values()
    ]
    return max([*panes, *edges], default=0)
