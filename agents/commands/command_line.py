"""Arguments, connection and exit codes that all commands have in common."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from collections.abc import Callable
from pathlib import Path

import aiokafka.errors
import kafka.errors

from agents.kafka.topics import await_broker
from agents.process import exits
from schemas.config.load import InvalidConfig, load
from schemas.config.monitor_config import Config
from schemas.fields import duration_s
from softfail.sanitize import sanitize

INTERRUPTED = 130  # as shells report a command that was ended by SIGINT
CONNECT_S = 10.0  # for a broker to answer at all

CONFIG_ERRORS: tuple[type[ValueError], ...] = (InvalidConfig, exits.Misconfigured)
KAFKA_ERRORS = (kafka.errors.KafkaError, aiokafka.errors.KafkaError, OSError, TimeoutError)


def exit_code(
    command: Callable[[], int],
    *,
    refused: int = exits.REFUSED,
    invalid: tuple[type[ValueError], ...] = (),
    kafka_failed: str = "Kafka refuses",
    interrupted: tuple[int, str] = (INTERRUPTED, ""),
) -> int:
    """Run a command; print its error on standard error, sanitized, and return the exit code.

    Args:
        command: returns the exit code when nothing fails.
        refused: exit code of a ``Refused``.
        invalid: further errors that mean that the configuration or the input cannot be used.
        kafka_failed: what is printed before an error of Kafka or of the network.
        interrupted: exit code and message of an interrupt (Ctrl-C).
    """
    try:
        return command()
    except (*CONFIG_ERRORS, *invalid) as error:
        return invalid_configuration(error)
    except exits.Refused as error:
        print(sanitize(f"refused: {error}"), file=sys.stderr)
        return refused
    except KAFKA_ERRORS as error:
        print(sanitize(f"{kafka_failed}: {type(error).__name__}: {error}"), file=sys.stderr)
        return exits.CONFIGURATION
    except KeyboardInterrupt:
        code, message = interrupted
        if message:
            print(message, file=sys.stderr)
        return code


def invalid_configuration(error: ValueError) -> int:
    """Print why the configuration cannot be used, and return the exit code for it."""
    print(sanitize(str(error), lines=True), file=sys.stderr)
    return exits.CONFIGURATION


def connected(path: Path | None, embedded: str = "this needs an Apache Kafka") -> Config:
    """Load the configuration and return it when a broker answers.

    Args:
        path: softfail.yaml; None: defaults and the environment.
        embedded: what to say about the embedded broker, which keeps nothing.

    Raises:
        InvalidConfig: the configuration cannot be used.
        Misconfigured: it names the embedded broker, or no broker answers within 10 s.
    """
    # the clients' own lines say again what is raised and printed once
    for name in ("kafka", "aiokafka"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    config = load(path, with_secrets="kafka")
    if config.kafka.embedded:
        raise exits.Misconfigured(f"kafka.embedded: the embedded broker keeps nothing; {embedded}")
    asyncio.run(await_broker(config.kafka, patience_s=CONNECT_S))
    return config


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add ``--config``."""
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="softfail.yaml (default: no file; every key has its default, or its value from the environment)",
    )


def duration(text: str) -> float:
    """Parse a duration like 2h, in seconds; the type of an argument.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    try:
        return duration_s(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is {error}") from None
