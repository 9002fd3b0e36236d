"""Laws of one incident and one episode, step by step."""

from __future__ import annotations

from typing import Any

from monitor.incidents.episode import SHOWN, begun
from monitor.incidents.incident import Change, Incident, opened
from monitor.rules.reading import Reading
from monitor.windows.segment_keys import FeatureKey
from schemas.config.rules import Rule

FEATURE = FeatureKey("bot", "answer", "production")
MINUTE_US = 60_000_000
RULE = Rule.model_validate(
    {"name": "e", "on": "error_rate", "above": 0.1, "for": "2m", "keep_firing_for": "2m"}
)


def steps(*states: Any) -> list[Change | None]:
    incident = opened(RULE, FEATURE, None, 0, "error")
    return [
        incident.step(RULE, Reading(state, {}), minute * MINUTE_US) for minute, state in enumerate(states)
    ]


def reasons(*states: Any) -> list[tuple[int, str, str]]:
    return [(minute, change.state, change.reason) for minute, change in enumerate(steps(*states)) if change]


def test_it_fires_when_it_has_breached_for_as_long_as_the_rule_says() -> None:
    assert reasons("breach", "breach", "breach", "breach") == [(2, "firing", "breached for 2 min")]


def test_time_of_which_nothing_is_known_counts_neither_way() -> None:
    # `for: 2m` at one-minute panes is three breaching edges; those that are unknown are passed over
    assert reasons("breach", "unknown", "unknown", "unknown", "breach", "unknown") == []
    assert reasons("breach", "unknown", "unknown", "unknown", "breach", "breach")[0][:2] == (5, "firing")
    assert reasons("breach", "breach", "breach", "good", "unknown", "unknown", "unknown", "good")[1:] == []


def test_a_break_begins_the_count_anew() -> None:
    assert reasons("breach", "breach", "between") == [(2, "resolved", "did not last")]
    assert reasons("breach", "breach", "breach", "good", "good", "between", "good", "good", "good")[1:] == [
        (8, "resolved", "well for 2 min")
    ]


def test_state_and_back_goes_on_the_same() -> None:
    incident = opened(RULE, FEATURE, None, 0, "error")
    for minute in range(2):
        incident.step(RULE, Reading("breach", {"metric": "error_rate"}), minute * MINUTE_US)
    again = Incident.from_state_values(incident.state_values())
    assert again.step(RULE, Reading("breach", {}), 2 * MINUTE_US) == Change("firing", "breached for 2 min")


def test_an_episode_ends_with_the_last_incident_also_when_that_is_not_shown() -> None:
    def incident(nth: int, state: str) -> dict[str, Any]:
        return {"incident_id": f"i{nth}", "severity": "error", "state": state, "level": "segment"}

    episode = begun(FEATURE, "i0", 0)
    for nth in range(SHOWN + 10):
        episode.take(incident(nth, "firing"), may_page=True)
    assert len(episode.incidents) == SHOWN
    for nth in range(SHOWN):
        episode.take(incident(nth, "resolved"), may_page=True)
    assert all(one["state"] == "resolved" for one in episode.incidents.values())
    assert not episode.over
    for nth in range(SHOWN, SHOWN + 10):
        assert episode.knows(f"i{nth}")
        episode.take(incident(nth, "resolved"), may_page=True)
    assert episode.over
