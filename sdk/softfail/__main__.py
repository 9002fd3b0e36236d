"""Run the producer's command line: ``python -m softfail``."""

from __future__ import annotations

import argparse
import functools
import json
import sys
from typing import Any

from softfail.options import parse_options
from softfail.publish import PATIENCE_S, publish
from softfail.redact import redact

_PUBLISH = """Send the events of a file to Kafka. The file is newline-delimited JSON with one event a line
(see softfail.Response). The Kafka key of each event is service/feature. The events were sampled when they
were made, so nothing is sampled, truncated or metered here. Each line is sent byte for byte, except that
personal data and secrets in texts and in error_type, finish_reason, session_id and the outcome of feedback
are redacted (--no-redact leaves them). An invalid line is reported as FILE:LINE: field: reason, and the other lines are sent. Exit code: 0 everything
was sent, 1 a line was invalid or an event was not delivered, 2 wrong usage."""


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text}: not NAME=VALUE, like security_protocol=SASL_SSL")
    try:
        parsed = json.loads(value)
    except ValueError:
        parsed = value
    return name, tuple(parsed) if isinstance(parsed, list) else parsed


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text}: not a number above 0")
    return value


def parser() -> argparse.ArgumentParser:
    """Build the argument parser."""
    top = argparse.ArgumentParser(
        prog="python -m softfail",
        description="Report what your AI feature did. In a service: from softfail import Softfail.",
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    command = commands.add_parser("publish", help="send the events of a file to Kafka", description=_PUBLISH)
    command.add_argument("file", metavar="FILE", help="NDJSON file, or - for standard input")
    command.add_argument(
        "--speed",
        type=_positive,
        metavar="N",
        help="seconds of event time to send per second (1: real time); default: as fast as possible",
    )
    command.add_argument(
        "--bootstrap-servers",
        default="localhost:9092",
        metavar="HOST:PORT",
        help="default: %(default)s; separate several with commas",
    )
    command.add_argument("--topic", default="softfail.events", help="default: %(default)s")
    command.add_argument(
        "--no-redact", action="store_true", help="leave personal data and secrets in the texts"
    )
    command.add_argument(
        "--patience",
        type=_positive,
        default=PATIENCE_S,
        metavar="S",
        help="give up after S seconds without an acknowledgement; default: %(default)g",
    )
    command.add_argument(
        "-X",
        dest="settings",
        action="append",
        type=_setting,
        default=[],
        metavar="NAME=VALUE",
        help=(
            'an option of Softfail or of kafka-python\'s KafkaProducer, like \'security={"username": "bot",'
            ' "password": "${KAFKA_PASSWORD}"}\' (may be repeated)'
        ),
    )
    return top


def main(argv: list[str] | None = None) -> int:
    """Run a command and return its exit code.

    Args:
        argv: the arguments after the program's name; None: those of the process.
    """
    arguments = parser().parse_args(argv)
    settings: dict[str, Any] = dict(arguments.settings)
    options, kafka_settings, errors = parse_options(
        {
            **settings,
            "service": "publish",
            "bootstrap_servers": arguments.bootstrap_servers,
            "topic": arguments.topic,
        }
    )
    if errors:
        sys.stderr.write("".join(f"softfail: {error}\n" for error in errors))
        return 2
    try:
        return publish(
            arguments.file,
            options,
            kafka_settings,
            None if arguments.no_redact else functools.partial(redact, all_ips=options.redact_all_ips),
            arguments.speed,
            arguments.patience,
        )
    except OSError as error:
        sys.stderr.write(f"softfail: {arguments.file}: {error.strerror}\n")
        return 2


if __name__ == "__main__":
    raise SystemExit(main())
