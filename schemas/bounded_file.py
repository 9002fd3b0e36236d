"""Read a file that may be hostile: larger than the memory, or without an end."""

from __future__ import annotations

from pathlib import Path


def read_bounded(path: Path, max_bytes: int) -> str:
    """Return the text of a file.

    Args:
        max_bytes: at least 1 MiB.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is larger, or not UTF-8.
    """
    with path.open("rb") as file:
        text = file.read(max_bytes + 1)
    if len(text) > max_bytes:
        raise ValueError(f"it has more than {max_bytes >> 20} MiB")
    return text.decode("utf-8")
