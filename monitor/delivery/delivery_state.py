"""What one channel was told about one episode, and so what it has to be told next.

There is no queue of messages. What the receiver holds (the standing of each key) is compared with what is
true now, and the difference is one step. So a newer state overtakes an older one by itself, order cannot be
lost, and a step that is repeated after a crash has the same key.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from monitor.channels.interface import Action, Urgency
from monitor.protocol.severity import severity_rank
from monitor.wording import episode_text
from schemas.records import Episode, EpisodeIncident
from schemas.times import microseconds

MINUTE_US = 60_000_000
REPEAT_US = 360 * MINUTE_US  # a trigger is sent again while it lasts, for whoever closed the incident by hand
# the same at a receiver that knows after a restart only what it is told again
FORGETS_US = {"alertmanager": 5 * MINUTE_US}
UPDATE_US = 5 * MINUTE_US  # at most so often for news of an open episode
# and so often when another feature is folded into its page, of which nobody has heard yet
JOINED_US = MINUTE_US // 2
RECENT_US = 60 * MINUTE_US  # what is over longer than that, undelivered, is a note
OLD_US = 24 * 60 * MINUTE_US  # and this is history
BEHIND_US = 5 * MINUTE_US  # so long after it was decided a page of long ago waits for what came after
LATE_US = 5_000_000  # so long a record may be on its way, while a silence ends
SHOWN_BYTES = 64 << 10  # of incidents kept for telling; a state record must stay below 256 KB
OUTPUT_CHARS = 2000

Standing = Literal["held", "wanted", "open", "refused", "closed", "dropped", "stuck"]
"""Of a key at the receiver. ``held``: it arose under a silence, and nothing was tried yet; ``wanted``: to be opened, and an attempt may have got
through unanswered; ``dropped``: closed without ever having been confirmed as open; ``refused``: the receiver will not open it; ``stuck``: it will
not close it."""


class Shown(BaseModel):
    """A state of an episode, cut to what channels tell, and where in the alerts topic it stood."""

    model_config = ConfigDict(frozen=True)

    episode: Episode
    left_out: int = 0
    offset: int = 0


class Decision(NamedTuple):
    """A step without its channel."""

    action: Action
    urgency: Urgency
    reason: str
    shown: Shown


class Entry(BaseModel):
    """One episode at one channel."""

    model_config = ConfigDict(extra="forbid")

    order: int
    dedup_key: str
    latest: Shown | None
    firing: Shown | None = None  # the last state while it fired and was not muted
    keys: dict[Urgency, Standing] = {}
    told_us: int = 0  # wall clock of the last trigger that was answered for good
    told: list[str] = []  # its severity and findings
    noted: bool = False
    held_to_us: int | None = None  # wall clock; when the silence ends, or ended, under which a key arose
    done_us: int | None = None  # wall clock; then nothing is told any more, and the bodies are dropped
    # wall clock; until then it may be over in records that the worker has not read yet
    behind_to_us: int | None = None
    was_refused: bool = False  # a trigger, once; so it leads no page of others
    trait: str = ""  # what those have in common whose page this is; empty: it leads nobody
    own: Shown | None = None  # of one that leads, its own state; ``latest`` is then that of all of them
    folded: str = ""  # id of the episode whose page lists this one
    # it tells for itself, or, where it is folded, may have done so, which is taken back when it is over
    alone: bool = True
    waits_to_us: int | None = None  # wall clock; not told before, because a third may come

    def take(self, shown: Shown, held_to_us: int | None = None) -> None:
        """A newer state of the episode. After a resolve there is none. ``held_to_us``: when the silence ends
        under which it was decided.
        """
        if self.latest is None or self.latest.episode.state == "resolved":
            return
        self.latest = shown
        episode = shown.episode
        if not self.is_behind(episode):
            self.behind_to_us = None
        if self.held_to_us is not None and microseconds(episode.decided_at) >= self.held_to_us - LATE_US:
            self.release()  # in between it may have been tried, by somebody who crashed before that was known
        if episode.state != "resolved" and not episode.muted:
            self.firing = shown
            self.keys.setdefault(episode.urgency, "wanted" if held_to_us is None else "held")
            if held_to_us is None:
                self.release()
            elif self.held:
                self.held_to_us = held_to_us

    @staticmethod
    def is_behind(episode: Episode) -> bool:
        """Whether it was decided over an hour after the fact: the worker was down, or reads a back-fill, and
        may know the end in a moment.
        """
        return microseconds(episode.decided_at) - microseconds(episode.time) > RECENT_US

    def lead(self, trait: str) -> None:
        """Tell of others too from now on, which have this in common."""
        self.trait, self.own, self.waits_to_us, self.alone = trait, self.latest, None, True

    def follow(self, lead: Entry, *, tried: bool) -> None:
        """Stand in the list of another's page. ``tried``: it may have been told on its own, and that is taken
        back when it is over.
        """
        assert lead.latest is not None
        self.folded, self.alone, self.waits_to_us = lead.latest.episode.episode_id, tried, None

    def part(self) -> None:
        """Tell for itself from now on."""
        self.folded, self.alone, self.waits_to_us = "", True, None

    def release(self) -> None:
        """The silence is over: what arose under it is wanted now, a ticket that meanwhile became a page no
        more.
        """
        if self.held:
            self.keys[self.urgency] = "wanted"

    def drop_untried(self, now_us: int) -> None:
        """If it is over while it still waited for what came after, there is nothing to take back. ``now_us``:
        wall clock, microseconds since 1970.
        """
        if (
            self.latest is not None
            and self.latest.episode.state == "resolved"
            and now_us < (self.behind_to_us or 0) - LATE_US
        ):
            self.keys |= {
                urgency: "dropped" for urgency, standing in self.keys.items() if standing == "wanted"
            }

    @property
    def held(self) -> bool:
        """Whether what would be told arose under a silence, and was not tried yet."""
        return self.keys.get(self.urgency) == "held"

    @property
    def untold(self) -> bool:
        """Whether the receiver has not confirmed what would be told."""
        return self.keys.get(self.urgency) in ("held", "wanted", "dropped")

    @property
    def hushed(self) -> bool:
        """Whether it is over, ended before the silence under which it arose, and was not told: nobody wants
        to hear of it any more.
        """
        if self.latest is None or self.latest.episode.state != "resolved" or self.held_to_us is None:
            return False
        return self.untold and microseconds(self.latest.episode.decided_at) < self.held_to_us

    @property
    def urgency(self) -> Urgency:
        """It rises and never sinks."""
        return "high" if "high" in self.keys else "low"

    def next(
        self, now_us: int, page_old: bool = False, *, silenced: bool = False, repeat_us: int = REPEAT_US
    ) -> Decision | None:
        """What to tell now; None if nothing. ``now_us``: wall clock, microseconds since 1970. ``silenced``:
        only what is told already is taken back.
        ``repeat_us``: when an open one is told again.
        """
        if self.latest is None or not self.alone:
            return None
        if self.latest.episode.state == "resolved":
            return self._over(self.latest, now_us, page_old, silenced)
        if self.behind_to_us is not None and now_us < self.behind_to_us:
            return None
        return self._lasting(self.latest, now_us, silenced, repeat_us)

    def _lasting(self, latest: Shown, now_us: int, silenced: bool, repeat_us: int) -> Decision | None:
        if latest.episode.muted or self.firing is None:
            return None
        urgency, standing = self.urgency, self.keys[self.urgency]
        if standing == "open" and urgency == "high" and self.keys.get("low") in ("wanted", "open"):
            return Decision("resolve", "low", "is a page now", latest)
        if silenced:
            return None
        if self.folded and standing != "open":
            return None  # the page that lists it tells of it
        if standing in ("held", "wanted"):
            escalated = urgency == "high" and self.keys.get("low", "held") != "held"
            return Decision("trigger", urgency, "escalated" if escalated else "opened", latest)
        if now_us - self.told_us >= (repeat_us if standing == "open" else REPEAT_US):
            return Decision("trigger", urgency, "still firing", latest)
        if (
            standing == "open"
            and now_us - self.told_us >= JOINED_US
            and not _members(latest.episode) <= set(self.told)
        ):
            return Decision("trigger", urgency, "more features", latest)
        if standing == "open" and self._has_news(latest.episode) and now_us - self.told_us >= UPDATE_US:
            return Decision("trigger", urgency, "updated", latest)
        return None

    def _over(self, latest: Shown, now_us: int, page_old: bool, silenced: bool) -> Decision | None:
        if self.firing is None:
            return None
        age_us = now_us - microseconds(latest.episode.time)
        untold = not (latest.episode.muted or self.hushed or silenced or self.folded) and self.keys[
            self.urgency
        ] in ("wanted", "dropped")
        if untold and self.keys[self.urgency] == "wanted" and age_us < RECENT_US:
            return Decision("trigger", self.urgency, "opened", self.firing)
        if (
            self.keys[self.urgency] == "open"
            and not silenced
            and not _members(self.firing.episode) <= set(self.told)
        ):
            # which began and ended since
            return Decision("trigger", self.urgency, "more features", self.firing)
        for urgency, standing in sorted(self.keys.items()):  # high first: it wakes people
            if standing in ("wanted", "open"):
                return Decision("resolve", urgency, "resolved", latest)
        if untold and not self.noted and (age_us < OLD_US or page_old):
            # with the evidence from when it fired
            over = {"state": "resolved", "reason": latest.episode.reason, "time": latest.episode.time}
            episode = self.firing.episode.model_copy(update=over)
            return Decision(
                "note", "low", "missed while down", self.firing.model_copy(update={"episode": episode})
            )
        return None

    def _has_news(self, episode: Episode) -> bool:
        severity, *rules = self.told or ["info"]
        worse = severity_rank(episode.severity) > severity_rank(severity)
        return worse or not _findings(episode) <= set(rules)

    def delivered(self, action: Action, urgency: Urgency, episode: Episode, now_us: int) -> None:
        """The receiver has it."""
        if action == "note":
            self.noted = True
        elif action == "resolve":
            self.keys[urgency] = "closed" if self.keys[urgency] == "open" else "dropped"
        else:
            self.keys[urgency] = "open"
            self._note_told(episode, now_us)

    def refused(self, action: Action, urgency: Urgency, episode: Episode, now_us: int) -> None:
        """The receiver will not take it. A refused trigger comes again with the next repetition: the fault
        may be mended by then.
        """
        if action == "note":
            self.noted = True
        elif action == "resolve":
            self.keys[urgency] = "stuck"
        else:
            self.was_refused = True
            if self.keys[urgency] == "wanted":
                self.keys[urgency] = "refused"
        self._note_told(episode, now_us)

    def _note_told(self, episode: Episode, now_us: int) -> None:
        self.told_us = now_us
        self.told = [episode.severity, *sorted(_findings(episode) | _members(episode))]

    def forgive(self) -> None:
        """After a restart, with perhaps another address or routing key: what was refused is tried once more."""
        for urgency, standing in self.keys.items():
            if standing == "refused":
                self.keys[urgency] = "wanted"

    def close(self, now_us: int) -> None:
        """Nothing is left to tell: keep the standing of the keys only."""
        self.done_us, self.latest, self.firing, self.own, self.told = now_us, None, None, None, []


def _findings(episode: Episode) -> set[str]:
    """What is news: a rule that was not told of, of one that was a model that nobody had seen before, and
    what fails again after it had been well.
    """
    unseen = {
        f"{one.rule}: {one.evidence.metric}" for one in episode.incidents if one.evidence.test == "never_seen"
    }
    again = {
        f"{one.incident_id} again {one.returned.isoformat()}"
        for one in episode.incidents
        if one.returned is not None
    }
    return {one.rule for one in episode.incidents} | unseen | again


def _members(episode: Episode) -> set[str]:
    return {f"with {one.episode_id}" for one in episode.members}


def shown(episode: Episode, offset: int, most: int = SHOWN_BYTES) -> Shown:
    """Cut an episode: the weightiest incidents up to ``most`` bytes, and examples of 2,000 characters."""
    kept: list[EpisodeIncident] = []
    size = 0
    for incident in episode_text.by_weight(episode):
        size += len(incident.model_dump_json())
        if kept and size > most:
            break
        kept.append(incident)
    examples = [
        one.model_copy(
            update={"output": one.output and one.output[:OUTPUT_CHARS], "reason": one.reason[:OUTPUT_CHARS]}
        )
        for one in episode.examples
    ]
    cut = episode.model_copy(update={"incidents": kept, "examples": examples})
    return Shown(episode=cut, left_out=len(episode.incidents) - len(kept), offset=offset)
