"""What judges publish of themselves and of the features that they judge: trust, and corrected failure rates."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from schemas.records import JudgedRates
from schemas.times import microseconds

RECORDS = 2000
"""Records that are kept, of judge and partition; the oldest leaves first."""
IDLE_US = 24 * 3600 * 1_000_000
"""A record that is older is not shown: the judge does not run."""
STALE_US = 5 * 60 * 1_000_000
"""Without a newer record for so long the judge is shown as not running."""


class JudgeFigures:
    """The last record of each judge and partition."""

    def __init__(self) -> None:
        self._records: OrderedDict[tuple[str, int], JudgedRates] = OrderedDict()

    def take(self, value: bytes) -> None:
        """Take a record.

        Raises:
            ValueError: it cannot be read.
        """
        record = JudgedRates.model_validate_json(value)
        key = record.judge, record.partition
        previous = self._records.get(key)
        if previous is not None and previous.time > record.time:
            return
        self._records[key] = record
        self._records.move_to_end(key)
        while len(self._records) > RECORDS:
            self._records.popitem(last=False)

    def status(self, now_us: int) -> list[dict[str, Any]]:
        """Return each judge with its trust, as its newest record has it, and the rates of all its partitions.

        ``now_us``: wall clock, microseconds since 1970.
        """
        by_judge: dict[str, list[JudgedRates]] = {}
        for record in self._records.values():
            if microseconds(record.time) >= now_us - IDLE_US:
                by_judge.setdefault(record.judge, []).append(record)
        return [_judge(records, now_us) for _, records in sorted(by_judge.items())]


def _judge(records: list[JudgedRates], now_us: int) -> dict[str, Any]:
    newest = max(records, key=lambda record: record.time)
    reasons = list(newest.reasons)
    today = now_us // IDLE_US
    rates = [
        rate for record in records if microseconds(record.time) // IDLE_US == today for rate in record.rates
    ]
    runs = microseconds(newest.time) >= now_us - STALE_US
    return {
        "judge": newest.judge,
        "identity": newest.identity,
        "time": newest.model_dump(mode="json")["time"],
        "runs": runs,
        "calibrated": newest.calibrated,
        "reasons": reasons,
        "labels": newest.labels,
        "agreement": newest.agreement,
        "rates": [
            {**rate.model_dump(mode="json"), "calibrated": newest.calibrated and not rate.reasons}
            for rate in sorted(rates, key=lambda rate: (rate.service, rate.feature))
        ],
    }
