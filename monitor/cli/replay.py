"""``python -m monitor replay FILES``: run rules over files of events in event time, without Kafka.

Each file is a log and is read in its own order, so late events are late here too. Several files are merged
by time, as partitions are. ``python -m agents replay`` does the same from a topic, with the same flags, core
and reports.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import TextIO

import msgspec

from monitor.backtest.engine import run_side_by_side
from monitor.backtest.event_files import EventFilter, Files, UnreadableInput
from monitor.backtest.run import BacktestRun
from monitor.cli.atomic_output import atomic_output
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
from schemas.config.load import InvalidConfig
from schemas.config.monitor_config import Config
from softfail.sanitize import sanitize

PRINTED = ("windows", "alerts")  # topics that the formats table and ndjson show


def run(
    options: argparse.Namespace,
    configs: Sequence[tuple[Config, str]],
    source: Source,
    records: EventFilter,
    *,
    print_dead_letters: bool,
    until_us: int | None = None,
) -> int:
    """Replay a source under one or two configurations and write the report; how many records could not be
    read.

    Args:
        letters_told: whether each of those is told on standard error as it is met.
        until_us: up to when time went on after the last record, microseconds since 1970, so that a silence at
            the end is seen; None: it did not.
    """
    reported = options.format in ("summary", "html")
    panels = (
        panels_of(metrics_of([config for config, _ in configs]) if options.format == "html" else ())
        if reported
        else None
    )
    runs = [
        BacktestRun(config, name, None if number else panels, near_misses=reported and not number)
        for number, (config, name) in enumerate(configs)
    ]
    results = [run.result for run in runs]
    letters = DeadLetterCounts()
    visible = sys.stderr.isatty() and (reported or options.output is not None or not sys.stdout.isatty())
    with atomic_output(options.output) as stream, with_progress(source, shown=visible) as given:
        table = LiveTable(stream) if options.format == "table" else None
        for outputs in run_side_by_side(runs, records.of(given), until_us):
            for letter in letters.take(outputs.messages.get("deadletter", ())):
                if print_dead_letters:
                    print(sanitize(f"{letter.topic}:{letter.offset}: {letter.error}"), file=sys.stderr)
            if not reported:
                _write(outputs, table, stream)
        if table is not None:
            table.end()
        _report(options.format, results, letters, stream)
        stream.flush()
    return letters.total


def _write(outputs: Outputs, table: LiveTable | None, stream: TextIO) -> None:
    for topic, message in outputs.order:
        if topic in PRINTED and table is None:
            stream.write(message.value.decode() + "\n")
        elif topic in PRINTED and table is not None:
            table.take(msgspec.json.decode(message.value))


def _report(form: str, results: Sequence[BacktestResult], letters: DeadLetterCounts, stream: TextIO) -> None:
    first, other = results[0], results[1] if len(results) > 1 else None
    found = None if other is None else differences(first.alerts, other.alerts)
    name = "" if other is None else other.name
    if form == "html":
        stream.writelines(page.render(first, letters, other, found))
    elif form == "summary":
        stream.writelines(sanitize(line) + "\n" for line in text_report.lines(first, letters, found, name))
    elif form == "ndjson":
        stream.writelines(to_json(one.record()).decode() + "\n" for one in found or ())
    elif found is not None:
        stream.writelines(
            sanitize(line) + "\n" for line in text_report.difference_lines(found, first.name, name)
        )


def main(argv: Sequence[str]) -> int:
    """Exit code 0; 1 if a line could not be read as an event; 2 if a file or the configuration cannot be
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
        parser.error(f"--output: {options.output} is one of the files to be read; name another")
    with ExitStack() as stack:
        stack.callback(ignore_closed_pipe)
        try:
            chosen = EventFilter(options.since, options.until, options.match)
            bad = run(
                options,
                configurations(options),
                Files(options.files),
                chosen,
                print_dead_letters=options.format in ("table", "ndjson"),
            )
        except (InvalidConfig, UnreadableInput) as error:
            print(sanitize(str(error), lines=True), file=sys.stderr)
            return 2
        except BrokenPipeError:
            return 0  # whoever read us has gone; there is nobody to tell
        except KeyboardInterrupt:
            print("stopped; nothing was kept", file=sys.stderr)
            return 130
    if bad:
        print(
            f"{bad} line{'s' if bad > 1 else ''} could not be read and {'were' if bad > 1 else 'was'}"
            " left out",
            file=sys.stderr,
        )
    return 1 if bad else 0


def ignore_closed_pipe() -> None:
    """What Python would flush at its end has nowhere to go once the reader has gone."""
    try:
        sys.stdout.flush()
    except (BrokenPipeError, ValueError):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
