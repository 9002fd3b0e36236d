"""Decide the next step about one episode at one channel.

There is no queue of messages. The state of each key at the receiver is compared with the newest state of the
episode, and the difference is one step. So a newer state overtakes an older one, the order cannot be lost,
and a step that is repeated after a crash has the same key.
"""

from __future__ import annotations

from typing import NamedTuple

from monitor.channels.interface import Action, Urgency
from monitor.delivery.delivery_times import (
    CATCH_UP_US,
    JOINED_US,
    OLD_US,
    RECENT_US,
    REPEAT_US,
    TICKET_PANES,
    UPDATE_US,
)
from monitor.delivery.episode_progress import EpisodeProgress
from monitor.delivery.page_keys import KeyState
from monitor.delivery.snapshot import Snapshot, finding_keys, member_keys
from monitor.protocol.severity import severity_rank
from monitor.windows.failure_kind import ERRORS
from schemas.config.monitor_config import Config
from schemas.records import Episode
from schemas.times import microseconds

STATE_PREFIX = b"delivery/"  # of its state records; channel and id follow


class Decision(NamedTuple):
    """A step without its channel. ``ring``: which ring of a page, from 1 on."""

    action: Action
    urgency: Urgency
    reason: str
    snapshot: Snapshot
    ring: int = 1


class EpisodeDelivery(EpisodeProgress):
    """Progress of one episode at one channel, and the step to send next."""

    @classmethod
    def opened(cls, state: Snapshot, order: int, config: Config) -> EpisodeDelivery:
        """Return the delivery of a new episode. ``order``: its place among all deliveries."""
        episode, catch_up_until_us, ticket_due_us = state.episode, None, None
        may_page = episode.environment in config.page_environments
        is_about_errors = all(incident.kind == ERRORS for incident in episode.incidents)
        if episode.urgency == "low" and may_page and is_about_errors:
            wait_us = round(config.time.pane * TICKET_PANES * 1e6)
            ticket_due_us = microseconds(episode.decided_at) + wait_us
        if cls.was_decided_late(episode):
            catch_up_until_us = microseconds(episode.decided_at) + CATCH_UP_US
        return cls(
            order=order,
            dedup_key=episode.dedup_key,
            feature=feature_name(episode),
            latest=state,
            catch_up_until_us=catch_up_until_us,
            ticket_due_us=ticket_due_us,
        )

    def next_step(
        self, now_us: int, page_old: bool = False, *, silenced: bool = False, repeat_us: int = REPEAT_US
    ) -> Decision | None:
        """Decide what to send now; None if nothing.

        Args:
            now_us: wall clock, microseconds since 1970.
            page_old: whether to send what ended over 24 h ago.
            silenced: whether a silence is in force: then only what was sent is resolved.
            repeat_us: time after which an open trigger is sent again.
        """
        if self.latest is None or not self.sends_itself:
            return None
        if self.has_ended:
            return self._step_after_end(self.latest, now_us, page_old, silenced)
        if self.catch_up_until_us is not None and now_us < self.catch_up_until_us:
            return None
        return self._step_while_firing(self.latest, now_us, silenced, repeat_us)

    def _step_while_firing(
        self, latest: Snapshot, now_us: int, silenced: bool, repeat_us: int
    ) -> Decision | None:
        if latest.episode.muted or self.last_firing is None:
            return None
        urgency, state = self.urgency, self.keys[self.key]
        if (older := self._older_key(state)) is not None:
            return _resolve(older, "is a page now" if older == "low" else self.ring_reason, latest)
        if silenced:
            return None
        if self.group_leader and state != "open":
            return None  # the leader's page lists it
        if state == "wanted" and self.key == "low" and now_us < (self.ticket_due_us or 0):
            return None
        if (reason := self._why_trigger(latest.episode, state, now_us - self.sent_us, repeat_us)) is None:
            return None
        if self.ring > 1 and self.ring_kind:
            episode = latest.episode.model_copy(update={"lead": self.ring_kind})
            latest = latest.model_copy(update={"episode": episode})
        return Decision("trigger", urgency, reason, latest, self.ring)

    def _older_key(self, state: KeyState) -> str | None:
        """Return a key to resolve because another one, which is in this state, has taken its place."""
        is_replaced = state == "open" or bool(self.group_leader)
        return next(
            (
                key
                for key, older in self.keys.items()
                if key != self.key and (older == "doubtful" or (is_replaced and older in ("wanted", "open")))
            ),
            None,
        )

    def _why_trigger(self, episode: Episode, state: KeyState, since_us: int, repeat_us: int) -> str | None:
        """Return why to send a trigger; None if there is no reason. ``since_us``: time since the last one."""
        if state in ("held", "wanted"):
            if self.ring > 1:
                return self.ring_reason
            was_ticket = self.keys.get("low", "held") not in ("held", "dropped")
            return "escalated" if was_ticket and "high" in self.keys else "opened"
        if since_us >= (repeat_us if state == "open" else REPEAT_US):
            return "still firing"
        if state != "open":
            return None
        if since_us >= JOINED_US and not self._lists_all(episode):
            return "more features"
        return "updated" if since_us >= UPDATE_US and self._has_changed(episode) else None

    def _step_after_end(
        self, latest: Snapshot, now_us: int, page_old: bool, silenced: bool
    ) -> Decision | None:
        if self.last_firing is None:
            return None
        state, age_us = self.keys[self.key], now_us - microseconds(latest.episode.time)
        if self.ring > 1 and state in ("held", "wanted") and not self.is_unconfirmed:
            state = "doubtful"  # what is over does not ring
        is_withheld = bool(latest.episode.muted or self.ended_silenced or silenced or self.group_leader)
        if state == "wanted" and not is_withheld and age_us < RECENT_US:
            return Decision("trigger", self.urgency, "opened", self.last_firing, self.ring)
        if state == "open" and not silenced and not self._lists_all(self.last_firing.episode):
            # members that began and ended since the last trigger
            return Decision("trigger", self.urgency, "more features", self.last_firing, self.ring)
        for key, key_state in sorted(self.keys.items()):  # high first: it wakes people
            if key_state in ("wanted", "open", "doubtful"):
                return _resolve(key, "resolved", latest)
        may_note = (
            self.is_unconfirmed
            and not self.stayed_ticket
            and state != "held"
            and not is_withheld
            and not self.note_sent
        )
        if may_note and (age_us < OLD_US or page_old):
            # with the evidence from when it fired
            end = {"state": "resolved", "reason": latest.episode.reason, "time": latest.episode.time}
            episode = self.last_firing.episode.model_copy(update=end)
            snapshot = self.last_firing.model_copy(update={"episode": episode})
            return Decision("note", "low", "missed while down", snapshot)
        return None

    def _lists_all(self, episode: Episode) -> bool:
        """Return whether the last trigger listed all members of the group."""
        return member_keys(episode) <= set(self.sent_findings)

    def _has_changed(self, episode: Episode) -> bool:
        """Return whether it became more severe, or has findings that were not sent."""
        severity, *rules = self.sent_findings or ["info"]
        is_worse = severity_rank(episode.severity) > severity_rank(severity)
        return is_worse or not finding_keys(episode) <= set(rules)


def _resolve(key: str, reason: str, latest: Snapshot) -> Decision:
    urgency, _, ring = key.partition("/")
    return Decision("resolve", "high" if urgency == "high" else "low", reason, latest, int(ring or 1))


def feature_name(episode: Episode) -> str:
    """Return the name under which the deliveries of a feature are found."""
    return f"{episode.service}/{episode.feature}/{episode.environment}"
