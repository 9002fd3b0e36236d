"""`above: budget` is the latency budget of the feature itself."""

from __future__ import annotations

from typing import Any

import pytest

from monitor.config_check import faults_of
from monitor.reports.plot_panels import limits_of
from schemas.config.monitor_config import Config
from tests.monitor import restarted_watch
from tests.monitor.event_values import event


def config(on: str = "duration_s.p90", **feature: Any) -> Config:
    """A configuration with one rule on the budget and one feature."""
    return Config.model_validate(
        {
            "features": [{"match": "bot/*", **feature}],
            "rules": [{"name": "slow", "on": on, "above": "budget", "window": "5m"}],
            "default_rules": False,
            "no_data": {"severity": None},
        }
    )


def firing_transitions(settings: Config, duration_s: float) -> list[dict[str, Any]]:
    """Return the transitions to firing of the feature after ten minutes of calls of this duration."""
    values = [
        event(nth, output=None, duration_s=duration_s, time_to_first_token_s=duration_s) for nth in range(600)
    ]
    fired = restarted_watch.firing_transitions(restarted_watch.alerts_of(values, settings))
    return [record for record in fired if record["level"] == "feature"]


@pytest.mark.parametrize(
    ("interaction", "on", "parameter", "budget_s"),
    [
        ("sync", "duration_s.p90", "sync_s", 3.0),
        ("progressive", "duration_s.p90", "progressive_s", 8.0),
        ("async", "duration_s.p90", "async_s", 60.0),
        ("progressive", "time_to_first_token_s.p90", "first_token_s", 2.0),
    ],
)
def test_a_rule_above_budget_uses_the_configured_budget_of_the_feature(
    interaction: str, on: str, parameter: str, budget_s: float
) -> None:
    settings = config(on, interaction=interaction, evaluators=[{"latency": {parameter: budget_s}}])
    assert faults_of(settings) == []
    assert firing_transitions(settings, 0.9 * budget_s) == []
    (transition,) = firing_transitions(settings, 1.1 * budget_s)
    assert transition["evidence"]["above"] == budget_s


def test_a_plot_shows_the_configured_budget_of_the_feature() -> None:
    settings = config(interaction="sync", evaluators=["error", {"latency": {"sync_s": 3}}])
    (limit,) = limits_of(settings, "bot", "answer", "production")["duration_s"]
    assert (limit.reading, limit.above) == ("p90", 3.0)


@pytest.mark.parametrize("evaluators", [None, ["error"], ["latency"]])
def test_without_parameters_the_default_budgets_apply(evaluators: list[str] | None) -> None:
    settings = config(interaction="sync", evaluators=evaluators)
    (limit,) = limits_of(settings, "bot", "answer", "production")["duration_s"]
    assert limit.above == 1.0
    (transition,) = firing_transitions(settings, 1.5)
    assert transition["evidence"]["above"] == 1.0


def test_a_feature_without_an_interaction_has_no_budget() -> None:
    settings = config(evaluators=[{"latency": {"sync_s": 3}}])
    assert limits_of(settings, "bot", "answer", "production") == {}
    assert firing_transitions(settings, 100.0) == []
    assert len(faults_of(settings)) == 1


def test_an_invalid_parameter_is_reported_once() -> None:
    settings = config(interaction="sync", evaluators=[{"latency": {"sync_s": -1}}])
    (fault,) = faults_of(settings)
    assert fault.startswith("features[0]: evaluator latency: parameter sync_s")
