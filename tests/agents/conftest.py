"""Observable process exits, and a partition whose changelog is a list."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from faust.types import TP

from agents.process import exits
from agents.runtime.changelog import Recovery, WriteResult
from agents.runtime.counters import Counters
from agents.runtime.faust_transport import Bundle
from agents.runtime.partition import Partition
from monitor.protocol.messages import FileRecord


class Ended(BaseException):
    """Raised instead of an exit of the process. Not an Exception, so that nothing handles it."""


@pytest.fixture
def ended() -> type[BaseException]:
    """The exception that ``ends`` raises instead of an exit."""
    return Ended


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, str]]:
    """Exits of the process: ("restart" or "leave", code, reason). Both raise ``Ended``."""
    exits_seen: list[tuple[str, int, str]] = []

    def ending(how: str) -> Any:
        def end(code: int, why: str) -> None:
            exits_seen.append((how, code, why))
            raise Ended(why)

        return end

    for how in ("restart", "leave"):
        monkeypatch.setattr(exits, how, ending(how))
    return exits_seen


class ListChangelog:
    """Keeps transactions in a list. ``gate`` cleared: writes wait; ``failure`` set: they fail.

    ``begun`` counts the writes, those that wait included.
    """

    def __init__(self) -> None:
        self.transactions: list[tuple[int, list[Any], dict[str, list[Any]]]] = []
        self.recovered = Recovery([], 0, 4, fresh=False, lost=0)
        self.gate = asyncio.Event()
        self.gate.set()
        self.failure: BaseException | None = None
        self.begun = 0
        self.restored, self.share, self.records, self.bytes, self.closed = 0, 0.0, 0, 0, False
        self.state_topic, self.remedy = "t.watch.state", "mend it"

    async def open(self) -> Recovery:
        return self.recovered

    async def write(
        self, position: int, changed: list[Any], outputs: Any, attempt: Any = None
    ) -> WriteResult:
        self.begun += 1
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        self.transactions.append((position, list(changed), outputs.messages))
        return WriteResult(sum(len(value or b"") for _, value in changed), 0, 0)

    async def close(self) -> None:
        self.closed = True


@pytest.fixture
def make_partition(counting: Any) -> Any:
    """Make a restored partition of a counting agent with a ``ListChangelog``. Call it inside an event
    loop.
    """

    async def make(checkpoint_s: float = 60.0, **recovered: Any) -> Partition:
        changelog: Any = ListChangelog()
        changelog.recovered = changelog.recovered._replace(**recovered)
        partition = Partition(
            counting.CountingAgent(), TP("t.events", 1), changelog, checkpoint_s, Counters()
        )
        await partition.restore()
        return partition

    return make


@pytest.fixture
def bundle() -> Any:
    """Make a bundle of counted events at offsets [start, stop), one key and minute each."""

    def make(start: int, stop: int, minute: int = 0, holes: frozenset[int] = frozenset()) -> Bundle:
        made = Bundle(
            FileRecord(b'{"key": "k%d", "minute": %d}' % (offset, minute), offset)
            for offset in range(start, stop)
            if offset not in holes
        )
        made.start, made.stop = start, stop
        return made

    return make
