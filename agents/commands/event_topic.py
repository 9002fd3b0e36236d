"""Read the events topic for a command that compares versions: the records between two append times."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable

from agents.commands.command_line import INTERRUPTED, connected, exit_code
from agents.kafka.event_log import EventLog
from agents.kafka.topic_reader import BlockingTopicReader
from agents.process import exits
from monitor.backtest.event_files import UnreadableInput
from monitor.cli.command_line import ignore_closed_pipe
from monitor.protocol.messages import Record
from softfail.evaluator_pool import EvaluatorPool


def add_topic_option(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the topic."""
    parser.add_argument("--topic", metavar="NAME", help="topic of events (default: PREFIX.events)")


def run_on_topic(
    options: argparse.Namespace, run: Callable[[argparse.Namespace, Iterable[Record], EvaluatorPool], int]
) -> int:
    """Run a command over the records of the topic; return its exit code, or 78 if Kafka does not allow it.

    Nothing is written and no consumer group is joined.
    """

    def command() -> int:
        kafka = connected(options.config).kafka
        topic = options.topic or f"{kafka.prefix}.events"
        since_ms, until_ms = (
            None if time_us is None else -(-time_us // 1000) for time_us in (options.since, options.until)
        )
        with BlockingTopicReader(kafka, fetch_bytes=1 << 20) as reader, EvaluatorPool() as pool:
            log = EventLog(reader, topic, since_ms, until_ms)
            if log.is_cut:
                print(
                    f"{topic} begins after --from: older records were deleted (retention) and are missing",
                    file=sys.stderr,
                )
            try:
                return run(options, log.records(), pool)
            except BrokenPipeError:
                return exits.OK

    try:
        return exit_code(
            command,
            refused=exits.CONFIGURATION,
            invalid=(UnreadableInput,),
            interrupted=(INTERRUPTED, "stopped"),
        )
    finally:
        ignore_closed_pipe()
