"""``python -m agents silence``: begin, list and end silences, which hold back deliveries."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, get_args

from aiokafka.errors import KafkaError

from agents.commands.command_line import add_config, connected, duration, exit_code
from agents.kafka import known_features, silence_records
from agents.process import exits
from agents.process.exits import Refused
from monitor.delivery.silences import Feature, ScheduledSilence, warning_of
from schemas.config.monitor_config import Config
from schemas.fields import Severity
from schemas.records import Silence
from schemas.times import microseconds, rfc3339
from softfail.sanitize import sanitize


def _add(config: Config, options: argparse.Namespace) -> int:
    now = datetime.now(UTC)
    try:
        silence = silence_records.new_silence(
            options.match,
            getattr(options, "for"),
            options.reason,
            options.author,
            now,
            options.environment,
            options.severity,
        )
    except ValueError as error:
        raise Refused(str(error)) from None
    asyncio.run(silence_records.require_space(config.kafka, now))
    silence_records.write_silence(config.kafka, silence)
    print(
        f"silence {silence.silence_id} until {_clock(silence.ends_at)}: {sanitize(silence.match)}; to end it:"
        f" python -m agents silence end {silence.silence_id}"
    )
    if warning := asyncio.run(_warning(config, silence, now)):
        print(f"warning: {warning}", file=sys.stderr)
    return exits.OK


async def _warning(config: Config, silence: Silence, now: datetime) -> str:
    """Return what to say if it matches no known feature. It is added all the same: a feature may begin."""

    def matches(feature: Feature) -> bool:
        return not warning_of(silence.match, silence.environments, [feature])

    try:
        known = await known_features.read_known_features(config.kafka, now, matches)
    except (Refused, OSError, KafkaError) as error:
        return f"whether it matches a feature is not known: {type(error).__name__}"
    return warning_of(silence.match, silence.environments, known)


def _end(config: Config, options: argparse.Namespace) -> int:
    silence = asyncio.run(silence_records.end_silence(config.kafka, options.id, datetime.now(UTC)))
    silence_records.write_silence(config.kafka, silence)
    print(
        f"silence {silence.silence_id} ended: {sanitize(silence.match)}; episodes that still fire are"
        " delivered now"
    )
    return exits.OK


def _list(config: Config, options: argparse.Namespace) -> int:
    now = datetime.now(UTC)
    rows = list(
        _rows(config, asyncio.run(silence_records.read_silences(config.kafka, now)), microseconds(now))
    )
    for row in rows:
        if options.format == "ndjson":
            print(json.dumps(row))
            continue
        only = "".join(
            f", {name} {' '.join(row[name])}" for name in ("environments", "severity") if row[name]
        )
        when = f"until {row['until']}" if row["state"] == "active" else f"from {row['from']}"
        print(
            sanitize(
                f"{row['silence_id']:<12}  {row['state']:<7}  {when}  {row['match']}{only} "
                f" {row['author'] or '-'}: {row['reason']}"
            )
        )
    if not rows and options.format == "table":
        print("no silences")
    return exits.OK


def _rows(config: Config, records: dict[str, Silence], now_us: int) -> Iterator[dict[str, Any]]:
    """Return the active silences, then the planned ones, each in the order in which they change next."""
    silences = [
        *map(ScheduledSilence.from_record, records.values()),
        *(
            ScheduledSilence.from_config(planned, f"silences[{number}]")
            for number, planned in enumerate(config.silences)
        ),
    ]
    rows = []
    for silence in silences:
        until_us, change_us = silence.window.end(now_us), silence.window.next_change(now_us)
        if until_us is not None:
            rows.append((0, until_us, {**silence.status(until_us), "state": "active"}))
        elif change_us is not None:
            row = {
                **silence.status(silence.window.end(change_us) or change_us),
                "state": "planned",
                "from": rfc3339(change_us),
            }
            rows.append((1, change_us, row))
    yield from (row for _, _, row in sorted(rows, key=lambda item: item[:2]))


def _clock(time: datetime) -> str:
    return rfc3339(microseconds(time.replace(microsecond=0)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m agents silence",
        description=(
            "A silence mutes deliveries; incidents and episodes continue. Episodes that still fire when it ends"
            " are delivered then. Recurring silences are configured in softfail.yaml."
        ),
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    add = commands.add_parser("add", help="begin a silence now")
    add.add_argument(
        "--match",
        required=True,
        metavar="'bot/*'",
        help="service/feature, with * and ?; softfail's own health only matches 'softfail/...'",
    )
    add.add_argument("--for", required=True, type=duration, metavar="2h", help="duration, 30d at most")
    add.add_argument("--reason", required=True, metavar="TEXT", help="why; shown on the status page")
    add.add_argument(
        "--author",
        metavar="NAME",
        default=os.environ.get("USER") or os.environ.get("LOGNAME") or "unknown",
        help="who adds it (default: $USER)",
    )
    add.add_argument(
        "--environment",
        action="append",
        default=[],
        metavar="E",
        help="only this environment, with * and ?; may be repeated",
    )
    add.add_argument(
        "--severity",
        nargs="+",
        action="extend",
        default=[],
        choices=get_args(Severity),
        metavar="S",
        help=f"only episodes of these severities: {', '.join(get_args(Severity))}",
    )
    add.set_defaults(run=_add)
    listing = commands.add_parser("list", help="list current and future silences, including configured ones")
    listing.add_argument("--format", choices=["table", "ndjson"], default="table", help="default: table")
    listing.set_defaults(run=_list)
    end = commands.add_parser("end", help="end a silence now")
    end.add_argument("id", metavar="ID", help="as `silence list` prints it")
    end.set_defaults(run=_end)
    for subparser in (add, listing, end):
        add_config(subparser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Add, list or end; return 0 when it was done, 1 when it was refused, 2 for wrong arguments, 78 when the
    configuration or Kafka does not allow it.
    """
    options = _parser().parse_args(argv)

    def command() -> int:
        code: int = options.run(connected(options.config), options)
        return code

    return exit_code(command)
