"""What channels are told of changes: a new prompt version, model or model that answers. Nobody is woken, and
no page waits for it.

Pure: the shell asks ``due``, sends, and answers with ``delivered``, ``failed`` or ``refused``. What is
delivered is remembered for a day, so that a record that comes again is not told again; what could not be
delivered for a day is news no longer. Silences do not hold them, for nobody is paged.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from monitor.ingest.dead_letters import dead_letter
from monitor.protocol.messages import FileRecord, Outputs
from monitor.protocol.severity import SEVERITIES
from monitor.windows.feature_series import DAY_US
from schemas.config.monitor_config import Config
from schemas.records import Change
from schemas.times import microseconds

STATE = b"change/"  # before channel and id, of its state records
KEPT = 2000  # waiting or remembered; the oldest goes first
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 300.0

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Announcement:
    """One change to tell one channel."""

    channel: str
    change: Change


class _Entry(BaseModel):
    """What is known of one announcement. ``change`` None: it is done, and only remembered until then."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    order: int
    until_us: int
    offset: int = 0
    change: Change | None = None


class Announcements:
    """Changes that are owed, by (channel, change).

    Args:
        config: the whole configuration. Changes of environments that page nobody are not told.
        channels: names of those that take changes; a change goes to each to which an episode of its feature
            may go.
    """

    def __init__(self, config: Config, channels: Collection[str]) -> None:
        self._config, self._channels = config, channels
        self._entries: dict[Key, _Entry] = {}  # in order of arrival
        self._changed: dict[Key, None] = {}
        self._tries: dict[Key, int] = {}  # a restart tries at once
        self._waits: dict[str, tuple[int, int]] = {}  # channel -> failures in a row, not before
        self._order = 0

    def take(self, change: Change, offset: int, now_us: int) -> None:
        """Take a record from the alerts topic. ``offset``: where it lies; ``now_us``: wall clock,
        microseconds since 1970.
        """
        until_us = min(microseconds(change.decided_at), now_us) + DAY_US
        if until_us <= now_us or change.environment not in self._config.page_environments:
            return
        led = {
            name
            for severity in SEVERITIES
            for name in self._config.channels_for(
                change.service, change.feature, change.environment, severity
            )
        }
        for channel in self._channels:
            key = channel, change.change_id
            if channel in led and key not in self._entries:
                self._order += 1
                self._put(key, _Entry(order=self._order, until_us=until_us, offset=offset, change=change))
        while len(self._entries) > KEPT:
            self._drop(next(iter(self._entries)))

    def due(self, channel: str, now_us: int) -> Announcement | None:
        """What this channel is to be told now: what was tried least, the oldest first. None: nothing, or not
        yet.

        ``now_us``: wall clock, microseconds since 1970.
        """
        self._forget(now_us)
        if now_us < self._waits.get(channel, (0, 0))[1]:
            return None
        mine = [
            (self._tries.get(key, 0), entry.order, entry.change)
            for key, entry in self._entries.items()
            if key[0] == channel and entry.change is not None
        ]
        return Announcement(channel, min(mine)[2]) if mine else None

    def delivered(self, one: Announcement, now_us: int) -> None:
        """The receiver has confirmed it. ``now_us``: wall clock, microseconds since 1970."""
        self._waits.pop(one.channel, None)
        self._done(one, now_us)

    def refused(self, one: Announcement, reason: str, now_us: int) -> Outputs:
        """The receiver will never take it: it is recorded with why, and nothing else waits for it."""
        outputs, entry = Outputs(), self._entries.get((one.channel, one.change.change_id))
        why = (
            f"{one.channel} refused the change {one.change.change_id}: {reason}; mend the channel, or set"
            f" channels.{one.channel}.change_events to false"
        )
        record = FileRecord(
            one.change.model_dump_json().encode(),
            entry.offset if entry else 0,
            topic=f"{self._config.kafka.prefix}.alerts",
        )
        outputs.add("deadletter", dead_letter(record, why))
        self.delivered(one, now_us)
        return outputs

    def failed(self, one: Announcement, now_us: int, jitter: float, after_s: float = 0.0) -> float:
        """It did not get through; the channel is told of changes again after the seconds returned: 1 s to 5
        min, doubling, or ``after_s`` if longer.

        Args:
            one: what was sent.
            now_us: wall clock, microseconds since 1970.
            jitter: drawn from [0, 1), shortens the wait by up to half.
            after_s: seconds that the receiver asked to be left alone.
        """
        key = one.channel, one.change.change_id
        self._tries[key] = self._tries.get(key, 0) + 1
        failures = self._waits.get(one.channel, (0, 0))[0] + 1
        wait_s = max(
            after_s, min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(failures - 1, 20)) * (1 - jitter / 2)
        )
        self._waits[one.channel] = failures, now_us + round(wait_s * 1e6)
        return wait_s

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """State records that differ since the last call; None deletes."""
        keys, self._changed = self._changed, {}
        return [(STATE + "/".join(key).encode(), self._state(key)) for key in keys]

    def restore(self, records: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Take back what ``changed`` gave.

        Raises:
            ValueError: a record cannot be read; names its key.
        """
        for key, value in records:
            if value is not None:
                channel, _, change_id = key.removeprefix(STATE).decode("utf-8", "replace").partition("/")
                self._entries[channel, change_id] = read_state(key, value)
        self._entries = dict(sorted(self._entries.items(), key=lambda item: item[1].order))
        self._order = max((entry.order for entry in self._entries.values()), default=0)

    def _done(self, one: Announcement, now_us: int) -> None:
        key = one.channel, one.change.change_id
        self._tries.pop(key, None)
        if (entry := self._entries.get(key)) is not None:
            self._put(key, _Entry(order=entry.order, until_us=now_us + DAY_US))

    def _forget(self, now_us: int) -> None:
        for key in [key for key, entry in self._entries.items() if entry.until_us <= now_us]:
            self._drop(key)

    def _put(self, key: Key, entry: _Entry) -> None:
        self._entries[key] = entry
        self._changed[key] = None

    def _drop(self, key: Key) -> None:
        del self._entries[key]
        self._tries.pop(key, None)
        self._changed[key] = None

    def _state(self, key: Key) -> bytes | None:
        entry = self._entries.get(key)
        return None if entry is None else entry.model_dump_json(exclude_defaults=True).encode()


def read_state(key: bytes, value: bytes) -> _Entry:
    """One state record.

    Raises:
        ValueError: it cannot be read; names its key.
    """
    try:
        return _Entry.model_validate_json(value)
    except ValueError as error:
        raise ValueError(f"state record {key!r}: {error}") from None
