"""The changelog of a partition with a producer in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from faust.types import TP

from agents.runtime import kafka_backend
from agents.runtime.changelog import Changelog
from schemas.config.connections import Kafka
from tests.agents.runtime.memory_producer import MemoryProducer


@pytest.fixture
def make_changelog(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """Make the changelog of partition 6 of ``p.events``. Call it inside an event loop, or before one."""
    monkeypatch.setattr(kafka_backend, "AIOKafkaProducer", MemoryProducer)
    return lambda: Changelog(Kafka(prefix="p"), "watch", TP("p.events", 6), "c1")
