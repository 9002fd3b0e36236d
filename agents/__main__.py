"""``python -m agents``: the commands that run beside Kafka."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import NamedTuple

from agents.process.supervisor import supervise


class Command(NamedTuple):
    """A module with ``main(argv) -> int``, and a line of help. ``is_supervised``: it runs in a child process
    that is restarted when it hangs.
    """

    module: str
    help: str
    is_supervised: bool = False


COMMANDS = {
    "worker": Command(
        "agents.commands.worker",
        "read events, compute windows, evaluate rules and deliver episodes, until it is stopped",
        is_supervised=True,
    ),
    "judge": Command(
        "agents.commands.judge",
        "have a sample of the responses graded by models, and write their verdicts as events, until it is stopped",
        is_supervised=True,
    ),
    "topics": Command(
        "agents.commands.topics", "create the topics with the right settings; report settings that differ"
    ),
    "state": Command(
        "agents.commands.state",
        "inspect the state that workers keep in Kafka; drop a record, reset it, rebuild unreadable records",
    ),
    "deadletters": Command(
        "agents.commands.dead_letters",
        "list dead letters (records that could not be read) by reason; write them to the events topic again",
    ),
    "silence": Command(
        "agents.commands.silence", "mute the deliveries of some features for a time; list and end silences"
    ),
    "test-alert": Command(
        "agents.commands.send_test_alert",
        "send a test alert through each channel, check that it arrives, and resolve it",
    ),
    "replay": Command(
        "agents.commands.replay",
        "report the windows and pages of a period of the events topic, and how another configuration would"
        " change them",
    ),
    "compare": Command(
        "agents.commands.compare",
        "compare two versions of a feature in the events topic, as `python -m monitor compare` does in files",
    ),
    "gate": Command(
        "agents.commands.gate",
        "say whether a new version may be promoted, as `python -m monitor gate` does from files",
    ),
    "golden": Command(
        "agents.commands.golden",
        "as `python -m monitor golden`, with the judges of the configuration and the topic of failure samples",
    ),
    "demo": Command(
        "agents.demo",
        "run everything on this machine without Kafka: a feature degrades, a page is sent and resolved",
    ),
}
"""Name to module. A module is imported only when it is called, so that ``--help`` is quick."""

_EPILOG = """\
`python -m agents COMMAND --help` shows the options of a command.

Configuration is softfail.yaml (--config FILE); every key can be overridden from the environment:
  SOFTFAIL_KAFKA__BROKERS=kafka:9092  SOFTFAIL_HTTP__PORT=0  SOFTFAIL_TIME__PANE=30s

Exit codes: 0 done or stopped, 1 refused, 2 wrong arguments, 70 state uncertain, 75 stuck, 78 configuration
(see docs/operations.md).
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    argv = sys.argv[1:] if argv is None else argv
    if argv and argv[0] in COMMANDS:
        code: int = importlib.import_module(COMMANDS[argv[0]].module).main(argv[1:])
        return code
    parser = argparse.ArgumentParser(
        prog="python -m agents",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_EPILOG,
        description="softfail: a quality monitor for AI features, on Kafka.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        commands.add_parser(name, help=command.help)
    parser.parse_args(argv)  # ends here: either help, or an error that names the commands
    raise AssertionError(f"{argv} was no error")  # pragma: no cover


if __name__ == "__main__":
    if sys.argv[1:] and (command := COMMANDS.get(sys.argv[1])) is not None and command.is_supervised:
        supervise()  # before anything large is imported
    raise SystemExit(main())
