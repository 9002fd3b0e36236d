"""Say what the newest record of an episode changed, in sentences.

The reason of a record names rules and states, as ``pass-rate-fell: breached for 1 m; ...``: programs read it.
"""

from __future__ import annotations

import re

from monitor.windows.figure_comparison import is_wrong_now
from monitor.wording.finding_text import failure_text, measure
from monitor.wording.incident_grouping import EMPTY_FORMAT, repeats_empty
from monitor.wording.incident_importance import by_importance
from monitor.wording.incident_text import clock, present_evidence, settled
from schemas.evidence_record import Evidence
from schemas.records import Episode, EpisodeIncident
from softfail.sanitize import sanitize

MOST = 3  # changes that are told; the others are counted
_UNLISTED = "a finding below those that are listed"  # the incidents of a page are cut to its size
_REFRESHED = "newer figures"
CHARS = 300  # of a change
_REASON = re.compile(r"(?P<place>[^:;]+/[^:;]+: )?(?P<rule>[^:;]+): (?P<why>.+)")
_FURTHER = "also "
_VERBS = (
    (re.compile(r"breached|found|also "), "new: {}"),
    (re.compile(r"is worse"), "worse: {}"),
    (re.compile(r"partitions changed|figures of now|.* by a factor of two"), "now: {}"),
    (re.compile(r"fails again"), "again: {}"),
    (re.compile(r"a value that was never seen"), "seen for the first time: {}"),
    (re.compile(r"well"), "over: {}"),
    (re.compile(r"did not last"), "it did not last: {}"),
    (re.compile(r"became_normal"), "it has been so for a day and counts as normal from now on: {}"),
    (re.compile(r"segment_gone"), "over, because these calls have stopped: {}"),
    (re.compile(r"rule_changed"), "over, because the rule was changed or removed: {}"),
    (re.compile(r"what paged beside it is over"), "it goes on as a ticket of its own: {}"),
    (re.compile(r"its episode is gone|state_"), "begun or ended anew, because the state was changed: {}"),
)
_FIGURE = re.compile(r"^(?:only )?[\d.,]+ % of | is [\d.,].*| \(.*")
_WHOLE = {
    "state_reset": "over, because the state was reset",
    "state_dropped": "over, because its state was dropped",
    "state_rebuilt": "over, because the state was rebuilt",
    "nothing that pages fires any more": "what paged is over",
    "what only warns goes on as a ticket of its own": "what only warns goes on as a ticket of its own",
}


def last_change(episode: Episode) -> str:
    """Write when the newest record was written, and what it changed.

    A part of a reason that names no rule is written as it is.
    """
    incidents = {incident.rule: incident for incident in reversed(by_importance(episode))}
    hidden = EMPTY_FORMAT if repeats_empty(episode) else ""
    changes: dict[str, None] = {}
    written: set[tuple[str, str]] = set()
    parts = [(part, _REASON.fullmatch(part)) for part in map(str.strip, episode.reason.split(";")) if part]
    matches = [(part, match, incidents.get(match["rule"]) if match else None) for part, match in parts]
    # that fewer answers pass is said only if what fails is not
    for part, match, incident in sorted(matches, key=_is_of_all_answers):
        why = match["why"] if match else ""
        is_hidden = incident is not None and incident.evidence.metric == hidden
        if is_hidden and not why.startswith(_FURTHER):
            continue
        verb = next((verb for pattern, verb in _VERBS if pattern.match(why)), "")
        if match is None or (incident is None and not verb):
            changes[sanitize(_WHOLE.get(part, part), CHARS)] = None
            continue
        kind = "" if incident is None else incident.kind or incident.evidence.metric
        subject = _UNLISTED if incident is None else _subject(incident, why)
        # two rules on one failure say the same; of what is not listed only the first part says something
        if (verb, kind) not in written and (incident is not None or not written):
            text = verb.format(subject) if verb else f"{subject} ({why})"
            changes[sanitize((match["place"] or "") + text, CHARS)] = None
        written.add((verb, kind))
    more = len(changes) - MOST
    shown = [*list(changes)[:MOST], *([f"and {more} more"] if more > 0 else [])]
    return f"{clock(episode.time)}: {'; '.join(shown) or _REFRESHED}"


def _is_of_all_answers(matches: tuple[str, re.Match[str] | None, EpisodeIncident | None]) -> bool:
    return matches[2] is not None and matches[2].evidence.metric == "pass_rate"


def _subject(incident: EpisodeIncident, why: str) -> str:
    if incident.state == "resolved":
        return failure_text(incident.kind) or incident.text or _without_figure(incident.evidence)
    if incident.text:
        return incident.text
    evidence = present_evidence(incident)
    if why.startswith(_FURTHER):
        moved = why.removeprefix(_FURTHER).split(", ")
        further = [finding for finding in incident.evidence.findings[1:] if finding.metric in moved]
        evidence = Evidence.model_construct(**further[0].model_dump()) if further else evidence
    return measure(evidence if is_wrong_now(incident) else settled(evidence), interval=False)


def _without_figure(evidence: Evidence) -> str:
    """Return the subject of a finding that is over: its figure is that of then.

    >>> _without_figure(Evidence(metric="duration_s.p90", value=4.2, low=4, high=5, n=9, above=1, window_s=300))
    '90th percentile of duration'
    """
    if evidence.metric in ("events", "pass_rate"):
        return "no events" if evidence.metric == "events" else "too few answers passed"
    return _FIGURE.sub("", measure(evidence, interval=False))
