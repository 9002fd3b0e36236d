from __future__ import annotations

import inspect
import random
from types import SimpleNamespace

import msgspec
import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.evaluators import EVALUATORS
from monitor.evaluators.configured import EvaluatorSetting, parse_setting
from monitor.evaluators.interface import Evaluator
from monitor.evaluators.label_cache import MAX_COMBINATIONS
from monitor.evaluators.re2_patterns import search_set
from monitor.evaluators.suite import DEFAULT_EVALUATORS, Suite, suite_for
from monitor.evaluators.text_scan import HEAD_CHARS, TAIL_CHARS, text_to_scan
from monitor.evaluators.verdict import PASSED, State, Verdict
from monitor.normal_form.response import normal_form
from schemas.event_decoder import decode
from tests.tiers import examples

REQUIRED = {"json_schema": {"schema": {"type": "object"}}}
ALL = [{name: REQUIRED.get(name, {})} for name in EVALUATORS]
SUITE = Suite.from_settings(ALL)
LIMITED = [{"length": {"min_chars": 2, "max_chars": 40}} if "length" in item else item for item in ALL]
# interaction of the configuration -> the suite, with and without what a configuration can add, and its
# evaluators
TOGETHER = {
    interaction: (
        Suite.from_settings(chosen, interaction=interaction or None),
        [parse_setting(item).build(interaction or None) for item in chosen],
    )
    for interaction, chosen in (("", ALL), ("sync", LIMITED))
}

optional_count = st.none() | st.integers(0, 10**9)
fragments = st.sampled_from(
    [
        "I can't help with that.",
        "As an AI, I don't have opinions.",
        "{{name}}",
        "<|im_end|>",
        '{"error": {"message": "x"}}',
        "```",
        "Traceback (most recent call last):",
        "Dabei kann ich nicht helfen.",
        "\ud800",
        "\x00",
        "“",
        "but ",
        "Sorry, ",
        "\n",
        "\u200b",
        "Name: ",
        "lorem ipsum dolor",
        "很抱歉，我无法协助",
        "(D). Refused",
        '{"name": "x", "arguments": 1, "function": []}',
        '{"error": [[]]}',
    ]
)
ends_in_loop = st.builds(
    lambda part, times: part * times, st.text(min_size=1, max_size=9), st.integers(0, 90)
)
texts = (
    st.lists(fragments | st.text(max_size=30), max_size=6).map("".join)
    | ends_in_loop
    | st.sampled_from(
        [
            '{"name": "x", "arguments": 1, "function": []}',
            '{"error": [[]]}',
            '{"type": 1, "function": {}}',
            '["name"]',
            "[[[[",
            '["I cannot help with \\ud800 that, sorry"]',
        ]
    )
)
events = st.fixed_dictionaries(
    {
        "output": st.none() | texts,
        "input": st.none() | texts,
        "output_chars": optional_count,
        "output_tokens": optional_count,
        "reasoning_tokens": optional_count,
        "tool_calls": optional_count,
        "finish_reason": (
            st.sampled_from(["", "stop", "length", "tool_calls", "content_filter", "SAFETY"])
            | st.text(max_size=12)
        ),
        "error_type": st.sampled_from(["", "", "", "timeout", "rate_limit"]),
        "provider": st.sampled_from(["", "openai", "anthropic", "gcp.vertex_ai", "Gemini"]),
        "outcome": st.sampled_from([None, "ok", "parse_error", "schema_error"]),
        "guardrail": st.sampled_from([None, "none", "flagged", "blocked"]),
        "interaction": st.sampled_from([None, "sync", "progressive", "async"]),
        "duration_s": st.none() | st.floats(0, 1e7),
        "time_to_first_token_s": st.none() | st.floats(0, 1e7),
        "context": st.none() | st.text(max_size=40),
        "input_tokens": st.none() | st.integers(0, 10**9),
        "cost_usd": st.none() | st.floats(0, 1e6),
        "cold_start": st.none() | st.booleans(),
        "stages_s": st.dictionaries(st.sampled_from(["model", "search"]), st.floats(0, 1e7)),
    }
)


@pytest.mark.parametrize(("name", "kind"), EVALUATORS.items())
def test_every_evaluator_satisfies_the_contract(name, kind):
    assert issubclass(kind, Evaluator)
    assert kind.name == name
    assert kind.__doc__
    assert kind.__call__.__doc__
    assert inspect.getmodule(kind).__name__.startswith("monitor.evaluators.")
    assert kind.version
    assert all(
        model.model_config["frozen"] and model.model_config["extra"] == "forbid"
        for model in [kind.parameters_model]
    )
    search_set(tuple(kind.patterns.values()))


