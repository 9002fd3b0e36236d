"""A rule with a fixed threshold on a judge decides on the true rate, corrected for the errors of the judge."""

from __future__ import annotations

import json

import pytest

from monitor.protocol.messages import FileRecord
from monitor.stats.judge_agreement import Matrix
from monitor.stats.judge_correction import JudgeCorrection
from monitor.watch import Watch
from schemas.config.monitor_config import Config
from tests.monitor.event_values import ANSWER, time_of
from tests.monitor.judging.test_trust import judge

METRIC = "evaluator.grounded.fail_rate"
RULE = {"name": "grounded", "on": METRIC, "window": "5m", "min_events": 50, "severity": "error"}
# Sensitivity 0.8 and specificity 0.97 at 3 % failures: the judge alone says 5.3 %.
CAREFUL = JudgeCorrection(Matrix(900, 1100, 13, 1987), (20_000.0, 1060.0)).text()


def verdicts(failed_of_1000, labels=CAREFUL, *, seconds=1800, evaluator="grounded"):
    for number in range(seconds * 5):
        event = {
            "kind": "evaluation",
            "event_id": f"v{number}",
            "response_id": f"r{number}",
            "time": time_of(number / 5),
            "service": ANSWER.service,
            "feature": ANSWER.feature,
            "model": "m",
            "evaluator": evaluator,
            "evaluator_version": "abc",
            "judge_labels": labels,
            "passed": number * 7919 % 1000 >= failed_of_1000,
        }
        yield FileRecord(json.dumps(event).encode(), 2 * number)
        if number % 25 == 0:  # a feature without responses is not watched
            names = ("time", "service", "feature", "model")
            response = {name: event[name] for name in names} | {"event_id": event["response_id"]}
            yield FileRecord(json.dumps({**response, "output": "Yes."}).encode(), 2 * number + 1)


def watched(records, *rules, objectives=()):
    config = Config.model_validate(
        {"judges": [judge()], "rules": list(rules), "objectives": list(objectives)}
    )
    watch = Watch(config)
    return watch, watch.apply(list(records))


def fired(outputs, rule="grounded"):
    return [
        record
        for record in outputs.records.get("alerts", ())
        if getattr(record, "rule", "") == rule and getattr(record, "state", "") == "firing"
    ]


def test_the_errors_of_a_judge_page_nobody():
    rule = {**RULE, "above": 0.04, "window": "30m"}
    assert fired(watched(verdicts(53, labels=""), rule)[1])  # the judged rate is above the threshold
    assert not fired(watched(verdicts(53), rule)[1])


def test_a_true_rate_above_the_threshold_pages_with_the_corrected_figures():
    _, outputs = watched(verdicts(400), {**RULE, "above": 0.1})
    evidence = fired(outputs)[0].evidence
    assert evidence.above == 0.1 < evidence.low < evidence.value < evidence.high
    assert evidence.value == pytest.approx((0.4 + 0.972 - 1) / (0.78 + 0.972 - 1), rel=0.2)


def test_a_judge_that_misses_failures_pages_although_its_own_rate_is_below_the_threshold():
    lenient = JudgeCorrection(Matrix(1900, 100, 400, 1600), (20_000.0, 2000.0)).text()
    rule = {**RULE, "above": 0.14, "window": "30m"}
    assert not fired(watched(verdicts(100, labels=""), rule)[1])
    (first, *_) = fired(watched(verdicts(100, labels=lenient), rule)[1])
    assert first.evidence.value > 0.2


def test_few_labels_give_a_wide_interval_and_no_page():
    few = JudgeCorrection(Matrix(5, 5, 1, 9), (20_000.0, 8000.0)).text()
    assert not fired(watched(verdicts(400, labels=few), {**RULE, "above": 0.3})[1])


def test_a_window_has_the_judged_and_the_true_rate():
    _, outputs = watched(verdicts(53, seconds=300), {**RULE, "above": 0.5})
    features = [record for record in outputs.records["windows"] if record.level == "feature"]
    segments = [record for record in outputs.records["windows"] if record.level == "segment"]
    corrected = features[-1].metrics[METRIC]["corrected"]
    assert corrected["labels"] == [900, 1100, 13, 1987]
    assert corrected["judged"] == [20_000, 1060]
    assert corrected["low"] <= corrected["value"] <= corrected["high"]
    assert all("corrected" not in record.metrics[METRIC] for record in segments)


def test_labels_survive_a_restart_and_belong_to_configured_judges_only():
    watch, _ = watched(verdicts(53, seconds=60), {**RULE, "above": 0.5})
    watch.apply(list(verdicts(53, seconds=2, evaluator="other")))
    copy = Watch(Config(judges=(judge(),)))
    copy.restore((key, value) for key, value in watch.changed() if value is not None)
    assert copy.partition_state.evaluators == watch.partition_state.evaluators
    assert "other#labels" not in copy.partition_state.evaluators[ANSWER]
    assert copy.partition_state.evaluators[ANSWER]["grounded#labels"] == (CAREFUL, 0)


@pytest.mark.parametrize("labels", ["x", "1 2 3", "1 2 3 4 5 nan", "-1 0 0 0 5 1", "0 0 0 0 5 6"])
def test_labels_that_cannot_be_read_change_nothing(labels):
    watch, outputs = watched(verdicts(400, labels=labels), {**RULE, "above": 0.1})
    assert fired(outputs)
    assert "grounded#labels" not in watch.partition_state.evaluators[ANSWER]
