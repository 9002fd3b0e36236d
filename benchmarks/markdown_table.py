"""Tables of docs/statistics.md."""

from __future__ import annotations

from collections.abc import Iterable


def print_table(head: list[str], rows: Iterable[list[str]]) -> None:
    """Print a Markdown table, one row at a time."""
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(row) + " |", flush=True)
    print()
