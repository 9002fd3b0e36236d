"""Core of ``notify``, over the alerts topic: what has to be sent to channels, and the health of softfail."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from monitor.channels.interface import ChangeStep
from monitor.delivery.alert_records import UnreadableHeartbeat, read_alert_record
from monitor.delivery.outbox import Outbox
from monitor.protocol.messages import AsideReason, Outputs, Record
from monitor.protocol.metrics import Measure
from monitor.self_health.dead_mans_switch import DeadMansSwitch
from monitor.self_health.worker_alerts import STATE_PREFIX, WorkerAlerts
from schemas.config.monitor_config import Config
from schemas.records import Heartbeat


class Notifier:
    """An outbox and, over the first partition, the self-health of the deployment.

    The episodes of self-health are written to the alerts topic and come back from there, as every episode
    does.
    """

    def __init__(self, config: Config, partition: int = 0) -> None:
        self.outbox = Outbox(config)
        self._channels = config.channels.names()
        self._worker_alerts = WorkerAlerts(config) if partition == 0 else None
        self.dead_mans_switch: DeadMansSwitch | None = None
        if self._worker_alerts is not None:
            self.dead_mans_switch = DeadMansSwitch(config, self._worker_alerts, self.outbox)
        self._now_us = 0

    def apply(self, records: Sequence[Record], now_us: int | None = None) -> Outputs:
        """Read records of the alerts topic: heartbeats are for self-health, all others for the outbox.

        What cannot be read becomes a dead letter, except a heartbeat.
        """
        self._now_us = max(self._now_us, now_us or 0)
        self.outbox.advance(self._now_us)
        outputs = Outputs()
        for record in records:
            try:
                alert_record = read_alert_record(record.value, record.headers)
                if isinstance(alert_record, Heartbeat):
                    if self._worker_alerts is not None:
                        # not the latest time seen: after a clock that was ahead, silence would not be noticed
                        self._worker_alerts.take(alert_record, self._now_us if now_us is None else now_us)
                elif alert_record is not None:
                    self.outbox.take(alert_record, record.offset, self._now_us)
            except UnreadableHeartbeat:
                continue
            except ValueError as error:
                outputs.extend(self.outbox.reject(record, error))
        return outputs

    def set_aside(self, record: Record, reason: AsideReason, error: str, records: int = 1) -> Outputs:
        """Count a record or a batch that must not be applied; return its dead letter."""
        del reason, records  # all dead letters of the alerts topic are counted as one
        return self.outbox.reject(record, ValueError(error))

    def check_health(self, now_us: int) -> Outputs:
        """Check the health of softfail; return the records to write. Call it only when all records that
        there are have been applied.

        ``now_us``: wall clock, microseconds since 1970.
        """
        self._now_us = max(self._now_us, now_us)
        if self._worker_alerts is None:
            return Outputs()
        for name in self._channels:
            breaker, (refused, why) = self.outbox.breaker(name), self.outbox.refusals(name)
            self._worker_alerts.check_channel(
                name,
                breaker.open_since_us,
                breaker.reason,
                refused,
                why,
                now_us,
                unexpected=breaker.unexpected_answer,
            )
        return self._worker_alerts.evaluate(now_us)

    def change_due(self, channel: str, now_us: int) -> ChangeStep | None:
        """Return the change that this channel is to be sent now; see ``Outbox.change_due``."""
        return self.outbox.change_due(channel, now_us)

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """Return the state records that differ since the last call."""
        return self.outbox.changed() + (
            self._worker_alerts.changed() if self._worker_alerts is not None else []
        )

    def restore(self, records: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Take back what ``changed`` returned.

        Raises:
            ValueError: a record cannot be read; names its key.
        """
        latest = dict(records)
        self.outbox.restore((key, value) for key, value in latest.items() if not key.startswith(STATE_PREFIX))
        if self._worker_alerts is not None:
            health = [
                (key, value)
                for key, value in latest.items()
                if key.startswith(STATE_PREFIX) and value is not None
            ]
            self._worker_alerts.restore(health, self.outbox.counts)

    def measures(self) -> Iterator[Measure]:
        """Yield the values for /metrics."""
        yield from self.outbox.measures()
        if self._worker_alerts is not None:
            yield from self._worker_alerts.measures()
        if self.dead_mans_switch is not None:
            yield from self.dead_mans_switch.measures()

    def counted(self) -> Iterator[Measure]:
        """Yield the counters among them, which survive restarts."""
        return self.outbox.counters()

    def status(self) -> dict[str, Any]:
        """Return what the status page shows: open episodes about softfail itself, the silences in force, and
        the state of the dead man's switch.
        """
        if self._worker_alerts is None or self.dead_mans_switch is None:
            return {"episodes": []}
        return {
            "episodes": self._worker_alerts.episodes(self._now_us),
            "silences": self.outbox.silences(),
            "dead_man": self.dead_mans_switch.status(),
        }
