"""A rate: the share of events that failed, counted by weight class."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from monitor.stats.estimate import NO_ESTIMATE, Estimate
from monitor.stats.sampling_weights import MAX_CLASSES, MILLION, NO_UNITS, Units, coarsen
from monitor.stats.share_intervals import (
    IntervalMethod,
    beta_quantile,
    clopper_pearson_interval,
    shift_odds,
    wilson_interval,
)


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
        if not self.level and not other.level:
            self._merge_finest(other)
            return
        while self.level < other.level:
            self._coarsen()
        for ppm, (n, failures) in other.classes.items():
            for level in range(other.level + 1, self.level + 1):
                ppm = coarsen(ppm, level)
            self._put(ppm, n, failures)

    def merge_all(self, others: Sequence[Rate]) -> None:
        """``merge`` each of them."""
        for other in others:
            self.merge(other)

    def _merge_finest(self, other: Rate) -> None:
        """``merge`` where both have the finest grid, as in most cases."""
        classes = self.classes
        for ppm, (n, failures) in other.classes.items():
            counts = classes.get(ppm)
            if counts is None:
                classes[ppm] = [n, failures]
            else:
                counts[0] += n
                counts[1] += failures
        while len(self.classes) > MAX_CLASSES:
            self._coarsen()

    def estimate(
        self,
        z: float,
        *,
        inverted: bool = False,
        interval: IntervalMethod | None = None,
        known: Units = NO_UNITS,
    ) -> Estimate:
        """Estimate the share of failures with its interval at ``z`` standard errors.

        The value is R = sum(f/p) / sum(n/p). With one weight the effective n is the number of events.

        With several weights, failures and other events are counted apart, each in units of its heaviest
        weight (c_f and c_s, see ``units``): F = sum(f w)/c_f, S = sum((n - f) w)/c_s. The sampled odds F/S
        are the true odds divided by c_f/c_s. Then

        - the effective n is T^2 / (c_f y_S + c_s y_F), where y_F = F c_f, y_S = S c_s and T = y_F + y_S: the
          linearised variance with the mean weight of each outcome replaced by its heaviest;
        - the interval is that of the share F/(F + S) on F + S events, with its odds times c_f/c_s, and at
          least contains the value. ``clopper_pearson_interval`` is replaced by the bounds of
          ``_exact_bounds``.

        Args:
            inverted: estimate the share of successes instead.
            interval: ``wilson_interval`` by default.
            known: heaviest weights that the series is known to have. A class that exists but was not sampled
                in this window still makes the interval wide.

        Returns:
            The estimate; ``NO_ESTIMATE`` if nothing is counted.

        Source: Särndal, Swensson, Wretman, Model Assisted Survey Sampling, 5.6 (ratio); Wilson, JASA 22
        (1927); Przyborowski, Wilenski, Biometrika 31 (1940), the ratio of two Poisson means is binomial.
        """
        # Sums of floats depend on the order, and after a restart the classes are in order.
        classes = self.classes.items() if len(self.classes) < 2 else sorted(self.classes.items())
        failed = total = 0.0
        for ppm, (n, f) in classes:
            failed += f * MILLION / ppm
            total += n * MILLION / ppm
        if total <= 0:
            return NO_ESTIMATE
        if len(self.classes) > 1 or known.any > MILLION / next(iter(self.classes)):
            return self._estimate_weighted(z, inverted, interval or wilson_interval, self.units(known))
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

    def units(self, known: Units = NO_UNITS) -> Units:
        """Return the heaviest weights of this rate and of what is known of its series.

        Where no failure was ever seen, a failure is taken to weigh as much as the heaviest event.
        """
        heaviest = max([known.any, *(MILLION / ppm for ppm in self.classes)])
        failed = max([known.failed, *(MILLION / ppm for ppm, (_, f) in self.classes.items() if f)])
        return Units(heaviest, failed or heaviest)

    def unit_counts(self, units: Units) -> tuple[float, float]:
        """Return failures and other events, an event of weight w counted as w / unit.

        A failure heavier than its unit counts once, so that a decision may choose a lighter unit: failures
        that are left out only make the rate lower.
        """
        failed = others = 0.0
        for ppm, (n, f) in sorted(self.classes.items()):
            weight = MILLION / ppm
            failed += f * min(1.0, weight / units.failed)
            others += (n - f) * weight / units.any
        return failed, others

    def weighted_counts(self) -> tuple[float, float]:
        """Return failures and all events, weighted: estimates of how many calls failed, and of all calls."""
        classes = sorted(self.classes.items())
        return (
            sum(f * MILLION / ppm for ppm, (_, f) in classes),
            sum(n * MILLION / ppm for ppm, (n, _) in classes),
        )

    def share_without_heaviest(self) -> float | None:
        """Return the share of failures without the heaviest event that passed; None if nothing is counted.

        With one weight it is the plain share. A page is cleared by this share, so that no single event of a
        large weight clears it.

        >>> rate = Rate()
        >>> rate.add(1_000_000, 50, 50), rate.add(100, 1, 0)  # 50 failures, and one event for 10,000 calls
        (None, None)
        >>> round(rate.estimate(1.96).value, 3), rate.share_without_heaviest()
        (0.005, 1.0)
        """
        failed, total = self.weighted_counts()
        if total <= 0:
            return None
        weights = {ppm for ppm, (n, _) in self.classes.items() if n}
        if len(weights) > 1:
            total -= max((MILLION / ppm for ppm, (n, f) in self.classes.items() if n > f), default=0.0)
        return min(1.0, failed / total) if total > 0 else float(failed > 0)

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

    def _estimate_weighted(
        self, z: float, inverted: bool, interval: IntervalMethod, units: Units
    ) -> Estimate:
        """Estimate as ``estimate`` states for several weights."""
        failed, others = self.unit_counts(units)
        failed_calls, other_calls = failed * units.failed, others * units.any
        total = failed_calls + other_calls
        rate = failed_calls / total
        n = total**2 / (units.failed * other_calls + units.any * failed_calls)
        if interval is clopper_pearson_interval:
            low, high = self._exact_bounds(z, units)
        else:
            odds_factor = units.failed / units.any
            low, high = (
                shift_odds(bound, odds_factor)
                for bound in interval(failed / (failed + others), failed + others, z)
            )
        low, high = min(rate, low), max(rate, high)
        return Estimate(1 - rate, n, 1 - high, 1 - low) if inverted else Estimate(rate, n, low, high)

    def _exact_bounds(self, z: float, units: Units) -> tuple[float, float]:
        """Return bounds that each miss the true share at most as often as a normal variate exceeds ``z``.

        For each weight c of a class with failures, F_c = sum(f min(w, c))/c; x = BetaInv(side/K; F_c, S + 1)
        bounds the sampled share, and its odds times c/c_s the true one. The largest of the K bounds is used,
        hence side/K. The upper bound mirrors it. The upper tail of a weighted Poisson sum with weights up to
        c, and its lower tail too, is bounded by that of c times a Poisson variate of the same mean.

        Source: Hoeffding, JASA 58 (1963), section 5 (convex order); Przyborowski, Wilenski, Biometrika 31
        (1940); Fay, Proschan, Brittain, Biometrics 71 (2015), for counts that are not whole.
        """
        side = math.erfc(z / math.sqrt(2)) / 2
        classes = sorted(self.classes.items())
        failing = [MILLION / ppm for ppm, (_, f) in classes if f]
        passing = [MILLION / ppm for ppm, (n, f) in classes if n > f]
        low, high = 0.0, 1.0
        for unit in failing:
            failed, others = self.unit_counts(Units(units.any, unit))
            bound = beta_quantile(failed, others + 1, side / len(failing))
            low = max(low, shift_odds(bound, unit / units.any))
        failed, _ = self.unit_counts(units)
        for unit in passing:
            others = sum((n - f) * min(1.0, MILLION / ppm / unit) for ppm, (n, f) in classes)
            bound = 1 - beta_quantile(others, failed + 1, side / len(passing))
            high = min(high, shift_odds(bound, units.failed / unit))
        return low, high

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
