"""Simulate sampled producers with meters, and the pages of their feature."""

from __future__ import annotations

import json
import random
from datetime import datetime
from typing import Any

from monitor.protocol.messages import FileRecord, Outputs
from monitor.watch import Watch
from schemas.config.monitor_config import Config
from tests.monitor.event_values import NINE, meter, response

METER_S = 10.0


class Producer:
    """One process with the SDK: all errors are sent, of other calls a share; a meter every ten seconds."""

    def __init__(self, name: str, p: float, rng: random.Random, begins_s: float, ends_s: float) -> None:
        self._name, self._p, self._rng = name, p, rng
        self._begins_s, self._ends_s = begins_s, ends_s

    def records(
        self, times_s: list[float], failing: Any, *, closing: bool = True
    ) -> list[tuple[float, bytes]]:
        """Return arrivals: events and meters of its calls at these times."""
        out, seen, sent, meter_s = [], 0, 0, self._begins_s + METER_S
        for second in [*(time for time in times_s if self._begins_s <= time < self._ends_s), self._ends_s]:
            while meter_s < second:
                out.append((meter_s, self._meter(meter_s, seen, sent)))
                meter_s += METER_S
            if second == self._ends_s:
                break
            seen += 1
            failed = self._rng.random() < failing(second)
            if failed or self._rng.random() < self._p:
                fields: dict[str, Any] = {
                    "sample_probability": 1.0 if failed else self._p,
                    "event_id": f"{self._name}{seen}",
                }
                if failed:
                    fields |= {"error_type": "timeout", "output": None, "base_probability": self._p}
                out.append((second, response(second, self._name, sent, **fields)))
                sent += 1
        if closing:
            out.append((self._ends_s, self._meter(self._ends_s, seen, sent, closing=True)))
        return out

    def _meter(self, second: float, seen: int, sent: int, **more: Any) -> bytes:
        return meter(second, self._name, self._begins_s, (seen, sent, sent, 0), **more)


def calls_of(per_minute: float, minutes: float, rng: random.Random) -> list[float]:
    second, out = 0.0, []
    while second < minutes * 60:
        second += rng.expovariate(per_minute / 60)
        out.append(second)
    return out


def pages(
    arrivals: list[tuple[float, bytes]], config: Config | None = None, restart_s: float | None = None
) -> list[float]:
    """Return the minutes at which an episode began to page.

    ``restart_s``: when another worker takes over, by what the first one has stored.
    """
    watch, out, state = Watch(config or Config()), Outputs(), dict[bytes, bytes | None]()
    for offset, (second, value) in enumerate(sorted(arrivals)):
        now_us = int((NINE.timestamp() + second) * 1e6)
        if restart_s is not None and second >= restart_s:
            restart_s, state = None, dict(watch.changed())
            watch = Watch(config or Config())
            watch.restore(state.items())
        out.extend(watch.apply([FileRecord(value, offset, now_us // 1000)], now_us))
        out.extend(watch.advance(now_us - 30_000_000, now_us))
    alerts = [json.loads(message.value) for topic, message in out.order if topic == "alerts"]
    return [
        (datetime.fromisoformat(alert["time"]) - NINE).total_seconds() / 60
        for alert in alerts
        if alert["record"] == "episode"
        and alert["state"] in ("opened", "escalated")
        and alert["urgency"] == "high"
    ]


def fleet(
    seed: int, p: float, minutes: float, failing: Any, per_minute: float, how: str, begins_s: float = 0.0
) -> list[tuple[float, bytes]]:
    """Return the arrivals of two producers; ``how``: what is wrong with the second one's meters.

    ``begins_s``: when the second one starts, so that its meters cross the edges of panes.
    """
    rng = random.Random(seed)
    ends_s = minutes * 60
    first = Producer("a", p, rng, 0.0, ends_s).records(calls_of(per_minute / 2, minutes, rng), failing)
    middle_s = ends_s * 0.7
    second = Producer("b", p, rng, begins_s, middle_s if how == "killed" else ends_s)
    arrivals = second.records(calls_of(per_minute / 2, minutes, rng), failing, closing=how != "killed")
    if how == "killed":
        third = Producer("c", p, rng, middle_s, ends_s)
        arrivals += third.records(calls_of(per_minute / 2, minutes, rng), failing)
    if how == "without meters":
        arrivals = [(second, value) for second, value in arrivals if b'"meter"' not in value]
    if how == "meters lost":
        arrivals = [
            (second, value) for second, value in arrivals if b'"meter"' not in value or rng.random() < 0.5
        ]
    if how == "meters late":
        arrivals = [(second + 120 * (b'"meter"' in value), value) for second, value in arrivals]
    return first + arrivals
