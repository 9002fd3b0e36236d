"""Drift of texts, from events to findings."""

from __future__ import annotations

from schemas.config.monitor_config import Config
from tests.monitor.rules.test_drift_languages import ENGLISH, firing_transitions

ON_TEXTS = Config.model_validate(
    {
        "default_rules": False,
        "no_data": {"severity": None},
        "drift": [{"name": "drift", "on": ["output_text"]}],
    }
)
OTHER = ("Please call our office between nine and five.", "Somebody will ring you back on Monday.")


def test_a_change_of_texts_states_the_texts_of_its_window_and_of_its_reference() -> None:
    healthy, a_minute = 70, 20
    transitions = firing_transitions(
        healthy + 12,
        lambda nth, minute: {"output": (ENGLISH if minute < healthy else OTHER)[nth % 2]},
        ON_TEXTS,
        a_minute,
    )
    assert transitions
    for transition in transitions:
        evidence = transition["evidence"]
        assert evidence["metric"] == "output_text"
        assert evidence["n"] <= evidence["window_s"] / 60 * a_minute < evidence["reference_n"]
