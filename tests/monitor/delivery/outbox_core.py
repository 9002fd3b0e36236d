"""An outbox fed with records of the alerts topic, for tests without self-health."""

from __future__ import annotations

from collections.abc import Sequence

from monitor.delivery.outbox import Outbox
from monitor.notifier import Notifier
from monitor.protocol.messages import Outputs, Record
from schemas.config.monitor_config import Config


class OutboxCore(Outbox):
    """An outbox as a ``Core``: the notifier reads the records for it."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._reader = Notifier(config, partition=1)
        self._reader.outbox = self

    def apply(self, records: Sequence[Record], now_us: int | None = None) -> Outputs:
        """Take records in the order of the log."""
        return self._reader.apply(records, now_us)
