"""Progress of one episode at one channel: its newest states, and the steps that the receiver has confirmed."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from monitor.channels.interface import Action
from monitor.delivery.delivery_times import KEPT_US, LATE_US, RECENT_US
from monitor.delivery.page_keys import KeyState, PageKeys
from monitor.delivery.rings import next_ring_us
from monitor.delivery.snapshot import Snapshot, finding_keys, member_keys
from schemas.records import Episode
from schemas.times import microseconds


class EpisodeProgress(PageKeys):
    """State of one episode at one channel: its newest states, what was sent, and its group.

    Fields whose alias differs have the alias as their name in state records.
    """

    dedup_key: str
    latest: Snapshot | None
    """The newest state; of a group leader, that of the whole group. None once nothing is left to send."""
    last_firing: Snapshot | None = Field(None, alias="firing")
    """The newest state in which it fired and was not muted."""
    sent_us: int = Field(0, alias="told_us")
    """Wall clock of the last trigger that was answered for good."""
    sent_findings: list[str] = Field([], alias="told")
    """Its severity, rules and group members, as that trigger said them."""
    note_sent: bool = Field(False, alias="noted")
    silence_end_us: int | None = Field(None, alias="held_to_us")
    """Wall clock; when the silence ends, or ended, under which a key arose."""
    done_us: int | None = None
    """Wall clock at which nothing was left to send."""
    catch_up_until_us: int | None = Field(None, alias="behind_to_us")
    """Wall clock; until then its end may lie in records that the worker has not read yet."""
    was_refused: bool = False
    """Whether a trigger was refused once; such an episode leads no group."""
    group_key: str = Field("", alias="trait")
    """Of a group leader: what the members have in common. Empty: it leads no group."""
    own_latest: Snapshot | None = Field(None, alias="own")
    """Of a group leader: the newest state of its own episode."""
    group_wait_until_us: int | None = Field(None, alias="waits_to_us")
    """Wall clock; until then it is not sent, because a group may form."""

    @property
    def is_open(self) -> bool:
        """Whether something may still be sent."""
        return self.done_us is None

    def is_expired(self, now_us: int) -> bool:
        """Return whether its last step lies over a day back."""
        return self.done_us is not None and now_us - self.done_us > KEPT_US

    # incoming records

    def update(
        self, snapshot: Snapshot, silence_end_us: int | None = None, *, earlier_us: Sequence[int] = ()
    ) -> None:
        """Take a newer state. After a resolve there is none.

        Args:
            snapshot: the state.
            silence_end_us: when the silence ends under which it was decided.
            earlier_us: wall clock of the rings of earlier episodes of its feature.
        """
        if self.latest is None or self.latest.episode.state == "resolved":
            return
        self._restore_said()
        self.latest = snapshot
        episode = snapshot.episode
        if not self.was_decided_late(episode):
            self.catch_up_until_us = None
        if (
            self.silence_end_us is not None
            and microseconds(episode.decided_at) >= self.silence_end_us - LATE_US
        ):
            self.release_silenced()  # a notifier that crashed may have tried it since, and not saved that
        if episode.state != "resolved" and not episode.muted:
            self.last_firing = snapshot
            state: KeyState = "wanted" if silence_end_us is None else "held"
            if episode.urgency == "high" and "high" not in self.keys:
                self.begin_page(episode, state, next_ring_us(earlier_us))
            elif episode.urgency == "low":
                self.keys.setdefault("low", state)
            if silence_end_us is None:
                self.release_silenced()
            elif self.is_silenced:
                self.silence_end_us = silence_end_us
        else:
            self.end_wait(episode)

    def _restore_said(self) -> None:
        """Take what an older release sent as said, so that an upgrade rings nothing."""
        previous = self.own_latest or self.last_firing
        if self.said is None and "high" in self.keys and previous is not None:
            self.note_ring(previous.episode, self.sent_us or microseconds(previous.episode.decided_at))

    @staticmethod
    def was_decided_late(episode: Episode) -> bool:
        """Return whether it was decided over an hour after the fact: the worker was down or reads old events,
        and may soon decide the end.
        """
        return microseconds(episode.decided_at) - microseconds(episode.time) > RECENT_US

    def lead_group(self, group_key: str) -> None:
        """Send steps for a whole group from now on. ``group_key``: what the members have in common."""
        self.group_key, self.own_latest = group_key, self.latest
        self.group_wait_until_us, self.sends_itself = None, True

    def join_group(self, leader: EpisodeProgress, *, may_have_been_sent: bool) -> None:
        """Be listed on the leader's page. ``may_have_been_sent``: a trigger of its page may have gone out, and
        has to be resolved when the episode ends; so has its ticket.
        """
        assert leader.latest is not None
        self.group_leader = leader.latest.episode.episode_id
        has_sent = any(state in ("wanted", "open") for key, state in self.keys.items() if key != self.key)
        if not may_have_been_sent and has_sent and self.keys[self.key] == "wanted":
            self.keys[self.key] = "dropped"  # the page of the group says it
        self.sends_itself, self.group_wait_until_us = may_have_been_sent or has_sent, None

    def follow(self) -> None:
        """Lead no group any more, nor stand on the list of one."""
        if self.own_latest is not None:
            self.latest = self.last_firing = self.own_latest
        self.group_key, self.own_latest, self.group_leader = "", None, ""

    def leave_group(self) -> None:
        """Send steps of its own from now on."""
        if self.group_leader and self.keys[self.key] == "dropped" and not self.has_ended:
            self.keys[self.key] = "wanted"
        self.group_leader, self.sends_itself, self.group_wait_until_us = "", True, None

    def release_silenced(self) -> None:
        """The silence ended: send what it held back, except a ticket that has since become a page."""
        if self.is_silenced:
            self.keys[self.key] = "wanted"
            if self.urgency == "high" and self.silence_end_us is not None:
                self.rings_us = [*self.rings_us[:-1], max(self.silence_end_us, *self.rings_us[-1:], 0)]

    def drop_unsent(self, now_us: int) -> None:
        """If it ended while it waited for the worker to catch up, drop it: nothing has to be resolved.

        ``now_us``: wall clock, microseconds since 1970.
        """
        if self.has_ended and now_us < (self.catch_up_until_us or 0) - LATE_US:
            self.keys |= {key: "dropped" for key, state in self.keys.items() if state == "wanted"}

    # properties

    @property
    def has_ended(self) -> bool:
        """Whether the newest state is that it is resolved."""
        return self.latest is not None and self.latest.episode.state == "resolved"

    @property
    def ended_silenced(self) -> bool:
        """Whether it ended before the silence under which it arose, and was not sent: it never will be."""
        if self.latest is None or not self.has_ended or self.silence_end_us is None:
            return False
        return self.is_unconfirmed and microseconds(self.latest.episode.decided_at) < self.silence_end_us

    # results of steps

    def delivered(self, action: Action, key: str, episode: Episode, now_us: int) -> None:
        """Note that the receiver has confirmed a step. ``key``: ``low``, ``high``, ``high/2``, ...;
        ``now_us``: wall clock, microseconds since 1970.
        """
        if action == "note":
            self.note_sent = True
        elif action == "resolve":
            self.keys[key] = "closed" if self.keys[key] == "open" else "dropped"
        else:
            self.keys[key] = "open"
            self._note_sent(episode, now_us)

    def refused(self, action: Action, key: str, episode: Episode, now_us: int) -> None:
        """Note that the receiver will not take a step. A refused trigger is sent again with the next
        repetition: the channel may be corrected by then.
        """
        if action == "note":
            self.note_sent = True
        elif action == "resolve":
            self.keys[key] = "stuck"
        else:
            self.was_refused = True
            if self.keys[key] == "wanted":
                self.keys[key] = "refused"
        self._note_sent(episode, now_us)

    def _note_sent(self, episode: Episode, now_us: int) -> None:
        self.sent_us = now_us
        self.sent_findings = [episode.severity, *sorted(finding_keys(episode) | member_keys(episode))]

    def retry_refused(self) -> None:
        """Try what was refused once more: after a restart the channel may have another address or key."""
        for key, state in self.keys.items():
            if state == "refused":
                self.keys[key] = "wanted"

    def close(self, now_us: int) -> None:
        """Note that nothing is left to send: keep the states of the keys only."""
        self.done_us, self.latest, self.last_firing, self.own_latest = now_us, None, None, None
        self.sent_findings, self.said, self.ring_due_us = [], None, None
