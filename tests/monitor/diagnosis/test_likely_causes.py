"""Likely causes in a page: true, in words, and the same after restarts."""

from __future__ import annotations

import doctest
import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

from monitor.protocol.messages import FileRecord
from monitor.watch import Watch
from monitor.wording import next_steps
from schemas.config.monitor_config import Config
from schemas.records import Episode
from tests.monitor.event_values import event
from tests.monitor.restarted_watch import run_watch

ROOT = Path(__file__).parents[3]
MINUTE_US = 60_000_000
REFUSED = "I'm sorry, but I can't help with that."
V8 = "new prompt version v8: in use since 10:02 UTC, when this began"
SERVED = "the provider serves another model than before, gpt-n (a silent change)"


def scene(fields_of: Any, minutes: int = 76, a_minute: int = 40) -> list[bytes]:
    rng = random.Random(1)
    return [event(nth * 60 / a_minute, **fields_of(nth / a_minute, rng)) for nth in range(minutes * a_minute)]


def episodes(messages: list[tuple[str, bytes]]) -> list[Episode]:
    return [
        Episode.model_validate_json(value)
        for topic, value in messages
        if topic == "alerts" and b'"record":"episode"' in value
    ]


def causes_of(values: list[bytes]) -> list[str]:
    """Return the causes in the records of the first episode, each once."""
    records = episodes(run_watch(values))
    assert records, "nothing was opened"
    return list(
        dict.fromkeys(
            cause for item in records if item.episode_id == records[0].episode_id for cause in item.causes
        )
    )


def text(failing: bool) -> str:
    return REFUSED if failing else "It ships on Tuesday."


def failing(when: bool, error: str) -> dict[str, Any]:
    return {"output": None, "error_type": error} if when else {}


def test_a_failing_prompt_version_introduced_just_before_is_a_likely_cause_with_its_time() -> None:
    assert causes_of(
        scene(
            lambda m, rng: {
                "prompt_version": "v8" if m >= 62 else "v7",
                "output": text(m >= 62 and rng.random() < 0.3),
            }
        )
    ) == [V8]


def test_a_version_in_a_dimension_is_a_likely_cause_too() -> None:
    config = Config.model_validate({"features": [{"dimensions": ["service_version"]}]})
    values = scene(
        lambda m, rng: {
            "dimensions": {"service_version": "2.1" if m >= 62 else "2.0"},
            "output": text(m >= 62 and rng.random() < 0.3),
        }
    )
    out = Watch(config).apply([FileRecord(value, nth) for nth, value in enumerate(values)])
    causes = episodes([(topic, message.value) for topic, message in out.order])
    assert causes[0].causes[0].startswith("new service version 2.1: in use since 10:02 UTC")


def test_a_service_version_introduced_just_before_is_a_likely_cause_and_not_a_drift() -> None:
    values = scene(
        lambda m, rng: {
            "service_version": "2.1" if m >= 62 else "2.0",
            "output": text(m >= 62 and rng.random() < 0.3),
        }
    )
    assert causes_of(values)[0] == "new service version 2.1: in use since 10:02 UTC, when this began"
    healthy = scene(lambda m, rng: {"service_version": "2.1" if m >= 62 else "2.0", "output": text(False)})
    out = Watch(Config()).apply([FileRecord(value, nth) for nth, value in enumerate(healthy)])
    assert episodes([(topic, message.value) for topic, message in out.order]) == []
    last = json.loads([message.value for topic, message in out.order if topic == "windows"][-1])
    assert last["metrics"]["service_version"]["counts"].keys() == {"2.1"}


def test_a_service_version_of_few_calls_is_not_a_likely_cause() -> None:
    values = scene(
        lambda m, rng: {
            "service_version": "2.1" if m >= 62 and rng.random() < 0.3 else "2.0",
            "output": text(m >= 64 and rng.random() < 0.3),
        }
    )
    assert not [item for item in causes_of(values) if "service version" in item]


@pytest.mark.parametrize(
    ("why", "fields_of"),
    [
        (
            "the old version fails as much",
            lambda m, rng: {
                "prompt_version": "v8" if m >= 62 and rng.random() < 0.5 else "v7",
                "output": text(m >= 66 and rng.random() < 0.3),
            },
        ),
        (
            "it came an hour before",
            lambda m, rng: {
                "prompt_version": "v8" if m >= 20 else "v7",
                "output": text(m >= 66 and rng.random() < 0.3),
            },
        ),
        (
            "the feature began with it",
            lambda m, rng: {
                "prompt_version": "v8" if m >= 60 else "v7",
                "feature": "answer" if m >= 52 else "else",
                "output": text(m >= 66 and rng.random() < 0.4),
            },
        ),
        (
            "hardly anything uses it",
            lambda m, rng: {
                "prompt_version": "v8" if (new := m >= 62 and rng.random() < 0.03) else "v7",
                "output": text(m >= 66 and (new or rng.random() < 0.3)),
            },
        ),
        (
            "each call has its own",
            lambda m, rng: {"prompt_version": f"v{m // 4}", "output": text(m >= 66 and rng.random() < 0.3)},
        ),
    ],
)
def test_an_unrelated_change_is_not_a_likely_cause(why: str, fields_of: Any) -> None:
    assert not [item for item in causes_of(scene(fields_of)) if "prompt version" in item], why


