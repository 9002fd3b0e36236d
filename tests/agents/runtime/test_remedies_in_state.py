"""Remedies of the state, tested with our classes on a Kafka in memory. With a broker:
``test_remedies_on_kafka.py``.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from agents.kafka import topic_reader
from agents.kafka.state_topic import BARRIER, POSITION
from agents.process import exits
from agents.runtime import checkpointed_core
from monitor.protocol.messages import Message, Outputs


def test_a_returned_write_has_committed_state_outputs_and_position_in_one_transaction(make_changelog):
    async def scene() -> list[list[Any]]:
        writer = make_changelog()
        await writer.write(42, [(b"pane", b"1")], Outputs({"windows": [Message(b"k", b"w")]}))
        committed: list[list[Any]] = list(writer._writer._producer.committed)
        return committed

    (transaction,) = asyncio.run(scene())
    rows = {(topic, key): value for topic, _, key, value, _ in transaction}
    assert rows["p.watch.state", b"pane"] == b"1"
    assert rows["p.watch.state", POSITION] == b"42"
    assert rows["p.windows", b"k"] == b"w"


class Slow:
    """A consumer of ``log`` that returns nothing at every other poll, and whose broker reports the start of
    the log as its end.
    """

    log = ((b"a", b"1"), (b"b", b"2"), (b"a", b"3"), (BARRIER, b"{}"))

    def __init__(self, **_: Any) -> None:
        self._offset, self._polls = 0, 0

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    def assign(self, _: Any) -> None:
        pass

    def seek(self, _: Any, offset: int) -> None:
        self._offset = offset

    async def position(self, _: Any) -> int:
        return self._offset

    async def beginning_offsets(self, partitions: Any) -> dict[Any, int]:
        return dict.fromkeys(partitions, 0)

    async def end_offsets(self, partitions: Any) -> dict[Any, int]:
        return dict.fromkeys(partitions, 0)

    async def getmany(self, partition: Any, **_: Any) -> dict[Any, list[Any]]:
        self._polls += 1
        if self._polls % 2:
            return {}
        key, value = self.log[self._offset]
        self._offset += 1
        return {partition: [SimpleNamespace(key=key, value=value, offset=self._offset - 1)]}


def test_recovery_continues_to_the_barrier_through_empty_polls(make_changelog, monkeypatch):
    monkeypatch.setattr(topic_reader, "AIOKafkaConsumer", Slow)

    async def scene() -> dict[bytes, bytes]:
        changelog = make_changelog()
        async with changelog._backend.reader() as reader:
            state: dict[bytes, bytes] = await changelog._read_to(reader, 3)
            return state

    assert asyncio.run(scene()) == {b"b": b"2", b"a": b"3"}


def test_a_checkpoint_resets_the_restart_count(make_partition, bundle, monkeypatch):
    monkeypatch.setenv("_SOFTFAIL_RESTARTS", "7")

    async def scene() -> None:
        partition = await make_partition()
        assert exits.restarts() == 7
        partition.apply(bundle(0, 3))
        await partition.checkpoint()
        assert exits.restarts() == 0

    asyncio.run(scene())


def test_a_restarting_process_waits_first():
    script = (
        "import time\nfrom agents.process import exits\nexits.JITTER_S = (0.7, 0.8)\nbegan ="
        " time.monotonic()\nexits.pause_after_restart()\nprint(time.monotonic() - began)"
    )
    environment = {**os.environ, "_SOFTFAIL_RESTARTS": "1"}
    ended = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env=environment,
    )
    assert float(ended.stdout) >= 0.7


def test_a_checkpoint_of_unknown_outcome_exits_the_process(make_partition, bundle, ends, ended, monkeypatch):
    monkeypatch.setattr(checkpointed_core, "PATIENCE_S", 0.05)

    async def scene() -> None:
        partition = await make_partition()
        partition.changelog.gate.clear()
        partition.apply(bundle(0, 3))
        with pytest.raises(ended):
            await asyncio.wait_for(partition.checkpoint(), 5)

    asyncio.run(scene())
    assert ends[0][:2] == ("restart", exits.STATE)
