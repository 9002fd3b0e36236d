"""The record of a judge on the alerts topic: its trust, and the corrected failure rate of each feature."""

from __future__ import annotations

import math

import msgspec

from monitor.judging.ledger import Ledger
from monitor.judging.standing import FailureRate, Standing
from monitor.protocol.messages import OutputRecord
from schemas.times import rfc3339

MOST_FEATURES = 200
"""Features in a record: those with the most judged responses."""


class RateRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The failure rate of a feature today (UTC). ``n``: effective number of judged responses.

    ``judged``: as the judge says; ``value``, ``low``, ``high``: corrected for its errors, with the 95 % interval.
    ``reasons``: why the judge may not page about this feature, beside those of the judge.
    """

    service: str
    feature: str
    n: float
    judged: float
    value: float | None
    low: float
    high: float
    labels: int
    reasons: tuple[str, ...]


class JudgedRatesRecord(OutputRecord, frozen=True, kw_only=True, tag="judged"):
    """What one partition knows of a judge. ``time``: wall clock, RFC 3339; ``agreement``: value, low, high.

    Attributes:
        calibrated: whether its verdicts may page.
        reasons: why it is uncalibrated, each with its remedy.
        labels: answers that people labelled.
    """

    judge: str
    partition: int
    time: str
    identity: str
    calibrated: bool
    reasons: tuple[str, ...]
    labels: int
    agreement: tuple[float, float, float] | None
    rates: list[RateRecord]


def judged_rates(standing: Standing, ledger: Ledger, partition: int, now_us: int) -> JudgedRatesRecord:
    """Return the record of a judge in one partition. ``now_us``: wall clock, microseconds since 1970."""
    trust = standing.trust(now_us)
    rates = sorted(standing.rates_of(ledger, now_us), key=lambda rate: (-rate.n, rate.service, rate.feature))
    share = trust.agreement.agreement
    return JudgedRatesRecord(
        judge=standing.judge.name,
        partition=partition,
        time=rfc3339(now_us),
        identity=standing.identity,
        calibrated=trust.calibrated,
        reasons=trust.reasons,
        labels=trust.labels,
        agreement=None if math.isnan(share.value) else (share.value, share.low, share.high),
        rates=[_rate(standing, ledger, rate, now_us) for rate in rates[:MOST_FEATURES]],
    )


def _rate(standing: Standing, ledger: Ledger, rate: FailureRate, now_us: int) -> RateRecord:
    whole = standing.trust(now_us).reasons
    own = standing.trust_in(ledger, rate.service, rate.feature, now_us).reasons
    return RateRecord(
        service=rate.service,
        feature=rate.feature,
        n=float(f"{rate.n:.6g}"),
        judged=rate.judged,
        value=None if math.isnan(rate.corrected.value) else rate.corrected.value,
        low=rate.corrected.low,
        high=rate.corrected.high,
        labels=rate.labels.n,
        reasons=own[len(whole) :],
    )
