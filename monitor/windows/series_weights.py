"""The heaviest sampling weights of the rates of a feature, by segment and for the whole feature."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from monitor.stats.rate import Rate
from monitor.stats.sampling_weights import NO_UNITS, Units, WeightMemory
from monitor.windows.segment_keys import SegmentKey


class SeriesWeights:
    """Weight memories of a feature; initially none.

    Attributes:
        memories: segment (None: the whole feature) -> rate -> the heaviest weights of its events.
    """

    __slots__ = ("memories",)

    def __init__(self) -> None:
        self.memories: dict[SegmentKey | None, dict[str, WeightMemory]] = {}

    def observe(
        self, segment_rates: Iterable[tuple[SegmentKey, Mapping[str, Rate]]]
    ) -> list[SegmentKey | None]:
        """Note how heavy the events of each rate are, by segment and for the whole feature.

        Args:
            segment_rates: the counts since the last edge.

        Returns:
            The series whose weights have changed; None for the whole feature.
        """
        changed: dict[SegmentKey | None, None] = {}
        whole: dict[str, dict[int, list[int]]] = {}
        for segment_key, rates in segment_rates:
            for name, rate in rates.items():
                if self._memory(segment_key, name).observe(rate.classes):
                    changed[segment_key] = None
                classes = whole.setdefault(name, {})
                for ppm, (n, failures) in rate.classes.items():
                    counts = classes.setdefault(ppm, [0, 0])
                    counts[0] += n
                    counts[1] += failures
        for name, classes in whole.items():
            if self._memory(None, name).observe(classes):
                changed[None] = None
        return list(changed)

    def units(self, segment_key: SegmentKey | None, name: str) -> Units:
        """Return the heaviest weights known of a rate; of one that does not exist ``NO_UNITS``.

        A segment in which nothing has passed yet has the weights of the whole feature.
        """
        memory = self.memories.get(segment_key, {}).get(name)
        if memory is None or not memory.has_passed:
            memory = self.memories.get(None, {}).get(name, memory)
        return NO_UNITS if memory is None else memory.units

    def merge_segment(self, leaving: SegmentKey, target: SegmentKey) -> bool:
        """Add the weights of a segment to those of another; return whether there were any."""
        memories = self.memories.get(leaving, {})
        for name, memory in memories.items():
            self._memory(target, name).merge(memory)
        return bool(memories)

    def _memory(self, segment_key: SegmentKey | None, name: str) -> WeightMemory:
        memories = self.memories.setdefault(segment_key, {})
        return memories.get(name) or memories.setdefault(name, WeightMemory())
