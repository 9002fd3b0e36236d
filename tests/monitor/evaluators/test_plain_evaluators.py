from __future__ import annotations

import pytest

from monitor.evaluators.suite import Suite
from monitor.evaluators.verdict import State

P, F, S = State.PASSED, State.FAILED, State.SKIPPED

ERROR = [
    ({}, P),
    ({"error_type": "timeout"}, F),
    ({"finish_reason": "stop"}, P),
    ({"finish_reason": "zorp"}, P),
    ({"finish_reason": "USER_CANCEL"}, P),
    ({"finish_reason": "insufficient_system_resource", "output": "It ships on Tu"}, F),
    ({"finish_reason": '["error"]'}, F),
]
OUTCOME = [
    ({}, S),
    ({"outcome": "ok"}, P),
    ({"outcome": "parse_error"}, F),
    ({"outcome": "schema_error"}, F),
    ({"outcome": "downstream_error"}, F),
]
EMPTY = [
    ({"output": "\U000e0041\U000e007f"}, F),
    ({"output": "\x01\x7f\ufe0e\u180b"}, F),
    ({"output": "```json\n\n```"}, F),
    ({"output": "<p> </p>"}, F),
    ({"output": "&nbsp;<br/>"}, F),
    ({"output": "```\n0\n```"}, P),
    ({"output": "\U0001f3f4\U000e0067\U000e0062\U000e007f"}, P),
    ({"output": "", "finish_reason": "requires_action"}, P),
    ({"output": "Paris"}, P),
    ({"output": " \n Paris"}, P),
    ({"output": "。"}, P),
    ({"output": "🙂"}, P),
    ({"output": ""}, F),
    ({"output": " \n\t"}, F),
    ({"output": "\u200b\ufeff\u2060"}, F),
    ({"output": "\u00a0\u3000"}, F),
    ({"output": "", "tool_calls": 1}, P),
    ({"output": " ", "tool_calls": 2}, P),
    ({"output": "", "finish_reason": "tool_calls"}, P),
    ({"output": "", "finish_reason": "tool_use"}, P),
    ({"output": "", "tool_calls": 0}, F),
    ({}, S),
    ({"output_chars": 0}, F),
    ({"output_chars": 12}, P),
    ({"output_tokens": 0}, F),
    ({"output_tokens": 3}, P),
    ({"output_tokens": 900, "reasoning_tokens": 900}, F),
    ({"output_tokens": 900, "reasoning_tokens": 900, "provider": "openai"}, F),
    ({"output_tokens": 900, "reasoning_tokens": 900, "provider": "gcp.vertex_ai"}, P),
    ({"output_tokens": 900, "reasoning_tokens": 900, "provider": "xai"}, P),
    ({"output_tokens": 0, "reasoning_tokens": 900, "provider": "google"}, F),
    ({"output": "<think>Hm.</think>"}, F),
    ({"output": "<think>Hm.", "finish_reason": "tool_use"}, P),
    ({"output": "", "finish_reason": "USER_CANCEL"}, S),
    ({"output": "", "finish_reason": "MALFORMED_FUNCTION_CALL"}, S),
    ({"output_tokens": 0, "tool_calls": 1}, P),
    ({"output": "", "error_type": "timeout"}, S),
]
TRUNCATION = [
    ({}, S),
    ({"output": "and then the"}, S),
    ({"finish_reason": "stop", "output": "Best regards,"}, P),
    ({"finish_reason": "end_turn"}, P),
    ({"finish_reason": "tool_calls"}, P),
    ({"finish_reason": "length"}, F),
    ({"finish_reason": "max_tokens"}, F),
    ({"finish_reason": "MAX_TOKENS"}, F),
    ({"finish_reason": "FinishReason.MAX_TOKENS"}, F),
    ({"finish_reason": "max_output_tokens"}, F),
    ({"finish_reason": "content_filter"}, P),
    ({"finish_reason": "zorp"}, S),
    ({"finish_reason": "maxTokens"}, F),
]
CONTENT_FILTER = [
    ({}, S),
    ({"finish_reason": "stop"}, P),
    ({"finish_reason": "length"}, P),
    ({"finish_reason": "content_filter"}, F),
    ({"finish_reason": "SAFETY"}, F),
    ({"finish_reason": "guardrail_intervened"}, F),
    ({"finish_reason": "sensitive"}, F),
    ({"finish_reason": "refusal"}, F),
    ({"finish_reason": "zorp"}, S),
    ({"finish_reason": "zorp", "guardrail": "none"}, P),
    ({"guardrail": "blocked"}, F),
    ({"guardrail": "blocked", "finish_reason": "stop"}, F),
    ({"guardrail": "flagged"}, P),
    ({"guardrail": "none"}, P),
]
LATENCY = [
    ({}, S),
    ({"duration_s": 3.0}, S),
    ({"interaction": "sync"}, S),
    ({"interaction": "sync", "duration_s": 1.0}, P),
    ({"interaction": "sync", "duration_s": 1.01}, F),
    ({"interaction": "progressive", "duration_s": 4.0, "time_to_first_token_s": 0.4}, P),
    ({"interaction": "progressive", "duration_s": 4.0, "time_to_first_token_s": 0.6}, F),
    ({"interaction": "progressive", "duration_s": 5.1}, F),
    ({"interaction": "progressive", "time_to_first_token_s": 0.1}, S),
    ({"interaction": "async", "duration_s": 19.0}, P),
    ({"interaction": "async", "duration_s": 21.0}, F),
]
TEXTLESS = [({}, S), ({"output": ""}, S), ({"output": "I can't help with that.", "error_type": "timeout"}, S)]


