"""Decide the next step about episodes: routes, silences and groups decide which channel is sent what.

Pure: the wall clock is an argument, microseconds since 1970.
"""

from __future__ import annotations

from collections.abc import Iterable

from monitor.delivery.covered_episodes import CoveredEpisodes
from monitor.delivery.delivery_log import DeliveryLog, Key
from monitor.delivery.delivery_times import (
    LATE_US,
    OLD_US,
    REPEAT_AT_US,
    REPEAT_US,
)
from monitor.delivery.episode_delivery import STATE_PREFIX, Decision, EpisodeDelivery, feature_name
from monitor.delivery.group_episode import merge_group
from monitor.delivery.page_grouping import UNGROUPED, assign_group, without_group
from monitor.delivery.silences import ScheduledSilence, silence_subject
from monitor.delivery.snapshot import snapshot
from monitor.delivery.stored_silences import StoredSilences
from monitor.protocol.service import SERVICE, subject_of
from schemas.config.monitor_config import Config
from schemas.records import Episode, Silence
from schemas.times import microseconds


class Dispatcher:
    """Deliveries of episodes to all channels, and the silences that hold them back."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self.log = DeliveryLog(STATE_PREFIX, EpisodeDelivery)
        self.silences = StoredSilences(config.silences)
        self._covered = CoveredEpisodes(self.log, self.silences)
        # whether silences may have changed since the deliveries were saved
        self._silences_uncertain = False

    # incoming records

    def take_silence(self, silence: Silence, now_us: int) -> None:
        """Take a silence that a person asked for.

        Raises:
            ValueError: it is too long, or there are too many; names the remedy.
        """
        self.silences.take(silence, now_us)
        self._apply_silences(microseconds(silence.time), now_us)
        for (channel, _), delivery in self.log.open_items():
            self._merge(channel, delivery, now_us)

    def take(self, episode: Episode, offset: int, now_us: int) -> None:
        """Take a new state of an episode. ``offset``: of its record in the alerts topic."""
        state = snapshot(episode, offset)
        for channel in self._channels_of(episode):
            key = channel, episode.episode_id
            delivery = self.log.get(key)
            if delivery is None:
                if episode.muted or episode.state == "resolved":
                    continue  # nothing was sent, so nothing has to be resolved
                delivery = EpisodeDelivery.opened(state, self.log.next_order(), self._config)
                self.log.put(key, delivery)
            delivery.feature = feature_name(episode)  # in state of older releases it is empty
            was_page = delivery.urgency == "high"
            at_us = microseconds(episode.decided_at)
            silenced_until_us = self.silences.silenced_until(silence_subject(episode), at_us)
            earlier_us = self._rings_before(key, delivery) if episode.urgency == "high" else []
            if delivery.own_latest is None:
                delivery.update(state, silenced_until_us, earlier_us=earlier_us)
                delivery.drop_unsent(now_us)
            elif delivery.own_latest.episode.state != "resolved":
                delivery.own_latest = state
            rings = delivery.urgency == "high" and not was_page
            if was_page and delivery.ring_again(
                episode, is_silenced=silenced_until_us is not None, earlier_us=earlier_us
            ):
                self._rang(channel, delivery, now_us)
                rings = delivery.own_latest is None  # the page of a group keeps its list
            self.log.touch(key)
            if channel not in UNGROUPED:
                self._group(channel, delivery, now_us, rings=rings)

    def _channels_of(self, episode: Episode) -> list[str]:
        """Return the channels of its route, and those that it was sent to under earlier routes. A channel is
        sent nothing about its own failure.
        """
        routed = self._config.channels_for(
            episode.service, episode.feature, episode.environment, episode.severity
        )
        earlier = [channel for channel, episode_id in self.log if episode_id == episode.episode_id]
        return [
            channel
            for channel in dict.fromkeys((*routed, *earlier))
            if (episode.service, episode.feature) != (SERVICE, subject_of(channel))
        ]

    def _rings_before(self, key: Key, delivery: EpisodeDelivery) -> list[int]:
        """Return the wall clock of the rings of earlier episodes of the same feature."""
        return [
            ring_us
            for name in self.log
            if name[0] == key[0] and name != key
            if (other := self.log.get(name)) is not None and other.feature == delivery.feature
            for ring_us in other.rung_us
        ]

    # groups

    def _rang(self, channel: str, delivery: EpisodeDelivery, now_us: int) -> None:
        """Give a listed feature that rings again a page of its own."""
        if delivery.group_leader:
            leader = self.log.get((channel, delivery.group_leader))
            self._leave_group(channel, [delivery])
            if leader is not None:
                self._merge(channel, leader, now_us)

    def _group(self, channel: str, delivery: EpisodeDelivery, now_us: int, *, rings: bool) -> None:
        """Put a delivery into a group if there is one, and bring the group's page up to date."""
        deliveries = self.log.open_at(channel)
        may_move = rings or delivery.waits_to_ring
        if may_move:
            self._touch(channel, assign_group(delivery, deliveries, now_us, self.silences.is_silenced))
        self._leave_group(channel, without_group(deliveries, now_us, self.silences.is_silenced))
        leaders = [delivery if delivery.own_latest else self.log.get((channel, delivery.group_leader))]
        if may_move:
            leaders = [leader for leader in deliveries if leader.own_latest is not None]
        for leader in filter(None, leaders):
            self._merge(channel, leader, now_us)
            leader.drop_unsent(now_us)

    def _merge(self, channel: str, leader: EpisodeDelivery, now_us: int) -> None:
        """Bring the page of a group up to date."""
        if leader.own_latest is None or leader.latest is None:
            return
        members = self._covered.members(channel, leader)
        at_us = max(microseconds(member.episode.decided_at) for member in members)
        silenced = [
            member.episode.episode_id
            for member in members
            if self.silences.is_silenced(member.episode, max(at_us, now_us))
        ]
        merged = merge_group(members, leader.group_key, leader.latest.episode, silenced)
        leader.update(merged, self._covered.silenced_until(channel, leader, at_us))
        self._touch(channel, [leader])

    def _leave_group(self, channel: str, deliveries: Iterable[EpisodeDelivery]) -> None:
        leaving = list(deliveries)
        for delivery in leaving:
            delivery.leave_group()
        self._touch(channel, leaving)

    # silences

    def _apply_silences(self, since_us: int, now_us: int) -> None:
        """Hold deliveries back for as long as the silences say that are known since ``since_us``."""
        self._silences_uncertain = False
        for (channel, episode_id), delivery in self.log.open_items():
            if delivery.latest is None or delivery.silence_end_us is None or not delivery.is_unconfirmed:
                continue
            ended = since_us >= delivery.silence_end_us - LATE_US
            if delivery.is_silenced and not delivery.ended_silenced and ended:
                # a notifier that crashed may have tried it before this record was read, and not saved that
                delivery.release_silenced()
                self.log.touch((channel, episode_id))
            at_us = min(now_us, delivery.silence_end_us)
            decided_us = microseconds(delivery.latest.episode.decided_at)
            until_us = (
                self._covered.silenced_until(channel, delivery, decided_us)
                or self._covered.silenced_until(channel, delivery, at_us)
                or at_us
            )
            if until_us != delivery.silence_end_us:
                delivery.silence_end_us = until_us
                self.log.touch((channel, episode_id))

    def silence_of(self, channel: str, delivery: EpisodeDelivery, now_us: int) -> ScheduledSilence | None:
        """Return a silence that holds a delivery back now, or None."""
        return self._covered.silence_of(channel, delivery, now_us)

    # outgoing steps

    def next_step(
        self, channel: str, delivery: EpisodeDelivery, now_us: int, *, ignore_silences: bool = False
    ) -> Decision | None:
        """Decide what to send for a delivery now; None if nothing."""
        silenced = not ignore_silences and self._covered.silence_of(channel, delivery, now_us) is not None
        return delivery.next_step(
            now_us,
            self._config.page_old_events,
            silenced=silenced,
            repeat_us=REPEAT_AT_US.get(channel, REPEAT_US),
        )

    def settle(self, now_us: int) -> list[str]:
        """Bring all deliveries up to date: end silences and waits, close what has nothing left to send,
        forget what was closed a day ago.

        Returns: the channel of each episode that ended under a silence and was never sent.
        """
        self.silences.drop_expired(now_us)
        if self._silences_uncertain:
            self._apply_silences(now_us, now_us)
        items = self.log.open_items()
        for (channel, _), delivery in items:
            self._settle_ring(channel, delivery, now_us)
            self._part_silenced(channel, delivery, now_us)
        for channel in {key[0] for key, delivery in items if delivery.group_wait_until_us is not None}:
            self._leave_group(
                channel, without_group(self.log.open_at(channel), now_us, self.silences.is_silenced)
            )
        never_sent = [key[0] for key, delivery in items if self._close_if_done(key, delivery, now_us)]
        self.log.drop_expired(now_us)
        return never_sent

    def _settle_ring(self, channel: str, delivery: EpisodeDelivery, now_us: int) -> None:
        """Begin a ring whose time has come."""
        state = delivery.own_latest or delivery.latest
        if delivery.ring_due_us is None or state is None:
            return
        is_silenced = self.silences.is_silenced(state.episode, now_us)
        if delivery.ring_if_due(state.episode, now_us, is_silenced=is_silenced):
            self._rang(channel, delivery, now_us)
            self._touch(channel, [delivery])
            if channel not in UNGROUPED:
                self._group(channel, delivery, now_us, rings=delivery.own_latest is None)

    def _part_silenced(self, channel: str, delivery: EpisodeDelivery, now_us: int) -> None:
        """Take a feature under a silence off the page that lists it: it is sent when the silence ends."""
        if not delivery.group_leader or delivery.latest is None or delivery.has_ended:
            return
        until_us = self.silences.silenced_until(silence_subject(delivery.latest.episode), now_us)
        if until_us is None:
            return
        if not delivery.sends_itself and delivery.keys.get(delivery.key) == "wanted":
            delivery.keys[delivery.key], delivery.silence_end_us = "held", until_us
        leader = self.log.get((channel, delivery.group_leader))
        self._leave_group(channel, [delivery])
        if leader is not None:
            self._merge(channel, leader, now_us)

    def _close_if_done(self, key: Key, delivery: EpisodeDelivery, now_us: int) -> bool:
        """Close a delivery that has nothing left to send; return whether it ended under a silence."""
        channel = key[0]
        leader = self.log.get((channel, delivery.group_leader)) if delivery.group_leader else None
        if delivery.group_leader and (leader is None or leader.was_refused):
            self._leave_group(channel, [delivery])  # there is no page that lists it
        if delivery.is_silenced and not delivery.ended_silenced and now_us >= (delivery.silence_end_us or 0):
            delivery.release_silenced()
            self.log.touch(key)
        if delivery.latest is None or not delivery.has_ended:
            return False
        if leader is not None and delivery.group_leader and leader.is_open:
            return False  # the leader's page lists it as ended for as long as it is open
        age_us = now_us - microseconds(delivery.latest.episode.time)
        is_abandoned = channel not in self._config.channels.names() and age_us > OLD_US
        # what a silence holds back is sent when it ends
        if not is_abandoned and delivery.next_step(now_us, self._config.page_old_events) is not None:
            return False
        ended_silenced = delivery.ended_silenced
        delivery.close(now_us)
        self.log.touch(key)
        return ended_silenced

    # saved state

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """Return the state records that differ since the last call."""
        return [*self.log.changed(), *self.silences.changed()]

    def restore(self, key: bytes, value: bytes | None) -> bool:
        """Restore one state record; return False if it belongs to another object. Call ``restored`` after
        the last.

        Raises:
            ValueError: it cannot be read.
        """
        if self.log.owns(key):
            self.log.restore(key, value)
        elif self.silences.owns(key):
            self.silences.restore_record(value)
        else:
            return False
        return True

    def restored(self) -> None:
        """Put to use what ``restore`` took back."""
        self.silences.restored()
        self._silences_uncertain = True
        self.log.restored()
        for _, delivery in self.log.open_items():
            delivery.retry_refused()

    def _touch(self, channel: str, deliveries: Iterable[EpisodeDelivery]) -> None:
        for delivery in deliveries:
            if (state := delivery.own_latest or delivery.latest) is not None:
                self.log.touch((channel, state.episode.episode_id))
