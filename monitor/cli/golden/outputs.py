"""Where reports go: standard output, files, and GitHub."""

from __future__ import annotations

import argparse
import json
import os
import sys
from contextlib import suppress
from pathlib import Path

from monitor.backtest.event_files import UnreadableInput
from monitor.cli.atomic_output import atomic_output
from monitor.golden.github import annotation_lines, summary
from monitor.golden.junit import junit_xml
from monitor.golden.report import GoldenReport, report_json
from monitor.golden.report_text import text_report


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of reports."""
    parser.add_argument("--format", choices=("table", "json"), default="table", help="of standard output")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write JUnit XML to this file, too")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the JSON report to this file, too")
    parser.add_argument(
        "--github",
        action="store_true",
        default=os.environ.get("GITHUB_ACTIONS") == "true",
        help="print annotations and write the summary of the job (default: in GitHub Actions)",
    )


def check_output_options(options: argparse.Namespace) -> None:
    """Refuse files that cannot be written, before anything is asked.

    Raises:
        UnreadableInput: the message names the option.
    """
    for name in ("junit", "json"):
        path: Path | None = getattr(options, name)
        if path is not None and not path.parent.is_dir():
            raise UnreadableInput(f"--{name} {path}: there is no folder {path.parent}; make it")


def write_report(report: GoldenReport, options: argparse.Namespace) -> None:
    """Write a report wherever the options say.

    Raises:
        UnreadableInput: a file cannot be written.
    """
    tree = json.dumps(report_json(report), indent=1)
    print(
        tree if options.format == "json" else text_report(report),
        end="\n" if options.format == "json" else "",
    )
    if options.json is not None:
        with atomic_output(options.json) as stream:
            stream.write(tree + "\n")
    if options.junit is not None:
        with atomic_output(options.junit) as stream:
            stream.write(junit_xml(report))
    if options.github:
        # standard output may be JSON for another program; GitHub reads both streams
        print("\n".join(annotation_lines(report)), file=sys.stderr)
        if path := os.environ.get("GITHUB_STEP_SUMMARY"):
            with suppress(OSError), Path(path).open("a", encoding="utf-8") as stream:
                stream.write(summary(report))
