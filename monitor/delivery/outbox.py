"""The outbox: everything that has to be told to channels, by (channel, episode), as a value.

Pure: the shell asks ``due``, sends, and answers with ``delivered``, ``failed`` or ``refused``. It makes each
of these durable before it sends the next step of the same episode, so a crash repeats at most the last one,
under the same key.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

from monitor.channels.interface import Step
from monitor.delivery.alert_records import read_letter
from monitor.delivery.circuit_breaker import CircuitBreaker
from monitor.delivery.delivery_state import (
    BEHIND_US,
    FORGETS_US,
    LATE_US,
    OLD_US,
    REPEAT_US,
    Decision,
    Entry,
    Shown,
    shown,
)
from monitor.delivery.page_grouping import APART, admit, freed, together
from monitor.delivery.silences import ScheduledSilence, Silences, silence_subject
from monitor.ingest.dead_letters import dead_letter
from monitor.protocol.messages import FileRecord, Outputs, Record
from monitor.protocol.metrics import Measure
from monitor.protocol.service import SERVICE, subject_of
from schemas.config.monitor_config import Config
from schemas.records import Episode, Silence
from schemas.times import microseconds

LAYOUT = 4
"""Of what ``notify`` keeps: JSON, and a name that a release does not know is refused. 2: findings of health beside deliveries. 3: silences, and what
they hold. 4: pages over several features, changes."""
KEPT_US = 24 * 3600 * 1_000_000  # an entry, after the last step
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 300.0

Key = tuple[str, str]
Result = Literal["delivered", "retried", "refused", "silenced"]
_DELIVERY, _SILENCE, _COUNTS = b"delivery/", b"silence/", b"counts"
_OPEN = {"closed": 0.0, "half-open": 0.5, "open": 1.0}
_UNREADABLE = ""  # counted where channels are; no channel has this name


class Outbox:
    """A ``Core`` over the alerts topic."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._entries: dict[Key, Entry] = {}  # in order of arrival
        self._open: dict[Key, Entry] = {}  # those not done
        self._changed: dict[bytes, None] = {}  # keys of state records, as an ordered set
        self._counts: dict[str, dict[str, int]] = {}
        self._tries: dict[Key, tuple[int, int]] = {}  # attempts, not before; a restart tries at once
        self._hold: dict[str, int] = {}
        self._breakers: dict[str, CircuitBreaker] = {}
        self._why: dict[str, str] = {}  # the last refusal
        self._refusing: set[str] = set()  # channels whose last answer was one
        self._silences = Silences(config.silences)
        self._order = 0
        self._now_us = 0
        self._unsure = False  # whether other silences may hold now than those that the entries know of

    # what comes in

    def apply(self, records: Sequence[Record], now_us: int | None = None) -> Outputs:
        """Take records of the alerts topic. What is neither episode nor silence is passed over; what cannot
        be read becomes a dead letter.
        """
        self._now_us = max(self._now_us, now_us or 0)
        outputs = Outputs()
        for record in records:
            try:
                letter = read_letter(record.value or b"")
                if isinstance(letter, Silence):
                    self._changed |= dict.fromkeys(
                        _silence_key(name) for name in self._silences.take(letter, self._now_us)
                    )
                    self._ask_again(microseconds(letter.time))
            except ValueError as error:
                outputs.add("deadletter", dead_letter(record, *_told(error)))
                self._count(_UNREADABLE, "refused")
                continue
            if isinstance(letter, Episode):
                self._take(shown(letter, record.offset))
        return outputs

    def _ask_again(self, since_us: int) -> None:
        """What is held may be held for longer or shorter by the silences that there are since then."""
        self._unsure = False
        for key, entry in self._open.items():
            if entry.latest is None or entry.held_to_us is None or not entry.untold:
                continue
            if entry.held and not entry.hushed and since_us >= entry.held_to_us - LATE_US:
                # it may have been tried before this was read, by somebody who crashed before that was known
                entry.release()
                self._touch(key)
            at_us = min(self._now_us, entry.held_to_us)
            until_us = (
                self._until(key[0], entry, microseconds(entry.latest.episode.decided_at))
                or self._until(key[0], entry, at_us)
                or at_us
            )
            if until_us != entry.held_to_us:
                entry.held_to_us = until_us
                self._touch(key)

    def _take(self, state: Shown) -> None:
        episode = state.episode
        names = self._config.channels_for(
            episode.service, episode.feature, episode.environment, episode.severity
        )
        # whatever the routes say now
        told = [channel for channel, episode_id in self._entries if episode_id == episode.episode_id]
        for channel in dict.fromkeys((*names, *told)):
            # nobody is told of its own failure
            if episode.service == SERVICE and episode.feature == subject_of(channel):
                continue
            key = channel, episode.episode_id
            entry = self._entries.get(key)
            if is_new := entry is None:
                # nothing was told, so there is nothing to take back
                if episode.muted or episode.state == "resolved":
                    continue
                self._order += 1
                behind_to_us = (
                    microseconds(episode.decided_at) + BEHIND_US if Entry.is_behind(episode) else None
                )
                entry = Entry(
                    order=self._order, dedup_key=episode.dedup_key, latest=state, behind_to_us=behind_to_us
                )
                self._entries[key] = self._open[key] = entry
            held_to_us = self._silences.silenced_until(
                silence_subject(episode), microseconds(episode.decided_at)
            )
            if entry.own is None:
                entry.take(state, held_to_us)
                entry.drop_untried(self._now_us)
            elif entry.own.episode.state != "resolved":
                entry.own = state
            self._touch(key)
            if channel not in APART:
                self._fold(channel, entry, is_new=is_new)

    def _fold(self, channel: str, entry: Entry, *, is_new: bool) -> None:
        """Let one page tell of what several features have in common."""
        mine = [one for (name, _), one in self._open.items() if name == channel]
        if is_new:
            self._touch_all(channel, admit(entry, mine, self._now_us, self._is_covered))
        self._part(channel, freed(mine, self._now_us, self._is_covered))
        lead = entry if entry.own is not None else self._entries.get((channel, entry.folded))
        if lead is None or lead.own is None or lead.latest is None:
            return
        whole = together(self._parts(channel, lead), lead.trait, lead.latest.episode)
        lead.take(whole, self._until(channel, lead, microseconds(whole.episode.decided_at)))
        lead.drop_untried(self._now_us)
        self._touch_all(channel, [lead])

    def _part(self, channel: str, entries: Iterable[Entry]) -> None:
        """These tell for themselves from now on."""
        for entry in (parting := list(entries)):
            entry.part()
        self._touch_all(channel, parting)

    def _parts(self, channel: str, entry: Entry) -> list[Shown]:
        """The states of all that an entry tells of, its own first."""
        if entry.own is None:
            return [entry.latest] if entry.latest is not None else []
        name = entry.own.episode.episode_id
        return [
            entry.own,
            *(
                one.latest
                for (at, _), one in self._open.items()
                if at == channel and one.folded == name and one.latest is not None
            ),
        ]

    def _subjects(self, channel: str, entry: Entry) -> list[Episode]:
        """What a silence must cover to keep this quiet: all that fires of it."""
        told = [one.episode for one in self._parts(channel, entry)]
        return [one for one in told if one.state != "resolved"] or told

    def _until(self, channel: str, entry: Entry, at_us: int) -> int | None:
        """When the silence ends that covers all of it at this instant; None: there is none."""
        ends = [
            self._silences.silenced_until(silence_subject(one), at_us)
            for one in self._subjects(channel, entry)
        ]
        known = [one for one in ends if one is not None]
        return min(known) if known and len(known) == len(ends) else None

    def _is_covered(self, episode: Episode, at_us: int) -> bool:
        return self._silences.silenced_until(silence_subject(episode), at_us) is not None

    # what goes out

    def due(self, channel: str, now_us: int) -> Step | None:
        """The step that this channel is to be told now: pages first, then in order of arrival. None: nothing,
        or not yet.

        Of a channel whose breaker is open it is one probe: of the steps that were tried least, the page that
        came first. So a step that the receiver chokes on cannot keep it from the others; and a page that was
        never tried does not wait for the next probe.

        ``now_us``: wall clock, microseconds since 1970.
        """
        self._now_us = max(self._now_us, now_us)
        self._settle()
        breaker = self.breaker(channel)
        state, fresh_may_go = breaker.state(now_us), breaker.may_try_untried(now_us)
        if (state == "open" and not fresh_may_go) or now_us < self._hold.get(channel, 0):
            return None
        best: tuple[tuple[int, bool, int], Step] | None = None
        for (name, episode_id), entry in self._open.items():
            attempts, not_before_us = self._tries.get((name, episode_id), (0, 0))
            if (
                name != channel
                or (state == "closed" and now_us < not_before_us)
                or (state == "open" and attempts)
            ):
                continue
            decision = self._next(name, entry)
            if decision is None:
                continue
            is_page = (decision.action, decision.urgency) == ("trigger", "high")
            if state == "open" and not is_page:
                continue
            rank = 0 if state == "closed" else attempts, not is_page, entry.order
            if best is None or rank < best[0]:
                episode, left_out = decision.shown.episode, decision.shown.left_out
                best = (
                    rank,
                    Step(
                        channel,
                        episode_id,
                        decision.action,
                        decision.urgency,
                        decision.reason,
                        episode,
                        left_out,
                    ),
                )
        return best[1] if best else None

    def delivered(self, step: Step, now_us: int) -> None:
        """The receiver has confirmed a step."""
        self._refusing.discard(step.channel)
        if (entry := self._answered(step, "delivered", now_us)) is not None:
            entry.delivered(step.action, step.urgency, step.episode, now_us)

    def refused(self, step: Step, reason: str, now_us: int) -> Outputs:
        """The receiver will never take this step: it is recorded with why, and nothing else waits for it."""
        outputs = Outputs()
        self._why[step.channel] = reason
        self._refusing.add(step.channel)
        if (entry := self._answered(step, "refused", now_us)) is not None:
            offset = entry.latest.offset if entry.latest else 0
            entry.refused(step.action, step.urgency, step.episode, now_us)
            value = step.episode.model_dump_json().encode()
            why = (
                f"{step.channel} refused {step.action} {step.dedup_key}: {reason}; mend the channel, the step"
                " is tried again after a restart or 6 h"
            )
            outputs.add(
                "deadletter",
                dead_letter(FileRecord(value, offset, topic=f"{self._config.kafka.prefix}.alerts"), why),
            )
        return outputs

    def failed(
        self,
        step: Step,
        now_us: int,
        jitter: float,
        after_s: float = 0.0,
        hold: bool = False,
        reason: str = "",
    ) -> float:
        """A step did not get through; it is due again after the seconds returned: 1 s to 5 min, doubling, or
        ``after_s`` if that is longer.

        While the channel's breaker is open, they are those until its next probe, of whichever step.

        ``jitter``: drawn from [0, 1), shortens the wait by up to half. ``hold``: the whole channel waits.
        """
        probe_s = self.breaker(step.channel).failed(now_us, jitter, after_s, reason)
        key = step.channel, step.episode_id
        attempts = self._tries.get(key, (0, 0))[0] + 1
        wait_s = max(
            after_s, min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(attempts - 1, 20)) * (1 - jitter / 2)
        )
        self._tries[key] = attempts, now_us + round(wait_s * 1e6)
        if hold:
            self._hold[step.channel] = self._tries[key][1]
        self._count(step.channel, "retried")
        return wait_s if probe_s is None or hold else probe_s

    def breaker(self, channel: str) -> CircuitBreaker:
        """The circuit breaker of a channel."""
        return self._breakers.setdefault(channel, CircuitBreaker())

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """Answers so far, by channel and result."""
        return self._counts

    def refusals(self, channel: str) -> tuple[int, str]:
        """How many steps this channel has refused for good, ever, and why it refused the last, if that is
        still known.
        """
        return self._counts.get(channel, {}).get("refused", 0), self._why.get(channel, "")

    def holds(self, channel: str, now_us: int) -> bool:
        """Whether its receiver asked to be left alone until later than ``now_us``, wall clock, microseconds
        since 1970.
        """
        return now_us < self._hold.get(channel, 0)

    def refusing(self, channel: str) -> bool:
        """Whether its last answer was a refusal, or it still refuses what it is owed. A restart forgets the
        first, for it tries the second anew.
        """
        owed = any(
            name == channel and entry.keys.get(entry.urgency) == "refused"
            for (name, _), entry in self._open.items()
        )
        return owed or channel in self._refusing

    def measures(self) -> Iterator[Measure]:
        """Figures for /metrics."""
        yield from self.counted()
        waiting = dict.fromkeys((*self._config.channels.names(), *(channel for channel, _ in self._open)), 0)
        for (channel, _), entry in self._open.items():
            waiting[channel] += self._next(channel, entry) is not None
        for channel, count in waiting.items():
            yield Measure("softfail_deliveries_pending", (channel,), count)
        for channel in self._config.channels.names():
            yield Measure(
                "softfail_channel_open", (channel,), _OPEN[self.breaker(channel).state(self._now_us)]
            )

    def counted(self) -> Iterator[Measure]:
        """The counters among them, which survive restarts."""
        for channel, results in sorted(self._counts.items()):
            for result, count in sorted(results.items()):
                if channel == _UNREADABLE:
                    yield Measure("softfail_dead_letters_total", ("alert",), count)
                elif result == "silenced":
                    yield Measure("softfail_deliveries_silenced_total", (channel,), count)
                else:
                    yield Measure("softfail_deliveries_total", (channel, result), count)

    def silences(self) -> list[dict[str, Any]]:
        """Those in force at the last known time, with how many deliveries each holds back now."""
        holds: dict[str, int] = {}
        for (channel, _), entry in self._open.items():
            if (muting := self._muting(channel, entry)) is not None and self._next(
                channel, entry, heard=True
            ) != self._next(channel, entry):
                holds[muting.name] = holds.get(muting.name, 0) + 1
        return [
            {**one.status(until_us), "holds": holds.get(one.name, 0)}
            for one, until_us in self._silences.active(self._now_us)
        ]

    def _muting(self, channel: str, entry: Entry) -> ScheduledSilence | None:
        over = [
            self._silences.in_force(silence_subject(one), self._now_us)
            for one in self._subjects(channel, entry)
        ]
        return over[0] if over and None not in over else None

    def _next(self, channel: str, entry: Entry, *, heard: bool = False) -> Decision | None:
        """``heard``: as if there were no silence."""
        silenced, repeat_us = (
            not heard and self._muting(channel, entry) is not None,
            FORGETS_US.get(channel, REPEAT_US),
        )
        return entry.next(self._now_us, self._config.page_old_events, silenced=silenced, repeat_us=repeat_us)

    def _answered(self, step: Step, result: Result, now_us: int) -> Entry | None:
        key = step.channel, step.episode_id
        self._now_us = max(self._now_us, now_us)
        self._tries.pop(key, None)
        self._hold.pop(step.channel, None)
        # it is back: nobody waits any longer for what was wrong while it was away
        if self.breaker(step.channel).open_since_us is not None:
            self._tries = {at: tries for at, tries in self._tries.items() if at[0] != step.channel}
        self.breaker(step.channel).answered()
        self._count(step.channel, result)
        self._touch(key)
        return self._open.get(key)

    def _settle(self) -> None:
        """Release what a silence held until now, close what has nothing left to tell, forget what was closed
        or ended a day ago.
        """
        names = self._config.channels.names()
        self._changed |= dict.fromkeys(
            _silence_key(name) for name in self._silences.drop_expired(self._now_us)
        )
        if self._unsure:
            self._ask_again(self._now_us)
        for channel in {
            channel for (channel, _), entry in self._open.items() if entry.waits_to_us is not None
        }:
            mine = [entry for (name, _), entry in self._open.items() if name == channel]
            self._part(channel, freed(mine, self._now_us, self._is_covered))
        for key, entry in list(self._open.items()):
            lead = self._entries.get((key[0], entry.folded)) if entry.folded else None
            if entry.folded and (lead is None or lead.was_refused):  # there is no page that tells of it
                self._part(key[0], [entry])
            if entry.held and not entry.hushed and self._now_us >= (entry.held_to_us or 0):
                entry.release()
                self._touch(key)
            if (
                entry.latest is None
                or entry.latest.episode.state != "resolved"
                or (lead is not None and entry.folded and lead.done_us is None)
            ):
                continue  # of what is folded, the page says that it is over as long as it lasts
            orphan = key[0] not in names and self._now_us - microseconds(entry.latest.episode.time) > OLD_US
            # what a silence keeps back is told when it is over
            if orphan or entry.next(self._now_us, self._config.page_old_events) is None:
                if entry.hushed:
                    self._count(key[0], "silenced")
                entry.close(self._now_us)
                del self._open[key]
                self._touch(key)
        for key in [
            key
            for key, entry in self._entries.items()
            if entry.done_us is not None and self._now_us - entry.done_us > KEPT_US
        ]:
            del self._entries[key]
            self._touch(key)

    # what is kept

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """State records that differ since the last call."""
        keys, self._changed = self._changed, {}
        return [(key, self._state(key)) for key in keys]

    def restore(self, records: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Take back what ``changed`` gave.

        Raises:
            ValueError: a record cannot be read; names its key.
        """
        silences: list[Silence] = []
        for key, value in records:
            try:
                if key == _COUNTS:
                    self._counts = {
                        str(channel): dict(results) for channel, results in json.loads(value or b"{}").items()
                    }
                elif key.startswith(_SILENCE):
                    if value is not None:
                        silences.append(Silence.model_validate_json(value))
                elif key.startswith(_DELIVERY):
                    channel, episode_id = key[len(_DELIVERY) :].decode().split("/", 1)
                    if value is None:
                        self._entries.pop((channel, episode_id), None)
                    else:
                        self._entries[channel, episode_id] = Entry.model_validate_json(value)
                else:
                    raise ValueError("no record of an outbox")
            except (ValueError, TypeError, AttributeError) as error:
                raise ValueError(f"state record {key!r}: {error}") from None
        self._silences.restore(silences)
        self._unsure = True
        self._entries = dict(sorted(self._entries.items(), key=lambda item: item[1].order))
        self._open = {key: entry for key, entry in self._entries.items() if entry.done_us is None}
        self._order = max((entry.order for entry in self._entries.values()), default=0)
        for entry in self._open.values():
            entry.forgive()

    def _state(self, key: bytes) -> bytes | None:
        if key == _COUNTS:
            return json.dumps(self._counts, sort_keys=True).encode()
        if key.startswith(_SILENCE):
            silence = self._silences.records.get(key[len(_SILENCE) :].decode())
            return None if silence is None else silence.model_dump_json().encode()
        channel, episode_id = key[len(_DELIVERY) :].decode().split("/", 1)
        entry = self._entries.get((channel, episode_id))
        return None if entry is None else entry.model_dump_json(exclude_defaults=True).encode()

    def _touch_all(self, channel: str, entries: Iterable[Entry]) -> None:
        for entry in entries:
            if (state := entry.own or entry.latest) is not None:
                self._touch((channel, state.episode.episode_id))

    def _touch(self, key: Key) -> None:
        self._changed[_DELIVERY + "/".join(key).encode()] = None

    def _count(self, channel: str, result: Result) -> None:
        results = self._counts.setdefault(channel, {})
        results[result] = results.get(result, 0) + 1
        self._changed[_COUNTS] = None


def _silence_key(name: str) -> bytes:
    return _SILENCE + name.encode()


def _told(error: ValueError) -> tuple[str, str]:
    """What is wrong, and the field if the message begins with one."""
    field, colon, _ = str(error).partition(":")
    return str(error), field if colon and " " not in field else ""
