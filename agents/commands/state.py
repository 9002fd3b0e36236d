"""``python -m agents state inspect | drop | reset | rebuild``: look at what workers keep in Kafka, and mend
or forget it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
from collections.abc import Sequence

from agents.commands.command_line import add_config, connected, exit_code
from agents.kafka.state_topic import AGENTS, StateTopic
from agents.process import exits
from agents.state_admin.contents import decode_contents, record_rows
from agents.state_admin.drop_reset import drop, reset
from agents.state_admin.rebuild import rebuild
from agents.state_admin.report import report_lines
from monitor.config_check import faults_of
from schemas.config.load import InvalidConfig
from schemas.config.monitor_config import Config
from softfail.sanitize import sanitize

_WHAT = """\
inspect shows what is kept, rebuild replaces records that cannot be read by what Kafka still has of the source, drop deletes one record,
reset forgets all of a partition or of an agent. Of open episodes that are dropped or reset the notifier is told that they are over.
rebuild, drop and reset refuse while a worker owns the partition; one that has stopped counts as alive for kafka.session_timeout (6 s).
After reset --to earliest everything that Kafka still has of the source is measured again.

Exit codes: 0 done, 1 refused or not found, 2 wrong arguments, 78 configuration, or no broker.
"""


async def inspect(config: Config, options: argparse.Namespace) -> None:
    """Print what the state says. Changes nothing, and no worker notices."""
    state = StateTopic(config.kafka, options.agent)
    found = [
        decode_contents(snapshot) for snapshot in await state.read(await state.partitions(options.partition))
    ]
    if options.format == "ndjson":
        for one in found:
            for record in record_rows(one, options.match):
                print(json.dumps(record, default=str))
        return
    for line in report_lines(found, state.name, state.source, options.match):
        print(sanitize(line))


def _place(text: str) -> str | int:
    if text in ("earliest", "latest"):
        return text
    if text.isascii() and text.isdigit():
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is neither earliest, latest nor an offset")


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not the number of a partition")
    return int(text)


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m agents state",
        description="What workers keep in Kafka: look at it, mend it, forget it.",
        epilog=_WHAT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    common = argparse.ArgumentParser(add_help=False)
    add_config(common)
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    one = actions.add_parser(
        "inspect", parents=[common], help="show what is kept; changes nothing, beside running workers too"
    )
    one.add_argument("--agent", choices=AGENTS, default="watch")
    one.add_argument("--partition", type=_number, metavar="N", help="only this one")
    one.add_argument(
        "--match", default="*", metavar="SERVICE/FEATURE", help="only these features; with * and ?"
    )
    one.add_argument(
        "--format",
        choices=("table", "ndjson"),
        default="table",
        help="ndjson: one object a record, its key decoded",
    )
    one.set_defaults(action=inspect)
    one = actions.add_parser("drop", parents=[common], help="delete one record")
    one.add_argument("--agent", choices=AGENTS, required=True)
    one.add_argument("--partition", type=_number, metavar="N", required=True)
    one.add_argument("--key", required=True, help="as inspect prints it")
    one.add_argument("--yes", action="store_true", help="do not ask")
    one.set_defaults(action=drop)
    one = actions.add_parser(
        "reset", parents=[common], help="forget everything of an agent, or of one partition"
    )
    one.add_argument("--agent", choices=AGENTS, required=True)
    one.add_argument("--partition", type=_number, metavar="N", help="only this one")
    one.add_argument(
        "--to",
        type=_place,
        metavar="earliest|latest|OFFSET",
        help="where a worker begins; else as on a fresh partition (kafka.start)",
    )
    one.add_argument("--yes", action="store_true", help="do not ask")
    one.set_defaults(action=reset)
    one = actions.add_parser(
        "rebuild",
        parents=[common],
        help="replace what cannot be read by what the log of the source still says",
    )
    one.add_argument(
        "--agent",
        choices=("watch",),
        default="watch",
        help="what notify keeps was delivered, and no log has that: drop, or reset",
    )
    one.add_argument("--partition", type=_number, metavar="N", help="only this one")
    one.add_argument(
        "--all",
        action="store_true",
        help="count every pane anew that the log still covers entirely, with the evaluators of today",
    )
    one.add_argument("--yes", action="store_true", help="do not ask")
    one.set_defaults(action=rebuild)
    options = parser.parse_args(argv)
    if options.action is reset and isinstance(options.to, int) and options.partition is None:
        parser.error("reset --to OFFSET needs --partition: offsets differ between partitions")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Do one of them; 0 done, 1 refused or not found, 78 configuration or no broker."""
    options = _options(argv)
    # what matters of it is printed once, and not by the handler of last resort
    for name in ("asyncio", "softfail"):
        logging.getLogger(name).addHandler(logging.NullHandler())

    def command() -> int:
        config = connected(options.config, "its state ends with the demo")
        if options.action is rebuild and (faults := faults_of(config)):
            raise InvalidConfig(faults)
        asyncio.run(options.action(config, options))
        return exits.OK

    return exit_code(
        command,
        kafka_failed="Kafka does not do it, so it is not certain what was done; look with `state inspect`",
        interrupted=(exits.REFUSED, ""),
    )
