"""Keys of one episode at one receiver: the ticket, and the rings of its page.

Which ring a page has is decided here; what is sent about it, in ``episode_delivery``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from monitor.channels.interface import Urgency
from monitor.delivery.delivery_log import Delivery
from monitor.delivery.delivery_times import LATE_US
from monitor.delivery.rings import MOST_AN_HOUR, Said, failures, next_ring_us, said_by, why_again
from schemas.records import Episode
from schemas.times import microseconds

KeyState = Literal["held", "wanted", "open", "refused", "closed", "dropped", "stuck", "doubtful"]
"""State of a key at the receiver. Keys are ``low``, ``high`` and, for each further ring, ``high/2``, ...

``held``: it arose under a silence and was not tried. ``wanted``: to be opened; an attempt may have arrived
without an answer. ``open``: the receiver has confirmed it. ``refused``: the receiver does not open it.
``closed``: the receiver has confirmed its end. ``dropped``: ended without ever having been confirmed as open.
``stuck``: the receiver does not close it. ``doubtful``: it is not to be opened any more, but an attempt may
have arrived.
"""


class PageKeys(Delivery):
    """The keys of an episode, and when its page rings."""

    keys: dict[str, KeyState] = {}
    group_leader: str = Field("", alias="folded")
    """Id of the episode whose page lists this one."""
    sends_itself: bool = Field(True, alias="alone")
    """Whether steps of its own go out. In a group: whether some may have gone out and have to be resolved."""
    feature: str = ""
    """``service/feature/environment``; empty in state of older releases."""
    ticket_due_us: int | None = None
    """Wall clock from which its ticket is sent, if it is no page by then; None: at once."""
    ring: int = 1
    """Which ring of the page; its key is ``high/RING`` from 2 on."""
    rings_us: list[int] = []
    """Wall clock of each ring, of which the last may have been left to the page of a group."""
    ring_reason: str = ""
    """Why it rings again; ``ring_kind``: the kind of failure for which it does."""
    ring_kind: str = ""
    ring_wanted_us: int = 0
    """Event time of the record that first asked for the ring of ``ring_kind``."""
    ring_due_us: int | None = None
    """Wall clock at which it rings again, if that is still true then."""
    said: Said | None = None
    """What it said when it rang last; None before the first ring, and in state of older releases."""

    @property
    def is_silenced(self) -> bool:
        """Whether its key arose under a silence and was not tried yet."""
        return self.keys.get(self.key) == "held"

    @property
    def is_unconfirmed(self) -> bool:
        """Whether the receiver has confirmed none of its keys of this urgency."""
        return all(
            state in ("held", "wanted", "dropped", "doubtful")
            for key, state in self.keys.items()
            if key.startswith(self.urgency)
        )

    @property
    def urgency(self) -> Urgency:
        """Its urgency, which rises and never sinks."""
        return "high" if "high" in self.keys else "low"

    @property
    def key(self) -> str:
        """The key that says what is true now."""
        return f"high/{self.ring}" if self.ring > 1 else self.urgency

    @property
    def stayed_ticket(self) -> bool:
        """Whether it was over before its page might ring, and was a ticket until then."""
        return "high" in self.keys and not self.rings_us and self.keys.get("low") in ("open", "closed")

    @property
    def rung_us(self) -> list[int]:
        """Wall clock of each ring of its own: to be listed on the page of a group is none."""
        is_listed = bool(self.group_leader) and (
            not self.sends_itself or self.keys.get(self.key) == "dropped"
        )
        return self.rings_us[:-1] if is_listed else self.rings_us

    @property
    def waits_to_ring(self) -> bool:
        """Whether a ring waits because the feature rang not long ago."""
        return self.ring_due_us is not None

    # rings

    def begin_page(self, episode: Episode, state: KeyState, earliest_us: int) -> None:
        """Ring for the first time, or be a ticket until the feature may ring.

        Args:
            episode: a state that pages.
            state: of the new key.
            earliest_us: wall clock, microseconds since 1970, from which its feature may ring.
        """
        at_us, due_us = microseconds(episode.decided_at), self.ring_due_us
        may_have_rung = due_us is not None and at_us >= due_us - LATE_US
        if may_have_rung or at_us >= earliest_us:
            self.note_ring(episode, at_us if due_us is None else min(at_us, due_us))
            self.keys["high"], self.ring_due_us = state, None
            if self.keys.get("low") == "wanted" and at_us < (self.ticket_due_us or 0) - LATE_US:
                self.keys["low"] = "dropped"  # it was not tried
            return
        self.keys.setdefault("low", state)
        is_wrong = any(failure.is_wrong for failure in failures(episode).values())
        self.ring_due_us = earliest_us if is_wrong else None

    def end_wait(self, episode: Episode) -> None:
        """A ring that waits is over. If its time had come, a notifier that crashed may have tried it, so its
        key is resolved.
        """
        if self.ring_due_us is not None and microseconds(episode.decided_at) >= self.ring_due_us - LATE_US:
            number = self._next_ring()
            self.keys["high" if number == 1 else f"high/{number}"] = "doubtful"
        self.ring_due_us = None

    def ring_again(self, episode: Episode, *, is_silenced: bool, earlier_us: Sequence[int] = ()) -> bool:
        """Ring again if a newer state of its own episode asks for it and the last ring is long enough ago,
        else at the time when it is; return whether it rings now.

        Args:
            episode: of a group leader its own, not the group's.
            is_silenced: whether a silence is in force at the decision.
            earlier_us: wall clock of the rings of earlier episodes of its feature.
        """
        if self.said is None or "high" not in self.keys or episode.muted or episode.state == "resolved":
            return False
        at_us = microseconds(episode.decided_at)
        again = why_again(self.said, episode)
        if again is None:
            self.end_wait(episode)
            return False
        earliest_us = next_ring_us([*earlier_us, *self.rung_us])
        if self.ring_due_us is None or again.kind != self.ring_kind:
            self.ring_wanted_us = microseconds(episode.time)
        self.ring_reason, self.ring_kind = again
        self.ring_due_us = max(at_us, earliest_us)
        return self.ring_if_due(episode, at_us, is_silenced=is_silenced)

    def ring_if_due(self, episode: Episode, at_us: int, *, is_silenced: bool) -> bool:
        """Begin a ring that had to wait; return whether it does. ``at_us``: wall clock, microseconds since
        1970.
        """
        if self.ring_due_us is None or at_us < self.ring_due_us or episode.state == "resolved":
            return False
        self.rings_us = self.rung_us
        self._next_key("held" if is_silenced else "wanted")
        self.note_ring(episode, self.ring_due_us)
        self.ring_due_us = None
        return True

    def list_ring(self, episode: Episode, at_us: int) -> None:
        """Let the page of a group say what waits to ring. ``at_us``: wall clock, microseconds since 1970."""
        may_have_rung = self.ring_due_us is not None and at_us >= self.ring_due_us - LATE_US
        is_listed = bool(self.group_leader) and not self.sends_itself
        self.rings_us = self.rung_us
        if not is_listed:
            self._next_key("wanted" if may_have_rung else "dropped")
        self.note_ring(episode, at_us)
        self.ring_due_us = None

    def note_ring(self, episode: Episode, at_us: int) -> None:
        """Note what the page says when it rings. ``at_us``: wall clock, microseconds since 1970."""
        self.said, self.rings_us = said_by(episode), [*self.rings_us, at_us][-MOST_AN_HOUR:]

    def _next_key(self, state: KeyState) -> None:
        """Begin the next key of its page. ``state``: of that key."""
        if self.group_leader and not self.sends_itself:  # the first ring of its own
            self.ring = 1
        else:
            self.ring = self._next_ring()
        self.keys["high" if self.ring == 1 else f"high/{self.ring}"] = state

    def _next_ring(self) -> int:
        rings = (int(key.partition("/")[2] or 1) for key in self.keys if key.startswith("high"))
        return 1 + max(rings, default=0)
