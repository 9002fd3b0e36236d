"""Limits of the HTTP server: number of connections, time for a request. aiohttp has neither.

A connection over the limit takes the place of the one that has waited longest for its next request, so that
thousands of half-sent requests never keep a probe or a scrape out.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestHandler

MOST_CONNECTIONS = 256
RESERVED = 512  # open files that Kafka, logs and receivers need
IDLE_S = 10.0  # until the header of a request is complete, and between two requests
REQUEST_S = 60.0  # to read a body, answer, and send the answer
BODY_BYTES = 64 << 10

log = logging.getLogger("softfail.web")


def most_connections(open_files: int) -> int:
    """Return how many connections are accepted under a limit of open files.

    >>> most_connections(65_536), most_connections(1024), most_connections(256)
    (256, 256, 16)
    """
    return max(16, min(MOST_CONNECTIONS, (open_files - RESERVED) // 2))


class LimitedRunner(web.AppRunner):
    """The runner of aiohttp with a ``LimitedServer``."""

    def __init__(self, app: web.Application, most: int) -> None:
        super().__init__(
            app,
            access_log=None,
            shutdown_timeout=1,
            handle_signals=False,
            keepalive_timeout=IDLE_S,
            lingering_time=1.0,
            auto_decompress=False,  # a body of 64 KB may unpack to gigabytes, and nobody needs it
        )
        self._most = most

    async def _make_server(self) -> web.Server:
        return LimitedServer(await super()._make_server(), self._most)


class LimitedServer(web.Server):
    """A server of aiohttp with at most ``most`` connections, each with a time limit for a request."""

    def __init__(self, server: web.Server, most: int) -> None:
        super().__init__(
            server.request_handler,
            request_factory=server.request_factory,
            handler_cancellation=server.handler_cancellation,
            **server._kwargs,
        )
        self._most = most
        self._since: dict[RequestHandler, None] = {}  # in the order in which they came

    def __call__(self) -> RequestHandler:
        """Return the protocol of a new connection."""
        return _Connection(self, loop=self._loop, **self._kwargs)

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        """Accept a connection; over the limit, close the one that has waited longest for a request."""
        super().connection_made(handler, transport)
        self._since[handler] = None
        if len(self._since) > self._most:
            waiting = (other for other in self._since if _is_waiting(other))
            self._abort(next(waiting, handler))

    def connection_lost(self, handler: RequestHandler, exc: BaseException | None = None) -> None:
        """Forget a connection."""
        self._since.pop(handler, None)
        super().connection_lost(handler, exc)

    def served(self, handler: RequestHandler) -> None:
        """Note that a connection waits for its next request from now on."""
        if handler in self._since:
            self._since[handler] = self._since.pop(handler)

    def _abort(self, handler: RequestHandler) -> None:
        self._since.pop(handler, None)
        if isinstance(handler.transport, asyncio.Transport):
            handler.transport.abort()


class _Connection(RequestHandler):
    __slots__ = ()

    async def _handle_request(self, *arguments: Any, **settings: Any) -> Any:
        deadline = self._loop.call_later(REQUEST_S, self._abort)
        try:
            return await super()._handle_request(*arguments, **settings)
        finally:
            deadline.cancel()
            if isinstance(self._manager, LimitedServer):
                self._manager.served(self)

    def _abort(self) -> None:
        if isinstance(self.transport, asyncio.Transport):
            self.transport.abort()

    def log_exception(self, *arguments: Any, **settings: Any) -> None:
        """Log a request that is not HTTP in one line without its bytes: anybody can send thousands."""
        error = settings.get("exc_info")
        if isinstance(error, HttpProcessingError):
            self.logger.warning("refused a request that is not HTTP: %s", type(error).__name__)
        else:
            super().log_exception(*arguments, **settings)

    def handle_error(self, *arguments: Any, **settings: Any) -> web.StreamResponse:
        """Answer a request that cannot be read, without the versions of Python and aiohttp."""
        response = super().handle_error(*arguments, **settings)
        response.headers["Server"] = "softfail"
        return response


def _is_waiting(handler: RequestHandler) -> bool:
    return handler._current_request is None and not handler._request_in_progress
