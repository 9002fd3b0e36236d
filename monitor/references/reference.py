"""A reference: the panes or texts of a series that stand for its healthy state."""

from __future__ import annotations

from typing import Any, NamedTuple

from monitor.stats.text_sketch import TextSketch
from monitor.windows.pane import Pane

MIN_REFERENCE_EVENTS = 500
MIN_REFERENCE_TEXTS = 250
MIN_REFERENCE_US = 15 * 60 * 1_000_000
# from here on it is a reference like any other; a shorter one is good for large effects only
SURE_REFERENCE_US = 30 * 60 * 1_000_000


class Reference(NamedTuple):
    """Merged panes of [start, end), and the same in blocks (hours, of a young one five minutes), which tell
    how much it varies by itself.
    """

    name: str
    start_us: int
    end_us: int
    pane: Pane
    blocks: tuple[Pane, ...]
    cache: dict[str, Any]  # what rules found of it, kept as long as it is
    is_pinned: bool = False

    @property
    def is_young(self) -> bool:
        """Whether it spans so little time that it says little of what is usual. Of a pinned one a person says
        that it is what should be.
        """
        return not self.is_pinned and self.end_us - self.start_us < SURE_REFERENCE_US


class TextReference(NamedTuple):
    """Texts that stand for how they are when all is well, together and in blocks."""

    sketch: TextSketch
    blocks: tuple[TextSketch, ...]
    is_young: bool
    cache: dict[str, Any]
