"""``python -m agents compare``: compare two versions of a feature in the events topic."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence

from agents.commands.event_topic import add_topic_option, run_on_topic
from agents.process import exits
from monitor.cli.compare import add_compare_options, check_compare_options, run
from monitor.protocol.messages import Record
from softfail.evaluator_pool import EvaluatorPool


def main(argv: Sequence[str] | None = None) -> int:
    """Write the comparison; return 0, 2 for wrong arguments, 78 when the configuration or Kafka does not allow it."""
    parser = argparse.ArgumentParser(
        prog="python -m agents compare",
        description="Compare two versions of a feature in the records that were appended between two times.",
    )
    add_compare_options(parser)
    add_topic_option(parser)
    options = parser.parse_args(argv)
    check_compare_options(parser, options)

    def compare(options: argparse.Namespace, records: Iterable[Record], pool: EvaluatorPool) -> int:
        run(options, records, pool)  # records that could not be read are printed
        return exits.OK

    return run_on_topic(options, compare)
