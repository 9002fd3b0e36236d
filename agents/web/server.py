"""The HTTP server of a worker: the page, its data, metrics, probes and silences. No cookies, no external
content.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aiohttp import web

from agents.process import descriptors, exits
from agents.web.access import EVERYBODY_HERE, Access, guard
from agents.web.connections import BODY_BYTES, LimitedRunner, most_connections
from agents.web.fleet_reader import FleetReader
from agents.web.metrics_endpoint import exposition
from agents.web.silences_endpoint import SilencesEndpoint
from agents.web.status_endpoint import FleetStatus, narrow, overview, shown
from agents.web.ui import page_html
from agents.web.worker_status import LiveWorker, readiness_faults, unhealthy
from monitor.fleet.read_model import Fleet
from schemas.config.connections import Http, Kafka

if TYPE_CHECKING:
    from agents.runtime.app import Worker

log = logging.getLogger("softfail.web")

_PAGE = page_html()
FRESH_S = 1.0
MOST_SAMPLES = 200  # failing answers in a response
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self';"
        " img-src data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
}


class _Status:
    """Builds the status at most once a second, for all readers."""

    def __init__(self, worker: LiveWorker, reader: FleetStatus | None, *, may_silence: bool) -> None:
        self._worker, self._reader, self._may_silence = worker, reader, may_silence
        self._building = asyncio.Lock()
        self._built_at = -FRESH_S
        self._status: dict[str, Any] = {}

    async def answer(self, match: str) -> bytes:
        shown_status = await self._fresh()
        return await asyncio.to_thread(lambda: json.dumps(narrow(shown_status, match)).encode())

    async def features(self) -> set[tuple[str, str, str]]:
        """Return service, feature and environment of all features."""
        rows = (await self._fresh())["features"]
        return {(row["service"], row["feature"], row["environment"]) for row in rows}

    async def _fresh(self) -> dict[str, Any]:
        async with self._building:
            if time.monotonic() - self._built_at >= FRESH_S:
                status = await overview(self._worker, datetime.now(UTC), time.monotonic(), self._reader)
                self._status = await asyncio.to_thread(shown, {**status, "may_silence": self._may_silence})
                self._built_at = time.monotonic()
            return self._status


_WORKER = web.AppKey("worker", LiveWorker)
_STATUS = web.AppKey("status", _Status)
_READER = web.AppKey[FleetStatus | None]("reader")


class WebServer:
    """Serves one worker from its own event loop.

    Args:
        worker: whose status and metrics are shown.
        http: where to listen.
        kafka: where silences are written; None: they cannot be set.
        reader: knows what the other workers have published; None: only this worker is shown.
        access: who may read; None: who knows `http.token`, or everybody on this machine.
    """

    def __init__(
        self,
        worker: LiveWorker,
        http: Http,
        kafka: Kafka | None = None,
        reader: FleetStatus | None = None,
        access: Access | None = None,
    ) -> None:
        self._worker, self._reader = worker, reader
        self._access = Access(None if http.is_open else http.token) if access is None else access
        self._http, self._kafka = http, kafka
        self._runner: web.AppRunner | None = None
        self.port = http.port

    @property
    def url(self) -> str:
        """Address of the page, with the port that is in use."""
        host = f"[{self._http.host}]" if ":" in self._http.host else self._http.host
        return f"http://{host}:{self.port}/"

    @property
    def link(self) -> str:
        """The same with a token that the worker made."""
        return self._access.link(self.url)

    async def start(self) -> None:
        """Bind and serve. Port 0 takes a free port, which ``port`` then names.

        Raises:
            OSError: the address cannot be bound; the message names `http.host` and `http.port`.
        """
        self._runner = LimitedRunner(
            application(self._worker, self._access, self._kafka, self._reader),
            most_connections(descriptors.raise_limit()),
        )
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._http.host, self._http.port).start()
        except (OSError, OverflowError) as error:
            await self.stop()
            raise OSError(
                f"http.host, http.port: cannot listen on {self._http.host}:{self._http.port}:"
                f" {getattr(error, 'strerror', None) or error}; set another port (SOFTFAIL_HTTP__PORT), or 0"
                " for a free one"
            ) from None
        self.port = self._runner.addresses[0][1]
        if self._access.token is None or exits.total_restarts():
            log.info("status page and /metrics at %s", self.url)
        elif self._access.is_generated:
            log.info("status page: %s (made for this worker; set http.token for one of yours)", self.link)
        else:
            log.info("status page and /metrics at %s, with http.token", self.url)

    async def stop(self) -> None:
        """Close the sockets. May be called twice."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()


