"""``state drop`` and ``state reset``: forget a record, or all of a partition; and tell that what was open
there is over.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from agents.kafka.state_topic import Snapshot, StateRecord, StateTopic
from agents.process.exits import Refused
from agents.runtime.clock import wall_clock_us
from agents.state_admin.contents import CLOCK, contents, named, shown
from agents.state_admin.open_episodes import in_words, of_partitions, open_episodes
from agents.state_admin.report import confirm, forgotten
from agents.state_admin.rewriter import rewriter_of
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
            f"{options.key!r} is a record of the store's own, without which the rest means nothing; to forget"
            " everything: state reset"
        )
    kafka = config.kafka
    state = StateTopic(kafka, options.agent)
    (number,) = await state.partitions(options.partition)
    await state.require_unowned([number])
    (snapshot,) = await state.read([number])
    key = _one(snapshot, options.key, state.name)
    print(
        f"{state.name}/{number}: {shown(key)}, {len(snapshot.records[key])} bytes, will be deleted; what it"
        " counted is forgotten"
    )
    if key == CLOCK:
        print(
            "it is the watermark: panes that were closed may be closed once more, and the check of the pane"
            " length is gone"
        )
    if key.startswith((b'["episode"', b'["incident"')):
        print(
            "what was told of it is told to be over (state_dropped); what still fires is told anew, as"
            " another episode"
        )
    confirm(kafka.prefix, yes=options.yes)
    await state.require_unowned([number])
    rewriter = rewriter_of(state, number, "")  # the cluster stands in headers only, and none is written
    try:
        if key not in (taken := await rewriter.take()):
            raise Refused(f"{state.name}/{number}: {shown(key)} is gone meanwhile")
        await rewriter.rewrite([(key, None)], await _endings_of(state, number, key, taken))
    finally:
        await rewriter.close()
    print("dropped")


async def reset(config: Config, options: argparse.Namespace) -> None:
    """Forget everything of a partition, or of all.

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
    partitions, told = await state.count(), await open_episodes(kafka) if options.agent == "watch" else {}
    ending = [in_words(one) for one in of_partitions(told, partitions, numbers).values()]
    print(
        "to be forgotten of"
        f" {state.name}/{'all partitions' if options.partition is None else options.partition}:"
    )
    for line in forgotten([contents(snapshot) for snapshot in snapshots], ending):
        print(f"  {sanitize(line)}")
    if options.agent == "notify" and options.to != "latest":
        print(
            "  Without --to latest the notifier may read old alerts again; episodes without an end among them"
            " would be paged"
        )
    confirm(kafka.prefix, yes=options.yes)
    await state.require_unowned(numbers)
    cluster = await state.cluster()
    for snapshot in snapshots:
        print(f"{state.name}/{snapshot.partition}: {await _forget(state, snapshot, options.to, cluster)}")


async def _forget(state: StateTopic, snapshot: Snapshot, to: str | int | None, cluster: str) -> str:
    """One partition, in one transaction; what was done."""
    rewriter = rewriter_of(state, snapshot.partition, cluster)
    try:
        taken = await rewriter.take()
        rows: dict[bytes, bytes | None] = dict.fromkeys(taken)
        count = len(rows)
        begins = f"a worker begins as on a fresh partition (kafka.start: {state.kafka.start})"
        if to is not None:
            position = to if isinstance(to, int) else {"earliest": snapshot.begin, "latest": snapshot.end}[to]
            rows |= dict(await rewriter.beginning(position))
            begins = f"a worker begins at {position}"
        changes: list[StateRecord] = list(rows.items())
        endings = await _endings(state, snapshot.partition, taken)
        if changes or endings:
            await rewriter.rewrite(changes, endings)
        return f"forgot {count} records; {begins}"
    finally:
        await rewriter.close()


async def _endings(state: StateTopic, number: int, taken: dict[bytes, bytes]) -> list[Message]:
    """What the alerts topic is told when a partition is forgotten. Only once every owner is fenced: then
    nothing more is told of it.
    """
    if state.agent != "watch":
        return []
    now_us, book = wall_clock_us(), contents(Snapshot(number, taken, 0, 0)).book
    told = of_partitions(await open_episodes(state.kafka), await state.count(), [number])
    return [
        *ended_incidents(book, RESET, now_us),
        *ended_episodes(book, told, RESET, now_us, state.kafka.prefix),
    ]


async def _endings_of(state: StateTopic, number: int, key: bytes, taken: dict[bytes, bytes]) -> list[Message]:
    """The same for the one record that is dropped."""
    plain, now_us = _json(key), wall_clock_us()
    if state.agent != "watch" or not isinstance(plain, list) or plain[0] not in ("incident", "episode"):
        return []
    book = contents(Snapshot(number, {key: taken[key]}, 0, 0)).book
    if plain[0] == "incident":
        return list(ended_incidents(book, DROPPED, now_us))
    at = plain[1:4]
    told = {
        name: one
        for name, one in (await open_episodes(state.kafka)).items()
        if [one["service"], one["feature"], one["environment"]] == at
    }
    return list(ended_episodes(book, told, DROPPED, now_us, state.kafka.prefix))


def _json(key: bytes) -> Any:
    try:
        return json.loads(key)
    except ValueError:
        return None


def _one(snapshot: Snapshot, text: str, topic: str) -> bytes:
    found = named(snapshot.records, text)
    if not found:
        raise Refused(
            f"{topic}/{snapshot.partition} has no record {text}; `state inspect --format ndjson` prints the"
            " keys"
        )
    if len(found) > 1:
        raise Refused(
            f"{topic}/{snapshot.partition}: {text} may mean {len(found)} records; give the key as `state"
            " inspect` prints it"
        )
    return found[0]
