from __future__ import annotations

import pytest

from monitor.channels.console import Console
from monitor.channels.interface import Step
from schemas.config.monitor_config import Config


@pytest.fixture
def printed():
    channel = Console(Config())
    return lambda episode, action="trigger", urgency="high", reason="opened": channel.request(
        Step("console", episode.episode_id, action, urgency, reason, episode), 0
    ).body.decode()


def test_a_page_describes_the_failure_with_an_example(episode_of, printed):
    assert (
        printed(episode_of())
        == "PAGE (critical, opened) support-bot/answer: 23 % of answers refused (19 to 28 %; should stay"
        " under 2 %), since 2 Mar 09:00 UTC, 310 events in 5 min [e1]\n  next: Read the refusals; compare"
        " prompt versions, roll back a new one; else ask whether the provider's policy changed.\n  e.g."
        " refusal: I'm sorry, I can't help.\n"
    )


def test_several_findings_are_on_separate_lines(episode_of, printed):
    assert printed(episode_of(rules=("a", "b"), apart=True)).count("\n  - 23 % of answers failed") == 2


def test_likely_causes_are_in_the_headline_and_below_it(episode_of, printed):
    head, second, *_ = printed(
        episode_of(causes=["new prompt version v8", "a fallback has taken over"])
    ).splitlines()
    assert head.endswith("310 events in 5 min; likely: new prompt version v8 [e1]")
    assert second == "  likely: a fallback has taken over"
    assert "next:" not in printed(episode_of(state="resolved"), "note", "low", "missed while down")


def test_tickets_notes_and_resolves_have_their_own_text(episode_of, printed):
    assert printed(episode_of(urgency="low", environment="staging"), urgency="low").startswith(
        "TICKET (warning, opened) support-bot/answer (staging): "
    )
    assert (
        printed(episode_of(state="resolved", minute=61), "resolve")
        == "RESOLVED support-bot/answer: over since 2 Mar 10:01 UTC, began 2 Mar 09:00 UTC [e1]\n"
    )
    assert (
        printed(episode_of(state="escalated"), "resolve", "low", "is a page now")
        == "CLOSED support-bot/answer: low urgency, is a page now [e1]\n"
    )
    assert printed(episode_of(state="resolved"), "note", "low", "missed while down").startswith(
        "MISSED WHILE DOWN (critical, missed while down) "
    )


def test_model_output_cannot_control_the_terminal(episode_of, printed):
    episode = episode_of(service="a\x1b]0;owned\x07\nPAGE fake")
    episode = episode.model_copy(
        update={"examples": [episode.examples[0].model_copy(update={"output": "\x1b[2J\u2028\x9b31m\nx"})]}
    )
    text = printed(episode)
    assert text.count("\n") == 3
    assert not set(text) & set("\x1b\x07\x9b\u2028")
