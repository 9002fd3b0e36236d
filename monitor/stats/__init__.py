"""Mergeable summaries: values with ``merge``, which is exact and gives the same bytes in any order."""

from monitor.stats.category_counts import CategoryCounts
from monitor.stats.number_summary import NumberSummary
from monitor.stats.rate import Rate
from monitor.stats.text_sketch import TextSketch

STATISTICS: dict[str, type[Rate] | type[NumberSummary] | type[CategoryCounts] | type[TextSketch]] = {
    "rate": Rate,
    "number": NumberSummary,
    "categories": CategoryCounts,
    "text": TextSketch,
}
"""Kind -> class; the contract tests cover each."""

__all__ = ["STATISTICS", "CategoryCounts", "NumberSummary", "Rate", "TextSketch"]
