"""Access to the worker's pages: from this machine, or with the token."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agents.web.access import OPEN, Access, token_of
from agents.web.server import WebServer, application
from schemas.config.connections import Http

TOKEN = "correct-horse:battery"  # a colon, which separates user and password in Basic
PATHS = ("/", "/api/status", "/metrics", "/healthz", "/readyz", "/nothing-here")


def ask(worker, http, *requests, access=None):
    """(status, headers, body) of each (path, headers)."""

    async def run():
        server = WebServer(worker, http, access=access)
        await server.start()
        try:
            async with aiohttp.ClientSession() as session:
                answers = []
                for path, headers in requests:
                    async with session.get(server.url.rstrip("/") + path, headers=headers) as headers_:
                        answers.append((headers_.status, headers_.headers.copy(), await headers_.text()))
                return answers
        finally:
            await server.stop()

    return asyncio.run(run())


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def basic(user, password):
    return (
        {"Authorization": aiohttp.encode_basic_auth(user, password)}
        if hasattr(aiohttp, "encode_basic_auth")
        else {"Authorization": aiohttp.BasicAuth(user, password, "utf-8").encode()}
    )


def test_with_a_token_every_page_except_the_probes_is_401_without_it(
    realistic_worker,
):
    http = Http(port=0, token=TOKEN)
    for headers in (
        {},
        bearer("wrong-horse"),
        bearer(""),
        bearer(TOKEN[:-1]),
        bearer(TOKEN + "x"),
        basic("anna", "wrong"),
        basic(TOKEN.replace(":", ""), ""),
        {"Authorization": TOKEN},
        {"Authorization": "Basic ???"},
        {"Authorization": f"Digest {TOKEN}"},
        {"Cookie": f"token={TOKEN}"},
    ):
        for path, (status, headers_, body) in zip(
            PATHS, ask(realistic_worker(), http, *((path, headers) for path in PATHS)), strict=True
        ):
            if path in OPEN:
                assert status == 200
                continue
            assert status == 401, path
            assert [challenge.split(" ")[0] for challenge in headers_.getall("WWW-Authenticate")] == [
                "Bearer",
                "Basic",
            ]
            assert "http.token" in body
            assert "support-bot" not in body
            assert TOKEN not in body + str(headers_)
            assert headers_["Cache-Control"] == "no-store"


def test_the_token_is_accepted_as_bearer_and_as_the_password_of_any_user(realistic_worker):
    for headers in (
        bearer(TOKEN),
        {"Authorization": f"bearer  {TOKEN} "},
        basic("anna", TOKEN),
        basic("", TOKEN),
    ):
        answers = ask(realistic_worker(), Http(port=0, token=TOKEN), *((path, headers) for path in PATHS))
        assert [status for status, _, _ in answers] == [200] * 5 + [404], headers
        assert all(TOKEN not in body for _, _, body in answers)


def test_a_token_in_the_address_is_not_accepted(realistic_worker):
    ((status, _, _),) = ask(
        realistic_worker(), Http(port=0, token=TOKEN), (f"/api/status?token={TOKEN}&access_token={TOKEN}", {})
    )
    assert status == 401


def test_the_probes_reveal_no_measurement(realistic_worker):
    assert set(OPEN) == {"/healthz", "/readyz"}
    for _, _, body in ask(realistic_worker(), Http(port=0, token=TOKEN), *((path, {}) for path in OPEN)):
        assert "support-bot" not in body


def test_with_the_token_none_loopback_needs_no_authentication(realistic_worker):
    http = Http(port=0, token="none")
    assert Access.from_config(http) == Access()
    assert [status for status, _, _ in ask(realistic_worker(), http, *((path, {}) for path in PATHS))] == [
        200
    ] * 5 + [404]


def test_on_loopback_the_worker_makes_a_token_and_prints_a_link_with_it(realistic_worker, caplog):
    access = Access.from_config(Http(port=0))
    assert access.token is not None
    assert access.is_generated
    token = access.token.get_secret_value()
    assert len(token) >= 32
    assert Access.from_config(Http(port=0)) == access  # as long as the process lives
    with caplog.at_level("INFO", "softfail.web"):
        answers = ask(realistic_worker(), Http(port=0), *((path, {}) for path in PATHS), access=access) + ask(
            realistic_worker(), Http(port=0), *((path, bearer(token)) for path in PATHS), access=access
        )
    assert [status for status, _, _ in answers] == [401, 401, 200, 200, 200, 401] + [200] * 5 + [404]
    assert "the link that the worker printed" in answers[0][2]
    assert f"/?token={token}" in caplog.text


def test_the_link_sets_a_cookie_that_opens_the_page_and_hides_the_token(realistic_worker):
    access = Access.from_config(Http(port=0))

    async def run():
        server = WebServer(realistic_worker(), Http(port=0), access=access)
        await server.start()
        jar = aiohttp.CookieJar(unsafe=True)  # cookies of an IP address
        try:
            async with aiohttp.ClientSession(cookie_jar=jar) as session:
                async with session.get(server.link, allow_redirects=False) as welcome:
                    headers = welcome.headers.copy()
                async with session.get(server.link) as page, session.get(server.url + "api/status") as status:
                    return server.link, headers, (page.status, str(page.url)), status.status
        finally:
            await server.stop()

    link, headers, page, status = asyncio.run(run())
    assert headers["Location"] == "/"
    assert "HttpOnly" in headers["Set-Cookie"]
    assert "SameSite=Strict" in headers["Set-Cookie"]
    assert page == (200, link.partition("?")[0])
    assert status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:6066",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "127.0.0.1@evil.example",
        "evil.example@127.0.0.1",
        "[::1].evil.example",
        "127.0.0.1?x",
        "127.0.0.1#.evil.example",
        "localhost:evil.example",
        "127.0.0.1:6066:evil",
        "0.0.0.0",
        "[::]",
        "[::ffff:10.0.0.7]:6066",
        "[",
        "10.0.0.7",
    ],
)
@pytest.mark.parametrize("http", [Http(port=0), Http(port=0, token="none")], ids=["generated", "none"])
def test_without_a_token_of_the_configuration_another_host_name_is_refused_on_every_route(
    realistic_worker, host, http
):
    answers = ask(
        realistic_worker(), http, *((path, {"Host": host}) for path in PATHS), access=Access.from_config(http)
    )
    assert [status for status, _, _ in answers] == [403] * len(PATHS)
    assert all("support-bot" not in body and "http.token" in body for _, _, body in answers)


def test_with_a_token_of_the_configuration_any_host_name_is_answered(realistic_worker):
    answers = ask(
        realistic_worker(),
        Http(port=0, token=TOKEN),
        *((path, bearer(TOKEN) | {"Host": "softfail.example"}) for path in PATHS),
    )
    assert [status for status, _, _ in answers] == [200] * 5 + [404]


def test_the_token_none_is_refused_where_others_can_reach_the_worker():
    with pytest.raises(ValidationError, match="token: none lets everybody read who reaches 0\\.0\\.0\\.0"):
        Http(host="0.0.0.0", token="none")


def test_the_log_mentions_that_a_token_is_required_and_not_its_value(realistic_worker, caplog):
    with caplog.at_level("DEBUG"):
        ask(realistic_worker(), Http(port=0, token=TOKEN), ("/", {}), ("/", bearer(TOKEN)))
    assert "http.token" in caplog.text
    assert TOKEN not in caplog.text


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "10.0.0.7", "softfail.example", "", "128.0.0.1", "localhost.example"]
)
def test_a_host_reachable_by_others_is_refused_without_a_token(host):
    with pytest.raises(
        ValidationError, match=r"token: is missing, and others can reach .*SOFTFAIL_HTTP_TOKEN.*127\.0\.0\.1"
    ):
        Http(host=host)
    assert Http(host=host, token=TOKEN).token.get_secret_value() == TOKEN


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_needs_no_token(host):
    assert Http(host=host).token is None


@pytest.mark.parametrize(
    "token",
    [
        "",
        "short",
        "fifteen-signs-x",
        "with spaces in it, long enough",
        "zeilenumbruch\nzeilenumbruch",
        "schlüsselschlüssel",
    ],
)
def test_a_token_that_is_short_or_invalid_in_a_header_is_refused_and_not_shown(token):
    with pytest.raises(ValidationError, match="token: must be 16 to 500") as refused:
        Http(token=token)
    assert not token or token not in str(refused.value)


@given(st.text(st.characters(codec="latin-1"), max_size=80))
def test_no_header_raises_an_error(header):
    shown = token_of(header)
    assert shown is None or isinstance(shown, bytes)


def test_every_route_except_the_probes_requires_the_token(realistic_worker):
    routes = {route.resource.canonical for route in application(realistic_worker()).router.routes()}
    assert routes - OPEN == {"/", "/api/samples", "/api/status", "/metrics"}, (
        "a new route: is it tested above?"
    )
