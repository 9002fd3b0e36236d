from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.channels import CHANNELS, configured
from monitor.channels.interface import Delivered, Permanent, Request, Retry, Step
from schemas.config.monitor_config import Channels, Config
from schemas.records import Episode
from tests.monitor.channels.channel_settings import CONFIRMATIONS, REFUSALS, SECRETS, SETTINGS
from tests.tiers import examples

EVERYTHING = Config.model_validate({"channels": SETTINGS})
ALL_SECRETS = [secret for secrets in SECRETS.values() for secret in secrets]
NOW_US = 1_772_500_000_000_000
EACH = pytest.mark.parametrize("name", CHANNELS)


def test_every_configurable_channel_exists_and_every_channel_is_configurable():
    assert list(CHANNELS) == list(Channels.model_fields), (
        "CHANNELS (monitor/channels/__init__.py) and the fields of Channels (schemas/config/channels.py) must"
        " have the same names in the same order"
    )
    assert list(SETTINGS) == list(SECRETS) == list(CONFIRMATIONS) == list(CHANNELS), (
        "SETTINGS, SECRETS and CONFIRMATIONS of tests/monitor/channels/channel_settings.py must have every"
        " channel, in the order of CHANNELS"
    )
    assert [*REFUSALS, "console"] == list(CHANNELS), "REFUSALS must have every channel with a receiver"
    assert list(configured(EVERYTHING)) == list(EVERYTHING.channels.names()) == list(CHANNELS)


@EACH
def test_every_step_has_a_deterministic_request(episode_of, name):
    channel = CHANNELS[name](EVERYTHING)
    assert channel.name == name
    for action in ("trigger", "resolve", "note"):
        for urgency in ("high", "low"):
            for state in ("opened", "updated", "escalated", "resolved"):
                for rules in ((), ("refusals",), ("refusals", "slow")):
                    step = Step(name, "e1", action, urgency, "why", episode_of(state=state, rules=rules))
                    request = channel.request(step, NOW_US)
                    assert isinstance(request, Request)
                    assert request == CHANNELS[name](EVERYTHING).request(step, NOW_US)
                    assert request.body
                    assert request.key == f"{name}/e1"


HIDDEN = "\x1b\x07\x9b\x00\u2028\u202e\u2066\u200e\u061c\u200b\u2060\ufeff\ud800"
MARK = "zqx"  # whatever a channel does to the text around it
_WORDS = {"record", "state", "severity", "urgency", "level", "test"} | {  # words of ours, ids and times
    "episode_id",
    "incident_id",
    "dedup_key",
    "started_at",
    "time",
    "decided_at",
    "since",
    "began",
    "returned",
}


def hostile(value, name=""):
    """Return the JSON value with hidden characters in every string of external origin."""
    if isinstance(value, str):
        return value if name in _WORDS else f"{HIDDEN}<b>{MARK}{value}{HIDDEN}"
    if isinstance(value, dict):
        return {
            (f"{field}{HIDDEN}" if name == "dimensions" else field): hostile(item, field)
            for field, item in value.items()
        }
    return [hostile(item, name) for item in value] if isinstance(value, list) else value


