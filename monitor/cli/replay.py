"""``python -m monitor replay FILES``: run rules over files of events in event time, without Kafka.

Each file is a log and is read in its own order, so late events stay late. Several files are merged by time,
as partitions are. ``python -m agents replay`` does the same from a topic, with the same flags, core
and reports.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import TextIO

from monitor.backtest.engine import run_side_by_side
from monitor.backtest.event_files import EventFilter, Files
from monitor.backtest.run import BacktestRun
from monitor.cli.atomic_output import atomic_output
from monitor.cli.command_line import report_unreadable, run_command
from monitor.cli.options import add_options, check_options, configurations
from monitor.cli.progress_bar import Source, with_progress
from monitor.protocol.messages import Outputs, to_json
from monitor.reports import text_report
from monitor.reports.config_comparison import differences
from monitor.reports.data_gaps import DeadLetterCounts
from monitor.reports.html import page
from monitor.reports.live_table import LiveTable
from monitor.reports.plot_panels import metrics_of, panels_of
from monitor.reports.result import BacktestResult
from schemas.config.monitor_config import Config
from softfail.evaluator_pool import EvaluatorPool
from softfail.sanitize import sanitize

PRINTED_TOPICS = ("windows", "alerts")  # topics that the formats table and ndjson show


def run(
    options: argparse.Namespace,
    configs: Sequence[tuple[Config, str]],
    source: Source,
    event_filter: EventFilter,
    *,
    print_dead_letters: bool,
    until_us: int | None = None,
    pool: EvaluatorPool | None = None,
) -> int:
    """Replay a source with one or two configurations and write the report.

    Args:
        options: the flags of ``monitor.cli.options``.
        configs: the configuration and, for a comparison, the other one, each with its name.
        source: the records.
        event_filter: the records to replay.
        print_dead_letters: whether to print each unreadable record to standard error.
        until_us: time to which the watermark advances after the last record, microseconds since 1970, so that
            missing events at the end are noticed; None: it stays at the last record.
        pool: runs the evaluators of users; None: each of their evaluations is an error.

    Returns:
        The number of records that could not be read.
    """
    is_report = options.format in ("summary", "html")
    panels = (
        panels_of(metrics_of([config for config, _ in configs]) if options.format == "html" else ())
        if is_report
        else None
    )
    runs = [
        BacktestRun(
            config,
            name,
            None if number else panels,
            near_misses=is_report and not number,
            evaluate=None if pool is None else pool.evaluate,
        )
        for number, (config, name) in enumerate(configs)
    ]
    results = [run.result for run in runs]
    dead_letters = DeadLetterCounts()
    shows_progress = sys.stderr.isatty() and (
        is_report or options.output is not None or not sys.stdout.isatty()
    )
    with atomic_output(options.output) as stream, with_progress(source, shown=shows_progress) as records:
        table = LiveTable(stream) if options.format == "table" else None
        for outputs in run_side_by_side(runs, event_filter.select(records), until_us):
            for dead_letter in dead_letters.take(outputs.messages.get("deadletter", ())):
                if print_dead_letters:
                    place = f"{dead_letter.topic}:{dead_letter.offset}"
                    print(sanitize(f"{place}: {dead_letter.error}"), file=sys.stderr)
            if not is_report:
                _write(outputs, table, stream)
        if table is not None:
            table.end()
        _report(options.format, results, dead_letters, stream)
        stream.flush()
    return dead_letters.total


def _write(outputs: Outputs, table: LiveTable | None, stream: TextIO) -> None:
    if table is not None:
        for topic, record in outputs.record_order:
            if topic in PRINTED_TOPICS:
                table.take(record)
        return
    for topic, message in outputs.order:
        if topic in PRINTED_TOPICS:
            stream.write(message.value.decode() + "\n")


def _report(
    form: str, results: Sequence[BacktestResult], dead_letters: DeadLetterCounts, stream: TextIO
) -> None:
    first, other = results[0], results[1] if len(results) > 1 else None
    compared = None if other is None else differences(first.alerts, other.alerts)
    name = "" if other is None else other.name
    if form == "html":
        stream.writelines(page.render(first, dead_letters, other, compared))
    elif form == "summary":
        stream.writelines(
            sanitize(line) + "\n" for line in text_report.lines(first, dead_letters, compared, name)
        )
    elif form == "ndjson":
        stream.writelines(to_json(difference.record()).decode() + "\n" for difference in compared or ())
    elif compared is not None:
        stream.writelines(
            sanitize(line) + "\n" for line in text_report.difference_lines(compared, first.name, name)
        )


def main(argv: Sequence[str]) -> int:
    """Run the command.

    Returns:
        Exit code: 0; 1 if a line could not be read as an event; 2 if a file or the configuration cannot be
        read.
    """
    parser = argparse.ArgumentParser(
        prog="python -m monitor replay",
        description="Run the rules over NDJSON files in event time, without Kafka.",
    )
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="NDJSON events, plain or gzip; - is standard input"
    )
    add_options(parser)
    options = parser.parse_args(argv)
    check_options(parser, options)
    if options.output is not None and any(
        options.output.exists() and os.path.samefile(file, options.output)
        for file in options.files
        if os.path.exists(file)
    ):
        parser.error(f"--output: {options.output} is one of the input files; choose another name")

    def work() -> int:
        event_filter = EventFilter(options.since, options.until, options.match)
        with EvaluatorPool() as pool:
            unreadable = run(
                options,
                configurations(options, pool.describe),
                Files(options.files),
                event_filter,
                print_dead_letters=options.format in ("table", "ndjson"),
                pool=pool,
            )
        return report_unreadable(unreadable)

    return run_command(work)
