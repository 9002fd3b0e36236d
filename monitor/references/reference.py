"""A reference: the panes or texts of a series that stand for its healthy state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from monitor.stats.text_sketch import TextSketch
from monitor.windows.pane import Pane

T = TypeVar("T")

MIN_REFERENCE_EVENTS = 500
MIN_REFERENCE_TEXTS = 250
MIN_REFERENCE_US = 15 * 60 * 1_000_000
SURE_REFERENCE_US = 30 * 60 * 1_000_000
"""A shorter reference is young: good for large effects only."""


class Reference(NamedTuple):
    """The merged panes of [start, end), and the same in blocks, which show how much it varies by itself.

    It is good for the edge at which it was found: a reference that grows is merged in place.

    Attributes:
        name: as the configuration has it.
        pane: usually packed, so it is to be read by ``unpacked``, ``find_rate`` or ``find_number``.
        make_blocks: returns the blocks in order, of an hour; of a young reference five minutes.
        cache: results that rules compute from it, kept as long as the reference.
        is_pinned: a person chose it.
    """

    name: str
    start_us: int
    end_us: int
    pane: Pane
    make_blocks: Callable[[], tuple[Pane, ...]]
    cache: dict[Any, Any]
    is_pinned: bool = False

    @property
    def blocks(self) -> tuple[Pane, ...]:
        """The blocks in order. Few rules read them, so they are not kept merged."""
        return self.make_blocks()

    @property
    def is_young(self) -> bool:
        """Whether it is too short to show what is usual. A pinned reference never is: a person chose it."""
        return not self.is_pinned and self.end_us - self.start_us < SURE_REFERENCE_US

    def cached(self, key: Any, compute: Callable[[], T]) -> T:
        """Return a result that follows from this reference alone; compute it at the first call."""
        if key not in self.cache:
            self.cache[key] = compute()
        value: T = self.cache[key]
        return value


class TextReference(NamedTuple):
    """The texts that stand for the healthy state: together and in blocks.

    ``packed``: all texts, as ``TextSketch.packed`` returns them. ``make_blocks``, ``cache``: as in
    ``Reference``.
    """

    packed: bytes
    make_blocks: Callable[[], Sequence[TextSketch]]
    is_young: bool
    cache: dict[str, Any]

    @property
    def sketch(self) -> TextSketch:
        """All texts, restored at each call."""
        return TextSketch.from_packed(self.packed)

    @property
    def blocks(self) -> Sequence[TextSketch]:
        """The texts of each block, in order."""
        return self.make_blocks()
