"""Write generated files, or check that they are fresh."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def stale_files(files: Mapping[Path, str], leftover: Iterable[Path] = (), root: Path = ROOT) -> list[Path]:
    """List the files that differ from what they should be or are missing, and those that should not exist.

    Args:
        files: path relative to ``root`` -> text.
        leftover: files that belong to nothing any more, relative to ``root``.
        root: the repository.
    """
    differing = [
        path
        for path, text in files.items()
        if not (root / path).is_file() or (root / path).read_text("utf-8") != text
    ]
    return sorted([*differing, *leftover])


def run(
    command: str,
    description: str,
    files: Mapping[Path, str],
    leftover: Iterable[Path] = (),
    arguments: Sequence[str] | None = None,
) -> int:
    """Run a generator as a command: write what is stale, or with ``--check`` only name it.

    Returns:
        0; with ``--check`` 1 if a file is stale.
    """
    parser = argparse.ArgumentParser(prog=command, description=description)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is stale")
    options = parser.parse_args(arguments)
    stale = stale_files(files, leftover)
    for path in stale:
        if options.check:
            print(f"{path}: stale; run {command}")
        elif path not in files:
            (ROOT / path).unlink()
            print(f"{path}: removed")
        else:
            (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
            (ROOT / path).write_text(files[path], "utf-8")
            print(f"{path}: written")
    return 1 if options.check and stale else 0
