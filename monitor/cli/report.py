"""``python -m monitor report weekly``: this week beside the last one, as one page."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from monitor.backtest.engine import bundles
from monitor.backtest.event_files import EventFilter, Files, UnreadableInput
from monitor.backtest.run import BacktestRun
from monitor.cli.atomic_output import atomic_output
from monitor.cli.command_line import report_unreadable, run_command
from monitor.cli.options import instant
from monitor.config_check import load_checked_config
from monitor.protocol.messages import FileRecord
from monitor.reports.html.weekly_page import render_weekly
from monitor.reports.plot_panels import Panel, metrics_of, panels_of
from monitor.reports.weekly.layers import FEEDBACK_METRICS
from monitor.reports.weekly.report import WeeklyReport, weekly_report
from monitor.reports.weekly.week import Period, Week
from schemas.config.monitor_config import Config
from schemas.event_decoder import InvalidEvent, decode
from schemas.times import microseconds
from softfail.evaluator_pool import EvaluatorPool
from softfail.sanitize import sanitize

HOUR_US = 3_600_000_000
WEEK_US = 7 * 24 * HOUR_US


def main(argv: Sequence[str]) -> int:
    """Run the command.

    Returns:
        Exit code: 0; 1 if a line could not be read; 2 if a file or the configuration cannot be used.
    """
    parser = argparse.ArgumentParser(prog="python -m monitor report", description="Write reports for people.")
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
    weekly = kinds.add_parser(
        "weekly",
        help="one page: what moved, new inputs, cost, trust in judges, what to review",
        description="Compare the last seven days of files of events with the seven days before, as one HTML file.",
    )
    weekly.add_argument("files", nargs="+", metavar="FILE", help="NDJSON events of two weeks, plain or gzip")
    weekly.add_argument(
        "--config", type=Path, metavar="FILE", help="softfail.yaml (default: the default settings)"
    )
    weekly.add_argument(
        "--to", dest="until", type=instant, metavar="TIME", help="end of the week (default: the last event)"
    )
    weekly.add_argument("--match", metavar="SERVICE/FEATURE", help="only these features, with * and ?")
    weekly.add_argument(
        "--output", type=Path, required=True, metavar="FILE", help="the page, like weekly.html"
    )
    options = parser.parse_args(argv)
    if options.match is not None and "/" not in options.match:
        parser.error(f"--match: write service/feature, like support-bot/*, not {options.match!r}")
    if "-" in options.files:
        parser.error(
            "standard input cannot be read, because the end of the week is looked for first; give a file"
        )
    return run_command(lambda: _weekly(options))


def _weekly(options: argparse.Namespace) -> int:
    end_us = options.until if options.until is not None else _last_time_us(options.files)
    end_us = -(-end_us // HOUR_US) * HOUR_US  # a pane is an hour
    with EvaluatorPool() as pool:
        config = load_checked_config(options.config, describe=pool.describe)
        unreadable, report = _read(options, config, end_us, pool)
    with atomic_output(options.output) as stream:
        stream.write(render_weekly(report))
    print(f"{report.title}\n{options.output}: written")
    return report_unreadable(unreadable)


def _last_time_us(files: Sequence[str]) -> int:
    """Return the time of the last event; one that is ahead of its file does not count."""
    last_us = 0
    for record in Files(files).records():
        try:
            time_us = microseconds(decode(record.value or b"").time)
        except InvalidEvent:
            continue
        reached_us = (
            record.timestamp * 1000 if record.timestamp is not None and record.timestamp > 0 else time_us
        )
        last_us = max(last_us, min(time_us, reached_us))
    if not last_us:
        raise UnreadableInput("no event in these files can be read, so there is no week to report on")
    return last_us + 1


def _read(
    options: argparse.Namespace, config: Config, end_us: int, pool: EvaluatorPool
) -> tuple[int, WeeklyReport]:
    """Run the core over the events; return how many lines could not be read, and the report."""
    judges = config.judges
    names = [f"evaluator.{judge.name}.fail_rate" for judge in judges]
    panels: Sequence[Panel] = panels_of([*names, *FEEDBACK_METRICS, *metrics_of([config])])
    last = Week(Period(end_us - 2 * WEEK_US, end_us - WEEK_US), HOUR_US, panels)
    this = Week(Period(end_us - WEEK_US, end_us), HOUR_US, panels)
    collector = _Collector(last, this)
    run = BacktestRun(_without_rules(config), "weekly", evaluate=pool.evaluate)
    selected = EventFilter(end_us - 2 * WEEK_US, end_us, options.match).select(Files(options.files).records())
    for bundle in bundles(selected):
        for record in bundle:
            collector.take(record)
        outputs = run.apply(bundle)
        for week in (last, this):
            week.take_windows(outputs.records.get("windows", ()))
    outputs = run.finish()
    for week in (last, this):
        week.take_windows(outputs.records.get("windows", ()))
    return collector.unreadable, weekly_report(last, this, panels, judges, collector.evaluations)


def _without_rules(config: Config) -> Config:
    """Return a configuration that measures the same in panes of an hour, and decides nothing: 60 times as fast."""
    return config.model_copy(
        update={
            "rules": (),
            "drift": (),
            "objectives": (),
            "default_rules": False,
            "no_data": config.no_data.model_copy(update={"severity": None}),
            "time": config.time.model_copy(update={"pane": 3600.0}),
        }
    )


class _Collector:
    """Collects what windows do not have: cost, inputs, evaluations."""

    def __init__(self, last: Week, this: Week) -> None:
        self._weeks = last, this
        self.evaluations: list[tuple[Any, int]] = []
        self.unreadable = 0

    def take(self, record: Any) -> None:
        """Add a record; print it if it cannot be read."""
        try:
            event = decode(record.value or b"")
        except InvalidEvent as error:
            self.unreadable += 1
            place = (
                f"{record.topic}:{record.offset}" if isinstance(record, FileRecord) else str(record.offset)
            )
            print(sanitize(f"{place}: {error}"), file=sys.stderr)
            return
        time_us = microseconds(event.time)
        if event.kind == "evaluation":
            self.evaluations.append((event, time_us))
        elif event.kind == "response":
            for week in self._weeks:
                if time_us in week.period:
                    week.take_response(event)
