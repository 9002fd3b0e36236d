"""Decide which responses a judge grades: by a hash, with a probability that is fixed before and recorded."""

from __future__ import annotations

import math
from hashlib import blake2b
from typing import Literal, NamedTuple

from schemas.config.judges import JudgeSampling
from softfail.events import MIN_SAMPLE_PROBABILITY
from softfail.sampling import hash_to_unit

HOUR_US = 3_600_000_000
Stratum = Literal["failed", "ordinary"]


class Draw(NamedTuple):
    """The result of a draw.

    ``probability``: with which the response was chosen, given that it was received; 0: it could not be chosen.
    """

    chosen: bool
    probability: float
    reason: str = ""


class HourlyCount:
    """Number of responses of a feature in the last hour, with weights that decay; it grows from 0.

    >>> count = HourlyCount()
    >>> for second in range(0, 36_000, 10):
    ...     count.add(second * 1_000_000)
    >>> round(count.at(36_000_000_000) / 360, 1)
    1.0
    """

    __slots__ = ("last_us", "n")

    def __init__(self, n: float = 0.0, last_us: int = 0) -> None:
        self.n, self.last_us = n, last_us

    def at(self, time_us: int) -> float:
        """Return the count at a time, microseconds since 1970."""
        return self.n * math.exp(-max(0, time_us - self.last_us) / HOUR_US)

    def add(self, time_us: int) -> None:
        """Count one response."""
        self.n = self.at(time_us) + 1
        self.last_us = max(time_us, self.last_us)


def wanted_rate(sampling: JudgeSampling, stratum: Stratum, hourly: float) -> float:
    """Return the probability with which a response should be judged if the budget allows it.

    Args:
        sampling: rates of the strata, and the floor of small features.
        stratum: ``failed`` if a gating evaluator failed the response.
        hourly: responses of its feature in the last hour, this one not included.

    >>> wanted_rate(JudgeSampling(), "ordinary", 10_000), wanted_rate(JudgeSampling(), "ordinary", 100)
    (0.05, 0.2)
    """
    rate = sampling.failed if stratum == "failed" else sampling.rate
    floor = 1.0 if hourly < sampling.least_per_hour else sampling.least_per_hour / max(1.0, hourly)
    return max(rate, floor)


def salt_of(judge: str) -> bytes:
    """Return the salt of a judge: its draws depend neither on those of producers nor of other judges."""
    return blake2b(b"softfail-judge/" + judge.encode(), digest_size=16).digest()


def draw(event_id: str, salt: bytes, rate: float, factor: float, sent: float) -> Draw:
    """Decide whether a response is judged.

    Args:
        event_id: of the response.
        salt: ``salt_of`` the judge.
        rate: ``wanted_rate``.
        factor: how much of it the budget allows, 0 to 1. Only what is known before this response decides it.
        sent: probability that the response was sent with its texts.

    Source: Horvitz and Thompson (1952): weights 1/p are unbiased if each p is fixed before its draw.
    """
    if factor <= 0:
        return Draw(False, 0.0, "budget")
    probability = rate * factor
    if probability * sent < MIN_SAMPLE_PROBABILITY:
        probability = MIN_SAMPLE_PROBABILITY / sent  # the least that an event may state
    if probability > 1:
        return Draw(False, 0.0, "too rare")
    return Draw(hash_to_unit(event_id, salt) < probability, probability)
