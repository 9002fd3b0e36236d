"""Who may read the HTTP port: a check of the `Host` header on every route, and a token.

With `http.token`, all but the probes needs it: as a bearer token (Prometheus, scripts) or as the password of
any user (browsers). A name that leads elsewhere (DNS rebinding) is of no use without the token.

Without it the port listens on loopback only. Every request must then name loopback as its host, and the
worker makes a token: the link that it prints sets a cookie. Probes and /metrics need no token there.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from typing import NamedTuple

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from pydantic import SecretStr

from agents.process.session_secret import session_secret
from schemas.config.connections import Http

OPEN = frozenset({"/healthz", "/readyz"})
"""Probes of Docker and Kubernetes, which have no token. They report the health of the process only."""
OPEN_HERE = OPEN | {"/metrics"}
"""Open to this machine under a token that the worker made: a scraper cannot know it."""
_CHALLENGES = (
    'Bearer realm="softfail"',
    'Basic realm="softfail: any user, the password is http.token", charset="UTF-8"',
)
_WHY = "http.token is required: send it as `Authorization: Bearer TOKEN`, or as the password of any user"
_WHY_HERE = (
    "open the link that the worker printed when it started (its log: `status page`), send its token as"
    " `Authorization: Bearer TOKEN`, or set http.token"
)


class Access(NamedTuple):
    """The token that requests need; None: none. ``is_generated``: the worker made it."""

    token: SecretStr | None = None
    is_generated: bool = False

    @classmethod
    def from_config(cls, http: Http) -> Access:
        """Return the access of a configuration; without `http.token`, with a token of this worker."""
        if http.is_open:
            return cls()
        if http.token is not None:
            return cls(http.token)
        return cls(SecretStr(session_secret()), is_generated=True)

    def link(self, url: str) -> str:
        """Return the address of the page, with a token that the worker made."""
        if self.token is None or not self.is_generated:
            return url
        return f"{url}?token={self.token.get_secret_value()}"


_HOST = re.compile(r"(?:(?P<name>[A-Za-z0-9.-]+)|\[(?P<address>[0-9A-Fa-f:.]+)\])(?::[0-9]{1,5})?")

EVERYBODY_HERE = Access()
"""Everybody on this machine."""


def guard(access: Access) -> Middleware:
    """Make the middleware that every request passes, also on unknown paths."""
    expected = None if access.token is None else _digest(access.token.get_secret_value().encode())
    is_local = access.token is None or access.is_generated
    open_paths = OPEN_HERE if access.is_generated else OPEN

    def is_expected(token: bytes | None) -> bool:
        return expected is None or (token is not None and hmac.compare_digest(_digest(token), expected))

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if is_local and not is_loopback(request.host):
            return _refusal(
                403,
                f"Host: {request.host[:100]!r} is no name of this machine alone; take 127.0.0.1, or set"
                " http.token",
            )
        if expected is None or request.path in open_paths:
            return await handler(request)
        cookie = _cookie_name(request)
        if access.is_generated:
            if request.method == "GET" and is_expected(_bytes(request.query.get("token"))):
                welcome = web.Response(status=303, headers={"Location": request.path})
                welcome.set_cookie(cookie, request.query["token"], httponly=True, samesite="Strict", path="/")
                return welcome
            if is_expected(_bytes(request.cookies.get(cookie))):
                return await handler(request)
        if is_expected(token_of(request.headers.get("Authorization", ""))):
            return await handler(request)
        refusal = _refusal(401, _WHY_HERE if access.is_generated else _WHY)
        for challenge in _CHALLENGES:
            refusal.headers.add("WWW-Authenticate", challenge)
        return refusal

    return check


def is_loopback(host: str) -> bool:
    """Return whether a `Host` header names loopback: a name or an address, and a port if it has one.

    >>> [is_loopback(host) for host in ("127.0.0.1:6066", "[::1]:6066", "localhost", "evil.example:6066", "[")]
    [True, True, True, False, False]
    >>> [is_loopback(host) for host in ("[::1].evil.example", "evil.example@127.0.0.1", "localhost:evil.example")]
    [False, False, False]
    """
    match = _HOST.fullmatch(host)
    return (
        match is not None
        and Http.model_construct(host=(match["name"] or match["address"]).lower()).is_loopback
    )


def _cookie_name(request: web.Request) -> str:
    """Return the name of the cookie: browsers send cookies of one port to all ports of a host."""
    name = None if request.transport is None else request.transport.get_extra_info("sockname")
    return f"softfail-{name[1] if name else 0}"


def _refusal(status: int, error: str) -> web.Response:
    return web.Response(
        status=status, text=json.dumps({"error": error}) + "\n", content_type="application/json"
    )


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode("utf-8", "surrogateescape")


def token_of(authorization: str) -> bytes | None:
    """Return the token of an `Authorization` header; None if it has none.

    >>> token_of("Bearer geheim"), token_of("Basic bWU6Z2VoZWlt"), token_of("Digest x"), token_of("")
    (b'geheim', b'geheim', None, None)
    """
    scheme, _, rest = authorization.partition(" ")
    match scheme.lower():
        case "bearer":
            return rest.strip().encode("utf-8", "surrogateescape")
        case "basic":
            try:
                _, colon, password = base64.b64decode(rest.strip(), validate=True).partition(b":")
            except (binascii.Error, ValueError):
                return None
            return password if colon else None
    return None


def _digest(text: bytes) -> bytes:
    """Return a digest, which has the same length for every text, so that a comparison does not reveal the
    length.
    """
    return hashlib.sha256(text).digest()
