"""``python -m agents gate``: whether a new version may be promoted, from the events topic."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from agents.commands.event_topic import add_topic_option, run_on_topic
from monitor.cli.gate import add_gate_options, run


def main(argv: Sequence[str] | None = None) -> int:
    """Ask the gate; return 0 promote, 1 roll back, 3 hold or cannot tell, 2 for wrong arguments, 78 when the
    configuration or Kafka does not allow it.
    """
    parser = argparse.ArgumentParser(
        prog="python -m agents gate",
        description="Say whether a new version of a feature may be promoted: exit code 0 promote, 1 roll back, 3 hold or"
        " cannot tell.",
    )
    add_gate_options(parser)
    add_topic_option(parser)
    options = parser.parse_args(argv)
    if options.since is not None and options.until is not None and options.since >= options.until:
        parser.error("--from must be before --to; swap them")
    return run_on_topic(options, run)
