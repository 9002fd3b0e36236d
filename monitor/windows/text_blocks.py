"""What the texts of one segment look like over five minutes: sketches of its inputs and outputs. No text is
kept.

Coarser than panes, and in records of their own, for a sketch takes a kilobyte however few texts it holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from monitor.stats.text_sketch import FeatureVectors, TextSketch

BLOCK_US = 300_000_000
TEXTS_PER_PANE = 50  # texts of one segment and pane: the first to come, which is the same after a restart
TEXT_RETENTION_US = 26 * 3_600_000_000  # hours of texts are kept for a trailing day that ends two hours back
LANGUAGES_PER_PANE = 10  # of those, the first again: the language of so many is told, for that takes longer
TEXT_NAMES = ("input_text", "output_text")


class TextBlock:
    """Sketches of one segment from ``start_us`` on. What is not being counted into is kept packed, at a
    quarter of the size.
    """

    __slots__ = ("_built", "_packed", "start_us", "taken")

    def __init__(self, start_us: int) -> None:
        self.start_us = start_us
        self.taken: dict[int, int] = {}  # pane start -> responses whose texts were taken
        self._built: dict[str, TextSketch] = {}
        self._packed: dict[str, bytes] = {}

    def has_room(self, pane_us: int) -> bool:
        """Whether a response of this pane would be taken."""
        return self.taken.get(pane_us, 0) < TEXTS_PER_PANE

    def choose(self, pane_us: int) -> bool:
        """Whether a response of this pane is taken; it is counted if so."""
        taken = self.taken.get(pane_us, 0)
        if taken >= TEXTS_PER_PANE:
            return False
        self.taken[pane_us] = taken + 1
        return True

    def tells_language(self, pane_us: int) -> bool:
        """Whether the response of this pane that was taken last is one of those whose language is told."""
        return self.taken.get(pane_us, 0) <= LANGUAGES_PER_PANE

    def update(self, name: str, vectors: FeatureVectors) -> None:
        """Count texts by their vectors, shape (n, 32)."""
        self._open(name).update(vectors)

    def sketch(self, name: str) -> TextSketch | None:
        """One of ``TEXT_NAMES``; None if no such text came."""
        if name in self._built:
            return self._built[name]
        return TextSketch.from_state(self._packed[name]) if name in self._packed else None

    def merge(self, other: TextBlock) -> None:
        """Take in another block's counts; it stays as it is."""
        for pane_us, n in other.taken.items():
            self.taken[pane_us] = self.taken.get(pane_us, 0) + n
        for name in TEXT_NAMES:
            if (sketch := other.sketch(name)) is not None:
                self._open(name).merge(sketch)

    def pack(self) -> None:
        """Nothing more is expected for it."""
        self._packed |= {name: sketch.state() for name, sketch in self._built.items()}
        self._built.clear()

    def state(self) -> list[Any]:
        """Plain values for the state topic."""
        packed = self._packed | {name: sketch.state() for name, sketch in self._built.items()}
        return [self.taken, {name: packed[name] for name in sorted(packed)}]

    @classmethod
    def from_state(cls, start_us: int, state: Any) -> TextBlock:
        """Back from ``state``.

        Raises:
            ValueError: these are no sketches.
        """
        block = cls(start_us)
        block.taken, packed = dict(state[0]), state[1]
        for name, value in packed.items():
            if name not in TEXT_NAMES:
                raise ValueError(f"there are no texts called {name!r}")
            TextSketch.from_state(value)
            block._packed[name] = value
        return block

    def _open(self, name: str) -> TextSketch:
        sketch = self._built.get(name)
        if sketch is None:
            sketch = self._built[name] = (
                TextSketch.from_state(self._packed.pop(name)) if name in self._packed else TextSketch()
            )
        return sketch


def roll_up_texts(blocks: Sequence[TextBlock], start_us: int) -> TextBlock:
    """Blocks as one of an hour, which does not remember panes."""
    out = TextBlock(start_us)
    for block in blocks:
        out.merge(block)
    out.taken.clear()
    out.pack()
    return out
