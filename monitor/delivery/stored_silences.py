"""Silences that a notifier keeps in its state records."""

from __future__ import annotations

from collections.abc import Iterable

from monitor.delivery.silences import Silences
from schemas.config.silences import PlannedSilence
from schemas.records import Silence

SILENCE_PREFIX = b"silence/"  # of its state records; the id follows


class StoredSilences(Silences):
    """Silences, and the state records of those that people asked for.

    Args:
        planned: ``silences`` of the configuration; they have no records.
    """

    def __init__(self, planned: Iterable[PlannedSilence] = ()) -> None:
        super().__init__(planned)
        self._changed: dict[str, None] = {}
        self._restored: list[Silence] = []

    def take(self, record: Silence, now_us: int) -> list[str]:
        """Add a record as ``Silences`` does."""
        changed = super().take(record, now_us)
        self._changed |= dict.fromkeys(changed)
        return changed

    def drop_expired(self, now_us: int) -> list[str]:
        """Drop the records that ended a day ago; return their ids."""
        expired = super().drop_expired(now_us)
        self._changed |= dict.fromkeys(expired)
        return expired

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """Return the state records that differ since the last call."""
        names, self._changed = self._changed, {}
        return [(SILENCE_PREFIX + name.encode(), self._value(name)) for name in names]

    @staticmethod
    def owns(key: bytes) -> bool:
        """Return whether a state record is one of these."""
        return key.startswith(SILENCE_PREFIX)

    def restore_record(self, value: bytes | None) -> None:
        """Restore one state record. Call ``restored`` after the last.

        Raises:
            ValueError: it cannot be read.
        """
        if value is not None:
            self._restored.append(Silence.model_validate_json(value))

    def restored(self) -> None:
        """Put to use what ``restore_record`` took back."""
        self.restore(self._restored)
        self._restored = []

    def _value(self, name: str) -> bytes | None:
        silence = self.records.get(name)
        return None if silence is None else silence.model_dump_json().encode()
