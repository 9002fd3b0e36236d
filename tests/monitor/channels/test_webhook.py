from __future__ import annotations

import hashlib
import hmac
import json

import pytest

from monitor.channels.interface import Step
from monitor.channels.webhook import BODY_BYTES, Webhook
from monitor.wording import episode_text
from schemas.config.monitor_config import Config
from schemas.records import Episode

SECRET = "0123456789abcdef"
NOW_US = 1_772_442_120_999_999


def channel(**more):
    return Webhook(
        Config.model_validate(
            {
                "channels": {
                    "webhook": (
                        {
                            "url": "https://hooks.example/in",
                            "secret": SECRET,
                            "headers": {"X-Team": "support"},
                        }
                        | more
                    )
                },
                "links": {"status": "https://status.example/?f={feature}"},
            }
        )
    )


def step(episode, action="trigger", **more):
    return Step("webhook", episode.episode_id, action, episode.urgency, "opened", episode, **more)


def test_the_body_equals_its_golden_payload(episode_of):
    episode = episode_of(minute=2, causes=["a new prompt version"])
    request = channel().request(step(episode), NOW_US)
    assert json.loads(request.body) == {
        "version": 1,
        "action": "trigger",
        "urgency": "high",
        "reason": "opened",
        "dedup_key": "softfail/e1/high",
        "summary": (
            "support-bot/answer: 23 % of answers refused (19 to 28 %; should stay under 2 %), since 2 Mar"
            " 09:00 UTC, 310 events in 5 min; likely: a new prompt version"
        ),
        "likely_causes": ["a new prompt version"],
        "next_step": episode_text.next_step(episode_of()),
        "links": {"Status": "https://status.example/?f=answer"},
        "left_out": 0,
        "episode": json.loads(episode.model_dump_json()),
    }
    assert (request.method, request.url, request.timeout_s) == ("POST", "https://hooks.example/in", 10.0)
    assert {name: value for name, value in request.headers if name != "X-Softfail-Signature"} == {
        "Content-Type": "application/json",
        "User-Agent": "softfail",
        "X-Team": "support",
    }


def test_the_signature_covers_the_timestamp_and_every_byte(episode_of):
    request = channel().request(step(episode_of()), NOW_US)
    expected = hmac.new(SECRET.encode(), b"1772442120." + request.body, hashlib.sha256).hexdigest()
    assert dict(request.headers)["X-Softfail-Signature"] == f"t=1772442120,v1={expected}"
    assert SECRET.encode() not in request.body


def test_without_a_secret_nothing_is_signed(episode_of):
    assert "X-Softfail-Signature" not in dict(
        channel(secret=None).request(step(episode_of()), NOW_US).headers
    )


def test_an_oversized_episode_keeps_its_most_severe_incidents_and_counts_the_omitted_incidents(episode_of):
    huge = episode_of(rules=tuple(f"rule-{number}" for number in range(400)), apart=True)
    dimensions = {f"{number}-{'x' * 200}": "y" * 256 for number in range(32)}
    huge = huge.model_copy(
        update={
            "incidents": [
                incident.model_copy(update={"dimensions": dimensions}) for incident in huge.incidents
            ]
        }
    )
    body = channel().request(step(huge, left_out=5), NOW_US).body
    body_fields = json.loads(body)
    episode = Episode.model_validate_json(json.dumps(body_fields["episode"]))
    assert len(body) <= BODY_BYTES
    assert 0 < len(episode.incidents) < 400
    assert body_fields["left_out"] == 405 - len(episode.incidents)
    assert body_fields["summary"].endswith("; and 404 more findings")


def test_a_one_letter_header_does_not_garble_the_reason():
    assert channel(headers={"X-On": "1"}).interpret(401, {}, b"", 0).reason.startswith("401 (")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"url": "ftp://hooks.example/"}, "must be an address like https"),
        ({"url": "https://"}, "must be an address"),
        ({"url": "https://hooks.example:99999/"}, "must be an address"),
        ({"url": "https://me:geheim@hooks.example/"}, "must not contain credentials"),
        ({"url": "https://hooks.example/#top"}, "must not contain #"),
        ({"url": "http://hooks.example/"}, "sent unencrypted; write https"),
        ({"secret": "geheim"}, "16 to 500"),
        ({"headers": {"Content-Type": "geheim"}}, "set by softfail"),
        ({"headers": {"x-softfail-signature": "geheim"}}, "set by softfail"),
        ({"headers": {"X Y": "geheim"}}, "not a valid header name"),
        ({"headers": {"X-Y": "geheim\r\nX-Z: 1"}}, "line breaks"),
        ({"headers": {"X-Y": ""}}, "line breaks"),
        ({"headers": {"X-Y": "geheim", "x-y": "geheim"}}, "a name appears twice"),
    ],
)
def test_invalid_settings_are_refused_with_the_remedy_and_without_the_secret(settings, says):
    with pytest.raises(ValueError, match=says) as caught:
        channel(**settings)
    assert "geheim" not in str(caught.value)


def test_a_receiver_on_localhost_needs_no_tls():
    assert (
        channel(url="http://127.0.0.1:8080/in").name
        == channel(url="http://localhost/in").name
        == channel(url="http://[::1]:1/").name
    )
