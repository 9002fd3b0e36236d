"""Count the events of one version as a worker does, by minute and stratum, and by group of sessions."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from monitor.compare.arm import Arm, CellKey
from monitor.compare.design_effect import SESSION_GROUPS
from monitor.evaluators.suite import Suite
from monitor.ingest.aggregation import aggregate_evaluations, aggregate_feedback, aggregate_responses
from monitor.ingest.batch import CountGroup
from monitor.stats.rate import Rate
from monitor.windows.feature_series import FeatureState
from monitor.windows.metric_definitions import CATEGORIES, TEXT_CATEGORIES
from monitor.windows.pane import Pane
from monitor.windows.segment_keys import FeatureKey, SegmentKey
from monitor.windows.segment_series import FINE, SegmentSeries
from monitor.windows.text_blocks import BLOCK_US, TextBlock

MINUTE_US = 60_000_000
_OUTCOME = "evaluator.outcome.fail_rate"
_LEAST_OUTCOMES, _LEAST_WITHOUT = 3, 20  # docs/semantics.md, outcome set only on failure


class Placed:
    """An event with the place where it counts.

    Attributes:
        event: decoded.
        time_us: microseconds since 1970.
        stratum: values of the labels within which arms are compared.
        mix: metric and value of the labels whose mix is watched.
        session_group: number of the group of its session.
    """

    __slots__ = ("event", "mix", "session_group", "stratum", "time_us")

    def __init__(
        self,
        event: Any,
        time_us: int,
        stratum: tuple[str, ...],
        mix: tuple[tuple[str, str], ...],
        session_group: int,
    ) -> None:
        self.event, self.time_us, self.stratum, self.mix = event, time_us, stratum, mix
        self.session_group = session_group


class ArmCounts:
    """The counts of one version; initially empty.

    Each event is counted twice by the same functions that count the panes of a worker: in its minute, and in the group
    of its session.
    """

    def __init__(self, name: str, feature: FeatureKey) -> None:
        self.name = name
        self.cells: dict[CellKey, Pane] = {}
        self.session_groups = [Pane(0) for _ in range(SESSION_GROUPS)]
        self.events = 0
        self.first_us = self.last_us = 0
        self.reported_ok = False
        self._scratch = [(FeatureState(feature), SegmentSeries(SegmentKey())) for _ in range(2)]

    def add(self, kind: str, placed: Sequence[Placed], suite: Suite) -> None:
        """Count events of one kind: ``response``, ``feedback`` or ``evaluation``."""
        if not placed:
            return
        events = [one.event for one in placed]
        for by_session in (False, True):
            groups, group_of = self._grouped(placed, by_session=by_session)
            if kind == "response":
                aggregate_responses(events, group_of, groups, suite, MINUTE_US)
                self._count_mix(placed, groups, group_of)
                self.reported_ok |= any(group.reported_ok for group in groups)
            elif kind == "feedback":
                aggregate_feedback(events, group_of, groups)
            else:
                aggregate_evaluations(events, group_of, groups, suite.names)
        if kind == "response":
            times = [one.time_us for one in placed]
            self.first_us = min(times) if not self.events else min(self.first_us, *times)
            self.last_us = max(self.last_us, *times)
            self.events += len(placed)
            for feature, _ in self._scratch:
                feature.active_us = self.last_us // MINUTE_US * MINUTE_US

    def arm(self, session_size: float) -> Arm:
        """Return the counts as an arm.

        Args:
            session_size: mean calls of the session of a call; 0 if no event names its session.
        """
        for pane in self.session_groups:
            for category in TEXT_CATEGORIES:  # read of too few texts to vary by session
                pane.categories.pop(category.name, None)
        groups = [pane for pane in self.session_groups if pane.rates] if session_size else []
        return Arm(
            self.name, self.cells, groups, session_size or 1.0, self.events, self.first_us, self.last_us
        )

    def panes(self) -> Iterable[Pane]:
        """Return all panes: those of cells, and those of groups of sessions."""
        return [*self.cells.values(), *self.session_groups]

    def _grouped(self, placed: Sequence[Placed], *, by_session: bool) -> tuple[list[CountGroup], list[int]]:
        """Return the groups of events that are counted together, and the index of the group of each event."""
        groups: list[CountGroup] = []
        index_of: dict[Hashable, int] = {}
        group_of = []
        for one in placed:
            event = one.event
            content = getattr(event, "content_probability", 1.0)
            minute_us = one.time_us // MINUTE_US * MINUTE_US
            place: Hashable = one.session_group if by_session else CellKey(minute_us, one.stratum)
            key = place, event.sample_probability, content, event.base_probability, one.mix
            index = index_of.get(key)
            if index is None:
                index = index_of[key] = len(groups)
                groups.append(self._group(index, one, minute_us, content, by_session=by_session))
            group_of.append(index)
        return groups, group_of

    def _group(
        self, index: int, one: Placed, minute_us: int, content: float, *, by_session: bool
    ) -> CountGroup:
        event = one.event
        feature, segment = self._scratch[by_session]
        pane = (
            self.session_groups[one.session_group]
            if by_session
            else self.cells.setdefault(CellKey(minute_us, one.stratum), Pane(minute_us))
        )
        return CountGroup(
            index,
            feature,
            segment,
            pane,
            event.sample_probability,
            content,
            "",
            partial(_text_block, segment),
            event.base_probability,
        )

    def _count_mix(
        self, placed: Sequence[Placed], groups: Sequence[CountGroup], group_of: Sequence[int]
    ) -> None:
        counts = np.bincount(np.asarray(group_of, np.int64), minlength=len(groups)).tolist()
        mixes = dict(zip(group_of, (one.mix for one in placed), strict=True))
        for group, n in zip(groups, counts, strict=True):
            for metric, value in mixes[group.index]:
                group.pane.category(metric).add(group.call_ppm, {value or "(none)": n})


def complete_counts(arms: Mapping[str, ArmCounts]) -> None:
    """Add what panes leave to their readers: labels that are absent, and outcomes that are reported of failures only."""
    panes = [pane for arm in arms.values() for pane in arm.panes()]
    used = {name for pane in panes for name in pane.categories}
    for pane in panes:
        calls = pane.rates.get("error_rate")
        if calls is None:
            continue
        for category in CATEGORIES:
            if category.absent is not None and category.name in used:
                _count_absent(pane, category.name, category.absent, calls)
    if not any(arm.reported_ok for arm in arms.values()):
        _pass_absent_outcomes(panes)


def _count_absent(pane: Pane, name: str, absent: str, calls: Rate) -> None:
    counted = {ppm: sum(counts.values()) for ppm, counts in pane.category(name).classes.items()}
    for ppm, (n, _) in list(calls.classes.items()):
        if (missing := n - counted.get(ppm, 0)) > 0:
            pane.category(name).add(ppm, {absent: missing})


def _pass_absent_outcomes(panes: Sequence[Pane]) -> None:
    """Count calls without an outcome as passed, if failures alone have one (docs/semantics.md)."""
    outcomes = [
        (pane, pane.rates[_OUTCOME], pane.rates["error_rate"]) for pane in panes if _OUTCOME in pane.rates
    ]
    failures = sum(outcome.failures for _, outcome, _ in outcomes)
    calls = sum(pane.rates["error_rate"].events for pane in panes if "error_rate" in pane.rates)
    if failures < _LEAST_OUTCOMES or calls - failures < _LEAST_WITHOUT:
        return
    for pane in panes:
        if (every := pane.rates.get("error_rate")) is None:
            continue
        outcome = pane.rate(_OUTCOME)
        for ppm, (n, failed_calls) in every.classes.items():
            f = outcome.classes.get(ppm, [0, 0])[1]
            outcome.classes[ppm] = [max(f, n - failed_calls), f]


def _text_block(segment: SegmentSeries, start_us: int, will_change: bool) -> TextBlock:
    """Return the text block of a minute; only its counts are used, by which texts are chosen."""
    block_us = start_us // BLOCK_US * BLOCK_US
    blocks = segment.texts[FINE]
    block = blocks.get(block_us)
    if block is None:
        block = TextBlock(block_us)
        if will_change:
            for old_us in [old_us for old_us in blocks if abs(old_us - block_us) > 2 * BLOCK_US]:
                del blocks[old_us]
            blocks[block_us] = block
    return block
