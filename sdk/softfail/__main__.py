"""``python -m softfail``: the producer's command line."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from softfail.options import read
from softfail.publish import PATIENCE_S, publish
from softfail.redact import redact

_PUBLISH = """Send the events of a file to Kafka: newline-delimited JSON, one event a line (see softfail.Response), each under the key
service/feature. An event that exists was sampled already, so nothing is sampled, cut or metered here: what is in the file is what is sent,
byte for byte, but for personal data and secrets in input, output, context and reason (--no-redact leaves those too). A line that is no
event is reported as FILE:LINE: field: what is wrong, and the rest goes on. Exit code: 0 all sent, 1 a line was invalid or an event
undelivered, 2 wrong usage."""


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
    """The command line."""
    top = argparse.ArgumentParser(
        prog="python -m softfail",
        description="Report what your AI feature did. In a service: from softfail import Softfail.",
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    sub = commands.add_parser("publish", help="send the events of a file to Kafka", description=_PUBLISH)
    sub.add_argument("file", metavar="FILE", help="NDJSON file, or - for standard input")
    sub.add_argument(
        "--speed",
        type=_positive,
        metavar="N",
        help="N seconds of event time a second (1: as it happened); default: as fast as possible",
    )
    sub.add_argument(
        "--bootstrap-servers",
        default="localhost:9092",
        metavar="HOST:PORT",
        help="default: %(default)s; several with commas",
    )
    sub.add_argument("--topic", default="softfail.events", help="default: %(default)s")
    sub.add_argument("--no-redact", action="store_true", help="leave personal data and secrets in the texts")
    sub.add_argument(
        "--patience",
        type=_positive,
        default=PATIENCE_S,
        metavar="S",
        help="give up after S seconds without an acknowledgement; default: %(default)g",
    )
    sub.add_argument(
        "-X",
        dest="settings",
        action="append",
        type=_setting,
        default=[],
        metavar="NAME=VALUE",
        help=(
            'an option of Softfail or kafka-python\'s KafkaProducer, like \'security={"username": "bot",'
            ' "password": "${KAFKA_PASSWORD}"}\' (may be repeated)'
        ),
    )
    return top


def main(argv: list[str] | None = None) -> int:
    """Run a command; gives its exit code."""
    given = parser().parse_args(argv)
    settings: dict[str, Any] = dict(given.settings)
    options, kafka, faults = read(
        {**settings, "service": "publish", "bootstrap_servers": given.bootstrap_servers, "topic": given.topic}
    )
    if faults:
        sys.stderr.write("".join(f"softfail: {fault}\n" for fault in faults))
        return 2
    try:
        return publish(
            given.file, options, kafka, None if given.no_redact else redact, given.speed, given.patience
        )
    except OSError as error:
        sys.stderr.write(f"softfail: {given.file}: {error.strerror}\n")
        return 2


if __name__ == "__main__":
    raise SystemExit(main())
