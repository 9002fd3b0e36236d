"""``python -m agents state inspect | drop | reset | rebuild``: show, repair and delete the state that workers
keep in Kafka.
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

_EPILOG = """\
inspect shows the state. rebuild replaces unreadable records by replaying the part of the source
that Kafka still has.
drop deletes one record. reset deletes all state of a partition or of an agent. drop and reset resolve the
episodes that are open there.
rebuild, drop and reset refuse while a worker owns the partition. A worker that has stopped counts as alive
for kafka.session_timeout (6 s). After reset --to earliest, workers measure again everything that Kafka still
has of the source.

Exit codes: 0 done, 1 refused or not found, 2 wrong arguments, 78 invalid configuration, or no broker.
"""


async def inspect(config: Config, options: argparse.Namespace) -> None:
    """Print the state. It changes nothing and disturbs no worker."""
    state = StateTopic(config.kafka, options.agent)
    partitions = [
        decode_contents(snapshot) for snapshot in await state.read(await state.partitions(options.partition))
    ]
    if options.format == "ndjson":
        for contents in partitions:
            for record in record_rows(contents, options.match):
                print(json.dumps(record, default=str))
        return
    for line in report_lines(partitions, state.name, state.source, options.match):
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


def _add_inspect(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    parser = actions.add_parser(
        "inspect", parents=[common], help="show the state; changes nothing, and may run beside workers"
    )
    parser.add_argument("--agent", choices=AGENTS, default="watch", help="whose state (default: watch)")
    parser.add_argument("--partition", type=_number, metavar="N", help="only this partition")
    parser.add_argument(
        "--match", default="*", metavar="SERVICE/FEATURE", help="only these features; with * and ?"
    )
    parser.add_argument(
        "--format",
        choices=("table", "ndjson"),
        default="table",
        help="ndjson: one object for each record, with its key decoded",
    )
    parser.set_defaults(action=inspect)


def _add_drop(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    parser = actions.add_parser("drop", parents=[common], help="delete one record")
    parser.add_argument("--agent", choices=AGENTS, required=True, help="whose state")
    parser.add_argument(
        "--partition", type=_number, metavar="N", required=True, help="partition of the record"
    )
    parser.add_argument("--key", required=True, help="key of the record, as inspect prints it")
    parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    parser.set_defaults(action=drop)


def _add_reset(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    parser = actions.add_parser(
        "reset", parents=[common], help="delete all state of an agent, or of one partition"
    )
    parser.add_argument("--agent", choices=AGENTS, required=True, help="whose state")
    parser.add_argument("--partition", type=_number, metavar="N", help="only this partition")
    parser.add_argument(
        "--to",
        type=_place,
        metavar="earliest|latest|OFFSET",
        help="where a worker begins to read (default: as on a new partition, kafka.start)",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    parser.set_defaults(action=reset)


def _add_rebuild(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    parser = actions.add_parser(
        "rebuild",
        parents=[common],
        help="replace unreadable records by replaying the log of the source",
    )
    parser.add_argument(
        "--agent",
        choices=("watch",),
        default="watch",
        help="only watch; the deliveries in the state of notify are in no log, so use drop or reset for it",
    )
    parser.add_argument("--partition", type=_number, metavar="N", help="only this partition")
    parser.add_argument(
        "--all",
        action="store_true",
        help="recompute every pane that the log still covers entirely, with the current evaluators",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    parser.set_defaults(action=rebuild)


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m agents state",
        description="Show, repair or delete the state that workers keep in Kafka.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    common = argparse.ArgumentParser(add_help=False)
    add_config(common)
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    for add_action in (_add_inspect, _add_drop, _add_reset, _add_rebuild):
        add_action(actions, common)
    options = parser.parse_args(argv)
    if options.action is reset and isinstance(options.to, int) and options.partition is None:
        parser.error("reset --to OFFSET needs --partition: offsets differ between partitions")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Run an action; return 0 when it was done, 1 when refused, 78 for the configuration or no broker."""
    options = _options(argv)
    # errors are printed once, by this command, and not by the handler of last resort of logging
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
        kafka_failed="Kafka did not confirm it, so it is not certain what was done; check with `state inspect`",
        interrupted=(exits.REFUSED, ""),
    )
