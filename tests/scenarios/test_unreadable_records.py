"""Unreadable records beside good ones are a ticket within three minutes, however they fall on partitions."""

from __future__ import annotations

import random

import msgspec
import pytest

from monitor.protocol.read_progress import ReadProgress
from monitor.self_health.partition_health import PartitionHealth
from monitor.self_health.worker_alerts import WorkerAlerts
from schemas.config.monitor_config import Config
from schemas.records import Heartbeat

PARTITIONS = 16
CALLS_A_MINUTE = 960
BUSY = (2, 6, 9, 11)
"""Partitions of the four features."""
WARM_S, BEGIN_S, END_S = 600, 607, 715
UNREADABLE = 100


@pytest.mark.parametrize("seed", range(20))
def test_a_hundred_unreadable_records_in_two_minutes_are_a_ticket_within_three(seed: int) -> None:
    draw, config = random.Random(seed), Config()
    parts = [PartitionHealth(config.health, number, PARTITIONS) for number in range(PARTITIONS)]
    counts = [{"records": 0, "dead-letters": 0} for _ in parts]
    alerts, fired = WorkerAlerts(config), []
    unreadable_at = [round(BEGIN_S + (END_S - BEGIN_S) * number / UNREADABLE) for number in range(UNREADABLE)]
    for second in range(WARM_S + 400):
        now_us = (1_800_000_000 + second) * 1_000_000
        for number in BUSY:
            counts[number]["records"] += CALLS_A_MINUTE // 60 // len(BUSY)
        for _ in range(unreadable_at.count(second)):
            number = draw.randrange(PARTITIONS)
            counts[number]["records"] += 1
            counts[number]["dead-letters"] += 1
        for number, health in enumerate(parts):
            if (now_us // 1_000_000 + number) % 2 or not health.is_due(now_us):
                continue
            beat = health.look(counts[number], ReadProgress(caught_up=True, lost=0), None, now_us)
            if beat is not None:
                alerts.take(Heartbeat.model_validate(msgspec.to_builtins(beat)), now_us)
        episodes = alerts.evaluate(now_us).records.get("alerts", ())
        fired += [(second - BEGIN_S, episode.urgency, episode.incidents[0].text) for episode in episodes]
    after_s, urgency, text = fired[0]
    assert after_s < 180
    assert urgency == "low"
    assert "of records could not be read in 5 min" in text
    assert all(urgency == "low" for _, urgency, _ in fired)
