"""What one partition knows of one judge: features, labels, verdicts that await labels, totals. Durable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

import msgspec

from monitor.judging.anchors import RiseWatch
from monitor.judging.budget import DAY_US
from monitor.judging.sampling import HourlyCount
from monitor.judging.trust import VALID_DAYS
from monitor.stats.judge_agreement import Matrix

MOST_VERDICTS = 20_000
"""Verdicts of a judge and partition that wait for labels of people; the oldest leave first."""
MOST_FEATURES = 1000
"""Features of a judge and partition; beyond, those that were quiet for a day leave, and new ones are not judged."""
_encode, _decode = msgspec.json.encode, msgspec.json.decode
StateRecord = tuple[bytes, bytes | None]
LAYOUT = 2
"""Format of the state of judges. 2 has labels by feature, and joins them by feature and response."""


class WeightedCount:
    """Judged responses and failed ones, weighted by 1/p, with the effective number."""

    def __init__(self, weight: float = 0.0, failed: float = 0.0, squares: float = 0.0) -> None:
        self.weight, self.failed, self.squares = weight, failed, squares

    def add(self, probability: float, is_failed: bool) -> None:
        """Count one."""
        self.weight += 1 / probability
        self.failed += is_failed / probability
        self.squares += probability**-2

    def effective(self) -> tuple[float, float]:
        """Return the effective number, and how many of it failed (Kish: (Σw)² ÷ Σw²).

        >>> count = WeightedCount()
        >>> for number in range(10):
        ...     count.add(0.1, number < 2)
        >>> [round(x, 6) for x in count.effective()]
        [10.0, 2.0]
        """
        if not self.squares:
            return 0.0, 0.0
        n = self.weight**2 / self.squares
        return n, n * self.failed / self.weight

    def row(self) -> list[float]:
        """Return it as state records have it."""
        return [self.weight, self.failed, self.squares]


class FeatureLedger:
    """One feature. ``identity``: of the judge that ``watch``, ``today`` and ``total`` are of."""

    def __init__(self) -> None:
        self.hourly = HourlyCount()
        self.identity = ""
        self.watch = RiseWatch()
        self.day = 0
        self.today, self.total = WeightedCount(), WeightedCount()
        self.labels_since_rise = [0, 0]

    def count(self, identity: str, probability: float, is_failed: bool, day: int) -> None:
        """Count a verdict."""
        if identity != self.identity:
            self.identity, self.watch, self.total = identity, RiseWatch(), WeightedCount()
            self.day = 0
        if day != self.day:
            self.day, self.today = day, WeightedCount()
        self.today.add(probability, is_failed)
        self.total.add(probability, is_failed)
        self.watch.add(1, is_failed)

    def row(self) -> dict[str, Any]:
        """Return it as state records have it."""
        return {
            "hourly": [self.hourly.n, self.hourly.last_us],
            "identity": self.identity,
            "watch": [self.watch.n, self.watch.failed, list(self.watch.recent)],
            "day": self.day,
            "today": self.today.row(),
            "total": self.total.row(),
            "labels_since_rise": self.labels_since_rise,
        }

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> FeatureLedger:
        """Restore what ``row`` returned."""
        ledger = cls()
        ledger.hourly = HourlyCount(*row["hourly"])
        ledger.identity, ledger.day = row["identity"], row["day"]
        ledger.watch = RiseWatch(*row["watch"])
        ledger.today, ledger.total = WeightedCount(*row["today"]), WeightedCount(*row["total"])
        ledger.labels_since_rise = list(row["labels_since_rise"])
        return ledger


class Ledger:
    """All that one partition keeps of one judge, but what waits for it."""

    def __init__(self, judge: str) -> None:
        self.judge = judge
        self.features: dict[tuple[str, str], FeatureLedger] = {}
        self.labels: dict[str, dict[int, Matrix]] = {}
        self.feature_labels: dict[tuple[str, str, str], dict[int, Matrix]] = {}
        self.last_label_us: dict[str, int] = {}
        self.verdicts: dict[str, tuple[bool, str]] = {}
        self.day, self.spent_usd, self.total_usd = 0, 0.0, 0.0
        self.results: Counter[str] = Counter()
        self._changed: dict[bytes, None] = {}

    def feature(self, service: str, feature: str) -> FeatureLedger:
        """Return a feature, to change it."""
        key = service, feature
        self._mark("f", *key)
        if (ledger := self.features.get(key)) is None:
            ledger = self.features[key] = FeatureLedger()
        return ledger

    def has_room(self, service: str, feature: str, time_us: int) -> bool:
        """Return whether a feature is known or may be added; names come from outside. ``time_us``: event time."""
        if (service, feature) in self.features or len(self.features) < MOST_FEATURES:
            return True
        quiet = [key for key, ledger in self.features.items() if ledger.hourly.last_us < time_us - DAY_US]
        for key in quiet:
            del self.features[key]
            self._mark("f", *key)
        return len(self.features) < MOST_FEATURES

    def tally(self, result: str) -> None:
        """Count ``verdict``, ``error/KIND``, ``skip/REASON`` or ``chosen``."""
        self.results[result] += 1
        self._mark("t")

    def spend(self, cost_usd: float, now_us: int) -> None:
        """Count money. ``now_us``: wall clock."""
        if (day := now_us // DAY_US) != self.day:
            self.day, self.spent_usd = day, 0.0
        self.spent_usd += cost_usd
        self.total_usd += cost_usd
        self._mark("t")

    def remember(self, service: str, feature: str, response_id: str, is_failed: bool, identity: str) -> None:
        """Remember a verdict until people label the response. Ids are unique within a feature only."""
        name = _hash(service, feature, response_id)
        self.verdicts.pop(name, None)
        self.verdicts[name] = is_failed, identity
        self._mark("v", name)
        while len(self.verdicts) > MOST_VERDICTS:
            oldest = next(iter(self.verdicts))
            del self.verdicts[oldest]
            self._mark("v", oldest)

    def label(self, service: str, feature: str, response_id: str, human_failed: bool, time_us: int) -> bool:
        """Take a label of a person; return whether the judge had a verdict on that response. It counts once."""
        name = _hash(service, feature, response_id)
        if name not in self.verdicts:
            name = _hash(response_id)  # in state of a release that joined by the id alone
        verdict = self.verdicts.pop(name, None)
        if verdict is None:
            return False
        self._mark("v", name)
        judge_failed, identity = verdict
        own = self.feature_labels.setdefault((identity, service, feature), {})
        for days in (self.labels.setdefault(identity, {}), own):
            _add_label(days, time_us // DAY_US, judge_failed, human_failed)
        self._mark("g", identity, service, feature)
        self.last_label_us[identity] = max(time_us, self.last_label_us.get(identity, 0))
        self._mark("l", identity)
        if judge_failed:
            counts = self.feature(service, feature).labels_since_rise
            counts[0] += 1
            counts[1] += human_failed
        return True

    def matrix(self, identity: str, now_us: int) -> tuple[Matrix, int]:
        """Return the labels of an identity that still count, and the time of the newest."""
        total, since = Matrix(), now_us // DAY_US - VALID_DAYS
        for day, counts in self.labels.get(identity, {}).items():
            total = total.plus(counts) if day >= since else total
        return total, self.last_label_us.get(identity, 0)

    def feature_matrix(self, identity: str, service: str, feature: str, now_us: int) -> Matrix:
        """Return the labels of an identity in one feature that still count."""
        total, since = Matrix(), now_us // DAY_US - VALID_DAYS
        for day, counts in self.feature_labels.get((identity, service, feature), {}).items():
            total = total.plus(counts) if day >= since else total
        return total

    def changed(self) -> Iterator[StateRecord]:
        """Yield the state records that differ since the last call; None deletes."""
        for key in self._changed:
            yield key, self._value(key.decode().split("/"))
        self._changed.clear()

    def restore(self, parts: list[str], value: bytes) -> None:
        """Restore one record of ``changed``; ``parts``: of its key."""
        row = _decode(value)
        kind, rest = parts[0], [part.replace("%2F", "/").replace("%25", "%") for part in parts[2:]]
        if kind == "t":
            self.day, self.spent_usd, self.total_usd = row["day"], row["spent_usd"], row["total_usd"]
            self.results = Counter(row["results"])
        elif kind == "f":
            self.features[rest[0], rest[1]] = FeatureLedger.from_row(row)
        elif kind == "l":
            self.labels[rest[0]] = {int(day): Matrix(*counts) for day, counts in row["days"].items()}
            self.last_label_us[rest[0]] = row["last_us"]
        elif kind == "g":
            self.feature_labels[rest[0], rest[1], rest[2]] = {
                int(day): Matrix(*counts) for day, counts in row.items()
            }
        elif kind == "v":
            self.verdicts[rest[0]] = bool(row[0]), row[1]
        else:
            raise ValueError(f"no kind {kind!r}")

    def _mark(self, kind: str, *rest: str) -> None:
        escaped = [part.replace("%", "%25").replace("/", "%2F") for part in rest]
        self._changed["/".join((kind, self.judge, *escaped)).encode("utf-8", "surrogatepass")] = None

    def _value(self, parts: list[str]) -> bytes | None:
        kind, rest = parts[0], [part.replace("%2F", "/").replace("%25", "%") for part in parts[2:]]
        if kind == "t":
            row: Any = {
                "day": self.day,
                "spent_usd": self.spent_usd,
                "total_usd": self.total_usd,
                "results": dict(self.results),
            }
        elif kind == "f":
            if (feature := self.features.get((rest[0], rest[1]))) is None:
                return None
            row = feature.row()
        elif kind == "l":
            days = {str(day): list(counts) for day, counts in self.labels[rest[0]].items()}
            row = {"days": days, "last_us": self.last_label_us[rest[0]]}
        elif kind == "g":
            own = self.feature_labels[rest[0], rest[1], rest[2]]
            row = {str(day): list(counts) for day, counts in own.items()}
        else:
            verdict = self.verdicts.get(rest[0])
            if verdict is None:
                return None
            row = [int(verdict[0]), verdict[1]]
        return _encode(row)


def _add_label(days: dict[int, Matrix], day: int, judge_failed: bool, human_failed: bool) -> None:
    days[day] = days.get(day, Matrix()).add(judge_failed, human_failed)
    for old in [other for other in days if other < day - VALID_DAYS]:
        del days[old]


def _hash(*parts: str) -> str:
    text = "\0".join(parts)
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=10).hexdigest()
