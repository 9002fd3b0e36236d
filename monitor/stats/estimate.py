"""A value with its confidence interval and the effective number of events behind it."""

from __future__ import annotations

from typing import NamedTuple


class Estimate(NamedTuple):
    """A value with its interval. ``n``: effective number of events; at n = 0 the other fields are None."""

    value: float | None
    n: float
    low: float | None
    high: float | None

    def scaled(self, unit: float) -> Estimate:
        """Return the estimate in another unit: value and interval times ``unit``.

        >>> Estimate(2_000_000.0, 10.0, None, None).scaled(1e-6)
        Estimate(value=2.0, n=10.0, low=None, high=None)
        """
        if unit == 1:
            return self
        value, n, low, high = self
        return Estimate(
            None if value is None else value * unit,
            n,
            None if low is None else low * unit,
            None if high is None else high * unit,
        )

    def inverted(self) -> Estimate:
        """Return the estimate of the opposite share.

        >>> Estimate(0.25, 8.0, 0.125, 0.5).inverted()
        Estimate(value=0.75, n=8.0, low=0.5, high=0.875)
        """
        value, n, low, high = self
        return Estimate(
            None if value is None else 1 - value,
            n,
            None if high is None else 1 - high,
            None if low is None else 1 - low,
        )


NO_ESTIMATE = Estimate(None, 0.0, None, None)
