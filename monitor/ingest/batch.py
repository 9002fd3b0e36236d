"""Events that are counted together: groups of the same counts, and chunks of many groups."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from monitor.evaluators.suite import Suite
from monitor.protocol.messages import Record
from monitor.stats.sampling_weights import to_ppm
from monitor.windows.feature_series import FeatureState
from monitor.windows.pane import Pane
from monitor.windows.text_blocks import TextBlock


class CountGroup:
    """The events of one feature, segment, pane and pair of probabilities in one chunk.

    Args:
        index: position among the groups of the chunk.
        call_probability: with which a call was sampled, 0 to 1.
        content_probability: with which the text of a sampled call was kept, 0 to 1.
        producer_suffix: added to names of producers where features share the loss accounting.
        texts: returns the text block of the pane; its argument says whether texts will be added to it.

    Attributes:
        call_ppm, text_ppm: probability of the call, and of the call with its text, as ``to_ppm`` gives it.
    """

    __slots__ = (
        "call_ppm",
        "content_probability",
        "feature",
        "index",
        "pane",
        "producer_suffix",
        "text_ppm",
        "texts",
    )

    def __init__(
        self,
        index: int,
        feature: FeatureState,
        pane: Pane,
        call_probability: float,
        content_probability: float,
        producer_suffix: str,
        texts: Callable[[bool], TextBlock],
    ) -> None:
        self.index = index
        self.feature = feature
        self.pane = pane
        self.producer_suffix = producer_suffix
        self.texts = texts
        self.content_probability = content_probability
        self.call_ppm = to_ppm(call_probability)
        self.text_ppm = to_ppm(call_probability * content_probability)


class Chunk:
    """Events of one kind and suite that wait to be counted; ``group_of[i]`` is the group index of event i."""

    __slots__ = ("events", "group_of", "groups", "kind", "records", "suite")

    def __init__(self, kind: str, suite: Suite) -> None:
        self.kind = kind
        self.suite = suite
        self.events: list[Any] = []
        self.group_of: list[int] = []
        self.records: list[Record] = []
        self.groups: list[CountGroup] = []
