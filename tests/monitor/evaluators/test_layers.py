"""Each evaluator has its layer."""

from __future__ import annotations

import json

import pytest

from monitor.evaluators.layers import LAYERS, layer_of_evaluator, unlisted
from monitor.evaluators.suite import Suite
from monitor.evaluators.verdict import State
from tests.monitor.evaluators.test_examples import FOLDER


def test_each_evaluator_has_a_line_with_its_layer():
    assert unlisted() == set()
    assert {layer_of_evaluator(name) for name in ("pii", "json", "echo")} <= set(LAYERS)


@pytest.mark.parametrize("path", sorted((FOLDER / "unseen").glob("*.ndjson")), ids=lambda path: path.stem)
def test_other_wordings_raise_at_most_one_false_alarm(path, response):
    name, alarms = path.stem.removesuffix("_2"), 0
    for line in path.read_text("utf-8").splitlines():
        fields = json.loads(line)
        fails, parameters = fields.pop("fails"), fields.pop("parameters", {})
        suite = Suite.from_settings([{name: parameters}])
        verdict = dict(zip(suite.names, suite.judge(response(**fields)), strict=True))[name]
        alarms += verdict.state == State.FAILED and fails is not True
    assert alarms <= 1
