"""Who may read: whoever has `http.token`, as a bearer token (Prometheus, scripts) or as the password of any
user (browsers ask for it).
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
"""Asked by Docker and Kubernetes, which have no token; they say how the process is, and nothing of what it measures."""
_CHALLENGES = (
    'Bearer realm="softfail"',
    'Basic realm="softfail: any user, the password is http.token", charset="UTF-8"',
)
_WHY = (
    json.dumps(
        {
            "error": (
                "http.token is asked for: send it as `Authorization: Bearer TOKEN`, or as the password of any"
                " user"
            )
        }
    )
    + "\n"
)


def asking_for(token: SecretStr) -> Middleware:
    """A middleware that answers 401 to whoever does not show the token, on every path but ``OPEN``, those
    that do not exist included.
    """
    wanted = _digest(token.get_secret_value().encode())

    @web.middleware
    async def ask(request: web.Request, handler: Handler) -> web.StreamResponse:
        shown = shown_in(request.headers.get("Authorization", ""))
        if request.path not in OPEN and not (
            shown is not None and hmac.compare_digest(_digest(shown), wanted)
        ):
            refusal = web.Response(status=401, text=_WHY, content_type="application/json")
            for challenge in _CHALLENGES:
                refusal.headers.add("WWW-Authenticate", challenge)
            return refusal
        return await handler(request)

    return ask


def shown_in(authorization: str) -> bytes | None:
    """The token that an `Authorization` header shows; None if it shows none.

    >>> shown_in("Bearer geheim"), shown_in("Basic bWU6Z2VoZWlt"), shown_in("Digest x"), shown_in("")
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
    """Of one length for every text, so that comparing tells nothing of the length either."""
    return hashlib.sha256(text).digest()