@pytest.mark.parametrize("name", EVALUATORS)
@settings(max_examples=examples(1 / 2))
@given(fields=events)
def test_every_evaluator_is_deterministic_and_never_raises(name, response, fields):
    event = response(**fields)
    before = msgspec.structs.asdict(event)
    suite = Suite.from_settings([{name: REQUIRED.get(name, {})}])
    first, second = suite.judge(event), suite.judge(response(**fields))
    assert first == second
    assert State.ERROR not in [verdict.state for verdict in first], first
    assert msgspec.structs.asdict(event) == before


def asked_one_by_one(evaluators, event):
    """Return the verdict of each evaluator by itself, with the patterns found by RE2's own search: no set, no
    cache.
    """
    event = normal_form(event)
    text = text_to_scan(event.output) if event.output and not event.error_type else ""
    return tuple(
        evaluator(
            event,
            [name for name, pattern in evaluator.patterns.items() if text and re2.search(pattern, text)],
        )
        for evaluator in evaluators
    )


@pytest.mark.parametrize("configured", ["", "sync"])
@given(many=st.lists(events, max_size=8))
def test_judging_a_batch_equals_judging_each_event_with_each_evaluator(response, configured, many):
    suite, evaluators = TOGETHER[configured]
    run = [*(response(**fields) for fields in many), response(finish_reason="timeout")]
    judged = suite.judge_all(run)
    one_by_one = [asked_one_by_one(evaluators, event) for event in run]
    assert [suite.judge(event) for event in run] == one_by_one
    assert judged.codes.shape == (len(run), len(suite.names))
    assert judged.codes.tolist() == [[verdict.state for verdict in row] for row in one_by_one]
    expected = {
        n: [(i, v) for i, v in enumerate(row) if v.state is State.FAILED] for n, row in enumerate(one_by_one)
    }
    assert judged.failures == {n: failures for n, failures in expected.items() if failures}
    assert judged.errors == {}


@pytest.mark.parametrize(
    "evaluator",
    [evaluator for _, evaluators in TOGETHER.values() for evaluator in evaluators],
    ids=lambda item: item.name,
)
@settings(max_examples=examples(1 / 2))
@given(first=events, second=events)
def test_label_verdicts_do_not_depend_on_the_rest_of_the_event(response, evaluator, first, second):
    second |= {name: first[name] for name in evaluator.labels}
    if bool(first["output"]) != bool(second["output"]):
        second["output"] = first["output"]
    event, other = response(**first), response(**second)
    assert evaluator.depends_only_on_labels(event) == evaluator.depends_only_on_labels(other)
    if evaluator.depends_only_on_labels(event):
        assert evaluator(event, ()) == evaluator(other, ())


@settings(max_examples=examples(1 / 2))
@given(fields=events)
def test_evaluators_read_no_field_that_these_tests_omit(response, fields):
    assert SUITE.judge(SimpleNamespace(**fields)) == SUITE.judge(response(**fields))


def test_free_text_labels_do_not_grow_the_label_cache(response):
    suite = Suite.from_settings()
    run = [
        response(output="Paris", finish_reason=f"reason {n}", error_type="" if n % 2 else f"error {n}")
        for n in range(3 * MAX_COMBINATIONS)
    ]
    judged = suite.judge_all(run)
    assert sorted(judged.failures) == list(range(0, 3 * MAX_COMBINATIONS, 2))
    assert judged.failures[2 * MAX_COMBINATIONS] == [
        (0, Verdict(State.FAILED, f"error {2 * MAX_COMBINATIONS}"))
    ]
    assert len(suite._cache._facts) <= MAX_COMBINATIONS


def test_an_exception_in_an_evaluator_is_an_error_verdict_and_the_other_evaluators_continue(response):
    class Broken(Evaluator):
        """Breaks."""

        name = "broken"

        def __call__(self, event, hits):
            """Breaks."""
            raise KeyError("gone")

    suite = Suite([Broken(), EVALUATORS["error"]()])
    assert suite.judge(response()) == (Verdict(State.ERROR, "KeyError: 'gone'"), PASSED)
    judged = suite.judge_all([response()])
    assert judged.errors == {0: [(0, Verdict(State.ERROR, "KeyError: 'gone'"))]}
    assert not judged.failures


def test_events_of_the_exact_and_the_fast_decoder_are_judged_equally(response):
    line = (
        b'{"event_id":"1","time":"2026-03-02T09:00:00Z","service":"s","feature":"f","model":"m","output":"I'
        b" can't help with that.\"}"
    )
    slow = line.replace(b"2026-03-02T09", b"2026-03-02 09")
    assert SUITE.judge(decode(line)) == SUITE.judge(decode(slow))


def test_the_default_suite_contains_all_evaluators_that_are_not_opt_in():
    suite = Suite.from_settings()
    chosen = {name: kind for name, kind in EVALUATORS.items() if not kind.opt_in}
    assert suite.names == DEFAULT_EVALUATORS == tuple(chosen)
    assert dict(zip(suite.names, suite.gating, strict=True)) == {
        name: kind.gating for name, kind in chosen.items()
    }
    assert dict(zip(suite.names, suite.reads_text, strict=True)) == {
        name: kind.reads_text for name, kind in chosen.items()
    }