def test_why_calls_fail_is_not_said_of_a_page_for_refusals_as_well() -> None:
    def fields_of(m: float, rng: random.Random) -> dict[str, Any]:
        refused = m >= 66 and rng.random() < 0.5
        return {"output": text(refused)} | failing(m >= 62 and rng.random() < 0.3, "http_500")

    records = episodes(run_watch(scene(fields_of)))
    by_refusals = {
        any("refusal" in finding.metric for item in record.incidents for finding in item.evidence.findings): (
            record.causes
        )
        for record in records
        if record.urgency == "high"
    }
    assert by_refusals == {
        False: ["the provider does not answer, or fails: 100 % of the errors are http_500"],
        True: [],
    }


def test_a_provider_outage_names_the_most_frequent_error_and_its_models() -> None:
    every = causes_of(
        scene(lambda m, rng: {"model": rng.choice("ab")} | failing(m >= 66 and rng.random() < 0.3, "timeout"))
    )
    assert every == [
        "the provider does not answer, or fails: 100 % of the errors are timeout, with every model"
    ]
    causes = causes_of(
        scene(
            lambda m, rng: (
                {"model": (model := rng.choice("ab"))}
                | failing(model == "a" and m >= 66 and rng.random() < 0.5, "rate_limit")
            )
        )
    )
    assert causes == ["the provider limits our calls: 100 % of the errors are rate_limit, only with model a"]


def test_a_different_answering_model_is_a_silent_change_unless_it_was_requested() -> None:
    def longer(m: float, rng: random.Random, model: str) -> dict[str, Any]:
        tokens = round(rng.lognormvariate(5, 0.4) * (1.8 if m >= 66 else 1))
        return {
            "model": model if m >= 66 else "m",
            "response_model": "gpt-n" if m >= 66 else "gpt-o",
            "output_tokens": tokens,
        }

    assert (
        causes_of(scene(lambda m, rng: longer(m, rng, "m")))[0]
        == f"{SERVED}: in use since 10:06 UTC, 1 min before this began"
    )
    assert causes_of(scene(lambda m, rng: longer(m, rng, "n"))) == [
        "new model n: in use since 10:06 UTC, 3 min before this began"
    ]


def test_longer_answers_with_more_tool_calls_are_reported_as_a_loop_or_an_injection() -> None:
    def fields_of(m: float, rng: random.Random) -> dict[str, Any]:
        return {
            "output_tokens": round(rng.lognormvariate(5, 0.4) * (3 if m >= 66 else 1)),
            "tool_calls": rng.choice([1, 2, 3]) * (6 if m >= 66 else 1),
        }

    assert causes_of(scene(fields_of)) == [
        "a loop or an injection: answers became longer, with more tool calls"
    ]


def test_a_fallback_in_use_is_a_likely_cause() -> None:
    assert causes_of(
        scene(lambda m, rng: {"fallback": "model" if m >= 66 and rng.random() < 0.5 else None})
    ) == ["a fallback has taken over from the first choice"]


def test_causes_survive_restarts_and_the_roll_up_of_panes() -> None:
    """The refusals last until the hour of the release of v8 is rolled up; then a second failure starts."""

    def fields_of(m: float, rng: random.Random) -> dict[str, Any]:
        return {
            "prompt_version": "v8" if m >= 62 else "v7",
            "output": text(m >= 62 and rng.random() < 0.3),
            "response_model": "n" if m >= 66 else "o",
        } | failing(m >= 245 and rng.random() < 0.5, "timeout")

    values = scene(fields_of, minutes=255, a_minute=20)
    whole = run_watch(values)
    causes = [episode.causes for episode in episodes(whole)]
    assert causes[0][0] == V8
    assert (
        causes[-1][0]
        == "new prompt version v8: first seen between 10:00 and 11:00 UTC, about when this began"
    )
    assert run_watch(values, 20, every=7) == whole


def test_a_record_of_an_older_release_without_causes_is_read(episode_of: Any) -> None:
    old = {
        name: value for name, value in json.loads(episode_of().model_dump_json()).items() if name != "causes"
    }
    assert Episode.model_validate_json(json.dumps(old)).causes == []


def test_each_next_step_is_reachable_and_its_examples_pass() -> None:
    assert doctest.testmod(next_steps).failed == 0
    for prefix, advice in next_steps._NEXT_STEPS:
        assert next_steps.next_step_for(prefix, "") == advice, f"an earlier prefix hides {prefix}"


def test_commands_and_pages_named_by_next_steps_exist() -> None:
    operations = (ROOT / "docs/operations.md").read_text("utf-8")
    advice = [
        *(text for _, text in next_steps._NEXT_STEPS),
        *next_steps._SELF_HEALTH_NEXT_STEPS.values(),
    ]
    commands = {command for text in advice for command in re.findall(r"python -m [a-z -]*[a-z]", text)}
    assert {"python -m agents deadletters", "python -m agents test-alert"} <= commands
    assert [
        command
        for command in commands
        if not re.search(rf"^{command}( +[a-z0-9.]* |  | --|$)", operations, re.MULTILINE)
    ] == []
    documents = {path for text in advice for path in re.findall(r"docs/\w+\.md", text)}
    assert documents
    assert [path for path in documents if not (ROOT / path).exists()] == []
