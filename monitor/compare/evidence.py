"""What two arms say about one metric: the difference with bounds at any alpha, and the evidence against none."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from monitor.compare.category_evidence import log_e_categories, total_variation
from monitor.compare.confidence_sequence import Bounds, Counts, compare_rates
from monitor.compare.confidence_sequence_means import compare_means
from monitor.compare.number_evidence import compare_quantiles, log_e_means, log_e_quantiles, quantile_bounds
from monitor.compare.paired_counts import WeightedValues
from monitor.compare.rate_evidence import log_e_difference

POWER_Z = 0.8416
"""Standard errors for a power of 80 %."""
_UNKNOWN = Bounds(math.nan, -math.inf, math.inf)


class Evidence(Protocol):
    """The difference b - a of one metric."""

    @property
    def a(self) -> float | None:
        """Value of a; None without events, or if the metric has no single value."""

    @property
    def b(self) -> float | None:
        """Value of b."""

    @property
    def sizes(self) -> tuple[float, float]:
        """Effective numbers of events of a and of b."""

    def bounds(self, alpha: float) -> Bounds:
        """Return the difference with bounds that hold at any time of looking."""

    def log_e(self) -> float:
        """Return ln of the e-value against no difference."""


def smallest_visible(evidence: Evidence, alpha: float) -> float:
    """Return the smallest difference whose bounds would exclude 0 in 80 % of such comparisons; inf if none is.

    It is half the width of the bounds, and 0.84 standard errors. The standard error is taken from the width: bounds
    at alpha are as wide as about sqrt(2 ln(1/alpha) + ln n) of them.
    """
    _, low, high = evidence.bounds(alpha)
    half = (high - low) / 2
    if not math.isfinite(half):
        return math.inf
    n_a, n_b = evidence.sizes
    errors = math.sqrt(2 * math.log(1 / alpha) + math.log(1 + 1 / (1 / n_a + 1 / n_b)))
    return half * (1 + POWER_Z / errors)


@dataclass(frozen=True, slots=True)
class RateEvidence:
    """The difference of two shares of failures."""

    of_a: Counts
    of_b: Counts

    @property
    def a(self) -> float | None:
        """Share of failures of a."""
        return self.of_a.failures / self.of_a.n if self.of_a.n > 0 else None

    @property
    def b(self) -> float | None:
        """Share of failures of b."""
        return self.of_b.failures / self.of_b.n if self.of_b.n > 0 else None

    @property
    def sizes(self) -> tuple[float, float]:
        """Effective numbers of events."""
        return self.of_a.n, self.of_b.n

    def bounds(self, alpha: float) -> Bounds:
        """Return the difference with its bounds; nan and infinite without events."""
        if min(self.sizes) <= 0:
            return _UNKNOWN
        return compare_rates(self.of_b, self.of_a, alpha)

    def log_e(self) -> float:
        """Return ln of the e-value."""
        return float(log_e_difference(*self.of_b, *self.of_a))


@dataclass(frozen=True, slots=True)
class MeanEvidence:
    """The difference of two means, in the unit of the metric."""

    of_a: WeightedValues
    of_b: WeightedValues
    unit: float = 1.0

    @property
    def a(self) -> float | None:
        """Mean of a."""
        return self.of_a.moments.mean * self.unit if self.of_a.moments.n > 0 else None

    @property
    def b(self) -> float | None:
        """Mean of b."""
        return self.of_b.moments.mean * self.unit if self.of_b.moments.n > 0 else None

    @property
    def sizes(self) -> tuple[float, float]:
        """Effective numbers of events."""
        return self.of_a.moments.n, self.of_b.moments.n

    def bounds(self, alpha: float) -> Bounds:
        """Return the difference with its bounds; nan and infinite without events."""
        if min(self.sizes) <= 0:
            return _UNKNOWN
        return _scaled(compare_means(self.of_b.moments, self.of_a.moments, alpha), self.unit)

    def log_e(self) -> float:
        """Return ln of the e-value."""
        return log_e_means(self.of_b.moments, self.of_a.moments)


@dataclass(frozen=True, slots=True)
class QuantileEvidence:
    """The difference of two quantiles, in the unit of the metric."""

    of_a: WeightedValues
    of_b: WeightedValues
    q: float
    unit: float = 1.0

    @property
    def a(self) -> float | None:
        """Quantile of a."""
        return self._value(self.of_a)

    @property
    def b(self) -> float | None:
        """Quantile of b."""
        return self._value(self.of_b)

    @property
    def sizes(self) -> tuple[float, float]:
        """Effective numbers of events."""
        return self.of_a.moments.n, self.of_b.moments.n

    def bounds(self, alpha: float) -> Bounds:
        """Return the difference with its bounds; nan and infinite without events."""
        if min(self.sizes) <= 0:
            return _UNKNOWN
        return _scaled(compare_quantiles(self.of_b, self.of_a, self.q, alpha), self.unit)

    def log_e(self) -> float:
        """Return ln of the e-value."""
        return log_e_quantiles(self.of_b, self.of_a, self.q) if min(self.sizes) > 0 else 0.0

    def _value(self, values: WeightedValues) -> float | None:
        return quantile_bounds(values, self.q, 0.5).value * self.unit if values.moments.n > 0 else None


@dataclass(frozen=True, slots=True)
class CategoryEvidence:
    """The difference of two distributions: the share of events that would have to change their value."""

    n_a: float
    n_b: float
    shares_a: dict[str, float]
    shares_b: dict[str, float]

    @property
    def a(self) -> float | None:
        """A distribution has no single value."""
        return None

    @property
    def b(self) -> float | None:
        """A distribution has no single value."""
        return None

    @property
    def sizes(self) -> tuple[float, float]:
        """Effective numbers of events."""
        return self.n_a, self.n_b

    def bounds(self, alpha: float) -> Bounds:
        """Return the total variation; it has no bounds here. The shares of single values have."""
        return Bounds(total_variation(self.shares_b, self.shares_a), -math.inf, math.inf)

    def log_e(self) -> float:
        """Return ln of the e-value."""
        return log_e_categories(self.n_b, self.shares_b, self.n_a, self.shares_a)

    def of_value(self, name: str) -> RateEvidence:
        """Return the evidence on the share of one value."""
        a, b = self.n_a, self.n_b
        return RateEvidence(
            Counts(a, min(a, a * self.shares_a.get(name, 0.0))),
            Counts(b, min(b, b * self.shares_b.get(name, 0.0))),
        )


def _scaled(bounds: Bounds, unit: float) -> Bounds:
    return Bounds(bounds.value * unit, bounds.low * unit, bounds.high * unit)