def test_error_is_in_every_suite_exactly_once():
    assert Suite.from_settings(["refusal"]).names == ("error", "refusal")
    assert Suite.from_settings(["refusal", "error"]).names == ("refusal", "error")


def test_gating_is_configurable_per_evaluator():
    suite = Suite.from_settings(["refusal", "latency"], {"latency": True, "refusal": False})
    assert suite.gating == (True, False, True)


def test_the_version_changes_with_the_parameters():
    def version(value, interaction=None):
        return Suite.from_settings([value], interaction=interaction).versions[1]

    assert version("length") == version({"length": {}})
    assert version({"length": {"max_chars": 1}}) != version({"length": {"max_chars": 2}})
    assert version("latency") != version("latency", "sync")
    assert version({"json_schema": {"schema": {"type": "object"}}}) != version(
        {"json_schema": {"schema": {"type": "array"}}}
    )
    assert version("refusal").startswith("refusal@2+")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("lenght", "evaluator 'lenght' is unknown; did you mean 'length'?; there are error, "),
        (3, "an evaluator is a name, or {name: {parameter: value}}; got 3"),
        ({"length": {}, "refusal": {}}, "an evaluator is a name"),
        (
            {"length": {"max": 3}},
            (
                "evaluator length: parameter 'max' is unknown; did you mean 'max_chars'?; valid are"
                " min_chars, max_chars"
            ),
        ),
        (
            {"length": {"max_chars": "3"}},
            "evaluator length: parameter max_chars: must be a whole number; got '3'",
        ),
        (
            {"length": {"min_chars": 3, "max_chars": 2}},
            "evaluator length: min_chars 3 is above max_chars 2",
        ),
        ({"length": 5}, "evaluator length: parameters are a mapping, like {length: {min_chars: ...}}; got 5"),
        ({"refusal": {"x": 1}}, "evaluator refusal: parameter 'x' is unknown; it has none"),
        ("json_schema", "evaluator json_schema: needs `schema` (a JSON Schema object) or `file`"),
        ({"json_schema": {"file": "a.json"}}, "evaluator json_schema: file 'a.json' has not been read"),
        (
            {"json_schema": {"schema": {"type": "objekt"}}},
            "evaluator json_schema: schema: not a JSON Schema at $.type: ",
        ),
        (
            {"json_schema": {"schema": {"$ref": "other.json"}}},
            "evaluator json_schema: schema: $ref 'other.json' points outside",
        ),
        ({"latency": {"sync_s": 0}}, "evaluator latency: parameter sync_s: "),
    ],
)
def test_an_invalid_setting_is_explained(value, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the message is compared below
        parse_setting(value)
    assert str(caught.value).startswith(message)


def test_a_schema_loaded_from_a_file_is_used():
    assert isinstance(
        parse_setting({"json_schema": {"file": "a.json", "schema": {"type": "object"}}}), EvaluatorSetting
    )


@pytest.mark.parametrize(
    ("evaluators", "gating", "message"),
    [
        (["length", {"length": {}}], {}, "evaluator length is named 2 times"),
        (
            ["length"],
            {"lenght": True},
            (
                "gating: 'lenght' is not among this feature's evaluators; did you mean 'length'?; they are"
                " error, length"
            ),
        ),
    ],
)
def test_an_invalid_suite_is_explained(evaluators, gating, message):
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        Suite.from_settings(evaluators, gating)


def test_the_suite_of_a_feature_follows_its_configuration():
    chosen = SimpleNamespace(evaluators=("length",), gating={"length": True}, interaction="sync")
    config = SimpleNamespace(feature=lambda service, feature: chosen)
    assert suite_for(config, "s", "f").gating == (True, True)
    assert suite_for(None, "s", "f").names == DEFAULT_EVALUATORS
    chosen.evaluators = ("nope",)
    with pytest.raises(ValueError, match="s/f: evaluator 'nope' is unknown"):
        suite_for(config, "s", "f")


def test_only_head_and_tail_of_a_long_text_are_read(response):
    draw = random.Random(1)
    words = " ".join("".join(draw.choices("abdeiklnorst", k=draw.randrange(3, 9))) for _ in range(4_000))
    refusing = response(output="I can't help with that. " + "Do not steal. It is wrong and illegal. " * 3000)
    assert SUITE.judge(refusing)[SUITE.names.index("refusal")].state is State.FAILED
    for output in (f"{words} <|im_end|>", f"<|im_end|> {words}"):
        assert SUITE.judge(response(output=output))[SUITE.names.index("known_failure")].state is State.FAILED
    assert text_to_scan(words) == f"{words[:HEAD_CHARS]}\n{words[-TAIL_CHARS:]}"
