from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.channels import CHANNELS, configured
from monitor.channels.interface import Delivered, Permanent, Request, Retry, Step
from schemas.config.monitor_config import Channels, Config
from tests.tiers import examples

SECRETS = (
    "0123456789abcdef0123456789abcdef", "tokentokentoken", "https://hooks.slack.com/services/T0/B0/slackslackslack", "slackslackslack",
    "https://hooks.example/in?key=urlurlurlurl", "urlurlurlurl", "signsignsignsign", "headheadhead",
)  # fmt: skip
EVERYTHING = Config.model_validate(
    {
        "channels": {
            "pagerduty": {"routing_key": SECRETS[0]},
            "alertmanager": {"url": "https://alertmanager.example", "token": SECRETS[1]},
            "slack": {"webhook_url": SECRETS[2]},
            "webhook": {"url": SECRETS[4], "secret": SECRETS[6], "headers": {"X-Api-Key": SECRETS[7]}},
            "console": {},
        }
    }
)
NOW_US = 1_772_500_000_000_000
EACH = pytest.mark.parametrize("name", CHANNELS)


def test_what_can_be_configured_exists_and_what_exists_can_be_configured():
    assert list(CHANNELS) == list(Channels.model_fields)
    assert list(configured(EVERYTHING)) == list(EVERYTHING.channels.names()) == list(CHANNELS)


@EACH
def test_every_step_has_a_request_and_the_same_one_each_time(episode_of, name):
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


@EACH
def test_no_answer_means_again_and_200_means_delivered(name):
    channel = CHANNELS[name](EVERYTHING)
    assert isinstance(channel.judge(None, {}, b"", 0), Retry)
    assert isinstance(channel.judge(200, {}, b"", 0), Delivered)
    for status in range(100, 600):
        assert isinstance(channel.judge(status, {}, b"\xff", 0), Delivered | Retry | Permanent)


@pytest.mark.parametrize("name", [name for name in CHANNELS if name != "console"])
@pytest.mark.parametrize(
    ("status", "headers", "verdict"),
    [
        (400, {}, Permanent("400: said")),
        (404, {}, Permanent("404: said")),
        (410, {}, Permanent("410: said")),
        (429, {"Retry-After": "7"}, Retry("429: said", 7.0, hold=True)),
        (429, {}, Retry("429: said", 30.0, hold=True)),
        (500, {}, Retry("500: said")),
        (503, {"retry-after": "9"}, Retry("503: said", 9.0)),
        (None, {}, Retry("said")),
    ],
)
def test_an_answer_means_the_same_to_each_channel_that_speaks_http(name, status, headers, verdict):
    assert CHANNELS[name](EVERYTHING).judge(status, headers, b" said\n", 0) == verdict


@EACH
def test_no_secret_shows_in_a_channel_a_request_or_a_reason(episode_of, name):
    channel = CHANNELS[name](EVERYTHING)
    said = " ".join(SECRETS)[:290].encode()
    shown = [
        channel,
        vars(channel),
        EVERYTHING,
        *(channel.judge(status, {}, said, 0) for status in (None, 200, 301, 400, 403, 429, 500)),
    ]
    shown += [
        channel.request(Step(name, "e1", action, "high", "why", episode_of()), NOW_US)
        for action in ("trigger", "resolve", "note")
    ]
    own = {
        "pagerduty": SECRETS[:1],
        "alertmanager": SECRETS[1:2],
        "slack": SECRETS[2:4],
        "webhook": SECRETS[4:],
        "console": (),
    }[name]
    for secret in own:
        assert secret not in "".join(f"{one!r}{one}" for one in shown)
    others = "".join(f"{one!r}" for one in shown[:2])
    assert not [secret for secret in SECRETS if secret in others]


@EACH
@pytest.mark.parametrize("filling", ["x", "\U0001f525", "<!channel>&", "\ud800", '"\\'])
def test_an_episode_of_any_size_makes_a_request_of_bounded_size_in_utf_8(episode_of, name, filling):
    label = (filling * 256)[:256]
    huge = episode_of(
        rules=tuple(f"rule-{number}-{label}"[:200] for number in range(400)),
        service=label,
        feature=label,
        reason=label * 9,
    )
    dimensions = {f"{number}-{label}"[:256]: label for number in range(32)}
    huge = huge.model_copy(
        update={
            "incidents": [
                one.model_copy(update={"level": "segment", "dimensions": dimensions})
                for one in huge.incidents
            ],
            "examples": (
                [one.model_copy(update={"output": "word " * 40_000 + label}) for one in huge.examples] * 3
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
def test_whatever_services_are_called_and_models_write_each_channel_can_tell_it(episode_of, text, output):
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
def test_it_cannot_be_made_without_its_configuration(name):
    with pytest.raises(ValueError, match=rf"channels\.{name}: is not configured"):
        CHANNELS[name](Config())
