"""``python -m agents state inspect | drop | reset``: look at what workers keep in Kafka, and mend or forget it."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from aiokafka.errors import KafkaError
from faust.types import TP

from agents import exits, topics
from agents.journal import StateRecord
from agents.state_contents import CLOCK, contents, named, printable, records, shown
from agents.state_report import forgotten, lines
from agents.state_topic import AGENTS, Refused, Rewriter, Snapshot, StateTopic
from schemas.config import Kafka
from schemas.load import InvalidConfig, load

REFUSED = 1
PATIENCE_S = 10.0  # for a broker to answer at all

_WHAT = """\
inspect shows what is kept, drop deletes one record (one that cannot be read, say), reset forgets all of a partition or of an agent.
drop and reset refuse while a worker owns the partition; one that has stopped counts as alive for kafka.session_timeout (6 s).
After reset --to earliest everything that Kafka still has of the source is measured again.

Exit codes: 0 done, 1 refused or not found, 2 wrong arguments, 78 configuration, or no broker.
"""


async def inspect(kafka: Kafka, options: argparse.Namespace) -> None:
    """Print what the state says. Changes nothing, and no worker notices."""
    state = StateTopic(kafka, options.agent)
    found = [contents(snapshot) for snapshot in await state.read(await state.partitions(options.partition))]
    if options.format == "ndjson":
        for one in found:
            for record in records(one, options.match):
                print(json.dumps(record, default=str))
        return
    for line in lines(found, state.name, state.source, options.match):
        print(printable(line))


async def drop(kafka: Kafka, options: argparse.Namespace) -> None:
    """Delete one record.

    Raises:
        Refused: it is not there, is the store's own, or a worker owns the partition.
    """
    if options.key.startswith(("\x00", "\\x00", "\\u0000")):
        raise Refused(f"{options.key!r} is a record of the store's own, without which the rest means nothing; to forget everything: state reset")
    state = StateTopic(kafka, options.agent)
    (number,) = await state.partitions(options.partition)
    await state.require_unowned([number])
    (snapshot,) = await state.read([number])
    key = _one(snapshot, options.key, state.name)
    print(f"{state.name}/{number}: {shown(key)}, {len(snapshot.records[key])} bytes, will be deleted; what it counted is forgotten")
    if key == CLOCK:
        print("it is the watermark: panes that were closed may be closed once more, and the check of the pane length is gone")
    _confirm(kafka, options)
    await state.require_unowned([number])
    rewriter = _rewriter(state, number, "")  # the cluster stands in headers only, and none is written
    try:
        if key not in await rewriter.take():
            raise Refused(f"{state.name}/{number}: {shown(key)} is gone meanwhile")
        await rewriter.rewrite([(key, None)])
    finally:
        await rewriter.close()
    print("dropped")


async def reset(kafka: Kafka, options: argparse.Namespace) -> None:
    """Forget everything of a partition, or of all.

    Raises:
        Refused: a worker owns one of them, or ``--to`` lies outside the source's log.
    """
    state = StateTopic(kafka, options.agent)
    numbers = await state.partitions(options.partition)
    await state.require_unowned(numbers)
    snapshots = await state.read(numbers)
    for snapshot in snapshots:
        if isinstance(options.to, int) and not snapshot.begin <= options.to <= snapshot.end:
            raise Refused(f"--to {options.to} lies outside {state.source}/{snapshot.partition}, which holds [{snapshot.begin}, {snapshot.end})")
    print(f"to be forgotten of {state.name}/{'all partitions' if options.partition is None else options.partition}:")
    for line in forgotten([contents(snapshot) for snapshot in snapshots], kafka.prefix):
        print(f"  {printable(line)}")
    if options.agent == "watch":
        print("  The notifier keeps what it was told (state inspect --agent notify) and repeats an episode that never ends every 6 h:\n"
              "  if there are any, reset it too: state reset --agent notify --to latest")
    elif options.to != "latest":
        print("  Without --to latest the notifier may read old alerts again; episodes without an end among them would be paged")
    _confirm(kafka, options)
    await state.require_unowned(numbers)
    cluster = await state.cluster()
    for snapshot in snapshots:
        print(f"{state.name}/{snapshot.partition}: {await _forget(state, snapshot, options.to, cluster)}")


async def _forget(state: StateTopic, snapshot: Snapshot, to: str | int | None, cluster: str) -> str:
    """One partition, in one transaction; what was done."""
    rewriter = _rewriter(state, snapshot.partition, cluster)
    try:
        rows: dict[bytes, bytes | None] = dict.fromkeys(await rewriter.take())
        count = len(rows)
        begins = f"a worker begins as on a fresh partition (kafka.start: {state.kafka.start})"
        if to is not None:
            position = to if isinstance(to, int) else {"earliest": snapshot.begin, "latest": snapshot.end}[to]
            rows |= dict(await rewriter.beginning(position))
            begins = f"a worker begins at {position}"
        changes: list[StateRecord] = list(rows.items())
        if changes:
            await rewriter.rewrite(changes)
        return f"forgot {count} records; {begins}"
    finally:
        await rewriter.close()


def _rewriter(state: StateTopic, number: int, cluster: str) -> Rewriter:
    return Rewriter(state.kafka, state.agent, TP(state.source, number), cluster)


def _one(snapshot: Snapshot, text: str, topic: str) -> bytes:
    found = named(snapshot.records, text)
    if not found:
        raise Refused(f"{topic}/{snapshot.partition} has no record {text}; `state inspect --format ndjson` prints the keys")
    if len(found) > 1:
        raise Refused(f"{topic}/{snapshot.partition}: {text} may mean {len(found)} records; give the key as `state inspect` prints it")
    return found[0]


def _confirm(kafka: Kafka, options: argparse.Namespace) -> None:
    if options.yes:
        return
    try:
        answer = input(f"Type the prefix, {kafka.prefix}, to go on: ")
    except EOFError:
        answer = ""
    if answer.strip() != kafka.prefix:
        raise Refused("not confirmed, nothing was changed; without a terminal: --yes")


def _place(text: str) -> str | int:
    if text in ("earliest", "latest"):
        return text
    if text.isascii() and text.isdigit():
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is neither earliest, latest nor an offset")


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not the number of a partition")
    return int(text)


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m agents state", description="What workers keep in Kafka: look at it, mend it, forget it.",
                                     epilog=_WHAT, formatter_class=argparse.RawDescriptionHelpFormatter)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--config", type=Path, metavar="FILE", help="softfail.yaml; else defaults and the environment")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    one = actions.add_parser("inspect", parents=[common], help="show what is kept; changes nothing, beside running workers too")
    one.add_argument("--agent", choices=AGENTS, default="watch")
    one.add_argument("--partition", type=_number, metavar="N", help="only this one")
    one.add_argument("--match", default="*", metavar="SERVICE/FEATURE", help="only these features; with * and ?")
    one.add_argument("--format", choices=("table", "ndjson"), default="table", help="ndjson: one object a record, its key decoded")
    one.set_defaults(action=inspect)
    one = actions.add_parser("drop", parents=[common], help="delete one record")
    one.add_argument("--agent", choices=AGENTS, required=True)
    one.add_argument("--partition", type=_number, metavar="N", required=True)
    one.add_argument("--key", required=True, help="as inspect prints it")
    one.add_argument("--yes", action="store_true", help="do not ask")
    one.set_defaults(action=drop)
    one = actions.add_parser("reset", parents=[common], help="forget everything of an agent, or of one partition")
    one.add_argument("--agent", choices=AGENTS, required=True)
    one.add_argument("--partition", type=_number, metavar="N", help="only this one")
    one.add_argument("--to", type=_place, metavar="earliest|latest|OFFSET", help="where a worker begins; else as on a fresh partition (kafka.start)")
    one.add_argument("--yes", action="store_true", help="do not ask")
    one.set_defaults(action=reset)
    options = parser.parse_args(argv)
    if options.action is reset and isinstance(options.to, int) and options.partition is None:
        parser.error("reset --to OFFSET needs --partition: offsets differ between partitions")
    return options


async def _run(kafka: Kafka, options: argparse.Namespace) -> None:
    await topics.await_broker(kafka, PATIENCE_S)
    await options.action(kafka, options)


def main(argv: Sequence[str] | None = None) -> int:
    """Do one of them; 0 done, 1 refused or not found, 78 configuration or no broker."""
    options = _options(argv)
    for name in ("aiokafka", "asyncio", "softfail"):  # what matters of it is told below, once, and not by the handler of last resort
        logging.getLogger(name).addHandler(logging.NullHandler())
    try:
        kafka = load(options.config, with_secrets=False).kafka
        if kafka.embedded:
            raise exits.Misconfigured("kafka.embedded: the embedded broker keeps nothing; its state ends with the demo")
        asyncio.run(_run(kafka, options))
    except (InvalidConfig, exits.Misconfigured) as error:
        print(error, file=sys.stderr)
        return exits.CONFIGURATION
    except Refused as error:
        print(f"refused: {error}", file=sys.stderr)
        return REFUSED
    except (KafkaError, OSError, TimeoutError) as error:
        print(f"Kafka does not do it, so it is not certain what was done; look with `state inspect`: {error!r}", file=sys.stderr)
        return exits.CONFIGURATION
    except KeyboardInterrupt:
        return REFUSED
    return exits.OK
