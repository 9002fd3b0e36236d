"""The scenarios of the bench, by name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations

from tests.scenarios.deployment import Planned
from tests.scenarios.faults import FAULTS, JSON_FEATURE
from tests.tiers import nightly

ANSWER, AGENT, SEARCH = "shop-bot/answer", "shop-bot/agent", "shop-bot/search"
EXTRACT = f"shop-bot/{JSON_FEATURE}"
SUMMARY, TAGS = "docs/summary", "docs/tags"
OTHER = "crm/reply"
SIX = (ANSWER, AGENT, SEARCH, EXTRACT, SUMMARY, TAGS)
PAGES = ("timeouts", "errors", "refusals", "empty", "truncated", "filtered", "broken_json", "silent")
TICKETS = ("slow", "longer", "german", "other_model")


TAIL, WHOLE_TAIL = 8, 18  # minutes after the last fault; the second is long enough for a page to end


@dataclass(frozen=True)
class Scenario:
    """Planned faults, and how often they ring.

    ``rings``: how many faults ring; those of one cause in several features are one. ``until``: minutes.
    ``restarts``: minutes at which worker and notifier start anew. ``one_page``: all faults are one page.
    """

    name: str
    plan: tuple[Planned, ...]
    features: tuple[str, ...]
    until: float
    restarts: tuple[float, ...] = ()
    one_page: bool = False
    rings: int | None = None
    likely: str = ""
    calls: dict[str, str] = field(default_factory=dict)


def _scenario(name: str, *plan: Planned, until: float = 0.0, **more: object) -> Scenario:
    features = tuple(dict.fromkeys(planned.feature for planned in plan))
    return Scenario(name, plan, features, until or max(planned.end for planned in plan) + TAIL, **more)  # type: ignore[arg-type]


def _place(*faults: str) -> str:
    return EXTRACT if "broken_json" in faults else ANSWER


def _singles() -> Iterator[Scenario]:
    for name in FAULTS:
        if name == "few_percent":
            continue  # 20 calls a minute do not show it; ``ten_faults`` has 240
        length = 18 if FAULTS[name].within > 7 else 13
        end = 2.3 + length
        yield _scenario(f"{name} alone", Planned(name, _place(name), 2.3, end), until=end + WHOLE_TAIL)


def _pairs() -> Iterator[Scenario]:
    """Two faults in one feature: overlapping, nested, one after the other."""
    for number, (first, second) in enumerate(combinations(PAGES, 2)):
        place = _place(first, second)
        relations = {
            "then": (Planned(first, place, 2.3, 10), Planned(second, place, 18.6, 29)),
            "overlaps": (Planned(first, place, 2.3, 20), Planned(second, place, 12.6, 28)),
            "around": (Planned(first, place, 2.3, 30), Planned(second, place, 12.6, 25)),
        }
        for nth, (relation, plan) in enumerate(relations.items()):
            hides = (first in HIDING and relation != "then") or {first, second} == {"refusals", "broken_json"}
            if hides or not (nightly() or number % 3 == nth):
                continue
            yield _scenario(f"{first} {relation} {second}", *plan)


HIDING = ("silent", "timeouts", "empty")
"""Faults of all calls: what else fails cannot be seen while they last. A refusal is no JSON either."""


def _two_features() -> Iterator[Scenario]:
    """Two faults in two features of one service, and of two services with one provider."""
    for number, (first, second) in enumerate(
        combinations([name for name in PAGES if name != "broken_json"], 2)
    ):
        for nth, other in enumerate((AGENT, SUMMARY)):
            if nightly() or number % 4 == nth:
                yield _scenario(
                    f"{first} in {ANSWER}, {second} in {other}",
                    Planned(first, ANSWER, 2.3, 15),
                    Planned(second, other, 5.1, 18),
                )


def _under_tickets() -> Iterator[Scenario]:
    for number, ticket in enumerate(TICKETS):
        for nth, page in enumerate(("timeouts", "refusals", "empty", "silent")):
            if nightly() or number == nth:
                yield _scenario(
                    f"{page} under a ticket of {ticket}",
                    Planned(ticket, ANSWER, 2.3, 26),
                    Planned(page, ANSWER, 12.6, 23),
                )
    for first, second in (("other_model", "longer"), ("german", "slow"), ("longer", "slow")):
        yield _scenario(
            f"{second} under a ticket of {first}",
            Planned(first, ANSWER, 2.3, 26),
            Planned(second, ANSWER, 12.6, 26),
        )


def scenarios() -> list[Scenario]:
    """Return the scenarios of the profile."""
    grows = [
        _scenario(
            f"{first} grows to {second}",
            Planned(first, ANSWER, 2.3, 21.6),
            Planned(second, ANSWER, 21.6, 35),
        )
        for first, second in (
            ("few_errors", "timeouts"),
            ("half_empty", "empty"),
            ("refusals", "all_refused"),
        )
    ]
    outage = [Planned("timeouts", feature, 2.3, 15) for feature in SIX]
    dead = [Planned("silent", feature, 2.3, 15) for feature in (ANSWER, AGENT, SEARCH, EXTRACT)]
    special = [
        _scenario("a provider fails six features", *outage, one_page=True, likely="provider"),
        _scenario(
            "a provider fails six features, one of another provider refuses",
            *outage,
            Planned("refusals", OTHER, 5.2, 18),
            one_page=True,
            rings=2,
        ),
        _scenario("a service dies", *dead, one_page=True, likely="shop-bot sends nothing"),
        _scenario(
            "a service dies after two of its features failed",
            Planned("refusals", ANSWER, 2.3, 14),
            Planned("broken_json", EXTRACT, 2.9, 14),
            *(Planned("silent", feature, 22.3, 36) for feature in (ANSWER, AGENT, SEARCH, EXTRACT)),
            one_page=True,
            rings=3,
        ),
        _scenario(
            "two features fail, then a third under their provider",
            Planned("refusals", ANSWER, 2.3, 28),
            Planned("broken_json", EXTRACT, 2.9, 28),
            Planned("slow", AGENT, 3.2, 28),
            Planned("empty", AGENT, 12.2, 24),
            Planned("errors", SEARCH, 14.4, 27),
        ),
        _scenario("a bad prompt version", Planned("bad_prompt", ANSWER, 2.3, 15), likely="v2"),
        _scenario(
            "a series flaps",
            *(Planned("timeouts", ANSWER, 2.3 + 11 * nth, 7 + 11 * nth) for nth in range(5)),
            rings=2,
            until=70,
        ),
    ]
    restarted = [
        _scenario(
            f"{scenario.name}, while the worker restarts",
            *scenario.plan,
            until=scenario.until,
            one_page=scenario.one_page,
            restarts=(4.2, 6.0, 9.1, 16.0, 25.4),
        )
        for scenario in (*special[:1], *grows[:1], *list(_pairs())[:1])
    ]
    return [
        *_singles(),
        *_pairs(),
        *_two_features(),
        *_under_tickets(),
        *grows,
        *special,
        *restarted,
    ]
