"""Examples on pages: what was asked, the ids of the call, and the link to its trace, on every channel."""

from __future__ import annotations

import json

import pytest

from monitor.channels import CHANNELS
from monitor.channels.interface import Step
from monitor.channels.links import links_of, trace_url
from monitor.protocol.messages import FileRecord
from monitor.watch import Watch
from schemas.config.monitor_config import Config, Links
from schemas.records import Episode, Example
from tests.monitor.channels.channel_settings import SETTINGS

TEMPLATE = "https://traces.example/{trace_id}?from={from_ms}&session={session_id}"
CONFIG = Config.model_validate({"channels": SETTINGS, "links": {"trace": TEMPLATE}})
IDS = {"input": "Where is my parcel?", "prompt_version": "v7", "session_id": "s 1", "trace_id": "4bf92f"}


@pytest.fixture
def page(episode_of):
    episode = episode_of()
    return episode.model_copy(update={"examples": [episode.examples[0].model_copy(update=IDS)]})


@pytest.mark.parametrize("name", CHANNELS)
def test_a_page_shows_what_was_asked_and_where_the_call_is_found(page, name):
    request = CHANNELS[name](CONFIG).request(Step(name, "e1", "trigger", "high", "opened", page), 0)
    body = request.body.decode()
    for text in (*IDS.values(), "https://traces.example/4bf92f?from="):
        assert text in body


def test_a_link_to_a_trace_quotes_its_values_and_exists_only_with_the_ids_that_it_names(page):
    (example,) = page.examples
    assert trace_url(example, page, CONFIG.links).endswith("&session=s%201")
    assert links_of(page, CONFIG.links).keys() == {"Trace 1"}
    without = example.model_copy(update={"session_id": ""})
    assert trace_url(without, page, CONFIG.links) == ""
    assert trace_url(without, page, Links(trace="https://t.example/{trace_id}")) == "https://t.example/4bf92f"
    assert trace_url(example, page, Links()) == trace_url(example, page, Links(trace="javascript:x")) == ""


def test_an_episode_shows_redacted_examples_with_the_ids_of_their_calls():
    rule = {"name": "errors", "on": "error_rate", "above": 0.1, "for": "1m"}
    watch = Watch(Config.model_validate({"rules": [rule]}), 0, 1)
    event = {"service": "bot", "feature": "answer", "model": "m", "error_type": "timeout", **IDS}
    event |= {"input": "Mail jane.doe@example.com", "session_id": "jane.doe@example.com"}
    records = [
        FileRecord(
            json.dumps(
                event | {"event_id": str(n), "time": f"2026-03-02T09:{n // 60:02}:{n % 60:02}Z"}
            ).encode(),
            n,
        )
        for n in range(400)
    ]
    episodes = [json.loads(message.value) for message in watch.apply(records).messages["alerts"]]
    opened = next(episode for episode in episodes if episode["record"] == "episode")
    example = Example.model_validate_json(json.dumps(opened["examples"][0]))
    assert (example.prompt_version, example.trace_id) == ("v7", "4bf92f")
    assert example.input.startswith("Mail ")
    assert "jane" not in json.dumps(opened)


def test_an_example_of_an_older_release_is_read(page):
    record = page.model_dump(mode="json")
    for name in IDS:
        del record["examples"][0][name]
    (example,) = Episode.model_validate_json(json.dumps(record)).examples
    assert (example.input, example.trace_id) == (None, "")
