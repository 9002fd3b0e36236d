"""A local target over HTTP: each tenth call fails, one case hangs, some answers refuse."""

from __future__ import annotations

import json
import threading
from collections import Counter
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class ModelServer:
    """``refused``: cases whose answers refuse; ``hanging``: cases that get no answer. ``calls``: by case."""

    def __init__(self, *, fails_each: int = 0, cost_usd: float | None = None) -> None:
        self.refused: set[str] = set()
        self.hanging: set[str] = set()
        self.calls: Counter[str] = Counter()
        self.headers: list[dict[str, str]] = []
        self.requests: list[dict[str, Any]] = []
        self.status = 503
        self._released = threading.Event()
        self._lock = threading.Lock()
        self._fails_each, self._cost_usd = fails_each, cost_usd
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, answer = server.answer(request, dict(self.headers))
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

            def handle(self) -> None:
                with suppress(OSError):  # the client has gone
                    super().handle()

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def answer(self, request: dict[str, Any], headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
        with self._lock:
            self.calls[request["id"]] += 1
            self.headers.append(headers)
            self.requests.append(request)
            fails = self._fails_each and self.calls.total() % self._fails_each == 0
        if request["id"] in self.hanging:
            self._released.wait()
        if fails:
            return self.status, {"error": "overloaded"}
        output = (
            "I'm sorry, but I can't help with that."
            if request["id"] in self.refused
            else "Here you are: done."
        )
        answer: dict[str, Any] = {"output": output}
        if self._cost_usd is not None:
            answer["cost_usd"] = self._cost_usd
        return 200, answer

    def close(self) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()
