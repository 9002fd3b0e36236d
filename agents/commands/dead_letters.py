"""``python -m agents deadletters``: list records that could not be read, by reason; write them to the events
topic again, each once, when they can be read now.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from aiokafka import TopicPartition
from kafka.errors import KafkaError, ProducerFencedError

from agents.commands.command_line import INTERRUPTED, add_config, connected, duration, exit_code
from agents.dead_letters.grouping import ERROR, group_letters, safe
from agents.dead_letters.records import LetterFilter, read_letters, read_marks
from agents.dead_letters.reinjection import ReinjectionPlan, inject, judge, plan
from agents.kafka.topic_reader import BlockingTopicReader
from agents.process import exits
from agents.runtime.clock import wall_clock_us
from schemas.config.connections import Kafka
from softfail.sanitize import sanitize

UNCONFIRMED = 2


def _list(kafka: Kafka, selects: LetterFilter, limit: int, form: str) -> int:
    topic = f"{kafka.prefix}.deadletter"
    with BlockingTopicReader(kafka) as reader:
        _require(reader, topic)
        reinjected = read_marks(reader, topic, selects.since_ms)
        groups, unreadable = group_letters(read_letters(reader, topic, selects.since_ms), selects, reinjected)
    if form == "ndjson":
        for group in groups[:limit]:
            print(json.dumps(group.as_row()))
        return exits.OK
    if not groups:
        print(f"no dead letters in {topic}" + (" that match" if selects != LetterFilter() else ""))
    for group in groups[:limit]:
        row, example = group.as_row(), group.example
        again = f", {group.reinjected} re-injected" if group.reinjected else ""
        print(f"{group.count:>8}  {row['error']}{again}")
        print(
            f"          field {row['field'] or '-'}; {row['oldest']} to {row['newest']}; e.g."
            f" {example.topic}/{example.partition}/{example.offset}"
            if example
            else ""
        )
        print(f"          {row['excerpt'] if row['excerpt'] is not None else '(no value)'}")
    if groups:
        hidden = f", the {limit} largest are shown (--limit)" if len(groups) > limit else ""
        print(f"{sum(group.count for group in groups)} dead letters, {len(groups)} reasons{hidden}")
    if unreadable:
        print(f"{unreadable} records of {topic} are no dead letters of this release")
    return exits.OK


def _require(reader: BlockingTopicReader, *topics: str) -> None:
    for topic in topics:
        if not reader.partitions(topic):
            raise exits.Misconfigured(
                f"topic {topic} does not exist; check kafka.prefix, or run: python -m agents topics"
            )


def _plan(kafka: Kafka, selects: LetterFilter, limit: int) -> ReinjectionPlan:
    topic, events = f"{kafka.prefix}.deadletter", f"{kafka.prefix}.events"
    with BlockingTopicReader(kafka) as reader, BlockingTopicReader(kafka) as source:
        _require(reader, topic, events)

        def record_at(topic: str, partition: int, offset: int) -> Any | None:
            return source.record_at(TopicPartition(topic, partition), offset)

        partitions, now_us = len(source.partitions(events)), wall_clock_us()
        reinjected = read_marks(reader, topic)  # of all times: a record can have two letters
        selected = (
            letter
            for letter in read_letters(reader, topic, selects.since_ms)
            if letter is not None and selects(letter)
        )
        return plan(
            selected, reinjected, lambda letter: judge(letter, record_at, events, partitions, now_us), limit
        )


def _reinject(kafka: Kafka, selects: LetterFilter, limit: int, form: str, yes: bool) -> int:
    pending = _plan(kafka, selects, limit)
    if not pending.ready:
        _print_plan(pending, "re-injected", form)
        return exits.OK
    if not yes:
        _print_plan(pending, "ready", form)
        if not sys.stdin.isatty():
            print(
                "nothing was re-injected: standard input is no terminal to confirm on; use --yes",
                file=sys.stderr,
            )
            return UNCONFIRMED
        if input(
            f"write {len(pending.ready)} events to {kafka.prefix}.events again? [y/N] "
        ).strip().lower() not in ("y", "yes"):
            print("nothing was re-injected")
            return UNCONFIRMED
    written = 0

    def progress(count: int) -> None:
        nonlocal written
        written = count
        if sys.stderr.isatty():
            print(f"{count} of {len(pending.ready)} written", file=sys.stderr)

    try:
        result = inject(kafka, pending.ready, progress)
    except KafkaError as error:
        why = (
            "another run began to re-inject"
            if isinstance(error, ProducerFencedError)
            else f"Kafka refused: {_why(error)}"
        )
        raise exits.Misconfigured(
            f"{written} of {len(pending.ready)} were re-injected and are marked, then {why}. "
            "Run it again: what was written is not written twice"
        ) from None
    result.skipped += pending.skipped
    result.more = pending.more
    _print_plan(result, "re-injected", form)
    return exits.OK


def _print_plan(plan: ReinjectionPlan, word: str, form: str) -> None:
    """Print a plan or its result as a table: events by origin, skipped letters by reason."""
    rows = [(word, how, count) for how, count in Counter(event.how for event in plan.ready).most_common()]
    rows += [("skipped", reason, count) for reason, count in plan.skipped.most_common()]
    for outcome, reason, count in rows:
        if form == "ndjson":
            print(json.dumps({"outcome": outcome, "reason": safe(reason, ERROR), "count": count}))
        else:
            print(f"{count:>8}  {outcome:<12}  {safe(reason, ERROR)}")
    if form == "table":
        print(
            f"{len(plan.ready)} {word}, {plan.skipped.total()} skipped"
            if rows
            else "no dead letters that match"
        )
        if plan.more:
            print("there are more: run it again, or raise --limit")


def _why(error: BaseException) -> str:
    return sanitize(f"{type(error).__name__}: {error}")


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 1000000")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m agents deadletters",
        description=(
            "List dead letters (records that could not be read) by reason. Or write those that can be read now"
            " to the events topic again."
        ),
    )
    add_config(parser)
    parser.add_argument(
        "--reason",
        metavar="TEXT",
        help="only dead letters whose error contains this text; upper and lower case are the same",
    )
    parser.add_argument(
        "--field",
        metavar="NAME",
        help="only dead letters with an error in this field; '' for those without a field",
    )
    parser.add_argument(
        "--since", type=duration, metavar="2h", help="only dead letters that were written within this time"
    )
    parser.add_argument(
        "--limit",
        type=_count,
        metavar="N",
        help="number of reasons to list (default 20), or of dead letters to re-inject (default 1000)",
    )
    parser.add_argument("--format", choices=["table", "ndjson"], default="table", help="default: table")
    parser.add_argument(
        "--reinject",
        action="store_true",
        help="write dead letters that can be read now to the events topic again, each once",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask before re-injecting")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """List or re-inject; return 0 when it was done, 2 when it was not confirmed, 78 when the configuration or
    Kafka does not allow it.
    """
    parser = _parser()
    options = parser.parse_args(argv)
    if options.yes and not options.reinject:
        parser.error("--yes belongs to --reinject")
    since_ms = None if options.since is None else int((time.time() - options.since) * 1000)
    selects = LetterFilter(options.reason, options.field, since_ms)

    def command() -> int:
        kafka = connected(options.config).kafka
        if options.reinject:
            return _reinject(kafka, selects, options.limit or 1000, options.format, options.yes)
        return _list(kafka, selects, options.limit or 20, options.format)

    return exit_code(
        command,
        refused=exits.CONFIGURATION,
        invalid=(ValueError,),
        interrupted=(INTERRUPTED, "stopped; run it again: what was written is not written twice"),
    )
