"""Read sets and runs from files, and write them."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from monitor.backtest.event_files import UnreadableInput
from monitor.golden.case_set import CaseSet, read_set
from monitor.golden.run_record import Run, read_run
from schemas.golden import GoldenCase
from softfail.sanitize import sanitize

MAX_SET_BYTES = 256 << 20


def load_set(path: str) -> CaseSet:
    """Read a set.

    Raises:
        UnreadableInput: it cannot be read, or a line is no case; each such line is on standard error.
    """
    try:
        if path != "-" and Path(path).stat().st_size > MAX_SET_BYTES:
            raise UnreadableInput(f"{path}: exceeds {MAX_SET_BYTES >> 20} MiB; split the set")
        with sys.stdin.buffer if path == "-" else Path(path).open("rb") as file:
            cases = read_set(file)
    except OSError as error:
        raise UnreadableInput(f"{path}: cannot be read: {error.strerror}") from None
    for number, message in cases.faults:
        print(sanitize(f"{path}:{number}: {message}"), file=sys.stderr)
    if cases.faults:
        count = len(cases.faults)
        raise UnreadableInput(
            f"{path}: {count} {'line is' if count == 1 else 'lines are'} no case; mend the file"
        )
    return cases


def load_run(path: str, option: str = "") -> Run:
    """Read the file of a run.

    Raises:
        UnreadableInput: it cannot be read.
    """
    name = f"{option} {path}" if option else path
    try:
        with Path(path).open("rb") as file:
            return read_run(file)[0]
    except OSError as error:
        raise UnreadableInput(f"{name}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise UnreadableInput(f"{name}: {error}") from None


def case_lines(cases: Iterable[GoldenCase]) -> list[str]:
    """Return cases as lines of a set, without fields that have their default."""
    return [case.model_dump_json(exclude_defaults=True) + "\n" for case in cases]
