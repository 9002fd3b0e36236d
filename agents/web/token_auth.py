"""Authentication by `http.token`: a bearer token (Prometheus, scripts) or the password of any user
(browsers).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from pydantic import SecretStr

OPEN = frozenset({"/healthz", "/readyz"})
"""Probes of Docker and Kubernetes, which have no token. They report the health of the process only."""
_CHALLENGES = (
    'Bearer realm="softfail"',
    'Basic realm="softfail: any user, the password is http.token", charset="UTF-8"',
)
_WHY = (
    json.dumps(
        {
            "error": (
                "http.token is required: send it as `Authorization: Bearer TOKEN`, or as the password of any"
                " user"
            )
        }
    )
    + "\n"
)


def require_token(token: SecretStr) -> Middleware:
    """Make a middleware that answers 401 without the token, on every path but ``OPEN``, also on unknown
    paths.
    """
    expected = _digest(token.get_secret_value().encode())

    @web.middleware
    async def ask(request: web.Request, handler: Handler) -> web.StreamResponse:
        shown = token_of(request.headers.get("Authorization", ""))
        if request.path not in OPEN and not (
            shown is not None and hmac.compare_digest(_digest(shown), expected)
        ):
            refusal = web.Response(status=401, text=_WHY, content_type="application/json")
            for challenge in _CHALLENGES:
                refusal.headers.add("WWW-Authenticate", challenge)
            return refusal
        return await handler(request)

    return ask


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
