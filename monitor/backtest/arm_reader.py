"""Read the events of two versions of a feature from a log."""

from __future__ import annotations

import math
import zlib
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from monitor.backtest.arm_counts import ArmCounts, Placed, complete_counts
from monitor.compare.arm import Arm
from monitor.compare.design_effect import session_group
from monitor.compare.inputs import MIX_PREFIX
from monitor.evaluators.suite import Suite
from monitor.evaluators.user_evaluator import Requests, Verdicts, requests_of
from monitor.ingest.dead_letters import RejectedRecord
from monitor.ingest.feature_settings import FeatureSettings
from monitor.ingest.record_decoding import decode_record
from monitor.normal_form.response import normal_form
from monitor.protocol.messages import Record
from monitor.windows.segment_keys import FeatureKey
from schemas.config.gates import ARM_FIELDS
from schemas.config.monitor_config import Config

MAX_VALUES = 1000
"""Values of the label that are counted, for messages."""
MAX_RESPONSES = 200_000
"""Latest responses whose version is known to feedback and evaluations without labels."""
MAX_SESSIONS = 4096
"""Sessions whose sizes are counted."""
OTHER = "(others)"


class Selection(NamedTuple):
    """Which events are compared.

    Attributes:
        feature: with its environment.
        by: the label that distinguishes the versions: a field of ``ARM_FIELDS``, or a name in ``dimensions``.
        a, b: its values.
        within: labels within each of whose values the versions are compared.
        start_us, end_us: event times, microseconds since 1970; None: unlimited.
    """

    feature: FeatureKey
    by: str
    a: str
    b: str
    within: tuple[str, ...] = ()
    start_us: int | None = None
    end_us: int | None = None


