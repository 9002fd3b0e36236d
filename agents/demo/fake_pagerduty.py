"""A local server with PagerDuty's Events API v2 and configurable faults, for the demo and for tests.

Source: https://developer.pagerduty.com/docs/events-api-v2/trigger-events/ and .../send-change-events/; what
it checks are the documented limits.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web

from monitor.protocol.severity import SEVERITIES

BODY_BYTES = 512 * 1024
SUMMARY_CHARS = 1024
DEDUP_CHARS = 255
ACTIONS = ("trigger", "acknowledge", "resolve")


@dataclass(frozen=True)
class Fault:
    """The treatment of the next request: answer with ``status``, ``close`` the connection, or close it after
    a ``silence`` of ``delay_s``.

    ``slow`` answers rightly after ``delay_s``. ``taken``: the event counts although the sender never hears of
    it.
    """

    kind: Literal["status", "close", "silence", "slow"]
    status: int = 500
    headers: tuple[tuple[str, str], ...] = ()
    delay_s: float = 0.0
    taken: bool = False


@dataclass
class PagerDutyIncident:
    """An incident that PagerDuty would have opened. Times are seconds since 1970."""

    dedup_key: str
    payload: dict[str, Any]
    opened_at: float
    resolved_at: float | None = None
    acknowledged: bool = False
    triggers: int = 1


@dataclass
class FakePagerDuty:
    """Accepts events at ``url`` once started, and keeps incidents, answers and change events."""

    routing_key: str
    faults: deque[Fault] = field(default_factory=deque)
    incidents: list[PagerDutyIncident] = field(default_factory=list)
    # event_action, dedup_key, status; None: connection closed
    answers: list[tuple[str, str, int | None]] = field(default_factory=list)
    # accepted change events, without their keys
    changes: list[dict[str, Any]] = field(default_factory=list)
    change_faults: deque[Fault] = field(default_factory=deque)
    change_answers: list[int | None] = field(default_factory=list)
    url: str = ""
    _runner: web.AppRunner | None = None

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; port 0 takes a free port."""
        app = web.Application(client_max_size=4 * BODY_BYTES)
        app.router.add_post("/v2/enqueue", self._enqueue)
        app.router.add_post("/v2/change/enqueue", self._enqueue_change)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        bound = self._runner.addresses[0][1]
        self.url = f"http://{host}:{bound}/v2/enqueue"

    async def stop(self) -> None:
        """Stop listening and keep the incidents. ``start`` may follow, on the port of ``url``."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def take(self, body: bytes) -> tuple[int, dict[str, Any]]:
        """Return status and answer to a request."""
        event, faults = read_event(body)
        if not faults and event["routing_key"] != self.routing_key:
            faults = ["'routing_key' is not the key of an integration"]
        if faults:
            return 400, {"status": "invalid event", "message": "Event object is invalid", "errors": faults}
        key = event.get("dedup_key") or f"made-up-{len(self.incidents)}"
        current = next(
            (
                incident
                for incident in self.incidents
                if incident.dedup_key == key and incident.resolved_at is None
            ),
            None,
        )
        if event["event_action"] == "trigger":
            if current is None:  # after a resolve, the same key opens another incident
                self.incidents.append(PagerDutyIncident(key, event["payload"], time.time()))
            else:
                current.triggers += 1
        elif current is not None:  # else it is dropped, and answered all the same
            if event["event_action"] == "acknowledge":
                current.acknowledged = True
            else:
                current.resolved_at = time.time()
        return 202, {"status": "success", "message": "Event processed", "dedup_key": key}

    def take_change(self, body: bytes) -> tuple[int, dict[str, Any]]:
        """Return status and answer to a request with a change event. A repeated event is kept twice."""
        event, faults = read_change(body)
        if not faults and event["routing_key"] != self.routing_key:
            faults = ["'routing_key' is not the key of an integration"]
        if faults:
            return 400, {"status": "invalid event", "message": "Event object is invalid", "errors": faults}
        self.changes.append({name: value for name, value in event.items() if name != "routing_key"})
        return 202, {"status": "success", "message": "Change event processed"}

    async def _enqueue_change(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        fault = self.change_faults.popleft() if self.change_faults else Fault("slow")
        return await self._answer(request, fault, lambda: self.take_change(body), self.change_answers.append)

    async def _enqueue(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        event, _ = read_event(body)
        name = str(event.get("event_action")), str(event.get("dedup_key"))
        fault = self.faults.popleft() if self.faults else Fault("slow")
        return await self._answer(
            request, fault, lambda: self.take(body), lambda status: self.answers.append((*name, status))
        )

    async def _answer(
        self,
        request: web.Request,
        fault: Fault,
        take: Callable[[], tuple[int, dict[str, Any]]],
        note: Callable[[int | None], None],
    ) -> web.StreamResponse:
        await asyncio.sleep(fault.delay_s)
        if fault.kind == "slow":
            status, answer = take()
            note(status)
            return web.json_response(answer, status=status)
        if fault.taken:
            take()
        if fault.kind == "status":
            note(fault.status)
            return web.json_response(
                {"status": "fault", "message": "as ordered"}, status=fault.status, headers=dict(fault.headers)
            )
        note(None)
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=500)  # the client is gone


def read_change(body: bytes) -> tuple[dict[str, Any], list[str]]:
    """Parse a change event; return it and its faults, in the words of PagerDuty.

    >>> read_change(b'{"routing_key": "0123456789abcdef0123456789abcdef", "payload": {}}')[1]
    ["'payload.summary' is missing or blank"]
    """
    event, faults = _object(body)
    if faults:
        return {}, faults
    payload = event.get("payload")
    if not isinstance(payload, dict):
        return event, [*_key_faults(event), "'payload' is missing or blank"]
    faults = _key_faults(event)
    if not payload.get("summary"):
        faults.append("'payload.summary' is missing or blank")
    if len(str(payload.get("summary", ""))) > SUMMARY_CHARS:
        faults.append(f"'payload.summary' exceeds {SUMMARY_CHARS} characters")
    if not isinstance(payload.get("custom_details", {}), dict):
        faults.append("'payload.custom_details' must be an object")
    faults += ["'links.href' is missing" for link in event.get("links", ()) if not link.get("href")]
    return event, faults


def read_event(body: bytes) -> tuple[dict[str, Any], list[str]]:
    """Parse an event; return it and its faults, in the words of PagerDuty.

    >>> read_event(b'{"routing_key": "short", "event_action": "resolve"}')[1]
    ["'routing_key' must be 32 characters", "'dedup_key' is missing or blank"]
    """
    event, faults = _object(body)
    if faults:
        return {}, faults
    faults = _key_faults(event)
    action, key = event.get("event_action"), event.get("dedup_key")
    if action not in ACTIONS:
        faults.append("'event_action' must be one of trigger, acknowledge, resolve")
    if key is None and action != "trigger":
        faults.append("'dedup_key' is missing or blank")
    if key is not None and not (isinstance(key, str) and 0 < len(key) <= DEDUP_CHARS):
        faults.append(f"'dedup_key' must be a string of 1 to {DEDUP_CHARS} characters")
    if action == "trigger":
        faults += _payload_faults(event.get("payload"))
        faults += [
            f"'images.src' must be https: {image}"
            for image in event.get("images", ())
            if not str(image.get("src", "")).startswith("https://")
        ]
        faults += ["'links.href' is missing" for link in event.get("links", ()) if not link.get("href")]
    return event, faults


def _object(body: bytes) -> tuple[dict[str, Any], list[str]]:
    if len(body) > BODY_BYTES:
        return {}, [f"event exceeds {BODY_BYTES // 1024} KB"]
    try:
        event = json.loads(body)
    except ValueError:
        return {}, ["body is not JSON"]
    return (event, []) if isinstance(event, dict) else ({}, ["body is not an object"])


def _key_faults(event: dict[str, Any]) -> list[str]:
    return (
        []
        if re.fullmatch(r"[A-Za-z0-9]{32}", str(event.get("routing_key", "")))
        else ["'routing_key' must be 32 characters"]
    )


def _payload_faults(payload: Any) -> list[str]:
    if not isinstance(payload, dict):
        return ["'payload' is missing or blank"]
    faults = [
        f"'payload.{name}' is missing or blank"
        for name in ("summary", "source", "severity")
        if not payload.get(name)
    ]
    if len(str(payload.get("summary", ""))) > SUMMARY_CHARS:
        faults.append(f"'payload.summary' exceeds {SUMMARY_CHARS} characters")
    if payload.get("severity") not in SEVERITIES:
        faults.append(f"'payload.severity' must be one of {', '.join(SEVERITIES)}")
    return faults
