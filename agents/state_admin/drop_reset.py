"""``state drop`` and ``state reset``: delete a record, or all records of a partition, and resolve the
episodes that were open there.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from agents.kafka.state_topic import StateRecord, StateSnapshot, StateTopic
from agents.process.exits import Refused
from agents.runtime.clock import wall_clock_us
from agents.state_admin.contents import CLOCK, decode_contents, keys_matching, printable_key
from agents.state_admin.open_episodes import episode_line, in_partitions, open_episodes
from agents.state_admin.report import confirm, reset_summary
from agents.state_admin.rewriter import rewriter_for
from monitor.alerts.forced_resolution import ended_episodes, ended_incidents
from monitor.protocol.messages import Message
from schemas.config.monitor_config import Config
from softfail.sanitize import sanitize

RESET, DROPPED = "state_reset", "state_dropped"  # why incidents and episodes ended


async def drop(config: Config, options: argparse.Namespace) -> None:
    """Delete one record.

    Raises:
        Refused: it is not there, is the store's own, or a worker owns the partition.
    """
    if options.key.startswith(("\x00", "\\x00", "\\u0000")):
        raise Refused(
            f"{options.key!r} is a record of the store's own, without which the others cannot be read; to"
            " delete all of them: state reset"
        )
    kafka = config.kafka
    state = StateTopic(kafka, options.agent)
    (number,) = await state.partitions(options.partition)
    await state.require_unowned([number])
    (snapshot,) = await state.read([number])
    key = _key_of(snapshot, options.key, state.name)
    print(
        f"{state.name}/{number}: {printable_key(key)}, {len(snapshot.records[key])} bytes, will be deleted;"
        " what it counted is lost"
    )
    if key == CLOCK:
        print(
            "it is the watermark: panes that were closed may close once more, and the pane length is no"
            " longer checked"
        )
    if key.startswith((b'["episode"', b'["incident"')):
        print("its incident or episode is resolved (state_dropped); what still fires opens another episode")
    confirm(kafka.prefix, yes=options.yes)
    await state.require_unowned([number])
    rewriter = rewriter_for(state, number, "")  # the cluster stands in headers only, and none is written
    try:
        if key not in (records := await rewriter.fence_and_read()):
            raise Refused(f"{state.name}/{number}: {printable_key(key)} was deleted meanwhile")
        await rewriter.rewrite([(key, None)], await _endings_of(state, number, key, records))
    finally:
        await rewriter.close()
    print("dropped")


async def reset(config: Config, options: argparse.Namespace) -> None:
    """Delete all records of a partition, or of all partitions.

    Raises:
        Refused: a worker owns one of them, or ``--to`` lies outside the source's log.
    """
    kafka = config.kafka
    state = StateTopic(kafka, options.agent)
    numbers = await state.partitions(options.partition)
    await state.require_unowned(numbers)
    snapshots = await state.read(numbers)
    for snapshot in snapshots:
        if isinstance(options.to, int) and not snapshot.begin <= options.to <= snapshot.end:
            raise Refused(
                f"--to {options.to} lies outside {state.source}/{snapshot.partition}, which holds"
                f" [{snapshot.begin}, {snapshot.end})"
            )
    partitions, episodes = await state.count(), await open_episodes(kafka) if options.agent == "watch" else {}
    ending = [episode_line(episode) for episode in in_partitions(episodes, partitions, numbers).values()]
    print(
        "to be deleted from"
        f" {state.name}/{'all partitions' if options.partition is None else options.partition}:"
    )
    for line in reset_summary([decode_contents(snapshot) for snapshot in snapshots], ending):
        print(f"  {sanitize(line)}")
    if options.agent == "notify" and options.to != "latest":
        print(
            "  Without --to latest the notifier may read old alerts again; episodes among them that were"
            " never resolved would be paged"
        )
    confirm(kafka.prefix, yes=options.yes)
    await state.require_unowned(numbers)
    cluster = await state.cluster()
    for snapshot in snapshots:
        print(
            f"{state.name}/{snapshot.partition}:"
            f" {await _reset_partition(state, snapshot, options.to, cluster)}"
        )


async def _reset_partition(
    state: StateTopic, snapshot: StateSnapshot, to: str | int | None, cluster: str
) -> str:
    """Reset one partition in one transaction; return what was done."""
    rewriter = rewriter_for(state, snapshot.partition, cluster)
    try:
        records = await rewriter.fence_and_read()
        rows: dict[bytes, bytes | None] = dict.fromkeys(records)
        count = len(rows)
        begins = f"a worker begins as on a new partition (kafka.start: {state.kafka.start})"
        if to is not None:
            position = to if isinstance(to, int) else {"earliest": snapshot.begin, "latest": snapshot.end}[to]
            rows |= dict(await rewriter.start_at(position))
            begins = f"a worker begins at {position}"
        changes: list[StateRecord] = list(rows.items())
        endings = await _endings(state, snapshot.partition, records)
        if changes or endings:
            await rewriter.rewrite(changes, endings)
        return f"deleted {count} records; {begins}"
    finally:
        await rewriter.close()


async def _endings(state: StateTopic, number: int, records: dict[bytes, bytes]) -> list[Message]:
    """Return the messages that resolve what is open in a partition.

    To be called once every owner is fenced: then no worker writes more about it.
    """
    if state.agent != "watch":
        return []
    now_us, partition_state = (
        wall_clock_us(),
        decode_contents(StateSnapshot(number, records, 0, 0)).partition_state,
    )
    episodes = in_partitions(await open_episodes(state.kafka), await state.count(), [number])
    return [
        *ended_incidents(partition_state, RESET, now_us),
        *ended_episodes(partition_state, episodes, RESET, now_us, state.kafka.prefix),
    ]


async def _endings_of(
    state: StateTopic, number: int, key: bytes, records: dict[bytes, bytes]
) -> list[Message]:
    """Return the messages that resolve the incident or episode of a dropped record."""
    plain, now_us = _json(key), wall_clock_us()
    if state.agent != "watch" or not isinstance(plain, list) or plain[0] not in ("incident", "episode"):
        return []
    partition_state = decode_contents(StateSnapshot(number, {key: records[key]}, 0, 0)).partition_state
    if plain[0] == "incident":
        return list(ended_incidents(partition_state, DROPPED, now_us))
    feature = plain[1:4]
    episodes = {
        episode_id: episode
        for episode_id, episode in (await open_episodes(state.kafka)).items()
        if [episode["service"], episode["feature"], episode["environment"]] == feature
    }
    return list(ended_episodes(partition_state, episodes, DROPPED, now_us, state.kafka.prefix))


def _json(key: bytes) -> Any:
    try:
        return json.loads(key)
    except ValueError:
        return None


def _key_of(snapshot: StateSnapshot, text: str, topic: str) -> bytes:
    keys = keys_matching(snapshot.records, text)
    if not keys:
        raise Refused(
            f"{topic}/{snapshot.partition} has no record {text}; `state inspect --format ndjson` prints the"
            " keys"
        )
    if len(keys) > 1:
        raise Refused(
            f"{topic}/{snapshot.partition}: {text} may mean {len(keys)} records; give the key as `state"
            " inspect` prints it"
        )
    return keys[0]
