"""Progress of one change at one channel."""

from __future__ import annotations

from monitor.delivery.delivery_log import Delivery
from monitor.windows.segment_series import DAY_US
from schemas.records import Change
from schemas.times import microseconds

STATE_PREFIX = b"change/"  # of its state records; channel and id follow


class ChangeDelivery(Delivery):
    """A change to send to one channel, or, without ``change``, one that was sent or refused.

    What was sent is remembered for a day, so that a record that is read again is not sent again. What could
    not be sent for a day is dropped. ``until_us``: the end of that day. ``offset``: of its record in the
    alerts topic.
    """

    until_us: int
    offset: int = 0
    change: Change | None = None

    @classmethod
    def opened(cls, change: Change, order: int, offset: int, now_us: int) -> ChangeDelivery:
        """Return the delivery of a new change. ``now_us``: wall clock, microseconds since 1970."""
        until_us = min(microseconds(change.decided_at), now_us) + DAY_US
        return cls(order=order, until_us=until_us, offset=offset, change=change)

    def done(self, now_us: int) -> ChangeDelivery:
        """Return it as sent or refused: nothing is left to do. ``now_us``: as in ``opened``."""
        return ChangeDelivery(order=self.order, until_us=now_us + DAY_US)

    @property
    def is_open(self) -> bool:
        """Whether it is still to be sent."""
        return self.change is not None

    def is_expired(self, now_us: int) -> bool:
        """Return whether its day has passed."""
        return self.until_us <= now_us
