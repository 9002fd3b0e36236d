"""Any worker shows the whole: what other workers have published beside what it knows itself."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime

import aiohttp
import pytest

from agents.web.server import WebServer
from agents.web.status_endpoint import overview
from schemas.config.connections import Http


class FakeFleet:
    def __init__(self, status, samples=()):
        self._status, self._samples = status, samples

    def refresh(self):
        return iter(())

    def status(self, now_us):
        return self._status

    def samples(self, match):
        return [sample for sample in self._samples if match in sample["feature"]]


class FakeReader:
    def __init__(self, status, fault="", samples=()):
        self.fleet, self.fault = FakeFleet(status, samples), fault


@pytest.fixture
def shared(realistic_worker):
    """A worker that measures and delivers, and the published status of it and of another worker."""
    worker = realistic_worker()
    own = look(worker, None)
    other = {
        "features": [{**own["features"][0], "feature": "other", "account": None}],
        "episodes": [{**own["episodes"][0], "episode_id": "other", "feature": "other"}],
        "recent": [{**own["recent"][0], "incident_id": "other"}],
        "silences": [],
        "judges": [],
        "partitions": [{"agent": "watch", "partition": 14, "heard_at": own["now"]}],
    }
    published = {name: [*other[name], *own.get(name, ())] for name in ("features", "episodes", "recent")}
    return worker, own, other | published


def look(worker, reader):
    return asyncio.run(overview(worker, datetime.now(UTC), time.monotonic(), reader))


def test_a_worker_shows_what_others_published_once_and_its_own_as_it_knows_it(shared):
    worker, own, published = shared
    shown = look(worker, FakeReader(published))
    assert (own["scope"], shown["scope"]) == ("worker", "fleet")
    for name, key in (("features", "feature"), ("episodes", "episode_id"), ("recent", "incident_id")):
        extra = [record[key] for record in shown[name] if record not in own[name]]
        assert extra == ["other"]
        assert len(shown[name]) == len(own[name]) + 1
    (elsewhere,) = [row for row in shown["partitions"] if row["state"] == "elsewhere"]
    assert (elsewhere["partition"], elsewhere["lag"]) == (14, None)


def test_an_episode_that_this_worker_has_just_ended_is_not_shown_from_what_was_published(shared):
    worker, own, published = shared
    ended = {**own["episodes"][0], "episode_id": "ended"}
    health = {**ended, "episode_id": "health", "service": "softfail", "feature": "monitor"}
    delivers = any(row["agent"] == "notify" for row in own["partitions"])
    shown = look(worker, FakeReader(published | {"episodes": [ended, health]}))
    ids = {episode["episode_id"] for episode in shown["episodes"]}
    assert "ended" not in ids
    assert ("health" in ids) is not delivers


def test_the_page_says_why_other_workers_are_missing(shared):
    worker, own, published = shared
    shown = look(worker, FakeReader(published, fault="what other workers measure is not read: KafkaError"))
    assert shown["reasons"] == [*own["reasons"], "what other workers measure is not read: KafkaError"]


def test_failing_answers_are_served_by_feature(shared):
    worker, _, published = shared
    samples = [{"feature": "answer", "output": "no\u202e"}, {"feature": "other", "output": "none"}]

    async def get():
        server = WebServer(worker, Http(port=0), reader=FakeReader(published, samples=samples))
        await server.start()
        try:
            url = f"{server.url}api/samples?match=answer"
            async with aiohttp.ClientSession() as session, session.get(url) as answer:
                return json.loads(await answer.read())
        finally:
            await server.stop()

    assert asyncio.run(get()) == {"samples": [{"feature": "answer", "output": "no"}]}
