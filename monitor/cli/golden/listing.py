"""``python -m monitor golden list``: what a set has."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from typing import Any

from monitor.cli.golden.set_files import load_set
from monitor.golden.case_set import set_digest
from monitor.golden.case_verdict import text_of
from softfail.sanitize import sanitize


def add_parser(commands: Any) -> None:
    """Add the command and its options."""
    parser = commands.add_parser(
        "list", help="list the cases of a set", description="List the cases of a set."
    )
    parser.add_argument("set", metavar="SET", help="NDJSON file of cases")
    parser.add_argument("--tag", metavar="TAG", help="only cases with this tag")
    parser.add_argument("--candidates", action="store_true", help="only candidates, which are not run yet")
    parser.add_argument("--format", choices=("table", "json"), default="table")
    parser.set_defaults(work=list_cases)


def list_cases(options: argparse.Namespace) -> int:
    """Print the cases; return 0."""
    cases = load_set(options.set)
    shown = [
        case
        for case in cases.cases
        if (options.tag is None or options.tag in case.tags)
        and (not options.candidates or case.status == "candidate")
    ]
    if options.format == "json":
        for case in shown:
            print(json.dumps({"line": cases.lines[case.id], **case.model_dump(mode="json")}))
        return 0
    for case in shown:
        marks: list[str] = [case.status] if case.status == "candidate" else []
        marks += ["must pass"] if case.must_pass else []
        marks += [f"#{tag}" for tag in case.tags]
        print(
            f"{cases.lines[case.id]:>5} {sanitize(case.id, 40):<40} {sanitize(text_of(case.input), 60):<60}"
            f" {sanitize(', '.join(marks), 60)}".rstrip()
        )
    counts = Counter(case.status for case in cases.cases)
    must = sum(case.must_pass for case in cases.active)
    print(
        f"\n{counts['active']} cases ({must} must pass), {counts['candidate']} candidates, digest"
        f" {set_digest(cases.cases)}"
    )
    return 0
