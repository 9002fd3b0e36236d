"""Read lines of a file that may be hostile: one without a line end can be larger than the memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

MAX_LINE_BYTES = 32 << 20
"""Bytes of a line; a batch of records in Kafka may have as many."""
_SKIP_BYTES = 1 << 20


def bounded_lines(file: BinaryIO, max_bytes: int = MAX_LINE_BYTES) -> Iterator[bytes]:
    """Yield the lines of a file; of a longer line its first ``max_bytes + 1`` bytes.

    An empty file has no lines.

    >>> import io
    >>> list(bounded_lines(io.BytesIO(b"ab\\nlonger\\ncd"), 3))
    [b'ab\\n', b'long', b'cd']
    """
    while line := file.readline(max_bytes + 1):
        yield line
        is_cut = len(line) > max_bytes and not line.endswith(b"\n")
        while is_cut and (rest := file.readline(_SKIP_BYTES)):
            is_cut = not rest.endswith(b"\n")


def too_long(line: bytes, max_bytes: int = MAX_LINE_BYTES) -> str:
    """Return why a line cannot be an event, with the remedy; empty if its length is no reason.

    >>> too_long(b"ab", 3), too_long(b"long", 3)
    ('', 'the line has more than 3 bytes; send one JSON object a line')
    """
    if len(line) <= max_bytes:
        return ""
    size = f"{max_bytes >> 20} MiB" if max_bytes >= 1 << 20 else f"{max_bytes} bytes"
    return f"the line has more than {size}; send one JSON object a line"
