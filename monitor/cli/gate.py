"""``python -m monitor gate FILES``: whether a new version may be promoted, as an exit code for CI."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence

from monitor.backtest.event_files import Files
from monitor.cli.arms import UnusableArms, add_arm_options, gate_of, read_arms, release_report
from monitor.cli.command_line import run_command
from monitor.config_check import load_checked_config
from monitor.protocol.messages import Record
from monitor.reports.releases.report import EXIT_CODES, report_json
from monitor.reports.releases.text import text_lines
from schemas.config.gates import Gate
from schemas.config.monitor_config import Config
from softfail.evaluator_pool import EvaluatorPool
from softfail.sanitize import sanitize

FORMATS = ("table", "json")


def main(argv: Sequence[str]) -> int:
    """Run the command.

    Returns:
        Exit code: 0 promote; 1 roll back; 3 hold or cannot tell; 2 if a file, an option or the configuration cannot be
        used.
    """
    parser = argparse.ArgumentParser(
        prog="python -m monitor gate",
        description="Say whether a new version of a feature may be promoted: exit code 0 promote, 1 roll back, 3 hold or"
        " cannot tell, 2 usage. `python -m agents gate` reads a topic.",
    )
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="NDJSON events, plain or gzip; - is standard input"
    )
    add_gate_options(parser)
    options = parser.parse_args(argv)
    if options.since is not None and options.until is not None and options.since >= options.until:
        parser.error("--from must be before --to; swap them")

    def work() -> int:
        with EvaluatorPool() as pool:
            return run(options, Files(options.files).records(), pool)

    return run_command(work)


def add_gate_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command, for files and for topics."""
    parser.add_argument(
        "--gate", metavar="NAME", help="a gate of the configuration; other options override its keys"
    )
    add_arm_options(parser)
    parser.add_argument("--format", choices=FORMATS, default="table")


def run(options: argparse.Namespace, records: Iterable[Record], pool: EvaluatorPool) -> int:
    """Ask the gate about some records; return the exit code."""
    config = load_checked_config(options.config, describe=pool.describe)
    gate = gate_of(options, _configured(options.gate, config))
    reader, a, b = read_arms(gate, config, records, options, pool, may_be_empty=True)
    report = release_report(gate, reader, a, b, options, all_metrics=False)
    if options.format == "json":
        print(json.dumps(report_json(report), indent=2, allow_nan=False))
    else:
        for line in text_lines(report, with_table=False):
            print(sanitize(line))
    if reader.rejected:
        lines, were = ("lines", "were") if reader.rejected > 1 else ("line", "was")
        print(f"{reader.rejected} {lines} could not be read and {were} left out", file=sys.stderr)
    return EXIT_CODES[report.decision.verdict]


def _configured(name: str | None, config: Config) -> Gate | None:
    """Return the gate with a name; the only one without a name; None if there is none.

    Raises:
        UnusableArms: there is no such gate, or it is not clear which one is meant.
    """
    names = ", ".join(gate.name for gate in config.gates)
    if name is None:
        if len(config.gates) > 1:
            raise UnusableArms(f"--gate: the configuration has several ({names}); name one")
        return config.gates[0] if config.gates else None
    for gate in config.gates:
        if gate.name == name:
            return gate
    raise UnusableArms(f"--gate: the configuration has no gate {name!r}; it has: {names or 'none'}")
