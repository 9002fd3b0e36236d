"""List what a backtest did not measure, and why: unreadable, late or missing events, skipped evaluators."""

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

REASONS = 200  # further templates are counted as OTHER, because producers can cause any number of them
OTHER = "(other reasons)"

_RECEIVED_VALUE = re.compile(r", got .*?(?= \(and \d+ more\)$|$)", re.DOTALL)
_QUOTED = re.compile(r"(?:(?<!\w)|(?<=\bb))'[^']*'|\"[^\"]*\"")  # 'x' and b'x'; no apostrophe of a word
_NUMBER = re.compile(r"(?<![\w\-])-?\d+(?:\.\d+)?")  # not the 8 of UTF-8


class DeadLetterSummary(msgspec.Struct):
    """Fields of a dead letter that the report shows."""

    topic: str
    partition: int
    offset: int
    error: str
    field: str


class DataGap(NamedTuple):
    """Number of events without measurement or verdict, the reason, and the features, most events first."""

    events: int
    reason: str
    features: tuple[str, ...]

    def where(self, most: int = 3) -> str:
        """Name the first ``most`` features and count the others."""
        more = len(self.features) - most
        return ", ".join(self.features[:most]) + (f" and {more} more" if more > 0 else "")


class DeadLetterCounts:
    """Count dead letters by template of their error; keep the first dead letter of each."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.first: dict[str, DeadLetterSummary] = {}
        self._decoder = msgspec.json.Decoder(DeadLetterSummary)

    def take(self, messages: Iterable[Message]) -> list[DeadLetterSummary]:
        """Count the dead letters of some messages and return them."""
        letters = [self._decoder.decode(message.value) for message in messages]
        for letter in letters:
            template = sanitized_template(letter.error)
            if template not in self.counts and len(self.counts) >= REASONS:
                template = OTHER
            self.counts[template] += 1
            self.first.setdefault(template, letter)
        return letters

    @property
    def total(self) -> int:
        """Number of dead letters."""
        return self.counts.total()


def sanitized_template(error: str) -> str:
    """Return the template of an error message, sanitized: the message without the values of one record.

    >>> sanitized_template("duration_s: Input should be greater than or equal to 0, got -3.5 (and 1 more)")
    'duration_s: Input should be greater than or equal to # (and # more)'
    >>> sanitized_template("time: lies 900 s ahead of the broker's clock; set the producer's clock")
    "time: lies # s ahead of the broker's clock; set the producer's clock"
    >>> sanitized_template("field 'answer' of the event's body, b'bytes' too")
    "field '...' of the event's body, b'...' too"
    """
    return sanitize(_NUMBER.sub("#", _QUOTED.sub("'...'", _RECEIVED_VALUE.sub("", error))), 240)


def data_gaps(partition_state: PartitionState) -> list[DataGap]:
    """List what was not measured, by reason; most events first."""
    counts_by_reason: dict[str, Counter[str]] = {}
    for key, feature in partition_state.features.items():
        where = sanitize(
            f"{key.service}/{key.feature}"
            + ("" if key.environment == "production" else f" ({key.environment})"),
            200,
        )
        for reason, n in _reasons(feature):
            if n > 0:
                counts_by_reason.setdefault(sanitize(reason, 300), Counter())[where] += n
    unordered = [
        DataGap(counts.total(), reason, tuple(where for where, _ in counts.most_common()))
        for reason, counts in counts_by_reason.items()
    ]
    return sorted(unordered, key=lambda gap: (-gap.events, gap.reason))


def _reasons(feature: FeatureState) -> Iterator[tuple[str, int]]:
    yield "over two hours late: counted nowhere", feature.expired
    yield (
        "late: counted in their own time; rules read those that arrive within 30 minutes of it",
        feature.late,
    )
    yield "numbered by their producer, and not in this log", feature.missing
    yield "segments beyond the cap: measured under `other`", feature.overflowed
    yield from (
        (f"a `{label}` of its own each: measured under `other`", n)
        for label, n in feature.unrepeated.events.items()
    )
    for evaluator, reasons in feature.skipped.items():
        yield from ((f"not judged by {evaluator}: {reason}", n) for reason, n in reasons.items())
    yield from (
        (f"the evaluator {evaluator} broke on them", n) for evaluator, n in feature.evaluator_errors.items()
    )