@pytest.mark.parametrize(
    ("name", "fields", "expected"),
    [
        (name, *row)
        for name, table in {
            "error": ERROR,
            "outcome": OUTCOME,
            "empty": EMPTY,
            "truncation": TRUNCATION,
            "content_filter": CONTENT_FILTER,
            "latency": LATENCY,
            "refusal": TEXTLESS,
            "known_failure": TEXTLESS,
        }.items()
        for row in table
    ],
)
def test_an_evaluator_returns_the_verdict_of_its_table(name, fields, expected, response):
    suite = Suite.from_settings([name])
    assert suite.judge(response(**fields))[suite.names.index(name)].state is expected


@pytest.mark.parametrize(
    ("parameters", "fields", "expected", "score"),
    [
        ({}, {"output": "abc"}, S, None),
        ({"min_chars": 2}, {"output": "abc"}, P, 3.0),
        ({"min_chars": 4}, {"output": "abc"}, F, 3.0),
        ({"max_chars": 2}, {"output": "abc"}, F, 3.0),
        ({"max_chars": 2}, {"output_chars": 9}, F, 9.0),
        ({"max_chars": 2}, {}, S, None),
        ({"min_chars": 1}, {"output": "", "error_type": "timeout"}, S, None),
    ],
)
def test_length_judges_only_by_configured_limits(parameters, fields, expected, score, response):
    verdict = Suite.from_settings([{"length": parameters}]).judge(response(**fields))[1]
    assert (verdict.state, verdict.score) == (expected, score)


def test_the_interaction_of_the_event_overrides_the_configured_interaction(response):
    suite = Suite.from_settings(["latency"], interaction="async")
    assert suite.judge(response(duration_s=3.0))[1].state is P
    assert suite.judge(response(duration_s=3.0, interaction="sync"))[1].state is F


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ('{"a": 1}', P),
        ("[1, 2]", P),
        ("3", P),
        ("null", P),
        (' {"a": "ü"}\n', P),
        ("{'a': 1}", F),
        ('{"a": 1,}', F),
        ("NaN", F),
        ('{"a": 1} and more', F),
        ("Sure! {}", F),
        ('```json\n{"a": 1}\n```', F),
        ("[" * 5000, F),
    ],
)
def test_json_answer_accepts_exactly_one_json_value(output, expected, response):
    assert Suite.from_settings(["json"]).judge(response(output=output))[1].state is expected


def test_fenced_json_passes_if_configured(response):
    suite = Suite.from_settings([{"json": {"fenced": True}}])
    assert suite.judge(response(output='```json\n{"a": 1}\n```'))[1].state is P
    assert suite.judge(response(output="```json\nno\n```"))[1].state is F


SCHEMA = {
    "type": "object",
    "properties": {"total": {"type": "number"}},
    "required": ["total"],
    "$defs": {"x": {}},
}


@pytest.mark.parametrize(
    ("output", "expected", "reason"),
    [
        ('{"total": 3}', P, ""),
        ('{"total": "secret text"}', F, "$.total: breaks type: 'number'"),
        ("{}", F, "$: breaks required: ['total']"),
        ("no", F, "not JSON"),
    ],
)
def test_json_schema_names_the_path_and_never_the_text(output, expected, reason, response):
    verdict = Suite.from_settings([{"json_schema": {"schema": SCHEMA}}]).judge(response(output=output))[1]
    assert verdict.state is expected
    assert verdict.reason.startswith(reason)
    assert "secret" not in verdict.reason
