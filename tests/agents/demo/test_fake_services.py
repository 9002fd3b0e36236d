from __future__ import annotations

import json
import random

from agents.demo import sample_texts
from agents.demo.fake_services import TRAFFIC
from agents.demo.processes import configuration, environment, pass_rates
from monitor.evaluators.suite import Suite
from schemas.config.load import load
from schemas.event_decoder import decode

BASE = {
    "event_id": "1",
    "time": "2026-03-02T09:00:00Z",
    "service": "s",
    "feature": "f",
    "model": "m",
    "finish_reason": "stop",
    "output_tokens": 30,
}


def test_every_feature_has_texts_without_placeholders():
    assert set(TRAFFIC) == set(sample_texts.FEATURES)
    draw = random.Random(1)
    for feature in TRAFFIC:
        for _ in range(50):
            assert not {"{", "}"} & set("".join(sample_texts.exchange(feature, draw)))


def test_every_refusal_is_detected_and_no_answer_fails_a_gating_evaluator():
    suite, draw = Suite.from_settings(), random.Random(1)
    exchanges = [
        sample_texts.exchange(feature, draw) for feature in sample_texts.FEATURES for _ in range(200)
    ]
    exchanges += [(exchanges[0][0], refusal) for refusal in sample_texts.REFUSALS]
    events = [
        decode(json.dumps(BASE | {"input": question, "output": answer}).encode())
        for question, answer in exchanges
    ]
    failed = {
        index: {suite.names[index] for index, _ in indices_and_reasons if suite.gating[index]}
        for index, indices_and_reasons in suite.judge_all(events).failures.items()
    }
    assert {index: names for index, names in failed.items() if names} == {
        index: {"refusal"} for index in range(len(events) - len(sample_texts.REFUSALS), len(events))
    }


def test_the_worker_configuration_is_valid_and_unaffected_by_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("SOFTFAIL_KAFKA__BROKERS", "elsewhere:9092")
    file = tmp_path / "softfail.yaml"
    file.write_text(json.dumps(configuration("127.0.0.1:9999", 6066, "http://127.0.0.1:1/v2/enqueue")))
    config = load(file, environment("0123456789abcdef0123456789abcdef"))
    assert config.kafka.brokers == "127.0.0.1:9999"
    assert config.channels.names() == ("pagerduty",)


def test_pass_rates_are_read_at_the_feature_level_only():
    text = (
        '# HELP softfail_pass_rate x\nsoftfail_pass_rate{level="feature",service="s",feature="f",model=""}'
        ' 0.5\nsoftfail_pass_rate{level="segment",service="s",feature="f",model="m"}'
        ' 0.1\nsoftfail_error_rate{level="feature",service="s",feature="f"} 0.2\n'
    )
    assert pass_rates(text) == {"s/f": 0.5}
    assert pass_rates("") == {}
