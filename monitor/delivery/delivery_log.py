"""Delivery log: what was sent and what is still to be sent, by channel and id, and its durable form.

Alertmanager calls it the notification log. Episodes and changes have one each.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict

Key = tuple[str, str]
"""Channel, and id of the episode or change."""


class Delivery(BaseModel):
    """Progress of one episode or change at one channel.

    ``order``: number of its arrival; what arrived first is sent first. Its JSON is a state record, so names
    of fields in JSON stay as they are.
    """

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    order: int

    @property
    @abstractmethod
    def is_open(self) -> bool:
        """Whether something may still be sent."""

    @abstractmethod
    def is_expired(self, now_us: int) -> bool:
        """Return whether it need not be remembered any longer. ``now_us``: microseconds since 1970."""

    def to_state(self) -> bytes:
        """Return its state record."""
        return self.model_dump_json(exclude_defaults=True, by_alias=True).encode()

    @classmethod
    def from_state(cls, value: bytes) -> Self:
        """Read a state record.

        Raises:
            ValueError: it cannot be read.
        """
        return cls.model_validate_json(value)


_Delivery = TypeVar("_Delivery", bound=Delivery)


class DeliveryLog(Generic[_Delivery]):
    """Deliveries of one kind, in order of arrival.

    Args:
        prefix: of the keys of their state records; channel and id follow.
        kind: class of the deliveries.
    """

    def __init__(self, prefix: bytes, kind: type[_Delivery]) -> None:
        self._prefix, self._kind = prefix, kind
        self._deliveries: dict[Key, _Delivery] = {}
        self._open: dict[Key, _Delivery] = {}
        self._changed: dict[Key, None] = {}  # an ordered set
        self._last_order = 0

    def __len__(self) -> int:
        return len(self._deliveries)

    def __iter__(self) -> Iterator[Key]:
        """Yield all keys, the oldest first."""
        return iter(self._deliveries)

    def __contains__(self, key: Key) -> bool:
        return key in self._deliveries

    def get(self, key: Key) -> _Delivery | None:
        """Return a delivery, or None if there is none."""
        return self._deliveries.get(key)

    def open_items(self) -> list[tuple[Key, _Delivery]]:
        """Return the open deliveries, the oldest first."""
        return list(self._open.items())

    def open_at(self, channel: str) -> list[_Delivery]:
        """Return the open deliveries of a channel, the oldest first."""
        return [delivery for (name, _), delivery in self._open.items() if name == channel]

    def open_delivery(self, key: Key) -> _Delivery | None:
        """Return a delivery if it is open, else None."""
        return self._open.get(key)

    def next_order(self) -> int:
        """Return the order of the next delivery to add."""
        self._last_order += 1
        return self._last_order

    def put(self, key: Key, delivery: _Delivery) -> None:
        """Add a delivery, or replace that of this key."""
        self._deliveries[key] = delivery
        self.touch(key)

    def touch(self, key: Key) -> None:
        """Note that a delivery has changed."""
        self._changed[key] = None
        delivery = self._deliveries.get(key)
        if delivery is None or not delivery.is_open:
            self._open.pop(key, None)
        else:
            self._open[key] = delivery

    def drop(self, key: Key) -> None:
        """Forget a delivery."""
        del self._deliveries[key]
        self.touch(key)

    def drop_expired(self, now_us: int) -> list[Key]:
        """Forget what need not be remembered any longer; return its keys. ``now_us``: microseconds since
        1970.
        """
        expired = [key for key, delivery in self._deliveries.items() if delivery.is_expired(now_us)]
        for key in expired:
            self.drop(key)
        return expired

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """Return the state records that differ since the last call; None deletes."""
        keys, self._changed = self._changed, {}
        return [(self._prefix + "/".join(key).encode(), self._state_of(key)) for key in keys]

    def owns(self, state_key: bytes) -> bool:
        """Return whether a state record belongs to this log."""
        return state_key.startswith(self._prefix)

    def restore(self, state_key: bytes, value: bytes | None) -> None:
        """Take back one state record; call ``restored`` after the last.

        Raises:
            ValueError: it cannot be read.
        """
        channel, name = state_key[len(self._prefix) :].decode().split("/", 1)
        if value is None:
            self._deliveries.pop((channel, name), None)
        else:
            self._deliveries[channel, name] = self._kind.from_state(value)

    def restored(self) -> None:
        """Put what ``restore`` took back into its order."""
        self._deliveries = dict(sorted(self._deliveries.items(), key=lambda item: item[1].order))
        self._open = {key: delivery for key, delivery in self._deliveries.items() if delivery.is_open}
        self._last_order = max((delivery.order for delivery in self._deliveries.values()), default=0)

    def _state_of(self, key: Key) -> bytes | None:
        delivery = self._deliveries.get(key)
        return None if delivery is None else delivery.to_state()
