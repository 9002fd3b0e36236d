"""Flags of `replay`, for files and for topics."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from monitor.config_check import load_checked_config
from monitor.evaluators.user_evaluator import Describe
from schemas.config.load import InvalidConfig
from schemas.config.monitor_config import Config
from schemas.times import microseconds

FORMATS = ("table", "ndjson", "summary", "html")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the flags to a parser."""
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="softfail.yaml (default: no file; every key has its default)",
    )
    parser.add_argument(
        "--what-if",
        type=Path,
        metavar="FILE",
        help="another softfail.yaml; show the episodes that it would add, remove or change",
    )
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default="table",
        help="table: windows as rows; ndjson: one record a line, exactly as on the topics; "
        "summary: episodes and rules as text; html: the same as one file with plots",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="write to this file, not to standard output; it is replaced when the output is complete",
    )
    parser.add_argument(
        "--from",
        dest="since",
        type=instant,
        metavar="TIME",
        help="from this time on, like 2026-11-01T00:00Z (UTC unless it has an offset)",
    )
    parser.add_argument("--to", dest="until", type=instant, metavar="TIME", help="until this time, exclusive")
    parser.add_argument("--match", metavar="SERVICE/FEATURE", help="only these features, with * and ?")


def instant(text: str) -> int:
    """Parse an ISO 8601 time to microseconds since 1970; UTC unless it has an offset.

    Raises:
        argparse.ArgumentTypeError: the text is not a time.

    >>> instant("1970-01-01T00:01Z"), instant("1970-01-02")
    (60000000, 86400000000)
    """
    try:
        time = datetime.fromisoformat(text.strip())
        return microseconds(time.replace(tzinfo=time.tzinfo or UTC))
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a time; write 2026-11-01 or 2026-11-01T14:30Z"
        ) from None


def check_options(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Exit with code 2 if options contradict each other."""
    if options.since is not None and options.until is not None and options.since >= options.until:
        parser.error("--from must be before --to; swap them")
    if options.format == "html" and options.output is None and sys.stdout.isatty():
        parser.error("--format html is for a browser; give --output report.html")
    if options.match is not None and "/" not in options.match:
        parser.error(f"--match: write service/feature, like support-bot/*, not {options.match!r}")
    if options.output is not None and not options.output.parent.is_dir():
        parser.error(f"--output: the directory {options.output.parent} does not exist; create it")


def configurations(options: argparse.Namespace, describe: Describe | None = None) -> list[tuple[Config, str]]:
    """Read the configuration and, with `--what-if`, the other one, each with its name.

    Args:
        describe: of ``load_checked_config``.

    Raises:
        InvalidConfig: a configuration has faults; each fault names the file.
    """
    configs = []
    for path in [options.config, *([options.what_if] if options.what_if else [])]:
        try:
            configs.append(
                (load_checked_config(path, describe=describe), path.name if path else "the defaults")
            )
        except InvalidConfig as error:
            raise InvalidConfig(
                [
                    fault if path is None or fault.startswith(str(path)) else f"{path}: {fault}"
                    for fault in error.faults
                ]
            ) from None
    if len(configs) == 2 and configs[0][1] == configs[1][1]:
        configs = [
            (config, str(path))
            for (config, _), path in zip(configs, (options.config, options.what_if), strict=True)
        ]
    return configs
