from __future__ import annotations

import asyncio
import json
import logging
import re

import aiohttp
import pytest

from agents.process import exits
from agents.web import status_endpoint
from agents.web.server import WebServer, application, serve
from agents.web.ui import page_html
from schemas.config.connections import Http, Kafka
from schemas.config.monitor_config import Config


def _get(worker, *paths, headers=None):
    """(status, headers, body) of each path, from a server on a free port."""

    async def run():
        server = WebServer(worker, Http(port=0))
        await server.start()
        try:
            async with aiohttp.ClientSession() as session:
                answers = []
                for path in paths:
                    async with session.get(server.url.rstrip("/") + path, headers=headers) as answer:
                        answers.append((answer.status, answer.headers, await answer.read()))
                return answers
        finally:
            await server.stop()

    return asyncio.run(run())


def test_port_0_takes_a_free_port_and_logs_it(realistic_worker, caplog):
    async def run():
        first, second = (
            WebServer(realistic_worker(), Http(port=0)),
            WebServer(realistic_worker(), Http(port=0)),
        )
        await first.start()
        await second.start()
        ports = first.port, second.port
        await first.stop()
        await first.stop()
        await second.stop()
        return ports

    with caplog.at_level(logging.INFO, "softfail.web"):
        ports = asyncio.run(run())
    assert len(set(ports)) == 2
    assert 0 not in ports
    assert all(f"http://127.0.0.1:{port}/" in caplog.text for port in ports)
    assert "token" not in caplog.text


def test_a_port_in_use_is_a_single_error_with_its_keys_and_the_remedy(realistic_worker):
    async def run():
        first = WebServer(realistic_worker(), Http(port=0))
        await first.start()
        try:
            await WebServer(realistic_worker(), Http(port=first.port)).start()
        finally:
            await first.stop()

    with pytest.raises(
        OSError, match=r"http\.port: cannot listen on 127\.0\.0\.1:\d+: .*SOFTFAIL_HTTP__PORT"
    ):
        asyncio.run(run())


_TYPES = {
    "/": "text/html",
    "/api/status": "application/json",
    "/api/samples": "application/json",
    "/metrics": "text/plain",
    "/healthz": "application/json",
    "/readyz": "application/json",
}


@pytest.mark.parametrize(("path", "kind"), _TYPES.items())
def test_every_page_has_its_content_type_and_isolating_headers(realistic_worker, path, kind):
    ((status, headers, body),) = _get(realistic_worker(), path)
    assert status == 200
    assert headers["Content-Type"].startswith(kind)
    assert body
    assert headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_openmetrics_is_returned_to_clients_that_accept_it(realistic_worker):
    ((_, headers, body),) = _get(
        realistic_worker(),
        "/metrics",
        headers={"Accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"},
    )
    assert headers["Content-Type"].startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


def test_readyz_is_503_with_reasons_until_all_assigned_partitions_are_restored(fake_worker, fake_core, part):
    restoring = fake_worker([part(fake_core(), 11, restoring=True)], ready=False)
    unassigned = fake_worker([], ready=False, assigned=False)
    for worker, reason in (
        (restoring, "watch partition 11: its state is being read"),
        (unassigned, "not assigned partitions"),
    ):
        healthz, readyz = _get(worker, "/healthz", "/readyz")
        assert healthz[0] == 200
        assert readyz[0] == 503
        page_data = json.loads(readyz[2])
        assert page_data["ready"] is False
        assert reason in page_data["reasons"][0]


def test_healthz_and_readyz_are_503_when_the_watchdog_reports_a_failure(fake_worker):
    for status, _, body in _get(fake_worker(healthy=False), "/healthz", "/readyz"):
        assert status == 503
        assert "lag without progress" in json.loads(body)["reasons"][0]


def test_the_status_merges_all_partitions_with_pages_before_tickets(realistic_worker):
    page_data = json.loads(_get(realistic_worker(), "/api/status")[0][2])
    assert [episode["urgency"] for episode in page_data["episodes"]] == ["high", "low"]
    assert [feature["service"] for feature in page_data["features"][:3]] == [
        "support-bot",
        "search",
        "checkout",
    ], "in the order of their episodes, then by name"
    assert [event["time"] for event in page_data["recent"]] == sorted(
        (event["time"] for event in page_data["recent"]), reverse=True
    )
    assert [
        (partition["agent"], partition["partition"], partition["state"], partition["lag"])
        for partition in page_data["partitions"]
    ] == [
        ("notify", 0, "running", 0),
        ("watch", 3, "running", 0),
        ("watch", 7, "catching up", 40),
        ("watch", 11, "restoring", None),
    ]
    assert 30 <= page_data["partitions"][1]["watermark_lag_s"] <= 60


