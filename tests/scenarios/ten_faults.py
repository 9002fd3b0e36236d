"""Ten faults of one service in 50 minutes: four features, one provider, the default configuration.

The bench runs them in event time (``plans``), ``tests/durability/ten_faults`` on a real Kafka in real time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tests.scenarios.deployment import PagerDutyModel, Planned, Ring
from tests.scenarios.faults import FAULTS, JSON_FEATURE
from tests.scenarios.producers import Process

ANSWER, AGENT, SEARCH = "shop-bot/answer", "shop-bot/agent", "shop-bot/search"
EXTRACT = f"shop-bot/{JSON_FEATURE}"
FEATURES = (ANSWER, AGENT, SEARCH, EXTRACT)
CALLS_A_MINUTE = 240  # of each feature
WARM = 90  # minutes of healthy traffic before the run on Kafka
MINUTES = 50.0  # the length of a run

KILLED, OUTAGE = (31.8, 38.8), (41.2, 46.0)
PROCESSES = (Process("shop-bot", 0, KILLED[0]), Process("shop-bot", KILLED[1], MINUTES))
UNREADABLE = (12.2, 14.0, 100)
"""Minutes between which unreadable records arrive, and how many: beside 1,750 calls."""
SOON = 3.0  # minutes from a fault to its page or ticket
PROVIDER = r"the provider does not answer"
GONE = r"sends nothing|its producers are gone"


@dataclass(frozen=True)
class Expected:
    """What a person should get of one of the ten faults.

    ``planned``: its features. ``pages``: whether it rings, else it is a ticket or an update of one. ``causes``:
    a regular expression of the likely causes that its text may name. ``within``: minutes.
    """

    name: str
    planned: tuple[Planned, ...]
    pages: bool = True
    causes: str = ""
    within: float = SOON


TEN = (
    # less than an hour of history: docs/statistics.md, "When 3 percent ring"
    Expected(
        "3 % of the calls fail", (Planned("few_percent", SEARCH, 2.5, 26.2),), causes=PROVIDER, within=6.0
    ),
    Expected("answers refused", (Planned("refusals", ANSWER, 3.2, 9.2),)),
    Expected("broken JSON", (Planned("broken_json", EXTRACT, 3.7, 9.4),)),
    Expected("a third feature is slower", (Planned("slow", AGENT, 4.3, 16.0),), pages=False),
    Expected("every answer empty, in that feature", (Planned("empty", AGENT, 9.1, 14.0),)),
    Expected("six times the tokens", (Planned("longer", EXTRACT, 11.3, 21.0),), pages=False),
    Expected("+2.5 s under that ticket", (Planned("slow", EXTRACT, 15.2, 21.0),), pages=False),
    Expected("30 % HTTP 500", (Planned("errors", ANSWER, 20.2, 24.5),), causes=PROVIDER),
    Expected("3 % become 100 %", (Planned("timeouts", SEARCH, 26.2, 30.0),), causes=PROVIDER),
    Expected(
        "the whole service is killed",
        tuple(Planned("silent", feature, *KILLED) for feature in FEATURES),
        causes=GONE,
    ),
    Expected(
        "the provider fails for all four",
        tuple(Planned("timeouts", feature, *OUTAGE) for feature in FEATURES),
        causes=PROVIDER,
    ),
)
PLAN = tuple(planned for expected in TEN for planned in expected.planned)


LASTING = 20.0
"""Minutes before the end of a run: what was over by then is resolved at its end."""


@dataclass(frozen=True)
class Got:
    """What a person got of a fault: the ring or ticket, when, its text, and its likely causes."""

    ring: Ring
    minute: float
    text: str

    @property
    def causes(self) -> str:
        """The likely causes that the text names."""
        return "".join(re.findall(r"likely: ([^;]*)", self.text))


def got(expected: Expected, pagerduty: PagerDutyModel) -> Got | None:
    """Return what a person got first of a fault; None if nothing."""
    begin = expected.planned[0].begin
    for ring in pagerduty.rings if expected.pages else pagerduty.incidents:
        # a ring is heard when its key opens; a ticket is read
        for minute, text, lines in ring.history[:1] if expected.pages else ring.history:
            named = [planned for planned in expected.planned if _tells(planned, text, lines)]
            if minute >= begin and named:
                return Got(ring, minute, text if expected.pages else _line(named[0], text, lines))
    return None


def broken(pagerduty: PagerDutyModel, begins: float = 0.0, ends: float = MINUTES) -> Iterator[str]:
    """Yield each law that is broken, in words. ``begins``, ``ends``: minutes of the plan that were run."""
    rung: dict[str, str] = {}
    for expected in TEN:
        if expected.planned[0].begin < begins or expected.planned[0].end > ends:
            continue
        answer = got(expected, pagerduty)
        begin, end = expected.planned[0].begin, expected.planned[0].end
        if answer is None or answer.minute > begin + expected.within:
            when = "never" if answer is None else f"{answer.minute - begin:.1f} min after it began"
            yield f"{expected.name}: heard of {when}"
        if answer is None:
            continue
        causes = answer.causes
        if expected.pages and causes and not (expected.causes and re.search(expected.causes, causes)):
            yield f"{expected.name}: its text names a cause that is none: {causes}"
        if not expected.pages:
            continue
        if (other := rung.setdefault(answer.ring.key, expected.name)) != expected.name:
            yield f"{expected.name}: told by the ring of {other}"
        lines = list(answer.ring.lines)
        missing = [item.feature for item in expected.planned if not _tells(item, answer.text, lines)]
        if missing:
            yield f"{expected.name}: no page lists {', '.join(missing)}"
        if answer.ring.over is None and end < ends - LASTING:
            yield f"{expected.name}: its page is not over"
    for ring in pagerduty.rings:
        if ring.key not in rung:
            yield f"minute {ring.minute:.1f}: a ring too many: {ring.text}"
    keys = [ring.key for ring in pagerduty.incidents]
    yield from (f"{key}: opened {keys.count(key)} times" for key in sorted(set(keys)) if keys.count(key) > 1)


def table(pagerduty: PagerDutyModel) -> Iterator[str]:
    """Yield the table of what a person got, as Markdown."""
    yield "| fault | heard | title | likely cause | over |"
    yield "|---|---|---|---|---|"
    for expected in TEN:
        answer, planned = got(expected, pagerduty), expected.planned[0]
        if answer is None:
            yield f"| {expected.name} | never | | | |"
            continue
        how = "rang" if expected.pages else "ticket"
        over = (
            "open"
            if answer.ring.over is None
            else f"{answer.ring.over - planned.end:.1f} min after the fault"
        )
        title = answer.text.partition("; likely:")[0]
        heard = f"{how} after {answer.minute - planned.begin:.1f} min"
        yield f"| {expected.name} | {heard} | {title} | {answer.causes or 'none'} | {over} |"


def _tells(planned: Planned, text: str, lines: list[str]) -> bool:
    """Whether a text or a line of its list is about this fault of this feature."""
    words, own = FAULTS[planned.fault].words, f"{planned.feature}:"
    if planned.feature not in text and not any(line.startswith(own) for line in lines):
        return False
    is_group = " features " in text
    if not is_group and re.search(words, text):
        return True
    return any(re.search(words, line) and (line.startswith(own) or not is_group) for line in lines)


def _line(planned: Planned, text: str, lines: list[str]) -> str:
    """Return the sentence of a ticket that is about this fault."""
    words = FAULTS[planned.fault].words
    return text if re.search(words, text) else next(line for line in lines if re.search(words, line))
