"""Requests of an attacker to the port of a worker, and how quickly a probe is answered beside them."""

from __future__ import annotations

import collections
import contextlib
import gzip
import http.client
import socket
import threading
import time

HALF = b"GET /api/status HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "
MOST_HALF = 400  # half-sent requests that are open at a time, above the worker's limit of connections
REQUESTS = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 200_000 + b"\r\n\r\n",
    b"\x16\x03\x01" + bytes(range(256)),
    b"GET /api/status HTTP/1.1\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
    b"GET /../../etc/passwd HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET http://evil.example/api/status HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"POST /api/silences HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999999\r\n\r\n" + b"{" * 1000,
    b"POST /api/silences HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\nx",
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: " + b"\xff\x00=;" * 50 + b"\r\n\r\n",
)


class HostileHttp(threading.Thread):
    """Attacks one port until stopped.

    Attributes:
        statuses: answers by what was asked and status.
        probes_s: how long each answer of ``/healthz`` took, seconds.
        unanswered: probes without an answer, though the port was open.
    """

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self._port, self._done = port, threading.Event()
        self._half: collections.deque[socket.socket] = collections.deque()
        self.statuses: collections.Counter[tuple[str, int]] = collections.Counter()
        self.probes_s: list[float] = []
        self.unanswered = 0

    def run(self) -> None:
        """Attack."""
        turn = 0
        while not self._done.wait(0.25):
            turn += 1
            with contextlib.suppress(OSError):
                for _ in range(10):
                    self._half.append(self._send(HALF))
                self._send(REQUESTS[turn % len(REQUESTS)]).close()
            while len(self._half) > MOST_HALF:
                self._half.popleft().close()
            self._ask("wrong host", "GET", "/api/status", {"Host": "evil.example"})
            bomb = gzip.compress(bytes(1 << 20))
            headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
            self._ask("silence", "POST", "/api/silences", headers, bomb)
            self._ask("surrogate", "POST", "/api/silences", {}, b'{"match": "\\ud800", "for": "1h"}')
            self._probe()
        for connection in self._half:
            connection.close()

    def _send(self, data: bytes) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self._port), timeout=2)
        connection.sendall(data)
        return connection

    def _ask(self, name: str, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bool:
        client = http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)
        try:
            client.request(method, path, body or None, headers)
            self.statuses[name, client.getresponse().status] += 1
        except (OSError, http.client.HTTPException):
            return False
        else:
            return True
        finally:
            client.close()

    def _probe(self) -> None:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self._port), timeout=2).close()
            began = time.monotonic()
            if self._ask("healthz", "GET", "/healthz", {}):
                self.probes_s.append(time.monotonic() - began)
            else:
                self.unanswered += 1

    def stop(self) -> None:
        """Stop attacking."""
        self._done.set()
        self.join(30)
