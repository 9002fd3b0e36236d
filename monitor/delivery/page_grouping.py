"""Group pages of several features that share a cause that can be shown into one page with a list.

The first is sent at once, as always, and becomes the leader. The second waits a little for a third. With the
third they are a group: the leader's page, under its own key, covers all of them, and the others open nothing
more. Five minutes after the first was decided the group is closed. A page that may already have been sent for
another is resolved when that episode ends.

Groups are decided from records and their times alone, so that whoever reads them again after a crash decides
the same: nothing that may have reached a receiver stays unresolved. See docs/decisions/0022 and 0044.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from monitor.delivery.delivery_times import LATE_US, MINUTE_US
from monitor.delivery.episode_delivery import EpisodeDelivery
from monitor.delivery.group_episode import LEAST
from monitor.delivery.rings import failures
from monitor.protocol.service import SERVICE
from monitor.windows.failure_kind import ANSWERS, SILENCE
from schemas.records import Episode
from schemas.times import microseconds

WITHIN_US = 5 * MINUTE_US  # of the start of the leader, and of the decision about it
WAIT_US = 90_000_000  # of the second, for a third: the next pane edge lies within it
# channels whose receiver groups by itself, by the labels of each feature
UNGROUPED = frozenset({"alertmanager"})

IsSilenced = Callable[[Episode, int], bool]
"""Whether a silence matches an episode and is in force at an instant, microseconds since 1970."""


def group_keys(episode: Episode) -> list[str]:
    """Return the causes that an episode can share with others, the wider first: what failed, and at whom.

    A provider's outage affects its models, so two of them make one group. A silent feature has no provider,
    but a service. Empty for softfail's own episodes, and for those that do not page.
    """
    if episode.service == SERVICE or episode.urgency != "high":
        return []
    labels = {"provider": episode.provider, "model": episode.model}
    kinds = sorted(failures(episode))
    return [
        f"{episode.environment}/{name} {value}#{kind}"
        for name, value in labels.items()
        for kind in kinds
        if value and kind not in (SILENCE, ANSWERS)
    ] + [f"{episode.environment}/service {episode.service}#{SILENCE}" for kind in kinds if kind == SILENCE]


def assign_group(
    new: EpisodeDelivery, others: Sequence[EpisodeDelivery], now_us: int, is_silenced: IsSilenced
) -> list[EpisodeDelivery]:
    """Decide which page an episode gets that rings, or waits to: its own, its own after a while, or that of a
    group; return the other deliveries that changed.

    Args:
        new: its delivery, with the state for which it rings or waits.
        others: the open deliveries of the same channel, in order of arrival.
        now_us: wall clock, microseconds since 1970.
        is_silenced: of the silences.
    """
    if not new.waits_to_ring:
        new.sends_itself = True
    if new.latest is None or new.is_silenced or new.latest.episode.muted:
        return []
    at_us = microseconds(_own_episode(new).decided_at)
    if new.waits_to_ring and is_silenced(_own_episode(new), at_us):
        return []
    for group_key in _keys_to_ring(new):
        near = [
            other
            for other in others
            if other is not new
            # a current episode does not wait for the end of one of long ago
            and (other.catch_up_until_us is None) == (new.catch_up_until_us is None)
            and _may_share(other, new, group_key, at_us, is_silenced)
        ]
        leader = next((other for other in near if other.group_key == group_key), None)
        if leader is None and len(near) + 1 >= LEAST:
            may_lead = [other for other in (*near, new) if not other.waits_to_ring]
            may_lead.sort(key=lambda other: other is new or other.group_wait_until_us is not None)  # not sent
            leader = next(iter(may_lead), None)
            if leader is not None:
                leader.lead_group(group_key)
        if leader is not None:
            for other in (new, *near):
                if other is not leader:
                    _join(other, leader, others, now_us, is_new=other is new)
            return [*near, *(other for other in others if other.group_leader)]
    if at_us + WAIT_US > now_us and not new.waits_to_ring and _has_partner(new, others, is_silenced):
        new.group_wait_until_us, new.sends_itself = at_us + WAIT_US, False
    return []


def _own_episode(delivery: EpisodeDelivery) -> Episode:
    """Return the newest state of its own episode, not of the group that it leads."""
    state = delivery.own_latest or delivery.latest
    assert state is not None
    return state.episode


def _keys_to_ring(delivery: EpisodeDelivery) -> list[str]:
    """Return the causes that an episode can share with others: of a page that waits to ring again, only for
    the kind of failure for which it does.
    """
    keys = group_keys(_own_episode(delivery))
    if not delivery.waits_to_ring or "high" not in delivery.keys:
        return keys
    return [group_key for group_key in keys if group_key.rpartition("#")[2] == delivery.ring_kind]


def _join(
    delivery: EpisodeDelivery,
    leader: EpisodeDelivery,
    others: Sequence[EpisodeDelivery],
    now_us: int,
    *,
    is_new: bool,
) -> None:
    """List a delivery, and what its own page lists, on the page of a group. ``is_new``: it has just rung."""
    if delivery.waits_to_ring:
        episode = _own_episode(delivery)
        delivery.list_ring(episode, now_us)
        delivery.follow()
        delivery.join_group(leader, may_have_been_sent=False)
        for other in others:
            if other.group_leader == episode.episode_id and not other.has_ended:
                other.group_leader = delivery.group_leader
        return
    waits_until_us = delivery.group_wait_until_us
    may_have_been_sent = not is_new and (waits_until_us is None or now_us >= waits_until_us - LATE_US)
    delivery.join_group(leader, may_have_been_sent=may_have_been_sent)


def without_group(
    deliveries: Sequence[EpisodeDelivery], now_us: int, is_silenced: IsSilenced
) -> list[EpisodeDelivery]:
    """Return those that need not wait for a group any longer: their time is over, nobody else is left, or
    they became more urgent than the others.
    """
    return [
        delivery
        for delivery in deliveries
        if delivery.group_wait_until_us is not None
        and (now_us >= delivery.group_wait_until_us or not _has_partner(delivery, deliveries, is_silenced))
    ]


def _may_share(
    delivery: EpisodeDelivery, new: EpisodeDelivery, group_key: str, at_us: int, is_silenced: IsSilenced
) -> bool:
    """Return whether a page has this group key, began at about the same time and not long ago, and is to be
    sent.
    """
    if (
        delivery.latest is None
        or delivery.was_refused
        or (delivery.group_leader and not delivery.waits_to_ring)
        or delivery.is_silenced
        or delivery.has_ended
    ):
        return False
    has_rung = delivery.urgency == "high" and at_us <= (delivery.rings_us or [0])[-1] + WITHIN_US
    leads = delivery.group_key == group_key and has_rung
    may_join = delivery.waits_to_ring or (has_rung and not delivery.group_key)
    if not leads and not (may_join and group_key in _keys_to_ring(delivery)):
        return False
    other = _own_episode(delivery)
    if delivery.latest.episode.muted or (not leads and is_silenced(other, at_us)):
        return False
    kind = group_key.rpartition("#")[2]
    began_us, known_us = _began_us(new, kind), _began_us(delivery, kind)
    return began_us is not None and known_us is not None and abs(began_us - known_us) <= WITHIN_US


def _began_us(delivery: EpisodeDelivery, kind: str) -> int | None:
    """Return when a kind of failure began, or asked for a ring (event time); None: it does not fail so."""
    failure = failures(_own_episode(delivery)).get(kind)
    if failure is None:
        return None
    return max(failure.began_us, delivery.ring_wanted_us if delivery.ring_kind == kind else 0)


def _has_partner(
    delivery: EpisodeDelivery, deliveries: Iterable[EpisodeDelivery], is_silenced: IsSilenced
) -> bool:
    """Return whether another page that does not wait itself may have the same cause."""
    if delivery.latest is None or delivery.has_ended:
        return False
    at_us = microseconds(delivery.latest.episode.decided_at)
    others = [
        other
        for other in deliveries
        if other is not delivery and other.group_wait_until_us is None and not other.waits_to_ring
    ]
    return any(
        _may_share(other, delivery, group_key, at_us, is_silenced)
        for group_key in _keys_to_ring(delivery)
        for other in others
    )
