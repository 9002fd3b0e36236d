"""``python -m agents deadletters``: what could not be read, by reason; and write it to the events again,
once, when it can be.
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
from agents.dead_letters.grouping import ERROR, grouped, safe
from agents.dead_letters.records import LetterFilter, letters, marks
from agents.dead_letters.reinjection import ReinjectionPlan, inject, judge, plan
from agents.kafka.topic_reader import BlockingTopicReader
from agents.process import exits
from agents.runtime.clock import wall_clock_us
from schemas.config.monitor_config import Kafka
from softfail.sanitize import sanitize

UNCONFIRMED = 2


def _list(kafka: Kafka, wanted: LetterFilter, limit: int, form: str) -> int:
    topic = f"{kafka.prefix}.deadletter"
    with BlockingTopicReader(kafka) as reader:
        _require(reader, topic)
        done = marks(reader, topic, wanted.since_ms)
        groups, unreadable = grouped(letters(reader, topic, wanted.since_ms), wanted, done)
    if form == "ndjson":
        for group in groups[:limit]:
            print(json.dumps(group.shown()))
        return exits.OK
    if not groups:
        print(f"no dead letters in {topic}" + (" that match" if wanted != LetterFilter() else ""))
    for group in groups[:limit]:
        one, at = group.shown(), group.example
        again = f", {group.reinjected} re-injected" if group.reinjected else ""
        print(f"{group.count:>8}  {one['error']}{again}")
        print(
            f"          field {one['field'] or '-'}; {one['oldest']} to {one['newest']}; e.g."
            f" {at.topic}/{at.partition}/{at.offset}"
            if at
            else ""
        )
        print(f"          {one['excerpt'] if one['excerpt'] is not None else '(no value)'}")
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


def _planned(kafka: Kafka, wanted: LetterFilter, limit: int) -> ReinjectionPlan:
    topic, events = f"{kafka.prefix}.deadletter", f"{kafka.prefix}.events"
    with BlockingTopicReader(kafka) as reader, BlockingTopicReader(kafka) as source:
        _require(reader, topic, events)

        def record_at(topic: str, partition: int, offset: int) -> Any | None:
            return source.record_at(TopicPartition(topic, partition), offset)

        partitions, now_us = len(source.partitions(events)), wall_clock_us()
        done = marks(reader, topic)  # all of them: a record can have two letters
        found = (one for one in letters(reader, topic, wanted.since_ms) if one is not None and wanted(one))
        return plan(found, done, lambda one: judge(one, record_at, events, partitions, now_us), limit)


def _reinject(kafka: Kafka, wanted: LetterFilter, limit: int, form: str, yes: bool) -> int:
    planned = _planned(kafka, wanted, limit)
    if not planned.ready:
        _tell(planned, "re-injected", form)
        return exits.OK
    if not yes:
        _tell(planned, "ready", form)
        if not sys.stdin.isatty():
            print("nothing was re-injected: there is nobody to ask; give --yes", file=sys.stderr)
            return UNCONFIRMED
        if input(
            f"write {len(planned.ready)} events to {kafka.prefix}.events again? [y/N] "
        ).strip().lower() not in ("y", "yes"):
            print("nothing was re-injected")
            return UNCONFIRMED
    written = 0

    def progress(count: int) -> None:
        nonlocal written
        written = count
        if sys.stderr.isatty():
            print(f"{count} of {len(planned.ready)} written", file=sys.stderr)

    try:
        result = inject(kafka, planned.ready, progress)
    except KafkaError as error:
        why = (
            "somebody else began to re-inject"
            if isinstance(error, ProducerFencedError)
            else f"Kafka refused: {_why(error)}"
        )
        raise exits.Misconfigured(
            f"{written} of {len(planned.ready)} were re-injected and are marked, then {why}. "
            "Run it again: what was written is not written twice"
        ) from None
    result.skipped += planned.skipped
    result.more = planned.more
    _tell(result, "re-injected", form)
    return exits.OK


def _tell(told: ReinjectionPlan, word: str, form: str) -> None:
    """One table: what is or was written and how, and what is not and why."""
    rows = [(word, how, count) for how, count in Counter(one.how for one in told.ready).most_common()]
    rows += [("skipped", why, count) for why, count in told.skipped.most_common()]
    for what, why, count in rows:
        if form == "ndjson":
            print(json.dumps({"outcome": what, "reason": safe(why, ERROR), "count": count}))
        else:
            print(f"{count:>8}  {what:<12}  {safe(why, ERROR)}")
    if form == "table":
        print(
            f"{len(told.ready)} {word}, {told.skipped.total()} skipped"
            if rows
            else "no dead letters that match"
        )
        if told.more:
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
            "List what could not be read, by reason, or write it to the events again when it can be read now."
        ),
    )
    add_config(parser)
    parser.add_argument(
        "--reason",
        metavar="TEXT",
        help="only letters whose error contains this (upper and lower case are the same)",
    )
    parser.add_argument(
        "--field", metavar="NAME", help="only letters with this field at fault; '' for those without one"
    )
    parser.add_argument(
        "--since", type=duration, metavar="2h", help="only letters that were refused so long ago or later"
    )
    parser.add_argument(
        "--limit",
        type=_count,
        metavar="N",
        help="at most so many reasons (default 20), or re-injected letters (default 1000)",
    )
    parser.add_argument("--format", choices=["table", "ndjson"], default="table")
    parser.add_argument(
        "--reinject",
        action="store_true",
        help="write those that can be read now to the events again, each once",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask before re-injecting")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """List or re-inject; 0 when that was done, 2 when nobody said yes, 78 when the configuration or Kafka
    does not allow it.
    """
    parser = _parser()
    options = parser.parse_args(argv)
    if options.yes and not options.reinject:
        parser.error("--yes belongs to --reinject")
    since_ms = None if options.since is None else int((time.time() - options.since) * 1000)
    wanted = LetterFilter(options.reason, options.field, since_ms)

    def command() -> int:
        kafka = connected(options.config).kafka
        if options.reinject:
            return _reinject(kafka, wanted, options.limit or 1000, options.format, options.yes)
        return _list(kafka, wanted, options.limit or 20, options.format)

    return exit_code(
        command,
        refused=exits.CONFIGURATION,
        invalid=(ValueError,),
        interrupted=(INTERRUPTED, "stopped; run it again: what was written is not written twice"),
    )
