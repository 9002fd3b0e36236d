"""What a replay did not measure, and why: what could not be read, came too late, is missing, or was not
judged.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from monitor.protocol.messages import Message
from monitor.state.partition_state import PartitionState
from monitor.windows.feature_series import FeatureState
from softfail.sanitize import sanitize

REASONS = 200  # more kinds of error than these are counted together: fields and errors come from outside
OTHER = "(other reasons)"

_GOT = re.compile(r", got .*?(?= \(and \d+ more\)$|$)", re.DOTALL)
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_NUMBER = re.compile(r"(?<![\w\-])-?\d+(?:\.\d+)?")  # not that of UTF-8


class Letter(msgspec.Struct):
    """Of a dead letter, what is told of it."""

    topic: str
    partition: int
    offset: int
    error: str
    field: str


class Gap(NamedTuple):
    """So many events were not measured or not judged, why, and at which features (the most concerned first)."""

    events: int
    why: str
    features: tuple[str, ...]

    def where(self, most: int = 3) -> str:
        """The features in words."""
        more = len(self.features) - most
        return ", ".join(self.features[:most]) + (f" and {more} more" if more > 0 else "")


class Letters:
    """Dead letters by kind of error, each with the first place where it stood."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.first: dict[str, Letter] = {}
        self._decoder = msgspec.json.Decoder(Letter)

    def take(self, messages: Iterable[Message]) -> list[Letter]:
        """Count dead letters; what they say."""
        letters = [self._decoder.decode(message.value) for message in messages]
        for letter in letters:
            kind = kind_of(letter.error)
            if kind not in self.counts and len(self.counts) >= REASONS:
                kind = OTHER
            self.counts[kind] += 1
            self.first.setdefault(kind, letter)
        return letters

    @property
    def total(self) -> int:
        """All of them."""
        return self.counts.total()


def kind_of(error: str) -> str:
    """An error without what differs from letter to letter.

    >>> kind_of("duration_s: Input should be greater than or equal to 0, got -3.5 (and 1 more)")
    'duration_s: Input should be greater than or equal to # (and # more)'
    """
    return sanitize(_NUMBER.sub("#", _QUOTED.sub("'...'", _GOT.sub("", error))), 240)


def gaps(partition_state: PartitionState) -> list[Gap]:
    """What was not measured, by reason: the largest first."""
    found: dict[str, Counter[str]] = {}
    for key, feature in partition_state.features.items():
        where = sanitize(
            f"{key.service}/{key.feature}"
            + ("" if key.environment == "production" else f" ({key.environment})"),
            200,
        )
        for why, n in _of_feature(feature):
            if n > 0:
                found.setdefault(sanitize(why, 300), Counter())[where] += n
    some = [
        Gap(counts.total(), why, tuple(where for where, _ in counts.most_common()))
        for why, counts in found.items()
    ]
    return sorted(some, key=lambda gap: (-gap.events, gap.why))


def _of_feature(feature: FeatureState) -> Iterator[tuple[str, int]]:
    yield "over two hours late: counted nowhere", feature.expired
    yield "late: counted in their own time, and seen by the rules from their arrival on", feature.late
    yield "numbered by their producer, and not in this log", feature.missing
    yield "segments beyond the cap: measured under `other`", feature.overflowed
    for evaluator, reasons in feature.skipped.items():
        yield from ((f"not judged by {evaluator}: {why}", n) for why, n in reasons.items())
    yield from (
        (f"the evaluator {evaluator} broke on them", n) for evaluator, n in feature.evaluator_errors.items()
    )
