"""``python -m monitor golden ...``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from monitor.cli.command_line import run_command
from monitor.cli.golden import add, compare, import_sets, listing, run


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command of golden sets; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m monitor golden",
        description="Golden sets: cases that a model must answer well, and a gate that is red only if it got worse.",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for module in (run, compare, listing, import_sets):
        module.add_parser(commands)
    add.add_parsers(commands)
    options = parser.parse_args(argv)
    resume = (
        "interrupted; what was answered is kept, continue with --resume"
        if options.work is run.run_set
        else None
    )
    return run_command(
        lambda: int(options.work(options)), interrupted=resume or "interrupted; nothing was written"
    )
