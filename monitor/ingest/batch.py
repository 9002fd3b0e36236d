"""Events that are counted together: groups of the same counts, and chunks of many groups."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from monitor.evaluators.suite import Suite
from monitor.protocol.messages import Record
from monitor.stats.sampling_weights import MILLION, to_ppm
from monitor.windows.feature_series import FeatureState
from monitor.windows.pane import Pane
from monitor.windows.segment_series import SegmentSeries
from monitor.windows.text_blocks import TextBlock


class CountGroup:
    """The events of one feature, segment, pane and pair of probabilities in one chunk.

    Args:
        index: position among the groups of the chunk.
        call_probability: with which a call was sampled, 0 to 1.
        content_probability: with which the text of a sampled call was kept, 0 to 1.
        producer_suffix: added to names of producers where features share the loss accounting.
        texts: returns the text block of the segment at a time; its second argument says whether it changes.
        base_probability: with which ordinary calls are sampled, if these events state another one.
        absent_is_ok: whether calls without an outcome pass.
        is_late: they came so late that no rule reads them.

    Attributes:
        call_ppm, text_ppm: probability of the call, and of the call with its text, as ``to_ppm`` gives it.
        reported_ok: whether an event reported the outcome ``ok``.
        base_call_ppm, base_text_ppm: the same of ordinary calls; None if they are the same.
    """

    __slots__ = (
        "absent_is_ok",
        "base_call_ppm",
        "base_text_ppm",
        "call_ppm",
        "content_probability",
        "feature",
        "index",
        "is_late",
        "pane",
        "producer_suffix",
        "reported_ok",
        "segment",
        "text_ppm",
        "texts",
    )

    def __init__(
        self,
        index: int,
        feature: FeatureState,
        segment: SegmentSeries,
        pane: Pane,
        call_probability: float,
        content_probability: float,
        producer_suffix: str,
        texts: Callable[[int, bool], TextBlock],
        base_probability: float | None = None,
        *,
        absent_is_ok: bool = False,
        is_late: bool = False,
    ) -> None:
        self.index = index
        self.feature = feature
        self.segment = segment
        self.pane = pane
        self.producer_suffix = producer_suffix
        self.texts = texts
        self.absent_is_ok = absent_is_ok
        self.reported_ok = False
        self.is_late = is_late
        self.content_probability = content_probability
        self.call_ppm = to_ppm(call_probability)
        self.text_ppm = to_ppm(call_probability * content_probability)
        self.base_call_ppm = self.base_text_ppm = None
        if base_probability is not None:
            self.base_call_ppm = to_ppm(base_probability)
            self.base_text_ppm = to_ppm(base_probability * content_probability)

    def count_rate(
        self, name: str, n: int, failures: int, *, by_text: bool = False, sample: float = 1.0
    ) -> None:
        """Count ``n`` events, at least 1, into a rate of the pane.

        ``by_text``: their texts were read. ``sample``: with which probability they were evaluated.

        A class of no events states the probability of ordinary calls, so that the rate knows of them before
        the first of them was sampled.
        """
        rate = self.pane.rate(name)
        rate.add(_sampled(self.text_ppm if by_text else self.call_ppm, sample), n, failures)
        base_ppm = self.base_text_ppm if by_text else self.base_call_ppm
        if base_ppm is not None:
            rate.add(_sampled(base_ppm, sample), 0, 0)


def _sampled(ppm: int, sample: float) -> int:
    """Return the weight class of events of a class of which a share was evaluated."""
    return ppm if sample >= 1 else to_ppm(ppm / MILLION * sample)


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
