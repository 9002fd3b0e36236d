"""Silences through the web server: authorisation, refusals, and cross-origin requests."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest

from agents.kafka import silence_records
from agents.process.exits import Refused
from agents.web.server import WebServer
from schemas.config.connections import Http, Kafka

TOKEN = "correct-horse:battery"
ASK = {"match": "bot/*", "for": "2h", "reason": "deploy", "author": "ann"}


@pytest.fixture
def written_silences(monkeypatch):
    """What would have gone to Kafka."""
    silences = {}

    async def read_silences(*_):
        return silences

    monkeypatch.setattr(silence_records, "read_silences", read_silences)
    monkeypatch.setattr(
        silence_records, "write_silence", lambda _, silence: silences.__setitem__(silence.silence_id, silence)
    )
    return silences


def ask(worker, *requests, http=None):
    """(status, JSON) of each (method, path, body, headers); a body that is no text is sent as JSON."""

    async def run():
        server = WebServer(worker, http or Http(port=0), Kafka())
        await server.start()
        answers = []
        try:
            async with aiohttp.ClientSession() as session:
                for method, path, body, headers in requests:
                    content = {"data": body} if isinstance(body, str) else {"json": body}
                    if callable(path):
                        path = path(answers)
                    async with session.request(
                        method, server.url.rstrip("/") + path, headers=headers, **content
                    ) as answer:
                        answers.append((answer.status, json.loads(await answer.text())))
            return answers
        finally:
            await server.stop()

    return asyncio.run(run())


def that(answer):
    """The path of the silence that the first request set."""
    return f"/api/silences/{answer[0][1]['silence_id']}"


def test_a_silence_of_no_known_feature_is_added_with_a_warning_that_names_the_nearest(
    fake_worker, fake_core, part, written_silences
):
    row = {"service": "shop-bot", "feature": "agent", "environment": "production"}
    core = fake_core(status={"watermark": None, "features": [row], "episodes": [], "recent": []})
    typo, right = ask(
        fake_worker([part(core)]),
        ("POST", "/api/silences", ASK | {"match": "shop-bot/agnt"}, {}),
        ("POST", "/api/silences", ASK | {"match": "shop-bot/*"}, {}),
    )
    assert typo[0] == right[0] == 201
    assert "the nearest is shop-bot/agent" in typo[1]["warning"]
    assert "warning" not in right[1]
    assert len(written_silences) == 2


def test_a_silence_is_added_and_ended(fake_worker, written_silences):
    first, second, third = ask(
        fake_worker(),
        ("POST", "/api/silences", ASK, {}),
        ("DELETE", that, None, {}),
        ("DELETE", that, None, {}),
    )
    (silence,) = written_silences.values()
    assert (first[0], first[1]["silence_id"], first[1]["match"], first[1]["author"]) == (
        201,
        silence.silence_id,
        "bot/*",
        "ann",
    )
    assert (second[0], second[1]["silence_id"]) == (200, silence.silence_id)
    assert (third[0], "ended at" in third[1]["error"]) == (409, True)


@pytest.mark.parametrize(
    ("body", "headers", "status", "says"),
    [
        ({**ASK, "match": "bot"}, {}, 400, "match: matches no feature"),
        ({**ASK, "for": "31d"}, {}, 400, "for: must be"),
        ({**ASK, "for": "soon"}, {}, 400, "for: not a duration"),
        ({**ASK, "reason": ""}, {}, 400, "reason: is empty"),
        ({**ASK, "severity": ["loud"]}, {}, 400, "severity.0: "),
        ({**ASK, "more": 1}, {}, 400, "more: "),
        ({"match": "a/b"}, {}, 400, "for: "),
        ({**ASK, "reason": "\ud800"}, {}, 400, "reason: "),
        ({**ASK, "environments": ["a\udfff"]}, {}, 400, "environment: "),
        ({**ASK, "for": "\ud800"}, {}, 400, "for: "),
        ({**ASK, "match": "\ud800/*"}, {}, 400, "match: "),
        ({**ASK, "\ud800": 1}, {}, 400, "body: "),
        ([], {}, 400, "body: "),
        ("{", {"Content-Type": "application/json"}, 400, "body: not JSON"),
        ("[" * 60_000, {"Content-Type": "application/json"}, 400, ""),
        (" " * 100_000, {"Content-Type": "application/json"}, 413, "body: is longer than 64 KB"),
        (json.dumps(ASK), {"Content-Type": "text/plain"}, 415, "Content-Type"),
        ("match=bot/*", {"Content-Type": "application/x-www-form-urlencoded"}, 415, "Content-Type"),
        (ASK, {"Origin": "https://evil.example"}, 403, "Origin"),
        (ASK, {"Origin": "null"}, 403, "Origin"),
        (ASK, {"Sec-Fetch-Site": "cross-site"}, 403, "Origin"),
        (ASK, {"Host": "evil.example"}, 403, "Host"),
    ],
)
def test_invalid_and_cross_origin_requests_are_refused_by_name(
    fake_worker, written_silences, body, headers, status, says
):
    ((answered, answer),) = ask(fake_worker(), ("POST", "/api/silences", body, headers))
    assert (answered, written_silences) == (status, {})
    assert answer["error"].startswith(says)


def test_a_cross_origin_request_ends_no_silence(fake_worker, written_silences):
    answers = ask(
        fake_worker(),
        ("POST", "/api/silences", ASK, {}),
        ("DELETE", that, None, {"Origin": "https://evil.example"}),
    )
    assert [status for status, _ in answers] == [201, 403]


def test_with_a_configured_token_a_silence_needs_it(fake_worker, written_silences):
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    http = Http(port=0, token=TOKEN)
    answers = ask(
        fake_worker(),
        ("POST", "/api/silences", ASK, {}),
        ("POST", "/api/silences", ASK, {**bearer, "Host": "softfail.example"}),
        http=http,
    )
    assert [status for status, _ in answers] == [401, 201]


def test_an_unavailable_kafka_is_503_and_a_refusal_is_409(fake_worker, written_silences, monkeypatch):
    def down(*_):
        raise TimeoutError

    async def full(*_):
        raise Refused("1000 silences are not over yet")

    monkeypatch.setattr(silence_records, "write_silence", down)
    assert ask(fake_worker(), ("POST", "/api/silences", ASK, {}))[0][0] == 503
    monkeypatch.setattr(silence_records, "require_space", full)
    assert ask(fake_worker(), ("POST", "/api/silences", ASK, {}))[0] == (
        409,
        {"error": "1000 silences are not over yet"},
    )


def test_the_status_lists_active_silences(fake_core, fake_worker, part):
    shown = {"silence_id": "s1", "match": "bot/*", "until": "2026-03-02T09:00:00Z"}
    worker = fake_worker(
        [part(fake_core(status={"episodes": [], "silences": [shown]}), agent="notify"), part(fake_core())]
    )
    assert ask(worker, ("GET", "/api/status", "", {}))[0][1]["silences"] == [shown]
