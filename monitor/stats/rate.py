"""A rate: the share of events that failed, counted by weight class."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from monitor.stats.sampling_weights import MAX_CLASSES, MILLION, coarsen


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


NO_ESTIMATE = Estimate(None, 0.0, None, None)

IntervalMethod = Callable[[float, float, float], tuple[float, float]]
"""Observed share, (effective) number of events, standard errors -> low, high.

``wilson_interval`` is for display, ``clopper_pearson_interval`` for decisions.
"""


class Rate:
    """Integer counts (n, failures) by sampling probability. Initially empty: nothing counted.

    >>> rate = Rate()
    >>> rate.add(1_000_000, 20, 20)   # 20 errors, all of which were kept
    >>> rate.add(10_000, 20, 0)       # 20 successes of which one in a hundred was kept
    >>> estimate = rate.estimate(z=1.96)
    >>> round(estimate.value, 4), round(estimate.n)
    (0.0099, 1020)
    """

    __slots__ = ("classes", "level")

    def __init__(self) -> None:
        self.level = 0
        self.classes: dict[int, list[int]] = {}

    def add(self, ppm: int, n: int, failures: int) -> None:
        """Count ``n`` events, of which ``failures`` failed.

        Args:
            ppm: sampling probability on the finest grid, as ``to_ppm`` gives it.
        """
        for level in range(1, self.level + 1):
            ppm = coarsen(ppm, level)
        self._put(ppm, n, failures)

    def merge(self, other: Rate) -> None:
        """Add the counts of ``other``, which stays as it is."""
        while self.level < other.level:
            self._coarsen()
        for ppm, (n, failures) in other.classes.items():
            for level in range(other.level + 1, self.level + 1):
                ppm = coarsen(ppm, level)
            self._put(ppm, n, failures)

    def merge_all(self, others: Sequence[Rate]) -> None:
        """``merge`` each of them; fast if all have the finest grid and few classes, as in most cases."""
        if self.level or any(other.level for other in others):
            for other in others:
                self.merge(other)
            return
        for ppm, (n, failures) in [item for other in others for item in other.classes.items()]:
            counts = self.classes.get(ppm)
            if counts is None:
                self.classes[ppm] = [n, failures]
            else:
                counts[0] += n
                counts[1] += failures
        while len(self.classes) > MAX_CLASSES:
            self._coarsen()

    def estimate(
        self, z: float, *, inverted: bool = False, interval: IntervalMethod | None = None
    ) -> Estimate:
        """Estimate the share of failures with its interval at ``z`` standard errors.

        The value is R = sum(f/p) / sum(n/p). Its variance follows by linearisation, V = sum((f(1-R)^2 +
        (n-f)R^2)/p^2) / sum(n/p)^2, and the effective n is R(1-R)/V. If all events failed, or none, it is
        Kish's (sum w)^2 / sum w^2.

        Args:
            inverted: estimate the share of successes instead.
            interval: ``wilson_interval`` by default.

        Returns:
            The estimate; ``NO_ESTIMATE`` if nothing is counted.

        Source: Särndal, Swensson, Wretman, Model Assisted Survey Sampling, 5.6 (ratio); Wilson, JASA 22
        (1927); Kish, Survey Sampling (1965).
        """
        # Sums of floats depend on the order, and after a restart the classes are in order.
        classes = self.classes.items() if len(self.classes) < 2 else sorted(self.classes.items())
        failed = total = 0.0
        for ppm, (n, f) in classes:
            failed += f * MILLION / ppm
            total += n * MILLION / ppm
        if total <= 0:
            return NO_ESTIMATE
        rate = min(1.0, failed / total)
        if 0 < failed < total:
            squares = sum(
                (f * (1 - rate) ** 2 + (n - f) * rate**2) * (MILLION / ppm) ** 2 for ppm, (n, f) in classes
            )
            effective = rate * (1 - rate) * total**2 / squares
        else:
            effective = total**2 / sum(n * (MILLION / ppm) ** 2 for ppm, (n, _) in classes)
        if inverted:
            rate = 1 - rate
        return Estimate(rate, effective, *(interval or wilson_interval)(rate, effective, z))

    @property
    def events(self) -> int:
        """Events counted, unweighted."""
        return sum(n for n, _ in self.classes.values())

    @property
    def failures(self) -> int:
        """Failures counted, unweighted."""
        return sum(f for _, f in self.classes.values())

    def state(self) -> list[Any]:
        """Return plain values; equal counts give equal values, in whatever order they came."""
        return [self.level, [[ppm, n, f] for ppm, (n, f) in sorted(self.classes.items())]]

    @classmethod
    def from_state(cls, state: Any) -> Rate:
        """Restore a rate from ``state``."""
        rate = cls()
        rate.level = state[0]
        rate.classes = {ppm: [n, f] for ppm, n, f in state[1]}
        return rate

    def _put(self, ppm: int, n: int, failures: int) -> None:
        counts = self.classes.get(ppm)
        if counts is None:
            self.classes[ppm] = [n, failures]
            while len(self.classes) > MAX_CLASSES:
                self._coarsen()
        else:
            counts[0] += n
            counts[1] += failures

    def _coarsen(self) -> None:
        self.level += 1
        classes, self.classes = self.classes, {}
        for ppm, (n, failures) in classes.items():
            counts = self.classes.setdefault(coarsen(ppm, self.level), [0, 0])
            counts[0] += n
            counts[1] += failures


def wilson_interval(rate: float, n: float, z: float) -> tuple[float, float]:
    """Return the Wilson score interval of a share at ``z`` standard errors, inside [0, 1].

    Args:
        rate: observed share, 0 to 1.
        n: (effective) number of events, above 0.

    Source: Wilson, JASA 22 (1927) 209; Brown, Cai, DasGupta, Statist. Sci. 16 (2001), eq. 4.

    >>> [round(x, 4) for x in wilson_interval(0.1, 100, 1.96)]
    [0.0552, 0.1744]
    """
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    return max(0.0, min(rate, centre - half)), min(1.0, max(rate, centre + half))


@lru_cache(maxsize=16_384)
def clopper_pearson_interval(rate: float, n: float, z: float) -> tuple[float, float]:
    """Return the Clopper–Pearson interval of a share, inside [0, 1].

    Each side misses the true share at most as often as a normal variate exceeds ``z``. Wilson's interval does
    not keep that far out: at z = 4.8 and a few hundred events of a rate of 1 % it misses hundreds of times
    too often, because the binomial is skewed there. So decisions use this interval.

    Args:
        rate: observed share, 0 to 1.
        n: (effective) number of events, above 0, not necessarily an integer.

    Source: Clopper and Pearson, Biometrika 26 (1934); by the beta distribution as in Brown, Cai, DasGupta,
    Statist. Sci. 16 (2001), 4.2.1; with an effective n: Korn and Graubard, Survey Methodology 24 (1998).

    >>> [round(x, 4) for x in clopper_pearson_interval(0.1, 100, 1.959964)]
    [0.049, 0.1762]
    """
    from scipy.special import betaincinv  # imported here: a command that only counts saves 0.1 s

    side = math.erfc(z / math.sqrt(2)) / 2
    failed, others = rate * n, n - rate * n
    low = float(betaincinv(failed, others + 1, side)) if failed > 0 else 0.0
    high = 1 - float(betaincinv(others, failed + 1, side)) if others > 0 else 1.0
    return max(0.0, min(rate, low)), min(1.0, max(rate, high))
