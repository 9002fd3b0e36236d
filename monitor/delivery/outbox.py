"""Outbox: the episodes and changes that have to be sent to channels, as a value.

Pure: the shell asks ``due`` or ``change_due``, sends, and answers with ``delivered``, ``failed`` or
``refused``. It saves each answer before it sends the next step, so a crash repeats at most the last step, an
episode's under the same key.

Changes page nobody. No page waits for a change: it is sent only while no other step of its channel waits, and
its failures delay changes only (docs/decisions/0021).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from monitor.channels.interface import ChangeStep, Step
from monitor.delivery.alert_records import AlertRecord
from monitor.delivery.change_dispatcher import ChangeDispatcher
from monitor.delivery.circuit_breaker import CircuitBreaker
from monitor.delivery.delivery_counts import STATE_KEY as COUNTS_KEY
from monitor.delivery.delivery_counts import DeliveryCounts, Outcome
from monitor.delivery.delivery_status import pending_steps, silences_in_force
from monitor.delivery.dispatcher import Dispatcher
from monitor.delivery.episode_delivery import EpisodeDelivery
from monitor.delivery.retries import CHANGES, EPISODES, RetryLane
from monitor.ingest.dead_letters import dead_letter
from monitor.protocol.messages import FileRecord, Outputs, Record
from monitor.protocol.metrics import Measure
from schemas.config.monitor_config import Config
from schemas.records import Change, Episode, Silence

LAYOUT = 6
"""Version of the state records of ``notify``: JSON, and a name that a release does not know is refused.

