"""Half-sent requests, slow bodies and slow readers: probes are answered, and no connection stays for ever."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import aiohttp
import pytest

from agents.kafka import silence_records
from agents.process import descriptors
from agents.web import connections
from agents.web.server import WebServer
from schemas.config.connections import Http, Kafka

HALF = b"GET /api/status HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "


@asynccontextmanager
async def serving(worker, most=20, **server):
    web = WebServer(worker, Http(port=0, token="none"), **server)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connections, "MOST_CONNECTIONS", most)
        await web.start()
    try:
        yield web
    finally:
        await web.stop()


async def connect(web, data=HALF):
    reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
    writer.write(data)
    await writer.drain()
    return reader, writer


async def answer_of(web, path="healthz"):
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session,
        session.get(web.url + path) as answer,
    ):
        return answer.status, answer.headers.copy(), await answer.text()


def test_probes_are_answered_beside_more_half_sent_requests_than_connections(realistic_worker):
    async def run():
        async with serving(realistic_worker()) as web:
            clients = [await connect(web) for _ in range(60)]
            statuses = [(await answer_of(web, path))[0] for path in ("healthz", "readyz", "metrics")]
            closed = [reader.read() for reader, _ in clients[:40]]  # the oldest made place
            await asyncio.wait_for(asyncio.gather(*closed, return_exceptions=True), 10)
            assert len(web._runner.server.connections) <= 20
            for _, writer in clients:
                writer.close()
            return statuses

    assert asyncio.run(run()) == [200, 200, 200]


def test_a_connection_that_was_answered_is_closed_after_those_that_wait_longer(realistic_worker):
    ask = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"

    async def run():
        async with serving(realistic_worker()) as web:
            reader, writer = await connect(web, ask)  # the oldest of all
            half = [await connect(web) for _ in range(19)]
            answers = []
            for _ in range(2):
                answers.append(await reader.readuntil(b"\r\n\r\n"))
                await reader.readexactly(_length(answers[-1]))
                writer.write(ask)
            half.append(await connect(web))
            answers.append(await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10))
            await asyncio.wait_for(asyncio.gather(half[0][0].read(), return_exceptions=True), 10)
            for _, each in half:
                each.close()
            return answers

    assert [answer.split()[1] for answer in asyncio.run(run())] == [b"200"] * 3


def _length(header):
    return int(header.lower().partition(b"content-length:")[2].split()[0])


def test_a_request_that_is_being_handled_is_not_closed_for_those_that_wait(fake_worker):
    begin = (
        b"POST /api/silences HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        b"Content-Length: 2\r\n\r\n{"
    )

    async def run():
        async with serving(fake_worker(), kafka=Kafka()) as web:
            reader, writer = await connect(web, begin)
            half = [await connect(web) for _ in range(40)]
            assert (await answer_of(web))[0] == 200
            writer.write(b"}")
            answer = await asyncio.wait_for(reader.readuntil(b"\r\n"), 10)
            for _, each in half:
                each.close()
            return answer

    assert asyncio.run(run()).split()[1] == b"400"  # match: is missing


def test_a_half_sent_request_is_closed_after_its_time(realistic_worker, monkeypatch):
    monkeypatch.setattr(connections, "IDLE_S", 0.2)

    async def run():
        async with serving(realistic_worker()) as web:
            reader, _ = await connect(web)
            return await asyncio.wait_for(reader.read(), 10)

    assert asyncio.run(run()) == b""


def test_a_body_that_never_arrives_is_given_up(fake_worker, monkeypatch):
    monkeypatch.setattr(connections, "REQUEST_S", 0.2)
    begin = (
        b"POST /api/silences HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        b"Content-Length: 100\r\n\r\n{"
    )

    async def run():
        async with serving(fake_worker(), kafka=Kafka()) as web:
            reader, _ = await connect(web, begin)
            return await asyncio.wait_for(asyncio.gather(reader.read(), return_exceptions=True), 10)

    (result,) = asyncio.run(run())
    assert result == b"" or isinstance(result, ConnectionError)


def test_an_answer_that_nobody_reads_is_given_up(realistic_worker, monkeypatch):
    monkeypatch.setattr(connections, "REQUEST_S", 0.3)
    monkeypatch.setattr("agents.web.server._PAGE", "x" * (64 << 20))

    async def run():
        async with serving(realistic_worker()) as web:
            reader, _ = await connect(web, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            await reader.read(1)
            reader._transport.pause_reading()
            while web._runner.server.connections:  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(0.01)
            return True

    assert asyncio.run(asyncio.wait_for(run(), 20))


@pytest.mark.parametrize(
    ("body", "headers"),
    [(b"x" * (100 << 10), {}), (b"\x1f\x8b" + bytes(100), {"Content-Encoding": "gzip"})],
    ids=["too long", "compressed"],
)
def test_a_body_beyond_its_limit_is_refused(fake_worker, monkeypatch, body, headers):
    monkeypatch.setattr(silence_records, "read_silences", None)  # never reached

    async def run():
        async with (
            serving(fake_worker(), kafka=Kafka()) as web,
            aiohttp.ClientSession(headers={"Content-Type": "application/json"}) as session,
            session.post(web.url + "api/silences", data=body, headers=headers) as answer,
        ):
            return answer.status

    assert asyncio.run(run()) in (400, 413)


def test_no_answer_names_the_server_software(realistic_worker):
    async def run():
        async with serving(realistic_worker()) as web:
            headers = [
                (await answer_of(web, path))[1]
                for path in ("", "api/status", "metrics", "healthz", "nothing")
            ]
            reader, _ = await connect(web, b"nonsense\r\n\r\n")
            return headers, await asyncio.wait_for(reader.read(), 10)

    headers, refusal = asyncio.run(run())
    assert all("Server" not in answer for answer in headers)
    assert b"400" in refusal
    assert b"aiohttp" not in refusal
    assert b"Python" not in refusal


def test_a_request_that_is_not_http_is_one_line_of_the_log_without_its_bytes(realistic_worker, caplog):
    async def run():
        async with serving(realistic_worker()) as web:
            reader, _ = await connect(web, b"GET / HTTP/1.1\r\nCookie: hostile\x00\r\n\r\n")
            return await asyncio.wait_for(reader.read(), 10)

    assert b"400" in asyncio.run(run())
    (record,) = (record for record in caplog.records if record.name == "aiohttp.server")
    assert record.getMessage() == "refused a request that is not HTTP: BadHttpMessage"
    assert record.exc_info is None


def test_the_limit_of_open_files_is_raised_at_the_start():
    import subprocess
    import sys

    script = (
        "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (256, 4096))\n"
        "from agents.process import descriptors\n"
        "print(descriptors.raise_limit(), resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert ended.stdout == "4096 (4096, 4096)\n"
    assert connections.most_connections(descriptors.WANTED) == connections.MOST_CONNECTIONS
