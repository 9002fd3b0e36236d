"""Laws of one incident and one episode, step by step."""

from __future__ import annotations

from typing import Any

from monitor.incidents.episode import SHOWN, begun
from monitor.incidents.incident import Incident, opened
from monitor.incidents.records import ShownIncident
from monitor.incidents.state_change import StateChange
from monitor.rules.evidence import no_evidence
from monitor.rules.reading import Reading
from monitor.windows.segment_keys import FeatureKey, SegmentKey
from schemas.config.rules import Rule

FEATURE = FeatureKey("bot", "answer", "production")
MINUTE_US = 60_000_000
RULE = Rule.model_validate(
    {"name": "e", "on": "error_rate", "above": 0.1, "for": "2m", "keep_firing_for": "2m"}
)
EVIDENCE = no_evidence("error_rate", 300.0)


def steps(*states: Any) -> list[StateChange | None]:
    incident = opened(RULE, FEATURE, None, 0, "error", EVIDENCE)
    return [
        incident.step(RULE, Reading(state, EVIDENCE), minute * MINUTE_US)
        for minute, state in enumerate(states)
    ]


def reasons(*states: Any) -> list[tuple[int, str, str]]:
    return [(minute, change.state, change.reason) for minute, change in enumerate(steps(*states)) if change]


def test_an_incident_fires_after_breaching_for_the_time_of_its_rule() -> None:
    assert reasons("breach", "breach", "breach", "breach") == [(2, "firing", "breached for 2 min")]


def test_unknown_readings_count_neither_as_breach_nor_as_recovery() -> None:
    # `for: 2m` at one-minute panes is three breaching edges; unknown ones are passed over
    assert reasons("breach", "unknown", "unknown", "unknown", "breach", "unknown") == []
    assert reasons("breach", "unknown", "unknown", "unknown", "breach", "breach")[0][:2] == (5, "firing")
    assert reasons("breach", "breach", "breach", "good", "unknown", "unknown", "unknown", "good")[1:] == []


def test_an_interruption_restarts_the_count() -> None:
    assert reasons("breach", "breach", "between") == [(2, "resolved", "did not last")]
    assert reasons("breach", "breach", "breach", "good", "good", "between", "good", "good", "good")[1:] == [
        (8, "resolved", "well for 2 min")
    ]


def test_a_restored_incident_behaves_like_the_original() -> None:
    incident = opened(RULE, FEATURE, None, 0, "error", EVIDENCE)
    for minute in range(2):
        incident.step(RULE, Reading("breach", EVIDENCE), minute * MINUTE_US)
    again = Incident.from_state_values(incident.state_values())
    assert again == incident
    change = again.step(RULE, Reading("breach", EVIDENCE), 2 * MINUTE_US)
    assert change == StateChange("firing", "breached for 2 min")


def test_an_episode_ends_with_its_last_incident_even_when_that_is_not_listed() -> None:
    def incident(nth: int, state: str) -> ShownIncident:
        incident = opened(RULE, FEATURE, SegmentKey("m"), 0, "error", EVIDENCE)
        incident.incident_id = f"i{nth}"
        return incident.shown(FEATURE, SegmentKey("m"), state)

    episode = begun(FEATURE, "i0", 0)
    for nth in range(SHOWN + 10):
        episode.take(incident(nth, "firing"), may_page=True)
    assert len(episode.incidents) == SHOWN
    for nth in range(SHOWN):
        episode.take(incident(nth, "resolved"), may_page=True)
    assert not episode.shown_firing()
    assert not episode.over
    for nth in range(SHOWN, SHOWN + 10):
        assert episode.knows(f"i{nth}")
        episode.take(incident(nth, "resolved"), may_page=True)
    assert episode.over
