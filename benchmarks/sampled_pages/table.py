"""The table of false pages by sampling design, traffic and failure rate."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from benchmarks.baseline_bank import BaselineBank
from benchmarks.false_pages.table import interval
from benchmarks.sampled_pages.designs import DESIGNS, FAILING, TRAFFIC, Cell
from benchmarks.sampled_pages.screen import EARLY_SHARE


def name_of(cell: Cell) -> str:
    return f"{cell.design} | {cell.calls} | {cell.failing:g}"


def merged(total: dict[str, Any] | None, new: dict[str, Any]) -> dict[str, Any]:
    return new if total is None else {key: total[key] + new[key] for key in new}


def in_thousand(rows: Sequence[dict[str, Any]]) -> tuple[float, float, float]:
    """Return the pages in 1,000 feature-days of some cells, with their 95 % interval."""
    days, pages = sum(row["days"] for row in rows), sum(len(row["pages"]) for row in rows)
    low, high = interval(pages)
    return 1000 * pages / days, 1000 * low / days, 1000 * high / days


def table(done: dict[str, dict[str, Any]]) -> str:
    """Return the table: designs and traffic by failure rate."""
    allowed = EARLY_SHARE / BaselineBank(1, [1.0]).bound
    lines = [
        f"| design | calls a minute | {' | '.join(f'{failing:.1%} fail' for failing in FAILING)} | detector:"
        " found / allowed |",
        "|---|---:|" + "---|" * len(FAILING) + "---|",
    ]
    for design, calls in itertools.product(DESIGNS, TRAFFIC):
        rows = [done.get(name_of(Cell(design, calls, failing))) for failing in FAILING]
        if not any(rows):
            continue
        shown = [
            f"{len(row['pages'])} of {row['days']:,} ({low:.2g} to {high:.2g})"
            for row in rows
            if row
            for _, low, high in [in_thousand([row])]
        ]
        early, blocks = (sum(row[name] for row in rows if row) for name in ("early", "blocks"))
        lines.append(f"| {design} | {calls} | {' | '.join(shown)} | {early} / {blocks * allowed:.1f} |")
    days = sum(row["days"] for row in done.values())
    rate, low, high = in_thousand(list(done.values()))
    lines.append(
        f"\n{days:,} feature-days: {rate:.2g} false pages in 1,000 ({low:.2g} to {high:.2g} at 95 %)."
    )
    return "\n".join(lines)


def broken(done: dict[str, dict[str, Any]]) -> list[str]:
    """Return the cells that page more often than once in 1,000 feature-days, beyond chance."""
    return [name for name, row in done.items() if in_thousand([row])[1] > 1]
