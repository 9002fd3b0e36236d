"""The episodes that a delivery covers, and whether silences hold all of them back."""

from __future__ import annotations

from monitor.delivery.delivery_log import DeliveryLog
from monitor.delivery.episode_delivery import EpisodeDelivery
from monitor.delivery.silences import ScheduledSilence, Silences, silence_subject
from monitor.delivery.snapshot import Snapshot
from schemas.records import Episode


class CoveredEpisodes:
    """The episodes that deliveries cover: their own, and the members of a group that they lead."""

    def __init__(self, log: DeliveryLog[EpisodeDelivery], silences: Silences) -> None:
        self._log, self._silences = log, silences

    def members(self, channel: str, delivery: EpisodeDelivery) -> list[Snapshot]:
        """Return the states of all episodes that a delivery covers, its own first."""
        if delivery.own_latest is None:
            return [delivery.latest] if delivery.latest is not None else []
        leader_id = delivery.own_latest.episode.episode_id
        return [
            delivery.own_latest,
            *(
                member.latest
                for member in self._log.open_at(channel)
                if member.group_leader == leader_id and member.latest is not None
            ),
        ]

    def silence_of(self, channel: str, delivery: EpisodeDelivery, now_us: int) -> ScheduledSilence | None:
        """Return a silence that holds a delivery back now, or None.

        Of a group, all members must be silenced.
        """
        silences = [
            self._silences.in_force(silence_subject(episode), now_us)
            for episode in self._firing(channel, delivery)
        ]
        return silences[0] if silences and None not in silences else None

    def silenced_until(self, channel: str, delivery: EpisodeDelivery, at_us: int) -> int | None:
        """Return until when all episodes that a delivery covers are silenced, or None if one is not."""
        ends = [
            self._silences.silenced_until(silence_subject(episode), at_us)
            for episode in self._firing(channel, delivery)
        ]
        known = [end_us for end_us in ends if end_us is not None]
        return min(known) if known and len(known) == len(ends) else None

    def _firing(self, channel: str, delivery: EpisodeDelivery) -> list[Episode]:
        """Return the episodes that a delivery covers and that fire; all if none does."""
        episodes = [member.episode for member in self.members(channel, delivery)]
        return [episode for episode in episodes if episode.state != "resolved"] or episodes
