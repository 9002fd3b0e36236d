"""A model server on loopback that speaks OpenAI's and Anthropic's API, and misbehaves on request.

A text between delimiters that contains BAD gets the verdict *no*, any other *yes*.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from aiohttp import web

FAULTS = ("slow", "429", "500", "cut", "wrong", "fenced", "refusal", "close", "html", "empty", "length")
"""Everything that it can do wrong; ``fenced`` is a right answer with prose around it."""
_DATA = re.compile(r"<data-(?P<nonce>[0-9a-f]{24})>\n(.*?)\n</data-(?P=nonce)>", re.DOTALL)


class ModelServer:
    """Runs in a thread while the context is open.

    Args:
        fault_of: number of the call, from 0 -> a fault, or None.
        slow_s: how long ``slow`` takes.
    """

    def __init__(
        self, fault_of: Callable[[int], str | None] = lambda _: None, slow_s: float = 30.0, model: str = "m-1"
    ) -> None:
        self.fault_of, self.slow_s, self.model = fault_of, slow_s, model
        self.calls = 0
        self.given: Counter[str] = Counter()
        self.bodies: list[dict[str, Any]] = []
        self.flipped: set[str] = set()  # texts that get the other verdict
        self.has_schema = True
        self._ready, self._loop = threading.Event(), asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.url = ""

    def __enter__(self) -> ModelServer:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self) -> None:
        async def start() -> None:
            app = web.Application()
            app.add_routes(
                [web.post("/v1/chat/completions", self._openai), web.post("/v1/messages", self._anthropic)]
            )
            self._runner = web.AppRunner(app, shutdown_timeout=0.1)
            await self._runner.setup()
            site = web.TCPSite(self._runner, "127.0.0.1", 0)
            await site.start()
            self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
            self._ready.set()

        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(start())
        self._loop.run_forever()

    def verdict(self, prompt: str) -> dict[str, str]:
        """Return the verdict on a prompt."""
        texts = [match[2] for match in _DATA.finditer(prompt)]
        assert texts, "no data between delimiters"
        bad = any("BAD" in text for text in texts) ^ any(text in self.flipped for text in texts)
        return {"reason": "because", "verdict": "no" if bad else "yes"}

    async def _fault(self, request: web.Request) -> tuple[str | None, web.Response | None, dict[str, Any]]:
        body = await request.json()
        number, self.calls = self.calls, self.calls + 1
        self.bodies.append(body)
        fault = self.fault_of(number)
        self.given[fault or "answer"] += 1
        if fault == "slow":
            await asyncio.sleep(self.slow_s)
        elif fault == "close":
            assert request.transport is not None
            request.transport.abort()
        elif fault in ("429", "500"):
            return (
                fault,
                web.json_response(
                    {"error": {"message": "busy", "type": "x"}},
                    status=int(fault),
                    headers={"Retry-After": "0.05"},
                ),
                body,
            )
        elif fault == "html":
            return fault, web.Response(text="<html>gateway</html>", content_type="text/html"), body
        return fault, None, body

    async def _openai(self, request: web.Request) -> web.Response:
        fault, response, body = await self._fault(request)
        if response is not None:
            return response
        if not self.has_schema and "response_format" in body:
            error = {"error": {"message": "response_format json_schema is not supported", "type": "x"}}
            return web.json_response(error, status=400)
        content, finish = _content(fault, self.verdict(body["messages"][1]["content"]))
        message: dict[str, Any] = {"role": "assistant", "content": content}
        if fault == "refusal":
            message = {"role": "assistant", "content": None, "refusal": "I cannot help with that."}
        return web.json_response(
            {
                "id": f"c{self.calls}",
                "object": "chat.completion",
                "created": 1,
                "model": self.model,
                "choices": []
                if fault == "empty"
                else [{"index": 0, "message": message, "finish_reason": finish}],
                "usage": {"prompt_tokens": 400, "completion_tokens": 40, "total_tokens": 440},
            }
        )

    async def _anthropic(self, request: web.Request) -> web.Response:
        fault, response, body = await self._fault(request)
        if response is not None:
            return response
        verdict = self.verdict(body["messages"][0]["content"])
        text, _ = _content(fault, verdict)
        content: list[dict[str, Any]] = [{"type": "tool_use", "id": "t", "name": "grade", "input": verdict}]
        if fault in ("cut", "fenced", "length"):
            content = [{"type": "text", "text": text}]
        elif fault == "wrong":
            content[0]["input"] = {"verdict": ["yes"]}
        elif fault in ("refusal", "empty"):
            content = []
        stops = {"refusal": "refusal", "length": "max_tokens"}
        return web.json_response(
            {
                "id": f"m{self.calls}",
                "type": "message",
                "role": "assistant",
                "model": self.model,
                "content": content,
                "stop_reason": stops.get(fault or "", "tool_use"),
                "stop_sequence": None,
                "usage": {"input_tokens": 400, "output_tokens": 40},
            }
        )


def _content(fault: str | None, verdict: dict[str, str]) -> tuple[str, str]:
    text = json.dumps(verdict)
    match fault:
        case "cut":
            return text[:-12], "stop"
        case "length":
            return text[:-12], "length"
        case "wrong":
            return json.dumps({"verdict": "perhaps", "reason": "r"}), "stop"
        case "fenced":
            return f"Here is my grade:\n```json\n{text}\n```\nI hope it helps.", "stop"
        case _:
            return text, "stop"