def test_an_open_episode_shows_the_end_of_its_silence_and_the_others_do_not(
    realistic_worker, fake_core, part
):
    worker = realistic_worker()
    (silence,) = worker.parts[-1].core.status()["silences"]
    silenced = {
        episode["service"]: episode.get("silenced_until")
        for episode in json.loads(_get(worker, "/api/status")[0][2])["episodes"]
    }
    assert silenced == {"search": silence["until"], "support-bot": None}
    later = {**silence, "until": "2099-01-01T00:00:00.5Z", "environments": []}
    worker.parts[-1] = part(
        fake_core(
            status={
                "episodes": [],
                "silences": [
                    later,
                    silence,
                    {**later, "match": "*", "severity": ["error"], "until": "2100-01-01T00:00:00Z"},
                ],
            }
        ),
        agent="notify",
    )
    silenced = {
        episode["service"]: episode.get("silenced_until")
        for episode in json.loads(_get(worker, "/api/status")[0][2])["episodes"]
    }
    assert silenced == {"search": later["until"], "support-bot": None}


def test_a_silence_of_all_features_matches_no_episode_about_softfail(fake_worker, fake_core, part, status):
    from datetime import UTC, datetime

    page_data = status(datetime.now(UTC))
    page_data["episodes"] = [{**page_data["episodes"][0], "service": "softfail", "feature": "monitor"}]
    silence = {"match": "*", "environments": [], "severity": [], "until": "2099-01-01T00:00:00Z"}
    answer = json.loads(
        _get(fake_worker([part(fake_core(status={**page_data, "silences": [silence]}))]), "/api/status")[0][2]
    )
    assert "silenced_until" not in answer["episodes"][0]


def test_the_status_filters_by_glob_and_limits_its_rows(realistic_worker, monkeypatch):
    monkeypatch.setattr(status_endpoint, "MOST_FEATURES", 2)
    complete, filtered = (
        json.loads(answer[2])
        for answer in _get(realistic_worker(), "/api/status", "/api/status?match=support-bot/*")
    )
    assert (len(complete["features"]), complete["features_total"]) == (2, 6)
    assert complete["features"][0]["pass_rate"]["value"] == 0.42, "broken features stay"
    assert {feature["service"] for feature in filtered["features"]} == {"support-bot"}
    assert filtered["features_total"] == 3


def test_undefined_values_reach_the_page_as_null(fake_worker, fake_core, part, status):
    from datetime import UTC, datetime

    page_data = status(datetime.now(UTC))
    page_data["features"][0]["pass_rate"]["value"] = float("nan")
    body = _get(fake_worker([part(fake_core(status=page_data))]), "/api/status")[0][2]
    assert b"NaN" not in body
    assert json.loads(body)["features"][0]["pass_rate"]["value"] is None


def test_the_status_shows_no_hidden_character_of_a_label_or_an_answer(realistic_worker):
    hidden = "\x1b\x9b\u2028\u202e\u2066\u200e\u200b\u2060\ufeff\ud800"
    plain, evil = (
        json.loads(_get(realistic_worker(text), "/api/status")[0][2]) for text in ("<b>", f"<b>{hidden}")
    )
    text = json.dumps(evil, ensure_ascii=False)
    assert text.count("<b>") == json.dumps(plain).count("<b>") > 10
    assert not set(hidden) & set(text)


def test_the_status_keeps_the_lines_of_an_answer(realistic_worker):
    status = json.loads(_get(realistic_worker("\r\n\tx"), "/api/status")[0][2])
    assert status["silences"][0]["author"] == "ann\n\tx"


def test_the_cores_are_read_at_most_once_a_second_for_any_number_of_viewers(fake_worker, fake_core, part):
    class Counting(fake_core):
        asked = 0

        def status(self):
            self.asked += 1
            return super().status()

    core = Counting()
    answers = _get(fake_worker([part(core)]), *["/api/status"] * 10)
    assert [status for status, _, _ in answers] == [200] * 10
    assert core.asked < 5


def test_a_core_without_status_is_only_a_row_of_the_partition_table(fake_worker, part):
    class Outbox:
        def measures(self):
            return iter(())

    page_data = json.loads(_get(fake_worker([part(Outbox(), agent="notify")]), "/api/status")[0][2])
    assert [partition["agent"] for partition in page_data["partitions"]] == ["notify"]
    assert page_data["features"] == []


def test_only_silences_can_be_written_through_the_server(realistic_worker):
    assert {route.method for route in application(realistic_worker()).router.routes()} == {"GET", "HEAD"}
    routes = application(realistic_worker(), kafka=Kafka()).router.routes()
    assert {
        (route.method, route.resource.canonical) for route in routes if route.method not in ("GET", "HEAD")
    } == {("POST", "/api/silences"), ("DELETE", "/api/silences/{silence_id}")}


def test_the_page_loads_no_external_resource_and_parses_no_text_as_html():
    text = page_html()
    assert not re.findall(r"""(?:src|href)\s*=\s*["']?(?:https?:)?//""", text)
    assert not re.findall(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|@import", text
    )


def test_a_busy_port_ends_the_worker_as_a_wrong_configuration(realistic_worker):
    async def run():
        first = WebServer(realistic_worker(), Http(port=0))
        await first.start()
        worker = realistic_worker()
        worker.config = Config(http=Http(port=first.port), kafka=Kafka())
        try:
            await serve(worker)
        finally:
            await first.stop()

    with pytest.raises(exits.Misconfigured, match=r"http\.port: cannot listen .* set another port"):
        asyncio.run(run())
