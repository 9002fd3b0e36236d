"""The section `gates`."""

import pytest
from pydantic import ValidationError

from schemas.config.gates import Gate
from schemas.config.monitor_config import Config

GATE = {"name": "g", "feature": "bot/answer"}


def test_a_gate_needs_its_name_and_its_feature_only():
    gate = Gate.model_validate(GATE)
    assert (gate.by, gate.least_time, gate.longest_time, gate.metrics) == (
        "prompt_version",
        1800,
        259_200,
        None,
    )


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"feature": "answer"}, "write service/feature"),
        ({"feature": "bot/*"}, "write service/feature"),
        ({"least_time": "3d"}, "is not below longest_time"),
        ({"stable": "p1", "canary": "p1"}, "name two versions"),
        ({"pair": "90s"}, "whole number of minutes"),
        ({"metrics": [{"metric": "pass_rate"}, {"metric": "pass_rate"}]}, "stands twice"),
        ({"metrics": [{"metric": "evaluator.*.fail_rate"}]}, "is no metric"),
        ({"metrics": [{"metric": "pass_rate", "margin": 0.1, "margin_share": 0.1}]}, "keep one"),
    ],
)
def test_a_gate_that_cannot_decide_is_refused_with_its_remedy(keys, message):
    with pytest.raises(ValidationError, match=message.replace("*", r"\*")):
        Gate.model_validate(GATE | keys)


def test_two_gates_need_two_names():
    with pytest.raises(ValidationError, match="stands twice"):
        Config.model_validate({"gates": [GATE, GATE]})
