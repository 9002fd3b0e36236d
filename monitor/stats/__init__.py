"""Statistics: pure values with ``merge``; exact, commutative, the same bytes in any order."""

from monitor.stats.category_counts import Categories
from monitor.stats.number_summary import Number
from monitor.stats.rate import Rate
from monitor.stats.text_sketch import TextSketch

STATISTICS: dict[str, type[Rate] | type[Number] | type[Categories] | type[TextSketch]] = {
    "rate": Rate,
    "number": Number,
    "categories": Categories,
    "text": TextSketch,
}
"""Kind -> class, for the contract tests and for reading state back."""

__all__ = ["STATISTICS", "Categories", "Number", "Rate", "TextSketch"]
