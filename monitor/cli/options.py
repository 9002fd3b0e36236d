"""The flags that a replay has wherever its records come from."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from monitor.config_check import checked
from schemas.config.load import InvalidConfig
from schemas.config.monitor_config import Config
from schemas.times import microseconds

FORMATS = ("table", "ndjson", "summary", "html")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Teach a parser the flags."""
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="softfail.yaml; by default what an empty file gives"
    )
    parser.add_argument(
        "--what-if",
        type=Path,
        metavar="FILE",
        help="another softfail.yaml: say which episodes it would add, drop or change",
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
        help="write there and not to standard output; it is replaced only when it is whole",
    )
    parser.add_argument(
        "--from",
        dest="since",
        type=instant,
        metavar="TIME",
        help="only from here on, like 2026-11-01T00:00Z (UTC unless it says otherwise)",
    )
    parser.add_argument("--to", dest="until", type=instant, metavar="TIME", help="only before this time")
    parser.add_argument("--match", metavar="SERVICE/FEATURE", help="only these features, with * and ?")


def instant(text: str) -> int:
    """A time as people write it, microseconds since 1970.

    Raises:
        argparse.ArgumentTypeError: it is none.

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
    """End with 2 where options do not go together."""
    if options.since is not None and options.until is not None and options.since >= options.until:
        parser.error("--from must lie before --to; exchange them")
    if options.format == "html" and options.output is None and sys.stdout.isatty():
        parser.error("--format html is for a browser; give --output report.html")
    if options.match is not None and "/" not in options.match:
        parser.error(f"--match: write service/feature, like support-bot/*, not {options.match!r}")
    if options.output is not None and not options.output.parent.is_dir():
        parser.error(f"--output: the directory {options.output.parent} does not exist; make it")


def configurations(options: argparse.Namespace) -> list[tuple[Config, str]]:
    """The configuration to be replayed and, with `--what-if`, the other, each with its name.

    Raises:
        InvalidConfig: one of them is wrong; each fault names the file.
    """
    found = []
    for path in [options.config, *([options.what_if] if options.what_if else [])]:
        try:
            found.append((checked(path), path.name if path else "the defaults"))
        except InvalidConfig as error:
            raise InvalidConfig(
                [
                    fault if path is None or fault.startswith(str(path)) else f"{path}: {fault}"
                    for fault in error.faults
                ]
            ) from None
    if len(found) == 2 and found[0][1] == found[1][1]:
        found = [
            (config, str(path))
            for (config, _), path in zip(found, (options.config, options.what_if), strict=True)
        ]
    return found