class ArmReader:
    """Collects the events of both arms of a selection.

    Attributes:
        values: value of the label -> responses of the feature.
        features: service/feature and environment -> events in the log, for messages.
        rejected: number of records that could not be read.
        last_us: time of the last event of the feature, microseconds since 1970; 0 without any.
    """

    def __init__(
        self,
        config: Config,
        selection: Selection,
        evaluate: Callable[[Requests, float], Verdicts] | None = None,
    ) -> None:
        """Start to read.

        Args:
            evaluate: runs evaluators of users; None: each of their evaluations is an error.
        """
        self.selection = selection
        self.values: Counter[str] = Counter()
        self.features: Counter[tuple[str, str]] = Counter()
        self.rejected = 0
        self.last_us = 0
        self._settings = FeatureSettings(config, 0, 0)
        self._evaluate = evaluate
        service, feature, _ = selection.feature
        setting = self._settings.find(service, feature)
        self.suite: Suite = setting.suite
        self._mix = tuple(
            name for name in ("model", *setting.dimensions) if name not in (selection.by, *selection.within)
        )
        self._arms = {name: ArmCounts(name, selection.feature) for name in (selection.a, selection.b)}
        self._sessions = {name: _SessionSizes() for name in self._arms}
        self._responses: dict[str, tuple[str, tuple[str, ...], int]] = {}
        self._order: deque[str] = deque()

    def take(self, records: Sequence[Record], report: Callable[[Record, str], None]) -> None:
        """Count the events of some records in the order of the log.

        Args:
            report: called with each record that cannot be read, and why.
        """
        waiting: dict[tuple[str, str], list[Placed]] = {}
        for record in records:
            try:
                event, time_us, _, _ = decode_record(record)
            except RejectedRecord as rejection:
                self.rejected += 1
                report(record, str(rejection))
                continue
            if event.kind == "meter" or not self._selects(event, time_us):
                continue
            self.last_us = max(self.last_us, time_us)
            placed = self._place(event, time_us)
            if placed is not None:
                waiting.setdefault((placed[0], event.kind), []).append(placed[1])
        responses = [one.event for (_, kind), some in waiting.items() if kind == "response" for one in some]
        if self._evaluate is not None and self.suite.users and responses:
            requests = [
                request
                for event in responses
                for request in requests_of(self.suite.users, normal_form(event))
            ]
            self._settings.give(self._evaluate(requests, self.last_us / 1e6))
        for (name, kind), some in waiting.items():
            self._arms[name].add(kind, some, self.suite)

    def arms(self) -> tuple[Arm, Arm]:
        """Return both arms, a first. Call it once, after the last record."""
        complete_counts(self._arms)
        sizes = [sessions.mean_size for sessions in self._sessions.values()]
        size = max(sizes)
        a, b = (arm.arm(size) for arm in self._arms.values())
        return a, b

    def _selects(self, event: Any, time_us: int) -> bool:
        service, feature, environment = self.selection.feature
        name = f"{event.service}/{event.feature}"
        if len(self.features) < MAX_VALUES or (name, event.environment) in self.features:
            self.features[name, event.environment] += 1
        if event.service != service or event.feature != feature or event.environment != environment:
            return False
        start_us, end_us = self.selection.start_us, self.selection.end_us
        return (start_us is None or time_us >= start_us) and (end_us is None or time_us < end_us)

    def _place(self, event: Any, time_us: int) -> tuple[str, Placed] | None:
        """Return the arm of an event and its place in it; None if it belongs to neither."""
        if event.kind == "response":
            name = label_of(event, self.selection.by)
            self.values[name if len(self.values) < MAX_VALUES or name in self.values else OTHER] += 1
            if name not in self._arms:
                return None
            stratum = tuple(label_of(event, label) for label in self.selection.within)
            session = event.session_id or event.event_id
            group = session_group(session)
            if event.session_id:
                self._sessions[name].add(event.session_id)
            self._remember(event.event_id, (name, stratum, group))
            mix = tuple((_mix_metric(label), label_of(event, label)) for label in self._mix)
            return name, Placed(event, time_us, stratum, mix, group)
        known = self._responses.get(event.response_id)
        if known is None:
            name = label_of(event, self.selection.by)
            stratum = tuple(label_of(event, label) for label in self.selection.within)
            known = name, stratum, session_group(event.response_id)
        if known[0] not in self._arms:
            return None
        return known[0], Placed(event, time_us, known[1], (), known[2])

    def _remember(self, event_id: str, place: tuple[str, tuple[str, ...], int]) -> None:
        if event_id not in self._responses:
            self._order.append(event_id)
            if len(self._order) > MAX_RESPONSES:
                del self._responses[self._order.popleft()]
        self._responses[event_id] = place


class _SessionSizes:
    """Numbers of calls of some sessions: those with the lowest hashes, so that the memory is bounded."""

    def __init__(self) -> None:
        self._calls: dict[str, int] = {}
        self._below = 1 << 32

    def add(self, session: str) -> None:
        """Count a call."""
        if _hash(session) >= self._below:
            return
        self._calls[session] = self._calls.get(session, 0) + 1
        while len(self._calls) > MAX_SESSIONS:
            self._below //= 2
            self._calls = {name: calls for name, calls in self._calls.items() if _hash(name) < self._below}

    @property
    def mean_size(self) -> float:
        """Mean calls of the session of a call; 0 without sessions."""
        calls = sum(self._calls.values())
        return math.fsum(size**2 for size in self._calls.values()) / calls if calls else 0.0


def label_of(event: Any, label: str) -> str:
    """Return the value of a label of an event; empty if it has none."""
    if label in ARM_FIELDS:
        return str(getattr(event, label, "") or "")
    return str(event.dimensions.get(label.removeprefix(MIX_PREFIX), "") or "")


def _mix_metric(label: str) -> str:
    return label if label in ARM_FIELDS else f"{MIX_PREFIX}{label}"


def _hash(session: str) -> int:
    return zlib.crc32(b"size" + session.encode("utf-8", "surrogatepass"))
