"""All that ``notify`` knows: what channels have to be told of episodes and of changes, and the health of
softfail itself. A ``Core`` over the alerts topic.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from monitor.channels import change_tellers
from monitor.delivery import change_outbox
from monitor.delivery.alert_records import read_letter
from monitor.delivery.change_outbox import Announcement, Announcements
from monitor.delivery.outbox import Outbox
from monitor.protocol.messages import Outputs, Record
from monitor.protocol.metrics import Measure
from monitor.self_health.dead_mans_switch import DeadMan
from monitor.self_health.worker_alerts import STATE, HealthDesk
from schemas.config.monitor_config import Config
from schemas.records import Change

# how heartbeats begin: there are many, and no other record is to be parsed twice
HEARTBEAT = b'{"record":"health"'
CHANGE = b'"change"'  # stands in every change, and in little else


class Notifier:
    """An outbox, announcements of changes, and beside them, over the first partition, the desk that makes
    episodes of heartbeats.

    What the desk finds is written to the alerts topic and comes back from there, as every episode does.
    """

    def __init__(self, config: Config, partition: int = 0) -> None:
        self.outbox = Outbox(config)
        self.announcements = Announcements(config, change_tellers(config))
        self._channels = config.channels.names()
        self._desk = HealthDesk(config) if partition == 0 else None
        self.dead_man = DeadMan(config, self._desk, self.outbox) if self._desk is not None else None
        self._now_us = 0

    def apply(self, records: Sequence[Record], now_us: int | None = None) -> Outputs:
        """Take records of the alerts topic: heartbeats to the desk, changes to their announcements, all else
        to the outbox.
        """
        self._now_us = max(self._now_us, now_us or 0)
        others = []
        for record in records:
            if not (record.value or b"").startswith(HEARTBEAT):
                others.append(record)  # changes too: what cannot be read becomes a dead letter there
                if (change := _change(record.value or b"")) is not None:
                    self.announcements.take(change, record.offset, self._now_us)
            elif self._desk is not None and record.value is not None:
                self._desk.take(record.value, self._now_us)
        return self.outbox.apply(others, now_us)

    def look(self, now_us: int) -> Outputs:
        """Look after the health of softfail; gives what is to be written. Only while everything that there is
        has been read.

        ``now_us``: wall clock, microseconds since 1970.
        """
        self._now_us = max(self._now_us, now_us)
        if self._desk is None:
            return Outputs()
        for name in self._channels:
            breaker, (refused, why) = self.outbox.breaker(name), self.outbox.refusals(name)
            self._desk.channel(name, breaker.open_since_us, breaker.reason, refused, why, now_us)
        return self._desk.look(now_us)

    def change_due(self, channel: str, now_us: int) -> Announcement | None:
        """The change that this channel is to be told now: none while it is owed anything else, does not
        answer, or asked to be left alone.

        ``now_us``: wall clock, microseconds since 1970.
        """
        one = self.announcements.due(channel, now_us)
        if (
            one is None
            or self.outbox.breaker(channel).open_since_us is not None
            or self.outbox.holds(channel, now_us)
        ):
            return None
        return one if self.outbox.due(channel, now_us) is None else None

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """State records that differ since the last call."""
        return (
            self.outbox.changed()
            + self.announcements.changed()
            + (self._desk.changed() if self._desk is not None else [])
        )

    def restore(self, records: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Take back what ``changed`` gave.

        Raises:
            ValueError: a record cannot be read; names its key.
        """
        latest = dict(records)
        self.outbox.restore(
            (key, value) for key, value in latest.items() if not key.startswith((STATE, change_outbox.STATE))
        )
        self.announcements.restore(
            (key, value) for key, value in latest.items() if key.startswith(change_outbox.STATE)
        )
        if self._desk is not None:
            mine = [
                (key, value) for key, value in latest.items() if key.startswith(STATE) and value is not None
            ]
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
        """What the status page shows: open episodes about softfail itself, the silences in force, and what
        the dead man's switch is told.
        """
        if self._desk is None or self.dead_man is None:
            return {"episodes": []}
        return {
            "episodes": self._desk.episodes(self._now_us),
            "silences": self.outbox.silences(),
            "dead_man": self.dead_man.status(),
        }


def _change(value: bytes) -> Change | None:
    try:
        letter = read_letter(value) if CHANGE in value else None
    except ValueError:
        return None
    return letter if isinstance(letter, Change) else None
