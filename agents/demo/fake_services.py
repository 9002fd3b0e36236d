"""The services of the demo: they call models all the time and report each call through the SDK."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Collection
from typing import NamedTuple

from agents.demo import sample_texts
from softfail import Softfail

TICK_S = 0.05
# the mock cluster answers newer questions for its version in a way that kafka-python 3.0 cannot read
MOCK_API = (2, 1)


class Traffic(NamedTuple):
    """The calls of a feature. ``median_s`` and ``spread`` describe the log-normal duration of a call."""

    calls_per_s: float
    model: str
    median_s: float
    spread: float


TRAFFIC = {
    "support-bot/answer": Traffic(35.0, "gpt-4o", 0.9, 0.35),
    "search/summarise": Traffic(20.0, "gpt-4o-mini", 0.7, 0.4),
    "search/suggest": Traffic(25.0, "gpt-4o-mini", 0.25, 0.3),
    "catalogue/describe": Traffic(10.0, "claude-sonnet", 1.4, 0.3),
}
REFUSED, SLOWER = 0.45, 4.0  # of a faulty feature: share of its answers, and how many times slower


class FakeServices:
    """All services in one thread. ``faulty`` may be set at any time."""

    def __init__(self, brokers: str, topic: str, seed: int = 7) -> None:
        self.faulty: Collection[str] = ()
        self.sent = 0
        self._draw = random.Random(seed)
        services = sorted({feature.split("/")[0] for feature in TRAFFIC})
        self._clients = {
            name: Softfail(
                service=name,
                bootstrap_servers=brokers,
                topic=topic,
                content_probability=1.0,
                meter_interval_s=2.0,
                api_version=MOCK_API,
            )
            for name in services
        }
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="shop", daemon=True)

    def start(self) -> None:
        """Start the calls."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the calls and send the remaining events."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)
        for client in self._clients.values():
            client.close(timeout=2)

    def _run(self) -> None:
        owed = dict.fromkeys(TRAFFIC, 0.0)
        last = time.monotonic()
        while not self._stop.wait(TICK_S):
            now = time.monotonic()
            for name, traffic in TRAFFIC.items():
                owed[name] += traffic.calls_per_s * (now - last) * self._draw.uniform(0.5, 1.5)
                for _ in range(int(owed[name])):
                    self._call(name, traffic)
                owed[name] %= 1
            last = now

    def _call(self, name: str, traffic: Traffic) -> None:
        service, feature = name.split("/")
        draw, faulty = self._draw, name in self.faulty
        question, answer = sample_texts.exchange(name, draw)
        if faulty and draw.random() < REFUSED:
            answer = draw.choice(sample_texts.REFUSALS)
        duration_s = traffic.median_s * draw.lognormvariate(0, traffic.spread) * (SLOWER if faulty else 1)
        fails = draw.random() < 0.002
        self._clients[service].response(
            feature=feature,
            model=traffic.model,
            provider="demo",
            input=question,
            output=None if fails else answer,
            duration_s=duration_s,
            input_tokens=len(question) // 4,
            output_tokens=0 if fails else len(answer) // 4,
            finish_reason="" if fails else "stop",
            error_type="timeout" if fails else "",
            cost_usd=2e-6 * len(answer),
            prompt_version="12",
        )
        self.sent += 1
