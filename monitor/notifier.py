"""All that ``notify`` knows: what channels have to be told of episodes, and the health of softfail itself. A ``Core`` over the alerts topic."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from monitor.alerts.dead_man import DeadMan
from monitor.alerts.health import STATE, HealthDesk
from monitor.alerts.outbox import Outbox
from monitor.core import Outputs, Record
from monitor.metrics import Measure
from schemas.config import Config

HEARTBEAT = b'{"record":"health"'  # how heartbeats begin: there are many, and no other record is to be parsed twice


class Notifier:
    """An outbox, and beside it, over the first partition, the desk that makes episodes of heartbeats.

    What the desk finds is written to the alerts topic and comes back from there, as every episode does.
    """

    def __init__(self, config: Config, partition: int = 0) -> None:
        self.outbox = Outbox(config)
        self._channels = config.channels.names()
        self._desk = HealthDesk(config) if partition == 0 else None
        self.dead_man = DeadMan(config, self._desk, self.outbox) if self._desk is not None else None
        self._now_us = 0

    def apply(self, records: Sequence[Record], now_us: int | None = None) -> Outputs:
        """Take records of the alerts topic: heartbeats to the desk, all else to the outbox."""
        self._now_us = max(self._now_us, now_us or 0)
        others = []
        for record in records:
            if not (record.value or b"").startswith(HEARTBEAT):
                others.append(record)
            elif self._desk is not None and record.value is not None:
                self._desk.take(record.value, self._now_us)
        return self.outbox.apply(others, now_us)

    def look(self, now_us: int) -> Outputs:
        """Look after the health of softfail; gives what is to be written. Only while everything that there is has been read.

        ``now_us``: wall clock, microseconds since 1970.
        """
        self._now_us = max(self._now_us, now_us)
        if self._desk is None:
            return Outputs()
        for name in self._channels:
            breaker, (refused, why) = self.outbox.breaker(name), self.outbox.refusals(name)
            self._desk.channel(name, breaker.open_since_us, breaker.reason, refused, why, now_us)
        return self._desk.look(now_us)

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """State records that differ since the last call."""
        return self.outbox.changed() + (self._desk.changed() if self._desk is not None else [])

    def restore(self, records: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Take back what ``changed`` gave.

        Raises:
            ValueError: a record cannot be read; names its key.
        """
        latest = dict(records)
        self.outbox.restore((key, value) for key, value in latest.items() if not key.startswith(STATE))
        if self._desk is not None:
            mine = [(key, value) for key, value in latest.items() if key.startswith(STATE) and value is not None]
            self._desk.restore(mine, self.outbox.counts)

    def measures(self) -> Iterator[Measure]:
        """Figures for /metrics."""
        yield from self.outbox.measures()
        if self._desk is not None:
            yield from self._desk.measures()
        if self.dead_man is not None:
            yield from self.dead_man.measures()

    def counted(self) -> Iterator[Measure]:
        """The counters among them, which survive restarts."""
        return self.outbox.counted()

    def status(self) -> dict[str, Any]:
        """What the status page shows: open episodes about softfail itself, the silences in force, and what the dead man's switch is told."""
        if self._desk is None or self.dead_man is None:
            return {"episodes": []}
        return {"episodes": self._desk.episodes(self._now_us), "silences": self.outbox.silences(), "dead_man": self.dead_man.status()}
