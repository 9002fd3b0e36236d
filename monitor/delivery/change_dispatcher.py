"""Decide the next step about changes: each once to each channel that takes changes, one attempt at a time.

Changes page nobody, so silences do not mute them; see docs/decisions/0021. Pure: the wall clock is an
argument, microseconds since 1970.
"""

from __future__ import annotations

from monitor.channels import change_channels
from monitor.channels.interface import ChangeStep
from monitor.delivery.change_delivery import STATE_PREFIX, ChangeDelivery
from monitor.delivery.delivery_log import DeliveryLog
from monitor.delivery.retries import RetryLane, RetryPolicy
from monitor.protocol.severity import SEVERITIES
from schemas.config.monitor_config import Config
from schemas.records import Change

MOST = 2000  # open or remembered, in all channels; the oldest is dropped first


class ChangeDispatcher:
    """Deliveries of changes, and their retries.

    Args:
        config: the whole configuration. A change goes to each channel that takes changes and that a route of
            its feature leads to at any severity; only from environments that may page.
        policy: of retries.
    """

    def __init__(self, config: Config, policy: RetryPolicy) -> None:
        self._config, self._policy = config, policy
        self._channels = tuple(change_channels(config))
        self._lanes: dict[str, RetryLane] = {}
        self.log = DeliveryLog(STATE_PREFIX, ChangeDelivery)

    def take(self, change: Change, offset: int, now_us: int) -> None:
        """Take a change. ``offset``: of its record in the alerts topic."""
        delivery = ChangeDelivery.opened(change, 0, offset, now_us)
        if delivery.is_expired(now_us) or change.environment not in self._config.page_environments:
            return
        routed = {
            channel
            for severity in SEVERITIES
            for channel in self._config.channels_for(
                change.service, change.feature, change.environment, severity
            )
        }
        for channel in self._channels:
            key = channel, change.change_id
            if channel in routed and key not in self.log:
                self.log.put(key, delivery.model_copy(update={"order": self.log.next_order()}))
        while len(self.log) > MOST:
            self.log.drop(next(iter(self.log)))

    def due(self, channel: str, now_us: int) -> ChangeStep | None:
        """Return the change to send: of those that were tried least the oldest. None: nothing, or not yet."""
        for name, change_id in self.log.drop_expired(now_us):
            self._lane(name).forget(change_id)
        lane = self._lane(channel)
        if lane.breaker.state(now_us) == "open":
            return None
        waiting = [
            (lane.rank(change_id, now_us) or 0, delivery.order, delivery.change)
            for (name, change_id), delivery in self.log.open_items()
            if name == channel and delivery.change is not None
        ]
        return ChangeStep(channel, min(waiting, key=lambda item: item[:2])[2]) if waiting else None

    def answered(self, step: ChangeStep, now_us: int) -> int:
        """Note that the receiver took or refused a change; return the offset of its record."""
        key = step.channel, step.change.change_id
        self._lane(step.channel).answered(step.change.change_id)
        delivery = self.log.get(key)
        if delivery is None:
            return 0
        self.log.put(key, delivery.done(now_us))
        return delivery.offset

    def failed(self, step: ChangeStep, now_us: int, jitter: float, after_s: float, reason: str) -> float:
        """Note a failed attempt; return the seconds until the next. See ``RetryLane.failed``."""
        return self._lane(step.channel).failed(step.change.change_id, now_us, jitter, after_s, reason=reason)

    def _lane(self, channel: str) -> RetryLane:
        return self._lanes.setdefault(channel, RetryLane(self._policy))
