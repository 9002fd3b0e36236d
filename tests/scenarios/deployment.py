"""A deployment in event time: services, a worker, a notifier, and PagerDuty with its rules."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from agents.runtime.clock import WallClock
from monitor.channels.pagerduty import PagerDuty
from monitor.notifier import Notifier
from monitor.protocol.messages import FileRecord
from monitor.watch import Watch
from schemas.config.monitor_config import Config
from tests.scenarios.faults import FAULTS, JSON_FEATURE, Call, healthy
from tests.scenarios.producers import Process, metered

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
START_US = int(START.timestamp()) * 1_000_000
WARM = 45  # minutes of healthy traffic before a scenario
A_MINUTE = 20  # calls of a feature
TICK_S = 30.0
SETTINGS = {
    "channels": {"pagerduty": {"routing_key": "0123456789abcdef0123456789abcdef"}},
    "features": [
        {
            "match": f"*/{JSON_FEATURE}",
            "evaluators": ["error", "empty", "refusal", "truncation", "content_filter", "json"],
        }
    ],
}


@dataclass(frozen=True)
class Planned:
    """A fault of a feature from one minute to another, counted from the end of the warm-up."""

    fault: str
    feature: str
    begin: float
    end: float


@dataclass
class Ring:
    """An incident at PagerDuty. Times are minutes from the end of the warm-up."""

    key: str
    minute: float
    text: str
    over: float | None = None
    updates: list[str] = field(default_factory=list)
    lines: set[str] = field(default_factory=set)
    history: list[tuple[float, str, list[str]]] = field(default_factory=list)
    """Minute, text and list of each trigger."""
    sentences: list[str] = field(default_factory=list)
    """What else a person reads of it: likely causes, next step, last change."""

    def take(self, minute: float, payload: dict[str, Any]) -> None:
        """Take a trigger: its text, and the list below it of features or findings."""
        details = payload["custom_details"]
        lines = list(details.get("features") or details["findings"])
        self.lines |= set(lines)
        self.history.append((minute, payload["summary"], lines))
        self.sentences += [*details.get("likely_cause", ()), details["next_step"], details["last_change"]]

    @property
    def pages(self) -> bool:
        """Whether it has a key of high urgency."""
        return "/high" in self.key


class PagerDutyModel:
    """The rules of PagerDuty: a trigger opens a key or adds to it, and only the first notifies; a resolve
    closes it, after which the key opens anew; a resolve of a closed key is dropped.
    """

    def __init__(self) -> None:
        self.incidents: list[Ring] = []
        self.open: dict[str, Ring] = {}

    def take(self, body: bytes, minute: float) -> None:
        """Take one event."""
        event = json.loads(body)
        key = event["dedup_key"]
        if event["event_action"] == "resolve":
            if (ring := self.open.pop(key, None)) is not None:
                ring.over = minute
            return
        payload = event["payload"]
        if key in self.open:
            self.open[key].updates.append(payload["summary"])
            self.open[key].take(minute, payload)
            return
        ring = Ring(key, minute, payload["summary"])
        ring.take(minute, payload)
        self.open[key] = ring
        self.incidents.append(ring)

    @property
    def rings(self) -> list[Ring]:
        """What notified a person, in order."""
        return [ring for ring in self.incidents if ring.pages]

    @property
    def tickets(self) -> list[Ring]:
        """Incidents of low urgency."""
        return [ring for ring in self.incidents if not ring.pages]


class Deployment:
    """A worker of one partition and a notifier."""

    def __init__(self) -> None:
        self.config = Config.model_validate(SETTINGS)
        self.channel = PagerDuty(self.config)
        self.watch, self.notifier = Watch(self.config), Notifier(self.config, partition=1)
        self.state: dict[bytes, bytes] = {}
        self.deliveries: dict[bytes, bytes] = {}
        self.pagerduty = PagerDutyModel()
        self.offset = self.alerts = 0
        self.second = 0.0
        self.episodes: list[dict[str, Any]] = []

    @property
    def minute(self) -> float:
        """Minutes since the end of the warm-up."""
        return self.second / 60 - WARM

    @property
    def now_us(self) -> int:
        """Wall clock, microseconds since 1970."""
        return START_US + round(self.second * 1e6)

    def run(
        self,
        calls: Sequence[tuple[datetime, bytes]],
        until: float,
        restarts: Iterable[float] = (),
        lags: Sequence[tuple[float, float]] = (),
    ) -> None:
        """Run until a minute after the warm-up.

        Args:
            calls: (arrival, record) in order.
            until: a minute.
            restarts: minutes at which worker and notifier start anew.
            lags: minutes between which the worker reads nothing.
        """
        coming, restarting, clock = list(calls)[::-1], sorted(restarts), WallClock()
        while self.minute < until:
            self.second += TICK_S
            if any(begin <= self.minute < end for begin, end in lags):
                clock.stand_still()
                continue
            records = []
            while coming and coming[-1][0].timestamp() * 1e6 < self.now_us:
                time, value = coming.pop()
                records.append(FileRecord(value, self.offset, round(time.timestamp() * 1000)))
                self.offset += 1
            self._write(self.watch.apply(records, self.now_us))
            lateness_us = round(self.config.time.lateness * 1e6)
            mark_us = self.now_us - lateness_us
            if lags:  # as a worker advances, one second a second from the newest record
                mark_us = clock.mark(self.watch.watermark_us or 0, self.second)
            self._write(self.watch.advance(mark_us, self.now_us))
            if restarting and self.minute >= restarting[0]:
                restarting.pop(0)
                self.restart()

    def _write(self, outputs: Any) -> None:
        records = []
        for message in outputs.messages.get("alerts", ()):
            records.append(FileRecord(message.value, self.alerts))
            self.alerts += 1
            record = json.loads(message.value)
            if record["record"] == "episode":
                self.episodes.append(record)
        self.notifier.apply(records, self.now_us)
        outbox = self.notifier.outbox
        while (step := outbox.due("pagerduty", self.now_us)) is not None:
            self.pagerduty.take(self.channel.request(step, self.now_us).body, self.minute)
            outbox.delivered(step, self.now_us)

    def restart(self) -> None:
        """Start worker and notifier anew from their durable state."""
        _keep(self.state, self.watch.changed())
        _keep(self.deliveries, self.notifier.changed())
        self.watch, self.notifier = Watch(self.config), Notifier(self.config, partition=1)
        self.watch.restore(self.state.items())
        self.notifier.restore(self.deliveries.items())


def _keep(state: dict[bytes, bytes], changed: Iterable[tuple[bytes, bytes | None]]) -> None:
    for key, value in changed:
        if value is None:
            state.pop(key, None)
        else:
            state[key] = value


def calls_of(
    features: Sequence[str],
    begin: float,
    end: float,
    plan: Sequence[Planned] = (),
    *,
    a_minute: int = A_MINUTE,
    start: datetime = START + timedelta(minutes=WARM),
) -> list[tuple[datetime, bytes]]:
    """Return the calls of features between two minutes, with the planned faults. ``start``: of minute 0."""
    calls = []
    for nth, feature in enumerate(features):
        draw = random.Random(f"{feature} {begin}")
        for index in range(round((end - begin) * a_minute)):
            minute = begin + (index + nth / len(features)) / a_minute
            call: Call | None = healthy(feature, minute, draw)
            for planned in plan:
                if planned.feature == feature and planned.begin <= minute < planned.end and call is not None:
                    call = FAULTS[planned.fault].change(call, draw)
            if call is not None:
                calls.append((minute, feature, index, call))
    out = []
    for minute, feature, index, call in sorted(calls, key=lambda item: item[:3]):
        moment = start + timedelta(minutes=minute)
        time = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        fields = {"event_id": f"{feature}-{begin}-{index}", "time": time} | call
        value = json.dumps({name: field for name, field in fields.items() if field is not None})
        out.append((moment, value.encode()))
    return out


@cache
def _warm(
    features: tuple[str, ...], a_minute: int
) -> tuple[dict[bytes, bytes], dict[bytes, bytes], int, int]:
    """Return the durable state of a deployment after a healthy warm-up."""
    deployment = Deployment()
    deployment.run(calls_of(features, -WARM, 0, a_minute=a_minute), 0)
    assert deployment.pagerduty.incidents == []
    deployment.restart()
    return deployment.state, deployment.deliveries, deployment.offset, deployment.alerts


def run_plan(
    features: Sequence[str],
    plan: Sequence[Planned],
    until: float,
    restarts: Iterable[float] = (),
    *,
    a_minute: int = A_MINUTE,
    processes: Sequence[Process] = (),
) -> Deployment:
    """Run planned faults over warm features; return the deployment as it is at the end.

    ``restarts``: minutes at which worker and notifier start anew from their durable state. ``processes``: that
    send the calls, with meters; none: calls without meters.
    """
    state, deliveries, offset, alerts = _warm(tuple(features), a_minute)
    deployment = Deployment()
    deployment.state, deployment.deliveries = dict(state), dict(deliveries)
    deployment.watch.restore(state.items())
    deployment.notifier.restore(deliveries.items())
    deployment.offset, deployment.alerts, deployment.second = offset, alerts, WARM * 60.0
    calls = calls_of(features, 0, until, plan, a_minute=a_minute)
    if processes:
        calls = metered(calls, processes, START + timedelta(minutes=WARM))
    deployment.run(calls, until, restarts)
    return deployment
