"""Text blocks: sketches of the inputs and outputs of one segment over five minutes. No text is kept.

Blocks are longer than panes, and have records of their own: a sketch takes a kilobyte however few texts it
has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from monitor.stats.text_sketch import FeatureVectors, TextSketch

BLOCK_US = 300_000_000
TEXT_RETENTION_US = 26 * 3_600_000_000
"""Retention of hours of texts: enough for a trailing day that ended two hours ago."""
TEXT_NAMES = ("input_text", "output_text")
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[dict[int, int], dict[str, bytes]]).decode
_NOTHING: dict[int, int] = {}  # of packed blocks: nothing is ever added to them
_NO_SKETCHES: dict[str, TextSketch] = {}


class TextBlock:
    """Sketches of one segment from ``start_us`` on, initially without texts.

    A block that no text is added to is kept packed: one string of bytes, of few texts their features only.
    """

    __slots__ = ("_packed", "_responses", "_sketches", "start_us")

    def __init__(self, start_us: int) -> None:
        self.start_us = start_us
        self._packed: bytes | None = None
        self._responses: dict[int, int] = {}
        self._sketches: dict[str, TextSketch] = {}

    @property
    def responses(self) -> dict[int, int]:
        """Start of a minute -> number of responses with text that were read in it.

        By it ``monitor.ingest.text_sampling`` chooses some of the next ones.
        """
        self._unpack()
        return self._responses

    def update(self, name: str, features: FeatureVectors) -> None:
        """Add texts by their ``text_features``, shape (n, 32), to the sketch ``name`` of ``TEXT_NAMES``."""
        self._unpack()
        self._sketch(name).update(features)

    def sketch(self, name: str) -> TextSketch | None:
        """Return the sketch of one of ``TEXT_NAMES``; None if it has no texts. A packed block stays packed."""
        if self._packed is None:
            return self._sketches.get(name)
        sketches = _decode(self._packed)[1]
        return TextSketch.from_packed(sketches[name]) if name in sketches else None

    def merge(self, other: TextBlock) -> None:
        """Add the texts of ``other``, which stays as it is."""
        self._unpack()
        for pane_us, n in other._contents()[0].items():
            self._responses[pane_us] = self._responses.get(pane_us, 0) + n
        for name in TEXT_NAMES:
            if (sketch := other.sketch(name)) is not None:
                self._sketch(name).merge(sketch)

    def pack(self) -> None:
        """Pack the block to save memory; adding texts unpacks it again."""
        if self._packed is None:
            self._packed = _encode(self._contents())
            self._responses, self._sketches = _NOTHING, _NO_SKETCHES

    def state(self) -> list[Any]:
        """Return plain values for the state topic; equal counts give equal values."""
        responses, _ = self._contents()
        sketches = {name: sketch for name in sorted(TEXT_NAMES) if (sketch := self.sketch(name)) is not None}
        return [responses, {name: sketch.state() for name, sketch in sketches.items()}]

    @classmethod
    def from_state(cls, start_us: int, state: Any) -> TextBlock:
        """Restore a block from ``state``.

        Raises:
            ValueError: it has other names or other data than sketches.
        """
        for name, value in state[1].items():
            if name not in TEXT_NAMES:
                raise ValueError(f"there are no texts called {name!r}")
            TextSketch.from_state(value)
        block = cls(start_us)
        block._packed = _encode(state)
        return block

    def _contents(self) -> tuple[dict[int, int], dict[str, bytes]]:
        """Return responses and packed sketches by name."""
        if self._packed is not None:
            return _decode(self._packed)
        return self._responses, {name: sketch.packed() for name, sketch in self._sketches.items()}

    def _unpack(self) -> None:
        if self._packed is not None:
            self._responses, sketches = _decode(self._packed)
            self._sketches = {name: TextSketch.from_packed(packed) for name, packed in sketches.items()}
            self._packed = None

    def _sketch(self, name: str) -> TextSketch:
        sketch = self._sketches.get(name)
        if sketch is None:
            sketch = self._sketches[name] = TextSketch()
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
