"""The report of a comparison as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from monitor.reports.releases.figures import bounds_text, difference_text, p_text, smallest_text, value_text
from monitor.reports.releases.report import ReleaseReport, by_interest, facts, title, verdict_lines

HEAD = ("metric", "a", "b", "difference", "95 % at any look", "n of b", "could be seen", "p", "")


def text_lines(report: ReleaseReport, *, with_table: bool = True) -> Iterator[str]:
    """Yield the report line by line, not sanitized."""
    yield title(report)
    yield from facts(report)
    if with_table:
        yield ""
        yield from _table(report)
    yield ""
    yield from verdict_lines(report)


def _table(report: ReleaseReport) -> Iterator[str]:
    rows = [HEAD]
    for metric in by_interest(report.comparison.metrics):
        bounds = metric.evidence.bounds(0.05)
        name = metric.metric
        if metric.kind == "category":
            figures = (
                "",
                "",
                f"{bounds.value * 100:.1f} % differ" if metric.p_value is not None else "–",
                "–",
                "–",
            )
        else:
            figures = (
                value_text(name, metric.evidence.a),
                value_text(name, metric.evidence.b),
                difference_text(name, bounds.value),
                bounds_text(name, bounds),
                smallest_text(metric),
            )
        rows.append(
            (
                name,
                *figures[:4],
                f"{metric.evidence.sizes[1]:,.0f}",
                figures[4],
                p_text(metric.p_value),
                "moved" if metric.moved else "",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    for row in rows:
        first, *others = row
        cells = [first.ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(others[:-1], widths[1:-1], strict=True)]
        yield "  ".join([*cells, others[-1]]).rstrip()
