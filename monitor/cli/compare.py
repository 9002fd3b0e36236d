"""``python -m monitor compare FILES``: every metric of two versions of a feature, with intervals valid at any look."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from monitor.backtest.event_files import Files
from monitor.cli.arms import add_arm_options, gate_of, read_arms, release_report
from monitor.cli.atomic_output import atomic_output
from monitor.cli.command_line import report_unreadable, run_command
from monitor.config_check import load_checked_config
from monitor.protocol.messages import Record
from monitor.reports.html.release_page import render_release
from monitor.reports.releases.report import report_json
from monitor.reports.releases.text import text_lines
from softfail.evaluator_pool import EvaluatorPool
from softfail.sanitize import sanitize

FORMATS = ("table", "json", "html")


def main(argv: Sequence[str]) -> int:
    """Run the command.

    Returns:
        Exit code: 0; 1 if a line could not be read; 2 if a file, an option or the configuration cannot be used.
    """
    parser = argparse.ArgumentParser(
        prog="python -m monitor compare",
        description="Compare two versions of a feature in files of events. a topic is read by `python -m agents compare`.",
    )
    parser.add_argument(
        "files", nargs="*", metavar="FILE", help="NDJSON events, plain or gzip; - is standard input"
    )
    parser.add_argument(
        "--topic", action="store_true", help="not here: `python -m agents compare` reads the events topic"
    )
    add_compare_options(parser)
    options = parser.parse_args(argv)
    check_compare_options(parser, options)
    if options.topic:
        parser.error("--topic: this command has no connection to Kafka; use `python -m agents compare`")
    if not options.files:
        parser.error(
            "FILE: is missing; name files of events, or read a topic with `python -m agents compare`"
        )

    def work() -> int:
        with EvaluatorPool() as pool:
            return report_unreadable(run(options, Files(options.files).records(), pool))

    return run_command(work)


def add_compare_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command, for files and for topics."""
    add_arm_options(parser)
    parser.add_argument("--format", choices=FORMATS, default="table", help="html: one file with plots")
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="write to this file, not to standard output"
    )


def check_compare_options(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Exit with code 2 if options contradict each other."""
    if options.since is not None and options.until is not None and options.since >= options.until:
        parser.error("--from must be before --to; swap them")
    if options.format == "html" and options.output is None and sys.stdout.isatty():
        parser.error("--format html is for a browser; give --output compare.html")


def run(options: argparse.Namespace, records: Iterable[Record], pool: EvaluatorPool) -> int:
    """Compare the versions in some records; return how many could not be read."""
    gate = gate_of(options, None)
    config = load_checked_config(options.config, describe=pool.describe)
    reader, a, b = read_arms(gate, config, records, options, pool, may_be_empty=False)
    report = release_report(gate, reader, a, b, options, all_metrics=True)
    with atomic_output(options.output) as stream:
        if options.format == "json":
            stream.write(json.dumps(report_json(report), indent=2, allow_nan=False) + "\n")
        elif options.format == "html":
            stream.write(render_release(report))
        else:
            stream.writelines(sanitize(line) + "\n" for line in text_lines(report))
        stream.flush()
    return reader.rejected
