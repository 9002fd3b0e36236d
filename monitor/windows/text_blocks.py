"""Text blocks: sketches of the inputs and outputs of one segment over five minutes. No text is kept.

Blocks are longer than panes, and have records of their own: a sketch takes a kilobyte however few texts it
has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from monitor.stats.text_sketch import FeatureSums, FeatureVectors, TextSketch

BLOCK_US = 300_000_000
TEXT_RETENTION_US = 26 * 3_600_000_000
"""Retention of hours of texts: enough for a trailing day that ended two hours ago."""
TEXT_NAMES = ("input_text", "output_text")


class TextBlock:
    """Sketches of one segment from ``start_us`` on, initially without texts.

    Sketches that no text is added to are kept packed, at a quarter of the size.

    Attributes:
        responses: start of a minute -> number of responses with text that were read in it, by which
            ``monitor.ingest.text_sampling`` chooses some of the next ones.
    """

    __slots__ = ("_packed", "_unpacked", "responses", "start_us")

    def __init__(self, start_us: int) -> None:
        self.start_us = start_us
        self.responses: dict[int, int] = {}
        self._unpacked: dict[str, TextSketch] = {}
        self._packed: dict[str, bytes] = {}

    def update(self, name: str, features: FeatureVectors) -> None:
        """Add texts by their ``text_features``, shape (n, 32), to the sketch ``name`` of ``TEXT_NAMES``."""
        self._open(name).update(features)

    def add_sums(self, name: str, n: int, sums: FeatureSums) -> None:
        """Add n texts by their row of ``feature_sums`` to the sketch ``name`` of ``TEXT_NAMES``."""
        self._open(name).add_sums(n, sums)

    def sketch(self, name: str) -> TextSketch | None:
        """Return the sketch of one of ``TEXT_NAMES``; None if it has no texts."""
        if name in self._unpacked:
            return self._unpacked[name]
        return TextSketch.from_state(self._packed[name]) if name in self._packed else None

    def merge(self, other: TextBlock) -> None:
        """Add the texts of ``other``, which stays as it is."""
        for pane_us, n in other.responses.items():
            self.responses[pane_us] = self.responses.get(pane_us, 0) + n
        for name in TEXT_NAMES:
            if (sketch := other.sketch(name)) is not None:
                self._open(name).merge(sketch)

    def pack(self) -> None:
        """Pack the sketches to save memory; adding texts unpacks them again."""
        self._packed |= {name: sketch.state() for name, sketch in self._unpacked.items()}
        self._unpacked.clear()

    def state(self) -> list[Any]:
        """Return plain values for the state topic; equal counts give equal values."""
        packed = self._packed | {name: sketch.state() for name, sketch in self._unpacked.items()}
        return [self.responses, {name: packed[name] for name in sorted(packed)}]

    @classmethod
    def from_state(cls, start_us: int, state: Any) -> TextBlock:
        """Restore a block from ``state``.

        Raises:
            ValueError: it has other names or other data than sketches.
        """
        block = cls(start_us)
        block.responses, packed = dict(state[0]), state[1]
        for name, value in packed.items():
            if name not in TEXT_NAMES:
                raise ValueError(f"there are no texts called {name!r}")
            TextSketch.from_state(value)
            block._packed[name] = value
        return block

    def _open(self, name: str) -> TextSketch:
        sketch = self._unpacked.get(name)
        if sketch is None:
            sketch = self._unpacked[name] = (
                TextSketch.from_state(self._packed.pop(name)) if name in self._packed else TextSketch()
            )
        return sketch


def text_responses(texts: Mapping[str, Mapping[int, TextBlock]], minute_us: int) -> int:
    """Return the responses with text of a segment that were read in a minute. ``texts``: its fine blocks
    and others by resolution.
    """
    block = texts["pane"].get(minute_us // BLOCK_US * BLOCK_US)
    return block.responses.get(minute_us, 0) if block is not None else 0


def roll_up_texts(blocks: Sequence[TextBlock], start_us: int) -> TextBlock:
    """Merge blocks into one of an hour, packed, without the counts by pane."""
    out = TextBlock(start_us)
    for block in blocks:
        out.merge(block)
    out.responses.clear()
    out.pack()
    return out
