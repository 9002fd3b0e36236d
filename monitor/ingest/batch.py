"""What is counted together."""

from __future__ import annotations

from collections.abc import Callable

from monitor.stats.sampling_weights import to_ppm
from monitor.windows.feature_series import FeatureState
from monitor.windows.pane import Pane
from monitor.windows.text_blocks import TextBlock


class CountGroup:
    """Where the events of one feature, segment, pane and pair of probabilities are counted."""

    __slots__ = ("feature", "index", "p", "pane", "pq", "q", "shared", "texts")

    def __init__(
        self,
        index: int,
        feature: FeatureState,
        pane: Pane,
        p: float,
        q: float,
        shared: str,
        texts: Callable[[bool], TextBlock],
    ) -> None:
        self.index = index
        self.feature = feature
        self.pane = pane
        self.shared = shared  # added to names of producers where features share an account
        # gives the block of its texts, made when it is first asked for; True: it will be counted into
        self.texts = texts
        self.q = q
        self.p = to_ppm(p)
        self.pq = to_ppm(p * q)
