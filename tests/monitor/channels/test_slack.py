from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.channels.interface import Delivered, Permanent, Retry, Step
from monitor.channels.slack import Slack, safe
from monitor.wording import episode_text
from schemas.config.monitor_config import Config

URL = "https://hooks.slack.com/services/T0000/B0000/abcdefghijkl"
LINE = (
    "support-bot/answer: 23 % of answers refused (19 to 28 %; should stay under 2 %), since 2 Mar 09:00 UTC,"
    " 310 events in 5 min"
)
GOLDEN = {
    "text": f"PAGE: support-bot/answer: {LINE} (critical)",
    "blocks": [
        {
            "type": "header",
            "text": {"type": "plain_text", "text": "PAGE: support-bot/answer", "emoji": False},
        },
        {"type": "section", "text": {"type": "mrkdwn", "text": f"{LINE} (critical)", "verbatim": True}},
        {
            "type": "section",
            "text": {"type": "plain_text", "text": "e.g. refusal: I'm sorry, I can't help.", "emoji": False},
        },
        {
            "type": "section",
            "text": {
                "type": "mrkdwn",
                "verbatim": True,
                "text": (
                    "<https://status.example/?f=answer|Status> ·"
                    " <https://dash.example/d?a=support-bot&amp;from=1772441100000|Dashboard>"
                ),
            },
        },
        {
            "type": "context",
            "elements": [{"type": "mrkdwn", "text": "opened · episode e1", "verbatim": True}],
        },
    ],
    "unfurl_links": False,
    "unfurl_media": False,
}


@pytest.fixture
def channel():
    return Slack(
        Config.model_validate(
            {
                "channels": {"slack": {"webhook_url": URL}},
                "links": {
                    "status": "https://status.example/?f={feature}",
                    "dashboard": "https://dash.example/d?a={service}&from={from_ms}",
                },
            }
        )
    )


def step(episode, action="trigger", urgency=None, reason="opened", **more):
    return Step("slack", episode.episode_id, action, urgency or episode.urgency, reason, episode, **more)


def sent(channel, step):
    return json.loads(channel.request(step, 0).body)


def texts(message):
    for block in message["blocks"]:
        yield from (element["text"] for element in block.get("elements", [block.get("text")]))


def test_the_message_equals_its_golden_payload(channel, episode_of):
    request = channel.request(step(episode_of(minute=2)), 0)
    message = json.loads(request.body)
    assert (
        message["blocks"].pop(2)["text"]["text"]
        == f"*Next:* {safe(episode_text.next_step(episode_of()), 700)}"
    )
    assert message == GOLDEN
    assert (request.method, request.url, request.timeout_s) == ("POST", URL, 10.0)


@pytest.mark.parametrize(
    ("action", "state", "urgency", "reason", "head"),
    [
        ("trigger", "opened", "low", "opened", "TICKET: support-bot/answer"),
        ("trigger", "updated", "high", "updated", "PAGE, UPDATE: support-bot/answer"),
        ("trigger", "updated", "high", "still firing", "PAGE, STILL FIRING: support-bot/answer"),
        ("resolve", "resolved", "high", "resolved", "RESOLVED support-bot/answer"),
        ("resolve", "escalated", "low", "is a page now", "CLOSED support-bot/answer"),
        ("note", "resolved", "low", "missed while down", "MISSED WHILE DOWN support-bot/answer"),
    ],
)
def test_each_kind_of_message_has_its_own_header(channel, episode_of, action, state, urgency, reason, head):
    message = sent(channel, step(episode_of(state=state), action, urgency, reason))
    assert message["blocks"][0]["text"]["text"] == head
    assert message["text"].startswith(head)


def test_several_findings_are_a_list_of_at_most_ten(channel, episode_of):
    lists = "\n".join(
        texts(
            sent(
                channel,
                step(
                    episode_of(rules=tuple(map(str, range(15))), apart=True, causes=["a <new> model"]),
                    left_out=3,
                ),
            )
        )
    )
    assert lists.count("• 23 % of answers failed") == 10
    assert "\n• and 8 more\n*Likely:* a &lt;new&gt; model\n*Next:* " in lists