def strings(value):
    """Every string of a JSON value, names of fields included."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for field, item in value.items() for text in (field, *strings(item))]
    return [text for item in value for text in strings(item)] if isinstance(value, list) else []


@EACH
@pytest.mark.parametrize("action", ["trigger", "resolve", "note"])
def test_no_hidden_character_of_a_label_or_an_answer_is_shown(episode_of, name, action):
    plain = episode_of(rules=("refusals", "slow"), reason="why").model_dump(mode="json")
    plain["causes"] = ["a new prompt version"]
    plain["incidents"][1] |= {
        "level": "segment",
        "model": "m",
        "prompt_version": "7",
        "variant": "b",
        "dimensions": {"region": "eu"},
    }
    member = {
        field: plain[field]
        for field in ("episode_id", "service", "feature", "environment", "severity", "started_at")
    }
    members = {"members": [{**member, "state": "firing", "text": "it broke"}], "features": 2, "model": "m"}
    for more in ({}, members):
        episode = Episode.model_validate(hostile(plain | more))
        body = (
            CHANNELS[name](EVERYTHING).request(Step(name, "e1", action, "high", "why", episode), NOW_US).body
        )
        shown = [body.decode()] if name == "console" else strings(_without_the_record(json.loads(body)))
        assert action == "resolve" or any(MARK in text for text in shown), "no text of the episode is shown"
        hidden = [text for text in shown if set(text) & set(HIDDEN)]
        assert not hidden, (
            "sanitize() removes hidden characters; escaping must add none where nothing needs it"
        )


def _without_the_record(payload):
    """A webhook contains the record beside the texts, unchanged: a program compares it with the topic."""
    if isinstance(payload, dict):
        payload.pop("episode", None)
    return payload


@EACH
def test_a_missing_response_is_retried_and_a_confirmation_is_a_delivery(name):
    channel = CHANNELS[name](EVERYTHING)
    assert isinstance(channel.interpret(None, {}, b"", 0), Retry)
    status, body = CONFIRMATIONS[name]
    assert isinstance(channel.interpret(status, {}, body, 0), Delivered)
    for status in range(100, 600):
        assert isinstance(channel.interpret(status, {}, b"\xff", 0), Delivered | Retry | Permanent)


@pytest.mark.parametrize("name", [name for name in CHANNELS if name != "console"])
@pytest.mark.parametrize(
    ("status", "headers", "result"),
    [
        (429, {"Retry-After": "7"}, Retry("429: said", 7.0, hold=True)),
        (429, {}, Retry("429: said", 30.0, hold=True)),
        (500, {}, Retry("500: said")),
        (503, {"retry-after": "9"}, Retry("503: said", 9.0)),
        (None, {}, Retry("said")),
    ],
)
def test_a_response_means_the_same_to_every_http_channel(name, status, headers, result):
    assert CHANNELS[name](EVERYTHING).interpret(status, headers, b" said\n", 0) == result


LOGIN_PAGE = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>proxy</body></html>"


@pytest.mark.parametrize("name", ["pagerduty", "alertmanager", "slack"])
@pytest.mark.parametrize("status", [200, 201, 202, 204, 302, 307, 400, 401, 403, 404, 405, 407, 410, 413])
def test_an_answer_of_something_else_never_parks_a_page(name, status):
    result = CHANNELS[name](EVERYTHING).interpret(status, {}, LOGIN_PAGE, 0)
    assert isinstance(result, Retry)
    assert result.unexpected
    assert result.reason.startswith(f"{status}: <!DOCTYPE html>")


@pytest.mark.parametrize("status", [302, 401, 403, 404, 410])
def test_a_webhook_refuses_only_by_a_status_that_judges_the_request(status):
    webhook = CHANNELS["webhook"](EVERYTHING)
    assert webhook.interpret(status, {}, b"", 0).unexpected
    assert [webhook.interpret(judged, {}, b"", 0) for judged in (400, 413, 422)] == [
        Permanent("400"),
        Permanent("413"),
        Permanent("422"),
    ]


@EACH
def test_no_secret_is_in_the_representation_request_or_reason_of_a_channel(episode_of, name):
    channel = CHANNELS[name](EVERYTHING)
    body = " ".join(ALL_SECRETS)[:290].encode()
    shown = [
        channel,
        vars(channel),
        EVERYTHING,
        *(channel.interpret(status, {}, body, 0) for status in (None, 200, 301, 400, 403, 429, 500)),
    ]
    shown += [
        channel.request(Step(name, "e1", action, "high", "why", episode_of()), NOW_US)
        for action in ("trigger", "resolve", "note")
    ]
    for secret in SECRETS[name]:
        assert secret not in "".join(f"{line!r}{line}" for line in shown)
    other_lines = "".join(f"{line!r}" for line in shown[:2])
    assert not [secret for secret in ALL_SECRETS if secret in other_lines]


@EACH
@pytest.mark.parametrize("filling", ["x", "\U0001f525", "<!channel>&", "\ud800", '"\\'])
def test_an_episode_of_any_size_makes_a_bounded_utf_8_request(episode_of, name, filling):
    label = (filling * 256)[:256]
    # the dimensions of each incident are 16 KB, so 100 incidents exceed the bound three times
    huge = episode_of(
        rules=tuple(f"rule-{number}-{label}"[:200] for number in range(100)),
        service=label,
        feature=label,
        reason=label * 9,
    )
    dimensions = {f"{number}-{label}"[:256]: label for number in range(32)}
    huge = huge.model_copy(
        update={
            "incidents": [
                incident.model_copy(update={"level": "segment", "dimensions": dimensions})
                for incident in huge.incidents
            ],
            "examples": (
                [example.model_copy(update={"output": "word " * 15_000 + label}) for example in huge.examples]
                * 3
            ),
        }
    )
    for action in ("trigger", "resolve", "note"):
        body = (
            CHANNELS[name](EVERYTHING)
            .request(Step(name, "e1", action, "high", "why", huge, left_out=77), NOW_US)
            .body
        )
        assert 0 < len(body) <= 512 * 1024
        assert body.decode()


@settings(max_examples=examples(1 / 4), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(), max_size=60), output=st.none() | st.text(st.characters(), max_size=60))
def test_every_channel_renders_any_labels_and_model_output(episode_of, text, output):
    odd = episode_of(service=text, feature=text, environment=text, reason=text)
    odd = odd.model_copy(
        update={"examples": [odd.examples[0].model_copy(update={"output": output, "evaluator": text})]}
    )
    for name, channel in configured(EVERYTHING).items():
        body = channel.request(Step(name, "e1", "trigger", "high", "why", odd), NOW_US).body
        assert body.decode()
        if name != "console":
            assert json.loads(body)


@pytest.mark.parametrize("name", [name for name in CHANNELS if name != "console"])
def test_a_channel_requires_its_configuration(name):
    with pytest.raises(ValueError, match=rf"channels\.{name}: is not configured"):
        CHANNELS[name](Config())
