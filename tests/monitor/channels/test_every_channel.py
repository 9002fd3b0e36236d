from __future__ import annotations

import pytest

from monitor.channels import CHANNELS, configured
from monitor.channels.channel import Delivered, Permanent, Request, Retry, Step
from schemas.config import Channels, Config

EVERYTHING = Config.model_validate({"channels": {"pagerduty": {"routing_key": "0123456789abcdef0123456789abcdef"}, "console": {}}})


def test_what_can_be_configured_exists_and_what_exists_can_be_configured():
    assert set(CHANNELS) == set(Channels.model_fields)
    assert list(configured(EVERYTHING)) == list(EVERYTHING.channels.names())


@pytest.mark.parametrize("name", CHANNELS)
def test_every_step_has_a_request_and_the_same_one_each_time(episode_of, name):
    channel = CHANNELS[name](EVERYTHING)
    assert channel.name == name
    for action in ("trigger", "resolve", "note"):
        for urgency in ("high", "low"):
            for state in ("opened", "updated", "escalated", "resolved"):
                for rules in ((), ("refusals",), ("refusals", "slow")):
                    step = Step(name, "e1", action, urgency, "why", episode_of(state=state, rules=rules))
                    request = channel.request(step)
                    assert isinstance(request, Request)
                    assert request == CHANNELS[name](EVERYTHING).request(step)
                    assert request.body
                    assert request.key == f"{name}/e1"


@pytest.mark.parametrize("name", CHANNELS)
def test_no_answer_means_again_and_200_means_delivered(name):
    channel = CHANNELS[name](EVERYTHING)
    assert isinstance(channel.judge(None, {}, b"", 0), Retry)
    assert isinstance(channel.judge(200, {}, b"", 0), Delivered)
    for status in range(100, 600):
        assert isinstance(channel.judge(status, {}, b"\xff", 0), Delivered | Retry | Permanent)