2: findings of self-health beside deliveries. 3: silences, and when they end. 4: pages over several features,
changes. 5: rings of a page, groups of one kind of failure. 6: the feature of a delivery.
"""

_BREAKER_STATES = {"closed": 0.0, "half-open": 0.5, "open": 1.0}


class Outbox:
    """Deliveries of episodes and changes to all channels, and their retries.

    Args:
        config: the whole configuration.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._episodes = Dispatcher(config)
        self._changes = ChangeDispatcher(config, CHANGES)
        self._counts = DeliveryCounts(config.channels.names())
        self._lanes: dict[str, RetryLane] = {}
        self._refusal_reasons: dict[str, str] = {}  # the last of each channel
        self._refusing: set[str] = set()  # channels whose last answer was a refusal
        self._now_us = 0

    def advance(self, now_us: int) -> None:
        """Move the wall clock on, microseconds since 1970; it never goes back."""
        self._now_us = max(self._now_us, now_us)

    # incoming records

    def take(self, record: AlertRecord, offset: int, now_us: int) -> None:
        """Take a record of the alerts topic; heartbeats are ignored.

        Args:
            record: an episode, a silence or a change.
            offset: of the record in the topic.
            now_us: wall clock, microseconds since 1970.

        Raises:
            ValueError: a silence is too long, or there are too many; names the field and the remedy.
        """
        self.advance(now_us)
        if isinstance(record, Episode):
            self._episodes.take(record, offset, self._now_us)
        elif isinstance(record, Silence):
            self._episodes.take_silence(record, self._now_us)
        elif isinstance(record, Change):
            self._changes.take(record, offset, self._now_us)

    def reject(self, record: Record, error: ValueError) -> Outputs:
        """Count a record that cannot be read; return its dead letter. ``error``: why, the field first."""
        field, colon, _ = str(error).partition(":")
        outputs = Outputs()
        outputs.add(
            "deadletter", dead_letter(record, str(error), field if colon and " " not in field else "")
        )
        self._counts.add_unreadable()
        return outputs

    # outgoing steps

    def due(self, channel: str, now_us: int) -> Step | None:
        """Return the step of an episode that this channel is to be sent now: pages first, then in order of
        arrival. None: nothing, or not yet.

        While the channel's breaker is open this is one probe: of the steps that were tried least, the page
        that came first. A page that was never tried does not wait for the next probe.

        ``now_us``: wall clock, microseconds since 1970.
        """
        self.advance(now_us)
        for name in self._episodes.settle(self._now_us):
            self._counts.add(name, "silenced")
        lane = self._lane(channel)
        if not lane.may_send(now_us):
            return None
        best: tuple[tuple[int, bool, int], Step] | None = None
        for (name, episode_id), delivery in self._episodes.log.open_items():
            if name != channel or (rank := lane.rank(episode_id, now_us)) is None:
                continue
            decision = self._episodes.next_step(channel, delivery, self._now_us)
            if decision is None:
                continue
            action, urgency, reason, snapshot, ring = decision
            is_page = (action, urgency) == ("trigger", "high")
            if lane.breaker.state(now_us) == "open" and not is_page:
                continue
            order = rank, not is_page, delivery.order
            if best is None or order < best[0]:
                step = Step(
                    channel, episode_id, action, urgency, reason, snapshot.episode, snapshot.left_out, ring
                )
                best = order, step
        return best[1] if best else None

    def change_due(self, channel: str, now_us: int) -> ChangeStep | None:
        """Return the change that this channel is to be sent now: of those that were tried least the oldest.

        None: no change waits, or another step of the channel does, or the channel does not answer, or it
        asked for a pause. ``now_us``: wall clock, microseconds since 1970.
        """
        step = self._changes.due(channel, now_us)
        if step is None or self.breaker(channel).open_since_us is not None or self.is_paused(channel, now_us):
            return None
        return step if self.due(channel, now_us) is None else None

    # results of steps

    def delivered(self, step: Step | ChangeStep, now_us: int) -> None:
        """Note that the receiver has confirmed a step. ``now_us``: wall clock, microseconds since 1970."""
        if isinstance(step, ChangeStep):
            self._changes.answered(step, now_us)
            return
        self._refusing.discard(step.channel)
        if (delivery := self._answered(step, "delivered", now_us)) is not None:
            delivery.delivered(step.action, step.key, step.episode, now_us)

    def refused(self, step: Step | ChangeStep, reason: str, now_us: int) -> Outputs:
        """Note that the receiver will never take a step; return a dead letter that says why. Nothing else
        waits for it.
        """
        if isinstance(step, ChangeStep):
            why = (
                f"{step.channel} refused the change {step.change.change_id}: {reason}; mend the channel, or"
                f" set channels.{step.channel}.change_events to false"
            )
            return self._dead_letter(step.change, self._changes.answered(step, now_us), why)
        self._refusal_reasons[step.channel] = reason
        self._refusing.add(step.channel)
        delivery = self._answered(step, "refused", now_us)
        if delivery is None:
            return Outputs()
        offset = delivery.latest.offset if delivery.latest else 0
        delivery.refused(step.action, step.key, step.episode, now_us)
        why = (
            f"{step.channel} refused {step.action} {step.dedup_key}: {reason}; mend the channel, the step"
            " is tried again after a restart or 6 h"
        )
        return self._dead_letter(step.episode, offset, why)

    def failed(
        self,
        step: Step | ChangeStep,
        now_us: int,
        jitter: float,
        after_s: float = 0.0,
        hold: bool = False,
        reason: str = "",
        *,
        unexpected: bool = False,
    ) -> float:
        """Note that a step did not get through; return the seconds until it is due again: 1 s to 5 min,
        doubling, or ``after_s`` if that is longer. While the breaker is open: until the next probe, of
        whichever step.

        Args:
            step: what was sent.
            now_us: wall clock, microseconds since 1970.
            jitter: drawn from [0, 1), shortens the wait by up to half.
            after_s: seconds that the receiver asked to be left alone.
            hold: whether the whole channel waits for that long. No change holds a channel.
            reason: why it failed.
            unexpected: whether the answer was not the receiver's own.
        """
        if isinstance(step, ChangeStep):
            return self._changes.failed(step, now_us, jitter, after_s, reason)
        self._counts.add(step.channel, "retried")
        return self._lane(step.channel).failed(
            step.episode_id, now_us, jitter, after_s, hold=hold, reason=reason, unexpected=unexpected
        )

    def _answered(self, step: Step, outcome: Outcome, now_us: int) -> EpisodeDelivery | None:
        self.advance(now_us)
        self._lane(step.channel).answered(step.episode_id)
        self._counts.add(step.channel, outcome)
        key = step.channel, step.episode_id
        self._episodes.log.touch(key)
        return self._episodes.log.open_delivery(key)

    def _dead_letter(self, sent: Episode | Change, offset: int, why: str) -> Outputs:
        topic = f"{self._config.kafka.prefix}.alerts"
        outputs = Outputs()
        record = FileRecord(sent.model_dump_json().encode(), offset, topic=topic)
        outputs.add("deadletter", dead_letter(record, why))
        return outputs

    # state of the channels

    def breaker(self, channel: str) -> CircuitBreaker:
        """Return the circuit breaker of a channel."""
        return self._lane(channel).breaker

    def is_paused(self, channel: str, now_us: int) -> bool:
        """Return whether the receiver asked to be left alone until later than ``now_us``, wall clock,
        microseconds since 1970.
        """
        return self._lane(channel).is_paused(now_us)

    def refusals(self, channel: str) -> tuple[int, str]:
        """Return how many steps a channel has ever refused, and why the last, if that is known."""
        return self._counts.refused(channel), self._refusal_reasons.get(channel, "")

    def is_refusing(self, channel: str) -> bool:
        """Return whether the last answer of a channel was a refusal, or it still refuses a step.

        A restart forgets the first, because it tries the second again.
        """
        refused = any(
            delivery.keys.get(delivery.key) == "refused" for delivery in self._episodes.log.open_at(channel)
        )
        return refused or channel in self._refusing

    def _lane(self, channel: str) -> RetryLane:
        return self._lanes.setdefault(channel, RetryLane(EPISODES))

    # metrics and status

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """Answers so far, by channel and outcome."""
        return self._counts.by_channel

    def measures(self) -> Iterator[Measure]:
        """Yield the values for /metrics."""
        yield from self.counters()
        channels = self._config.channels.names()
        for channel, count in pending_steps(self._episodes, channels, self._now_us).items():
            yield Measure("softfail_deliveries_pending", (channel,), count)
        for channel in channels:
            state = self.breaker(channel).state(self._now_us)
            yield Measure("softfail_channel_open", (channel,), _BREAKER_STATES[state])

    def counters(self) -> Iterator[Measure]:
        """Yield the counters among them, which survive restarts."""
        return self._counts.measures()

    def silences(self) -> list[dict[str, Any]]:
        """Return the silences in force at the last known time, and how many deliveries each holds back."""
        return silences_in_force(self._episodes, self._now_us)

    # saved state

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """Return the state records that differ since the last call; None deletes."""
        return [*self._episodes.changed(), *self._counts.changed(), *self._changes.log.changed()]

    def restore(self, records: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Restore what ``changed`` returned. Only on a fresh object.

        Raises:
            ValueError: a record cannot be read; names its key.
        """
        for key, value in records:
            try:
                if key == COUNTS_KEY:
                    self._counts.restore(value)
                elif self._changes.log.owns(key):
                    self._changes.log.restore(key, value)
                elif not self._episodes.restore(key, value):
                    raise ValueError("no record of an outbox")
            except (ValueError, TypeError, AttributeError) as error:
                raise ValueError(f"state record {key!r}: {error}") from None
        self._episodes.restored()
        self._changes.log.restored()
