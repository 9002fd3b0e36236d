"""``python -m monitor golden ...``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from monitor.cli.command_line import run_command
from monitor.cli.golden import add, compare, import_sets, listing, run
from monitor.cli.golden.add import ReadTopic
from monitor.cli.golden.judges import ConfiguredJudgeOf


def main(
    argv: Sequence[str] | None = None,
    *,
    prog: str = "python -m monitor golden",
    configured_judge: ConfiguredJudgeOf | None = None,
    read_topic: ReadTopic | None = None,
) -> int:
    """Run a command of golden sets; return its exit code.

    Args:
        argv: its arguments.
        prog: how it was called.
        configured_judge: makes a judge of the configuration; None: this process has no clients of providers.
        read_topic: reads failure samples; None: this process cannot read Kafka.
    """
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Golden sets: cases that a model must answer well, and a gate that is red only if it got worse.",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for module in (run, compare, listing, import_sets):
        module.add_parser(commands)
    add.add_parsers(commands)
    parser.set_defaults(configured_judge=configured_judge, read_topic=read_topic)
    options = parser.parse_args(argv)
    resume = (
        "interrupted; what was answered is kept, continue with --resume"
        if options.work is run.run_set
        else None
    )
    return run_command(
        lambda: int(options.work(options)), interrupted=resume or "interrupted; nothing was written"
    )
