"""Statistics: pure values with ``merge``; exact, commutative, the same bytes in any order."""

from monitor.stats.number import Number
from monitor.stats.rate import Rate

STATISTICS: dict[str, type[Rate] | type[Number]] = {"rate": Rate, "number": Number}
"""Kind -> class, for the contract tests and for reading state back."""

__all__ = ["STATISTICS", "Number", "Rate"]