async def serve(worker: Worker) -> None:
    """Serve a worker for the life of its process; for ``agents.runtime.app.run(..., beside=[serve])``.

    Raises:
        Misconfigured: the address cannot be bound.
    """
    kafka = worker.config.kafka
    reader = None if kafka.embedded else FleetReader(kafka, Fleet(worker.config))
    http = worker.config.http
    server = WebServer(worker, http, None if kafka.embedded else kafka, reader, Access.from_config(http))
    try:
        await server.start()
    except OSError as error:  # nothing that a restart mends
        raise exits.Misconfigured(str(error)) from None
    try:
        await (asyncio.Event().wait() if reader is None else reader.run())
    finally:
        await server.stop()


def application(
    worker: LiveWorker,
    access: Access = EVERYBODY_HERE,
    kafka: Kafka | None = None,
    reader: FleetStatus | None = None,
) -> web.Application:
    """Build the aiohttp application.

    Every request passes the ``guard`` of ``access``. With ``kafka``, silences can be set. With ``reader``,
    the features of all workers are shown, and their failing answers.
    """
    app = web.Application(middlewares=[guard(access)], client_max_size=BODY_BYTES)
    app[_WORKER] = worker
    app[_STATUS] = _Status(worker, reader, may_silence=kafka is not None)
    app[_READER] = reader
    pages = {
        "/": _page,
        "/api/status": _status,
        "/api/samples": _samples,
        "/metrics": _metrics,
        "/healthz": _healthz,
        "/readyz": _readyz,
    }
    app.add_routes([web.get(path, page) for path, page in pages.items()])
    if kafka is not None:
        app.add_routes(SilencesEndpoint(kafka, app[_STATUS].features).routes())
    app.on_response_prepare.append(_with_headers)
    return app


async def _with_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.popall("Server", None)  # the versions of Python and aiohttp
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)


async def _page(request: web.Request) -> web.Response:
    return web.Response(text=_PAGE, content_type="text/html")


async def _status(request: web.Request) -> web.Response:
    body = await request.app[_STATUS].answer(request.query.get("match", "")[:200])
    response = web.Response(body=body, content_type="application/json")
    response.enable_compression()
    return response


async def _samples(request: web.Request) -> web.Response:
    reader, match = request.app[_READER], request.query.get("match", "")[:200]
    samples = [] if reader is None else reader.fleet.samples(match)
    body = await asyncio.to_thread(lambda: json.dumps(shown({"samples": samples[:MOST_SAMPLES]})).encode())
    response = web.Response(body=body, content_type="application/json")
    response.enable_compression()
    return response


async def _metrics(request: web.Request) -> web.Response:
    body, content_type = await exposition(
        request.app[_WORKER], request.headers.get("Accept", ""), time.time()
    )
    response = web.Response(body=body, headers={"Content-Type": content_type})
    response.enable_compression()
    return response


async def _healthz(request: web.Request) -> web.Response:
    worker = request.app[_WORKER]
    return _verdict("healthy", unhealthy(worker), applied_records=worker.counters.records)


async def _readyz(request: web.Request) -> web.Response:
    return _verdict("ready", readiness_faults(request.app[_WORKER]))


def _verdict(name: str, why: Sequence[str], **more: int) -> web.Response:
    return web.Response(
        text=json.dumps({name: not why, "reasons": list(why), **more}) + "\n",
        content_type="application/json",
        status=503 if why else 200,
    )
