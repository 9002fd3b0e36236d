"""``python -m monitor golden compare``: the verdict on a run that is in a file; nothing is asked."""

from __future__ import annotations

import argparse
from typing import Any

from monitor.backtest.event_files import UnreadableInput
from monitor.cli.golden.outputs import check_output_options, write_report
from monitor.cli.golden.run import load_earlier, make_report
from monitor.cli.golden.run_options import add_comparison_options
from monitor.cli.golden.set_files import load_run, load_set
from monitor.golden.case_set import set_digest


def add_parser(commands: Any) -> None:
    """Add the command and its options."""
    parser = commands.add_parser(
        "compare",
        help="compare two runs that are in files; ask nothing",
        description="Compare a run with a baseline, both from files. Exit codes are those of run.",
    )
    parser.add_argument("set", metavar="SET", help="NDJSON file of cases")
    parser.add_argument("run", metavar="RUN", help="file that golden run wrote")
    add_comparison_options(parser)
    parser.set_defaults(work=compare_runs)


def compare_runs(options: argparse.Namespace) -> int:
    """Compare two runs; return the exit code.

    Raises:
        UnreadableInput: a file cannot be used.
    """
    check_output_options(options)
    cases = load_set(options.set)
    run = load_run(options.run)
    if (digest := set_digest(cases.active)) != run.header.set_digest:
        raise UnreadableInput(
            f"{options.run}: is of another set (digest {run.header.set_digest}, {options.set} has {digest}); run it"
            " again"
        )
    baseline, history = load_earlier(options, run.header)
    unfinished = "" if run.is_complete else f"{options.run} is unfinished"
    report = make_report(options, cases, run, baseline, history, unfinished)
    write_report(report, options)
    return report.decision.outcome.value
