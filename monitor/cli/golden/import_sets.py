"""``python -m monitor golden import``: make a set of a file of another tool."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from monitor.backtest.event_files import UnreadableInput
from monitor.cli.atomic_output import atomic_output
from monitor.cli.golden.set_files import MAX_SET_BYTES, case_lines
from monitor.golden.importers import FORMATS
from monitor.golden.importers.imported import Imported, plain_tree, read_tree
from monitor.wording.number_format import counted
from softfail.sanitize import sanitize

MOST_NOTES = 200


def add_parser(commands: Any) -> None:
    """Add the command and its options."""
    parser = commands.add_parser(
        "import",
        help="make a set of a file of promptfoo, OpenAI evals, Langfuse, LangSmith, DeepEval, Braintrust or inspect",
        description="Make a set of a file of another tool. What cannot be mapped is named on standard error.",
    )
    parser.add_argument("file", metavar="FILE", help="YAML, JSON or NDJSON")
    parser.add_argument("--from", dest="form", required=True, choices=tuple(FORMATS), help="the tool")
    parser.add_argument("--output", type=Path, metavar="FILE", help="the set (default: standard output)")
    parser.set_defaults(work=import_set)


def import_set(options: argparse.Namespace) -> int:
    """Import a file; return 0, or 1 if something could not be mapped.

    Raises:
        UnreadableInput: the file cannot be read, or has no case.
    """
    path = Path(options.file)
    if options.output is not None and options.output.exists():
        raise UnreadableInput(
            f"--output {options.output}: exists, and people edit sets; remove it or give another name"
        )
    imported = FORMATS[options.form](_decoded(path), path.stem, _reader(path.parent))
    report(imported, options.file)
    if not imported.cases:
        raise UnreadableInput(f"{path}: no case was found; is it a file of {options.form}?")
    with atomic_output(options.output) as stream:
        stream.writelines(case_lines(imported.cases))
    return 1 if imported.notes else 0


def report(imported: Imported, name: str) -> None:
    """Print what was imported, and each thing that was not, on standard error."""
    places: dict[str, list[str]] = {}
    for place, text in imported.notes:
        places.setdefault(text, []).append(place)
    for text, where in list(places.items())[:MOST_NOTES]:
        more = f" and {len(where) - 1} more" if len(where) > 1 else ""
        print(sanitize(f"{name}: {where[0]}{more}: {text}"), file=sys.stderr)
    if len(places) > MOST_NOTES:
        print(f"{len(places) - MOST_NOTES} more kinds of notes", file=sys.stderr)
    checked = f", {imported.mapped} of {imported.checks} expectations" if imported.checks else ""
    print(f"{counted(len(imported.cases), 'case')}{checked}", file=sys.stderr)


def _decoded(path: Path) -> Any:
    try:
        if path.stat().st_size > MAX_SET_BYTES:
            raise UnreadableInput(f"{path}: exceeds {MAX_SET_BYTES >> 20} MiB; split it")
        text = path.read_text("utf-8")
    except OSError as error:
        raise UnreadableInput(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UnreadableInput(f"{path}: is no UTF-8 text") from None
    if path.suffix in (".jsonl", ".ndjson"):
        return [_line(path, number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    try:
        return plain_tree(json.loads(text)) if path.suffix == ".json" else read_tree(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableInput(f"{path}: is neither YAML nor JSON: {error}") from None


def _line(path: Path, number: int, line: str) -> Any:
    try:
        return plain_tree(json.loads(line))
    except (ValueError, RecursionError) as error:
        raise UnreadableInput(f"{path}:{number}: not JSON: {error}") from None


def _reader(folder: Path) -> Any:
    """Return a reader of files below a folder. A configuration from elsewhere must not read others into a set."""
    root = folder.resolve()

    def read(name: str) -> str:
        path = (root / name.removeprefix("file://")).resolve()
        if not path.is_relative_to(root):
            raise ValueError("lies outside of the folder of the configuration, so it is not read")
        try:
            if path.stat().st_size > MAX_SET_BYTES:
                raise ValueError("is too large")
            return path.read_text("utf-8")
        except OSError as error:
            raise ValueError(f"cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ValueError("is no UTF-8 text") from None

    return read
