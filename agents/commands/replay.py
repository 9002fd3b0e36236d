"""``python -m agents replay``: report what would have been measured and paged, from the events topic between
two times. Nothing is written and no consumer group is joined.

The records go through the same core into the same reports as those of files. Unlike a file, a topic knows
when each record was appended, so a clock that is ahead has the same effect as in a worker.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from agents.commands.command_line import INTERRUPTED, connected, exit_code
from agents.kafka.event_log import EventLog
from agents.kafka.topic_reader import BlockingTopicReader
from agents.process import exits
from agents.runtime.clock import wall_clock_us
from monitor.backtest.event_files import EventFilter, UnreadableInput
from monitor.cli.command_line import ignore_closed_pipe
from monitor.cli.options import add_options, check_options, configurations
from monitor.cli.replay import run
from schemas.config.connections import Kafka
from softfail.evaluator_pool import EvaluatorPool


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m agents replay",
        description=(
            "Run the rules over the records that were appended to the events topic between two times, and"
            " report the episodes that they would have opened. Nothing is written to Kafka."
        ),
    )
    add_options(parser)
    parser.add_argument("--topic", metavar="NAME", help="topic of events (default: PREFIX.events)")
    return parser


def _replay(options: argparse.Namespace, kafka: Kafka) -> int:
    topic = options.topic or f"{kafka.prefix}.events"
    since_ms, until_ms = (
        None if time_us is None else -(-time_us // 1000) for time_us in (options.since, options.until)
    )
    now_us = wall_clock_us()
    with BlockingTopicReader(kafka, fetch_bytes=1 << 20) as reader, EvaluatorPool() as pool:
        configs = configurations(options, pool.describe)
        log = EventLog(reader, topic, since_ms, until_ms)
        if log.is_cut:
            print(
                f"{topic} begins after --from: older records were deleted (retention) and are missing in the"
                " report",
                file=sys.stderr,
            )
        if not log.total:
            print(
                f"{topic} has no record of these times; give other times, or none to read all of it",
                file=sys.stderr,
            )
        until_us = min(now_us, options.until or now_us)
        run(
            options,
            configs,
            log,
            EventFilter(match=options.match),
            print_dead_letters=False,
            until_us=until_us,
            pool=pool,
        )
        if log.misplaced:
            print(
                f"{log.misplaced} records lie in a partition that is not their own; those that a worker has"
                " forwarded were measured in theirs",
                file=sys.stderr,
            )
    return exits.OK


def main(argv: Sequence[str] | None = None) -> int:
    """Write the report; return 0, 2 for wrong arguments, 78 when the configuration or Kafka does not allow
    it.
    """
    parser = _parser()
    options = parser.parse_args(argv)
    check_options(parser, options)

    def command() -> int:
        try:
            return _replay(options, connected(options.config).kafka)
        except BrokenPipeError:  # whoever reads the report has seen enough
            return exits.OK

    try:
        return exit_code(
            command,
            refused=exits.CONFIGURATION,
            invalid=(UnreadableInput,),
            interrupted=(INTERRUPTED, "stopped; nothing was written"),
        )
    finally:
        ignore_closed_pipe()
