"""What each scenario must show, and the table of what a person got."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.scenarios.deployment import Deployment, Planned, Ring, run_plan
from tests.scenarios.faults import FAULTS
from tests.scenarios.plans import Scenario

APART = 15.0  # minutes between two rings of one page
GROUP_WAIT = 1.5  # minutes that a second feature waits for a third
SLOW = 1.5  # minutes that a ring which waited may take
WORDS = 60  # of a page text, before its list
JARGON = re.compile(
    r"breach|_rate\b|_s\.p|events of|shiryaev|\bwell\b|\bNone\b|\bnan\b|incident|episode|segment|drift"
    r"|baseline|watermark|\bpane|verdict|p-value|became_|pass-rate|failures-rose|error-rate|no-data|\bfell\b"
    r"|\bp\d\d\b|distance|what (fails|failed):|not what they were"
)
"""What no text, line of a list, likely cause, next step or last change says: names of rules, metrics and parts
of softfail.
"""


def run(scenario: Scenario) -> Deployment:
    """Run a scenario."""
    return run_plan(scenario.features, scenario.plan, scenario.until, scenario.restarts)


def table(scenario: Scenario, deployment: Deployment) -> Iterator[str]:
    """Yield a line for each fault and each thing that a person got."""
    yield f"{scenario.name}"
    rings = deployment.pagerduty.incidents
    for planned in scenario.plan:
        ring = next((ring for ring in rings if _tells(ring, planned) and ring.minute >= planned.begin), None)
        ring_kind = "ticket" if ring is not None and not ring.pages else "rang"
        after = "never" if ring is None else f"{ring_kind} after {ring.minute - planned.begin:.1f} min"
        over = ""
        if ring is not None:
            over = "open" if ring.over is None else f"{ring.over - planned.end:.1f} min after the fault"
        yield f"  {planned.feature} {planned.fault} from {planned.begin} to {planned.end}: {after}; over: {over}"
    for ring in rings:
        kind = "PAGE  " if ring.pages else "ticket"
        yield f"    {ring.minute:5.1f} {kind} {ring.key.split('/', 1)[1]}: {ring.text}"


def broken(scenario: Scenario, deployment: Deployment) -> list[str]:
    """Return the laws that a scenario breaks, in words."""
    return [
        *_reports(scenario, deployment),
        *_rings(scenario, deployment),
        *_endings(deployment),
        *_texts(scenario, deployment),
    ]


def texts(deployment: Deployment) -> Iterator[str]:
    """Yield each text that a person got, with the list and the other sentences below it."""
    for ring in deployment.pagerduty.incidents:
        yield f"{'PAGE' if ring.pages else 'ticket'} {ring.minute:.1f}: {ring.text}"
        for minute, text, lines in ring.history:
            if text != ring.text:
                yield f"    update {minute:.1f}: {text}"
            yield from (f"        - {line}" for line in lines)
        yield from (f"    | {sentence}" for sentence in dict.fromkeys(ring.sentences))


def _tells(ring: Ring, planned: Planned, *, with_updates: bool = False) -> bool:
    """Whether a text is about this fault of this feature."""
    words = FAULTS[planned.fault].words
    if planned.feature in ring.text and re.search(words, ring.text):
        return True
    own = f"{planned.feature}:"
    return any(
        re.search(words, line) and (line.startswith(own) or (with_updates and planned.feature in ring.text))
        for line in (*ring.lines, *ring.updates)
    )


def _reports(scenario: Scenario, deployment: Deployment) -> Iterator[str]:
    """Each fault is reported in time; if its page rang just before, when that page may ring again."""
    rings = deployment.pagerduty.rings
    for planned in scenario.plan:
        fault = FAULTS[planned.fault]
        wait = GROUP_WAIT if len(scenario.features) > 1 else 0.0
        latest = planned.begin + fault.within + wait
        if scenario.name == "a series flaps" and planned.begin > 5:
            continue
        if not fault.pages:
            incidents = deployment.pagerduty.incidents
            if not any(_tells(ring, planned, with_updates=True) for ring in incidents):
                yield f"{planned}: no ticket tells it"
            continue
        before = [
            ring.minute
            for ring in rings
            if ring.minute < latest
            and planned.feature in ring.text
            and (ring.over or 999) > planned.begin
            and not (ring.minute >= planned.begin and _tells(ring, planned))
        ]
        if before:
            latest = max(latest, max(before) + APART + SLOW)
        if not any(planned.begin <= ring.minute <= latest and _tells(ring, planned) for ring in rings):
            yield f"{planned}: no ring tells it until minute {latest:.1f}"


def _rings(scenario: Scenario, deployment: Deployment) -> Iterator[str]:
    """A ring is about a fault that lasts; each rings once, and at most four times in an hour."""
    rings = deployment.pagerduty.rings
    for ring in rings:
        lasting = [
            planned
            for planned in scenario.plan
            if planned.begin <= ring.minute < planned.end and FAULTS[planned.fault].pages
        ]
        if not any(_tells(ring, planned) for planned in lasting):
            yield f"minute {ring.minute}: a ring about nothing that lasts: {ring.text}"
        again = [later for later in rings if ring.minute <= later.minute < ring.minute + 60]
        features = {planned.feature for planned in scenario.plan}
        if any(sum(feature in later.text for later in again) > 4 for feature in features):
            yield f"minute {ring.minute}: over four rings of a feature in an hour"
    pages = [planned for planned in scenario.plan if FAULTS[planned.fault].pages]
    most = scenario.rings or (1 if scenario.one_page else len(pages))
    if len(rings) > most:
        yield f"{len(rings)} rings of {most} faults"


def _endings(deployment: Deployment) -> Iterator[str]:
    """Each key is opened once, and resolved once its fault is over."""
    keys = [ring.key for ring in deployment.pagerduty.incidents]
    for key in sorted({key for key in keys if keys.count(key) > 1}):
        yield f"{key}: opened {keys.count(key)} times"
    episodes = {record["episode_id"]: record["state"] for record in deployment.episodes}
    for ring in deployment.pagerduty.incidents:
        if ring.over is None and episodes[ring.key.split("/")[1]] == "resolved":
            yield f"{ring.key}: still open, though its episode is over"
    for page in {ring.key.split("/")[1] for ring in deployment.pagerduty.rings}:
        still = [ring.key for ring in deployment.pagerduty.rings if page in ring.key and ring.over is None]
        if len(still) > 1:
            yield f"{still}: several keys of one page are open"


def _texts(scenario: Scenario, deployment: Deployment) -> Iterator[str]:
    """Texts are short and without jargon, and name the likely cause where there is one."""
    for ring in deployment.pagerduty.incidents:
        for text in (ring.text, *ring.updates):
            if len(text.split()) > WORDS:
                yield f"{len(text.split())} words: {text}"
        below = [line for _, _, lines in ring.history for line in lines]
        for text in dict.fromkeys((ring.text, *ring.updates, *below, *ring.sentences)):
            if JARGON.search(text):
                yield f"jargon: {text}"
    rings = deployment.pagerduty.rings
    if scenario.likely and not any(scenario.likely in text for r in rings for text in (r.text, *r.updates)):
        yield f"no text names the likely cause {scenario.likely}"
