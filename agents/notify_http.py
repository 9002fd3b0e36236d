"""Send a request of a channel over HTTP, or print it, and return the answer."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Mapping

import aiohttp

from agents.runtime.clock import wall_clock_us
from monitor.channels.interface import (
    ChangeChannel,
    ChangeStep,
    Channel,
    DeliveryResult,
    Permanent,
    Request,
    Step,
)

log = logging.getLogger("softfail.notify")
ANSWER_BYTES = 2048  # of an answer that are read

Answer = tuple[int | None, Mapping[str, str], bytes]
"""Status (None: there was no answer), headers, and the beginning of the body."""


def session_of(connector: aiohttp.BaseConnector) -> aiohttp.ClientSession:
    """Return a session that never decompresses: 2 KB of an answer may unpack to gigabytes."""
    return aiohttp.ClientSession(
        connector=connector,
        trust_env=True,
        auto_decompress=False,
        headers={"Accept-Encoding": "identity"},
    )


async def deliver(
    channel: Channel, step: Step | ChangeStep, session: aiohttp.ClientSession
) -> DeliveryResult:
    """Send one step and return what came of it. Raises nothing but cancellation."""
    try:
        if isinstance(step, Step):
            request = channel.request(step, wall_clock_us())
        else:
            assert isinstance(channel, ChangeChannel)
            request = channel.change_request(step.change, wall_clock_us())
    except Exception as error:
        # A step that a channel cannot render must not keep the others waiting.
        log.exception("no request could be made: %s", step.label)
        return Permanent(f"no request could be made: {type(error).__name__}")
    status, headers, body = await (_print(request) if request.method == "PRINT" else post(request, session))
    return channel.interpret(status, headers, body, wall_clock_us())


async def post(request: Request, session: aiohttp.ClientSession) -> Answer:
    """Send a request and return the answer; without one, the status is None and the body says why."""
    timeout = aiohttp.ClientTimeout(total=request.timeout_s)
    try:
        headers, body = dict(request.headers), request.body or None
        async with session.request(
            request.method, request.url, data=body, headers=headers, allow_redirects=False, timeout=timeout
        ) as response:
            return response.status, dict(response.headers), await _beginning(response.content)
    except TimeoutError:
        return None, {}, f"no answer within {request.timeout_s:g} s".encode()
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return None, {}, f"{type(error).__name__}: {error}".encode("utf-8", "replace")


async def _beginning(content: aiohttp.StreamReader) -> bytes:
    """Read the first ``ANSWER_BYTES`` of a body; one read may return less."""
    body = b""
    while len(body) < ANSWER_BYTES and (part := await content.read(ANSWER_BYTES - len(body))):
        body += part
    return body


async def _print(request: Request) -> Answer:
    def write() -> None:
        sys.stdout.buffer.write(request.body)
        sys.stdout.flush()

    try:
        await asyncio.to_thread(write)  # a pipe that nobody reads must not stop the loop
    except (OSError, ValueError) as error:
        return None, {}, f"standard output: {error}".encode()
    return 200, {}, b""
