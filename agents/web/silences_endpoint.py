"""POST and DELETE of silences, the only writes of the web server, with the limits of the command line.

Who may send requests at all is decided in ``access.py``. Pages of other sites that a browser has open are
refused: their forms cannot send JSON, and requests with another Origin than this server are rejected.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import aiokafka.errors
from aiohttp import web
from kafka.errors import KafkaError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agents.kafka import silence_records
from agents.process import exits
from agents.process.exits import Refused
from monitor.delivery.silences import Feature, ScheduledSilence, warning_of
from schemas.config.connections import Kafka
from schemas.fields import Duration, Severity
from schemas.records import Silence
from schemas.times import microseconds

PATIENCE_S = 30.0
_DOWN = (KafkaError, aiokafka.errors.KafkaError, OSError, TimeoutError, exits.Misconfigured)


class _SilenceRequest(BaseModel):
    """The body of a POST, with the names of softfail.yaml."""

    model_config = ConfigDict(extra="forbid")

    match: str
    for_: Duration = Field(alias="for")
    reason: str
    author: str = "unknown"
    environments: list[str] = []
    severity: list[Severity] = []


class SilencesEndpoint:
    """The routes that add and end silences.

    Args:
        kafka: where they are written.
        features: gives the features that are known.
    """

    def __init__(self, kafka: Kafka, features: Callable[[], Awaitable[Collection[Feature]]]) -> None:
        self._kafka, self._features = kafka, features
        self._write_lock = asyncio.Lock()

    def routes(self) -> list[web.RouteDef]:
        """Return the routes for the application."""
        return [web.post("/api/silences", self._add), web.delete("/api/silences/{silence_id}", self._end)]

    async def _add(self, request: web.Request) -> web.Response:
        if (refusal := self._refusal(request)) is not None:
            return refusal
        try:
            body = _SilenceRequest.model_validate(json.loads(await request.read()))
            now = datetime.now(UTC)
            silence = silence_records.new_silence(
                body.match,
                body.for_,
                body.reason,
                body.author,
                now,
                body.environments,
                list[str](body.severity),
            )
        except web.HTTPRequestEntityTooLarge:
            return _answer(413, error="body: is longer than 64 KB")
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            return _answer(
                400,
                error=(
                    f"{'.'.join(map(str, first['loc'])) or 'body'}:"
                    f" {first['msg'].removeprefix('Value error, ')}"
                ),
            )
        except (ValueError, RecursionError) as error:
            return _answer(
                400,
                error=(
                    str(error) if not isinstance(error, json.JSONDecodeError) else f"body: not JSON: {error}"
                ),
            )

        async def add() -> Silence:
            await silence_records.require_space(self._kafka, now)
            return silence

        warning = warning_of(silence.match, silence.environments, await self._features())
        return await self._write(add, 201, **({"warning": warning} if warning else {}))

    async def _end(self, request: web.Request) -> web.Response:
        if (refusal := self._refusal(request)) is not None:
            return refusal
        return await self._write(
            lambda: silence_records.end_silence(
                self._kafka, request.match_info["silence_id"][:100], datetime.now(UTC)
            ),
            200,
        )

    async def _write(self, make: Any, status: int, **beside: str) -> web.Response:
        try:
            async with self._write_lock, asyncio.timeout(PATIENCE_S):
                silence = await make()
                await asyncio.to_thread(silence_records.write_silence, self._kafka, silence)
        except Refused as error:
            return _answer(409, error=str(error))
        except _DOWN as error:
            return _answer(
                503,
                error=(
                    f"Kafka does not take it: {type(error).__name__}; look with: python -m agents silence"
                    " list"
                ),
            )
        shown = ScheduledSilence.from_record(silence).status(microseconds(silence.ends_at))
        return _answer(status, **shown, **beside)

    def _refusal(self, request: web.Request) -> web.Response | None:
        if request.method == "POST" and request.content_type != "application/json":
            return _answer(415, error="Content-Type: must be application/json")
        origin = request.headers.get("Origin")
        if request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin") or (
            origin is not None and urlsplit(origin).netloc != request.host
        ):
            return _answer(403, error="Origin: another page may not set silences")
        return None


def _answer(status: int, **body: Any) -> web.Response:
    return web.Response(status=status, text=json.dumps(body) + "\n", content_type="application/json")
