"""A new evaluator is one class and one line of ``EVALUATORS``: everything else follows from the class."""

from __future__ import annotations

import json
from typing import Annotated, Any

import pytest
from pydantic import Field

from monitor.backtest.event_files import FileRecord
from monitor.config_check import load_checked_config
from monitor.evaluators import EVALUATORS
from monitor.evaluators.interface import Evaluator, Parameters
from monitor.evaluators.verdict import PASSED, SKIPPED_NO_TEXT, failed
from monitor.watch import Watch
from monitor.wording.finding_text import measure
from monitor.wording.next_steps import next_step_for
from schemas.evidence_record import Evidence


class ShoutingParameters(Parameters):
    """Share of capitals, 0 to 1, from which an answer shouts."""

    share: Annotated[float, Field(gt=0, le=1)] = 0.5


class ShoutingEvaluator(Evaluator):
    """Fails when most letters of an answer are capitals."""

    name = "shouting"
    reads_text = True
    parameters_model = ShoutingParameters
    parameters: ShoutingParameters
    failure_text = "answers shouted"
    next_step = "Read the loud answers."
    signals_loop = True
    signals_provider_fault = True

    def __call__(self, event: Any, hits: Any) -> Any:
        """Fail when the share of capitals reaches the parameter."""
        letters = [mark for mark in event.output or "" if mark.isalpha()]
        if not letters:
            return SKIPPED_NO_TEXT
        share = sum(mark.isupper() for mark in letters) / len(letters)
        return failed(f"{share:.0%} capitals", share) if share >= self.parameters.share else PASSED


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setitem(EVALUATORS, "shouting", ShoutingEvaluator)


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "softfail.yaml"
    path.write_text(
        json.dumps(
            {
                "features": [{"match": "*", "evaluators": [{"shouting": {"share": 0.8}}]}],
                "rules": [
                    {"name": "loud", "on": "evaluator.shouting.fail_rate", "above": 0.2, "severity": "error"}
                ],
            }
        )
    )
    return load_checked_config(path)


def event(number: int, output: str) -> dict[str, Any]:
    second = number * 2
    return {
        "event_id": str(number),
        "time": f"2026-03-02T{9 + second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}Z",
        "service": "shop",
        "feature": "chat",
        "model": "m",
        "output": output,
    }


def test_a_new_evaluator_is_configured_counted_stored_and_paged_with_its_own_texts(config):
    watch = Watch(config)
    lines = [event(number, "NO WAY" if number % 2 else "Gladly.") for number in range(600)]
    alerts = [
        json.loads(message.value)
        for message in watch.apply(
            [FileRecord(json.dumps(line).encode(), number) for number, line in enumerate(lines)]
        ).messages["alerts"]
    ]
    episode = next(record for record in alerts if record["record"] == "episode")
    assert {incident["rule"] for incident in episode["incidents"]} >= {"loud"}

    restored = Watch(config)
    restored.restore(watch.changed())
    figures = [measure for measure in watch.measures() if "shouting" in measure.labels]
    assert {measure.name for measure in figures} >= {
        "softfail_evaluator_fail_rate",
        "softfail_verdicts_total",
    }
    assert [measure for measure in restored.measures() if "shouting" in measure.labels] == figures


def test_the_failure_text_and_the_next_step_come_from_its_class():
    evidence = Evidence(
        metric="evaluator.shouting.fail_rate", value=0.5, low=0.4, high=0.6, n=300, window_s=300, above=0.2
    )
    assert measure(evidence, interval=False) == "50 % of answers shouted (should stay under 20 %)"
    assert next_step_for("evaluator.shouting.fail_rate", "loud") == "Read the loud answers."
