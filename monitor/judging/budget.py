"""The budget of a judge: money accrues over the day, and the sampling rate follows what is left.

The rate falls when money is short; what was chosen is always judged. So each recorded probability is true.
"""

from __future__ import annotations

import math

from schemas.config.judges import Judge

DAY_US = 86_400_000_000
RESERVE = 1 / 48
"""Share of a day's budget that is there at midnight, and below which the rate falls."""
CHARS_PER_TOKEN = 3.0
"""Assumed until answers have shown it; fewer than in English, so that the first estimate is too high."""
_MOST_HALVINGS = 12


class Budget:
    """Spending of one judge in one process, on the current day (UTC).

    Credit = what has accrued − what was spent − the estimated cost of what was chosen and is not judged yet. The
    rate is full from a credit of ``RESERVE`` on, and falls in proportion below it, by halves: so there are few
    different weights. At 0 nothing is chosen. Accrued never exceeds the budget of the day, so spending does not
    either, beyond the error of the estimates of what is under way at the end.

    Args:
        usd_per_day: the whole budget.
    """

    def __init__(self, usd_per_day: float) -> None:
        self._usd = usd_per_day
        self.share = 1.0
        """Share of the deployment's budget that this process may spend: partitions owned ÷ all."""
        self.day = 0
        self.spent_usd = 0.0
        self.pending_usd = 0.0

    def credit_usd(self, now_us: int) -> float:
        """Return the credit. ``now_us``: wall clock, microseconds since 1970."""
        self._turn(now_us)
        elapsed = (now_us % DAY_US) / DAY_US
        accrued = self._usd * self.share * (RESERVE + (1 - RESERVE) * elapsed)
        return accrued - self.spent_usd - self.pending_usd

    def factor(self, now_us: int) -> float:
        """Return how much of the wanted rate the budget allows: 1, a half, a quarter, ..., or 0.

        >>> budget = Budget(48.0)
        >>> budget.factor(0), budget.choose(0.6, 0), budget.factor(0), budget.choose(0.5, 0), budget.factor(0)
        (1.0, None, 0.25, None, 0.0)
        """
        share = self.credit_usd(now_us) / max(1e-12, self._usd * self.share * RESERVE)
        if share >= 1:
            return 1.0
        if share <= 2.0**-_MOST_HALVINGS:
            return 0.0
        return float(2.0 ** math.floor(math.log2(share)))

    def choose(self, estimate_usd: float, now_us: int) -> None:
        """Note that a response was chosen."""
        self._turn(now_us)
        self.pending_usd += estimate_usd

    def settle(self, estimate_usd: float, cost_usd: float, now_us: int) -> None:
        """Note what a chosen response has cost, also if it got no verdict."""
        self._turn(now_us)
        self.pending_usd = max(0.0, self.pending_usd - estimate_usd)
        self.spent_usd += cost_usd

    def spend(self, cost_usd: float, now_us: int) -> None:
        """Note a cost that was not chosen before: of anchors, and of calls before a restart."""
        self.settle(0.0, cost_usd, now_us)

    def _turn(self, now_us: int) -> None:
        day = now_us // DAY_US
        if day > self.day:
            self.day, self.spent_usd = day, 0.0


class CostEstimate:
    """Estimates what a judgement costs from the length of its prompt; learns from the answers.

    >>> estimate = CostEstimate(input_usd=1e-6, output_usd=4e-6, max_tokens=500)
    >>> estimate.usd(3000), estimate.learn(3000, 750, 50)
    (0.003, None)
    >>> 0.0009 < estimate.usd(3000) < 0.003
    True
    """

    def __init__(self, input_usd: float, output_usd: float, max_tokens: int) -> None:
        self._input_usd, self._output_usd = input_usd, output_usd
        self._weight = 5.0  # answers that the assumption is worth
        self._chars, self._tokens = self._weight * 3000, self._weight * 3000 / CHARS_PER_TOKEN
        self._output_tokens = self._weight * max_tokens

    @classmethod
    def of(cls, judge: Judge) -> CostEstimate:
        """Return the estimate for a judge, before its first answer."""
        prices = judge.prices
        return cls(prices.input / 1e6, prices.output / 1e6, judge.max_tokens)

    def usd(self, chars: int) -> float:
        """Return the estimated cost of a prompt of so many characters, US dollars."""
        tokens = chars * self._tokens / self._chars
        return tokens * self._input_usd + self._output_tokens / self._weight * self._output_usd

    def learn(self, chars: int, input_tokens: int, output_tokens: int) -> None:
        """Learn from an answer; the last 200 answers count most."""
        keep = 1 - 1 / 200
        self._weight = keep * self._weight + 1
        self._chars = keep * self._chars + chars
        self._tokens = keep * self._tokens + input_tokens
        self._output_tokens = keep * self._output_tokens + output_tokens

    def cost_usd(self, input_tokens: int, output_tokens: int) -> float:
        """Return what a call has cost."""
        return input_tokens * self._input_usd + output_tokens * self._output_usd