def test_labels_and_model_output_cannot_mention_users(channel, episode_of):
    shout = "<!channel> <@U123> <!subteam^S1|x> @here @Everyone &lt;!here&gt; <https://evil.example|click>"
    odd = episode_of(service=shout, feature=shout, reason=shout, rules=(shout, "b"))
    odd = odd.model_copy(
        update={"examples": [odd.examples[0].model_copy(update={"output": shout, "evaluator": shout})]}
    )
    for action in ("trigger", "resolve", "note"):
        message = sent(channel, step(odd, action))
        for text in (message["text"], *texts(message)):
            own = text.replace("<https://status.example/", "").replace("<https://dash.example/", "")
            assert "<" not in own
            assert "@here" not in text
            assert "@Everyone" not in text
        assert "&lt;!channel&gt;" in message["text"]
        assert "&amp;lt;!here&amp;gt;" in message["text"]


@pytest.mark.parametrize("filling", ["<", "&", "\U0001f525", "x"])
def test_every_text_respects_the_limits_of_slack(channel, episode_of, filling):
    huge = episode_of(
        rules=tuple(f"rule-{number}" for number in range(400)), service=filling * 256, feature=filling * 256
    )
    dimensions = {f"{number}-{filling * 200}": filling * 256 for number in range(32)}
    huge = huge.model_copy(
        update={
            "incidents": [
                incident.model_copy(
                    update={"level": "segment", "dimensions": dimensions, "text": filling * 900}
                )
                for incident in huge.incidents
            ],
            "examples": [example.model_copy(update={"output": filling * 40_000}) for example in huge.examples]
            * 3,
        }
    )
    message = sent(channel, step(huge, left_out=9))
    assert len(message["blocks"]) <= 50
    assert len(message["blocks"][0]["text"]["text"]) <= 150
    for text in (message["text"], *texts(message)):
        assert 1 <= len(text.encode("utf-16-le")) // 2 <= 3000


@given(st.text(st.characters() | st.sampled_from("<>&@"), max_size=200), st.integers(2, 60))
def test_a_truncated_text_respects_the_limit_and_splits_no_escape(text, most):
    cut = safe(text, most)
    assert len(cut.encode("utf-16-le", "surrogatepass")) // 2 <= most
    for whole in ("&amp;", "&lt;", "&gt;"):
        cut = cut.replace(whole, "")
    assert not set(cut) & set("<>&")


TWO_HUNDRED = "not the receiver's confirmation: check the address and the proxy"
FOUR_HUNDRED = "check the address, the login and the proxy"


@pytest.mark.parametrize(
    ("status", "body", "result"),
    [
        (200, b"ok", Delivered()),
        (200, b"ok\n", Delivered()),
        (200, b"", Delivered()),
        (200, b"<html>Please log in", Retry(f"200: <html>Please log in ({TWO_HUNDRED})", unexpected=True)),
        (400, b"invalid_payload", Permanent("400: invalid_payload")),
        (400, b"<html>", Retry(f"400: <html> ({FOUR_HUNDRED})", unexpected=True)),
        (403, b"action_prohibited", Retry(f"403: action_prohibited ({FOUR_HUNDRED})", unexpected=True)),
        (404, b"no_service", Retry(f"404: no_service ({FOUR_HUNDRED})", unexpected=True)),
        (410, b"channel_is_archived", Retry(f"410: channel_is_archived ({FOUR_HUNDRED})", unexpected=True)),
        (500, b"rollup_error", Retry("500: rollup_error")),
        (429, b"", Retry("429", 30.0, hold=True)),
    ],
)
def test_each_response_code_has_one_meaning(channel, status, body, result):
    assert channel.interpret(status, {}, body, 0) == result


def test_the_address_is_in_no_failure_reason(channel):
    for body in (
        f"InvalidURL: {URL}",
        "no hook at /services/T0000/B0000/abcdefghijkl",
        "T0000/B0000/abcdefghijkl",
        "abcdefghijkl",
    ):
        for status in (None, 200, 302, 404, 500):
            assert "abcdefghijkl" not in channel.interpret(status, {}, body.encode(), 0).reason


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.slack.com/services/T/B/geheim",
        "geheim",
        "https://hooks.slack.com",
        "https://hooks.slack.com/a?b=geheim",
        "https://a:geheim@hooks.slack.com/services/T/B/x",
        "https://hooks.slack.com/geheim geheim",
    ],
)
def test_an_invalid_address_is_refused_without_being_shown(url):
    with pytest.raises(ValueError, match="webhook_url: ") as caught:
        Config.model_validate({"channels": {"slack": {"webhook_url": url}}})
    assert "geheim" not in str(caught.value)
