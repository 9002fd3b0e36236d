"""Labels of a feature whose values never repeat, such as a request id that is sent as prompt version.

Found from what is in state and from the order of the log alone, so a restarted worker decides the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from monitor.windows.segment_keys import OTHER, OVERFLOW, UNLABELLED, SegmentKey
from monitor.windows.segment_series import DAY_US

LEAST_MERGED = 200
"""Segments beyond the cap in a day before a label is searched for."""
LEAST_VALUES = 100
"""Values of a label among the segments of a feature: from so many on, it is the label that exceeds the cap."""
LEAST_EVENTS = 20
"""Events with one value: from so many on, it repeats and gets segments of its own."""
COUNTED = 64
"""Values of a label that are counted at a time: one with over a 65th of the events stays among them."""
MAX_REPEATED = 200
"""Values known to repeat; the oldest is forgotten first."""

_DIMENSION = "dimensions."

LabelState = tuple[int, int, dict[str, int], list[str]]
"""Since when, last event measured under ``other``, counts by digest, digests of repeated values."""


class UnrepeatedLabel:
    """One label whose values are measured under ``other`` unless they repeat.

    Attributes:
        since_us: start of the pane in which it was found.
        last_us: start of the latest pane with an event measured under ``other``.
    """

    __slots__ = ("_counts", "_repeated", "last_us", "since_us")

    def __init__(self, since_us: int, repeated: Iterable[str] = ()) -> None:
        self.since_us = self.last_us = since_us
        self._counts: dict[str, int] = {}
        self._repeated = dict.fromkeys(repeated)

    def repeats(self, value: str) -> bool:
        """Count an event whose segment does not exist; return whether its value may have one.

        Misra and Gries, Finding repeated elements, 1982: counts are too low by at most a 65th of the events.
        """
        digest = _digest(value)
        if digest in self._repeated:
            return True
        counts = self._counts
        count = counts.get(digest, 0) + 1
        if count >= LEAST_EVENTS:
            counts.pop(digest, None)
            self._repeated[digest] = None
            if len(self._repeated) > MAX_REPEATED:
                del self._repeated[next(iter(self._repeated))]
            return True
        if count > 1 or len(counts) < COUNTED:
            counts[digest] = count
        else:
            self._counts = {name: n - 1 for name, n in counts.items() if n > 1}
        return False

    def state(self) -> LabelState:
        """Return plain values."""
        return self.since_us, self.last_us, self._counts, list(self._repeated)

    @classmethod
    def from_state(cls, state: LabelState) -> UnrepeatedLabel:
        """Restore what ``state`` returned."""
        since_us, last_us, counts, repeated = state
        label = cls(since_us, repeated)
        label.last_us, label._counts = last_us, dict(counts)
        return label


class UnrepeatedLabels:
    """The labels of a feature whose values never repeat.

    Attributes:
        labels: name, as ``prompt_version`` or ``dimensions.tenant`` -> what is known of it.
        events: name -> events measured under ``other``, ever.
    """

    __slots__ = ("_day", "_merged", "events", "labels")

    def __init__(self) -> None:
        self.labels: dict[str, UnrepeatedLabel] = {}
        self.events: dict[str, int] = {}
        self._day = 0
        self._merged = 0

    def narrow(self, key: SegmentKey, start_us: int) -> SegmentKey:
        """Return the segment to count an event in whose own segment does not exist.

        Values that never repeat become ``other``; all other labels stay.

        Args:
            key: of the event.
            start_us: start of its pane, microseconds since 1970.
        """
        for name, label in list(self.labels.items()):
            if start_us > label.last_us + DAY_US:  # for a day there was none
                del self.labels[name]
                continue
            value = label_values(key).get(name, "")
            if value and value != OTHER and not label.repeats(value):
                self.events[name] = self.events.get(name, 0) + 1
                label.last_us = max(label.last_us, start_us)
                key = with_label(key, name, OTHER)
        return key

    def note_merged(self, start_us: int) -> bool:
        """Note that a segment was merged since there are too many; return whether to ``find`` the cause.

        ``start_us``: start of the pane of the event that had no segment.
        """
        day = start_us // DAY_US
        if day > self._day:
            self._day, self._merged = day, 0
        self._merged += 1
        return self._merged % LEAST_MERGED == 0

    def find(self, segments: Mapping[SegmentKey, int], start_us: int) -> list[str]:
        """Find labels with too many values; return those that are found now.

        Args:
            segments: key -> events, of the feature.
            start_us: start of the pane of the event that had no segment.
        """
        events: dict[str, dict[str, int]] = {}
        for key, n in segments.items():
            if key in (OVERFLOW, UNLABELLED):
                continue
            for name, value in label_values(key).items():
                if value and value != OTHER and name not in self.labels:
                    counts = events.setdefault(name, {})
                    counts[value] = counts.get(value, 0) + n
        unrepeated = sorted(name for name, counts in events.items() if len(counts) >= LEAST_VALUES)
        for name in unrepeated:
            repeated = [value for value, n in sorted(events[name].items()) if n >= LEAST_EVENTS]
            self.labels[name] = UnrepeatedLabel(start_us, map(_digest, repeated))
        return unrepeated

    def is_repeated(self, name: str, value: str) -> bool:
        """Return whether a value of a found label may have a segment; nothing is counted."""
        return not value or value == OTHER or _digest(value) in self.labels[name]._repeated

    def state(self) -> list[Any]:
        """Return plain values."""
        labels = {name: self.labels[name].state() for name in sorted(self.labels)}
        return [self._day, self._merged, labels, self.events]

    @classmethod
    def from_state(cls, state: list[Any]) -> UnrepeatedLabels:
        """Restore what ``state`` returned."""
        known = cls()
        known._day, known._merged, labels, known.events = state
        known.labels = {name: UnrepeatedLabel.from_state(label) for name, label in labels.items()}
        return known


def label_values(key: SegmentKey) -> dict[str, str]:
    """Return the labels of a segment by name.

    >>> label_values(SegmentKey("m", "p", "", (("plan", "free"),)))
    {'model': 'm', 'prompt_version': 'p', 'variant': '', 'dimensions.plan': 'free'}
    """
    own = {"model": key.model, "prompt_version": key.prompt_version, "variant": key.variant}
    return own | {_DIMENSION + name: value for name, value in key.dimensions}


def with_label(key: SegmentKey, name: str, value: str) -> SegmentKey:
    """Return a segment key with another value of one label."""
    if name == "model":
        return key._replace(model=value)
    if name == "prompt_version":
        return key._replace(prompt_version=value)
    if name == "variant":
        return key._replace(variant=value)
    dimension = name.removeprefix(_DIMENSION)
    return key._replace(
        dimensions=tuple((own, value if own == dimension else old) for own, old in key.dimensions)
    )


def _digest(value: str) -> str:
    return hashlib.blake2b(value.encode("utf-8", "replace"), digest_size=8).hexdigest()
