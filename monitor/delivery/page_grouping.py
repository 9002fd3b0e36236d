"""Episodes of several features that have one provider or model in common are told as one page with the list.

The first is told at once, as always, and leads. The second waits a little for a third; with the third they
are folded: the leader tells of all of them under its own key, the others open nothing more. What may have
been told already of another is taken back when that is over.

What is decided here is decided from records and their times alone, so that whoever reads them again after a
crash decides the same: nothing that may have reached a receiver ever falls silent. See docs/decisions/0022.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from monitor.delivery.delivery_state import LATE_US, MINUTE_US, Entry, Shown, shown
from monitor.protocol.service import SERVICE
from monitor.protocol.severity import most_severe, severity_rank
from monitor.wording import episode_text
from schemas.records import Episode, Member
from schemas.times import microseconds
from softfail.sanitize import sanitize

LEAST = 3  # episodes that make one page
WITHIN_US = 5 * MINUTE_US  # of the beginning of the one that leads
WAIT_US = 90_000_000  # of the second, for a third: the next pane edge lies within it
APART = frozenset({"alertmanager"})  # channels whose receiver groups by itself, by the labels of each feature
MEMBERS = 50  # that a page lists
SHOWN_BYTES = 32 << 10  # of incidents of all of them
TEXT_CHARS = 300

Covered = Callable[[Episode, int], bool]
"""Whether a silence covers an episode at an instant, microseconds since 1970."""


def traits(episode: Episode) -> list[str]:
    """What it can have in common with others, the wider first.

    A provider's outage concerns its models, so two of them make one page.
    """
    if episode.service == SERVICE:
        return []
    found = {"provider": episode.provider, "model": episode.model}
    return [f"{episode.environment}/{name} {value}" for name, value in found.items() if value]


def admit(new: Entry, others: Sequence[Entry], now_us: int, covered: Covered) -> list[Entry]:
    """Decide who tells a new episode: itself, itself after a while, or another's page; gives the entries that
    changed beside it.

    Args:
        new: entry of an episode that opened, with its first state.
        others: the open entries of the same channel, in order of arrival.
        now_us: wall clock, microseconds since 1970.
        covered: of silences.
    """
    new.alone = True
    if new.latest is None or new.held or new.latest.episode.muted:
        return []
    episode, at_us = new.latest.episode, microseconds(new.latest.episode.decided_at)
    for trait in traits(episode):
        near = [
            one
            for one in others
            if one is not new
            and (one.behind_to_us is None) == (new.behind_to_us is None)
            # what happened now does not wait for what came after a time long ago
            and _is_near(one, episode, trait, at_us, covered)
        ]
        lead = next((one for one in near if one.trait), None)
        if lead is None and len(near) + 1 >= LEAST:
            lead = near[0]
            lead.lead(trait)
        if lead is not None:
            new.follow(lead, tried=False)
            for one in near:
                if not one.trait:
                    one.follow(lead, tried=one.waits_to_us is None or now_us >= one.waits_to_us - LATE_US)
            return near
    if at_us + WAIT_US > now_us and _has_partner(new, others, covered):
        new.waits_to_us, new.alone = at_us + WAIT_US, False
    return []


def freed(entries: Sequence[Entry], now_us: int, covered: Covered) -> list[Entry]:
    """Those that need not wait for a third any longer: nobody is with them any more, or they became more
    urgent than who is.
    """
    waiting = [one for one in entries if one.waits_to_us is not None]
    return [
        one for one in waiting if now_us >= (one.waits_to_us or 0) or not _has_partner(one, entries, covered)
    ]


def together(parts: Sequence[Shown], trait: str, before: Episode) -> Shown:
    """Several episodes as one, under the name of the first.

    Args:
        parts: their states as they are now; the first leads.
        trait: what they have in common, from ``traits``.
        before: as it was told last; severity and urgency never sink.
    """
    episodes = [one.episode for one in parts if not one.episode.muted] or [one.episode for one in parts]
    lead, latest = parts[0].episode, max(episodes, key=lambda one: one.decided_at)
    firing = [one for one in episodes if one.state != "resolved"]
    ranked = sorted(
        episodes,
        key=lambda one: (
            one.state == "resolved",
            -severity_rank(one.severity),
            one.started_at,
            one.episode_id,
        ),
    )
    said = Counter(cause for one in episodes for cause in one.causes)
    name, _, value = trait.partition("/")[2].partition(" ")
    common = {
        field: next(iter(found))
        for field in ("provider", "model")
        if len(found := {getattr(one, field) for one in episodes}) == 1
    }
    one = lead.model_copy(update={
        "state": "updated" if firing else "resolved",
        "reason": f"{latest.service}/{latest.feature}: {latest.reason}",
        "severity": most_severe((before.severity, *(one.severity for one in episodes))),
        "urgency": "high" if "high" in (before.urgency, *(one.urgency for one in episodes)) else "low",
        "muted": lead.muted if all(one.episode.muted for one in parts) else "",
        "started_at": min(one.started_at for one in episodes),
        "time": max(one.time for one in episodes),
        "decided_at": latest.decided_at,
        "firing": sum(one.firing for one in firing),
        "incidents": [incident for one in ranked for incident in one.incidents],
        "examples": [example for one in ranked for example in one.examples[:1]][:3],
        "causes": [cause for cause, _ in said.most_common(3)],
        "provider": "", "model": "", **common, name: value,
        "features": len(episodes),
        "members": [_member(one) for one in ranked[:MEMBERS]],
    })  # fmt: skip
    cut = shown(one, max(part.offset for part in parts), SHOWN_BYTES)
    return cut.model_copy(update={"left_out": cut.left_out + sum(part.left_out for part in parts)})


def _member(episode: Episode) -> Member:
    worst = next(iter(episode_text.by_weight(episode)), None)
    text = (
        episode_text.sentence(worst)
        if worst is not None
        else f"since {episode_text.clock(episode.started_at)}"
    )
    return Member(
        episode_id=episode.episode_id, service=episode.service, feature=episode.feature, environment=episode.environment, severity=episode.severity,
        state="resolved" if episode.state == "resolved" else "firing", started_at=episode.started_at, text=sanitize(text, TEXT_CHARS),
    )  # fmt: skip


def _is_near(one: Entry, episode: Episode, trait: str, at_us: int, covered: Covered) -> bool:
    """Whether this entry tells, or is to tell, of something that began about then and has the trait too."""
    if one.latest is None or one.was_refused or one.folded or one.held:
        return False
    known = one.latest.episode
    shared = trait == one.trait if one.trait else trait in traits(known)
    if not shared or known.state == "resolved" or known.muted or (not one.trait and covered(known, at_us)):
        return False
    began_us = microseconds((one.own or one.latest).episode.started_at)
    return abs(microseconds(episode.started_at) - began_us) <= WITHIN_US


def _has_partner(one: Entry, entries: Iterable[Entry], covered: Covered) -> bool:
    """Whether somebody is told, no less urgently, of what may have the same cause."""
    if one.latest is None or one.latest.episode.state == "resolved":
        return False
    episode, at_us = one.latest.episode, microseconds(one.latest.episode.decided_at)
    others = [
        other
        for other in entries
        if other is not one
        and other.waits_to_us is None
        and (other.urgency == "high" or one.urgency == "low")
    ]
    return any(
        _is_near(other, episode, trait, at_us, covered) for trait in traits(episode) for other in others
    )
