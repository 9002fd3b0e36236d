"""Interface of channels: a step becomes a request, and the answer to it a delivery result. Nothing here
sends.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Literal, NamedTuple, Protocol, TypeVar, runtime_checkable

from schemas.records import Change, Episode

Action = Literal["trigger", "resolve", "note"]
Urgency = Literal["high", "low"]
_Settings = TypeVar("_Settings")

CLIENT = "softfail"  # User-Agent of requests, and client of PagerDuty events
LONGEST_RETRY_AFTER_S = 3600.0
DEDUP_CHARS = 255  # limit of PagerDuty, the smallest of all channels


@dataclass(frozen=True, slots=True)
class Step:
    """One message about one episode to one channel.

    ``trigger`` opens ``dedup_key``, or updates it if it is open. ``resolve`` closes it. ``note`` reports what
    has already ended; it stays until a person closes it. ``left_out``: incidents that the episode had beside
    those it lists. ``ring``: which ring of a page, from 1 on.
    """

    channel: str
    episode_id: str
    action: Action
    urgency: Urgency
    reason: str
    episode: Episode
    left_out: int = 0
    ring: int = 1

    @property
    def key(self) -> str:
        """The part of its key that is its own: ``low``, ``high``, ``high/2``, ..."""
        return self.urgency if self.ring == 1 else f"{self.urgency}/{self.ring}"

    @property
    def dedup_key(self) -> str:
        """Key under which the receiver recognises the incident."""
        return f"{self.episode.dedup_key}/{'missed' if self.action == 'note' else self.key}"

    @property
    def label(self) -> str:
        """Name of the step in log lines."""
        return f"{self.channel}: {self.action} {self.dedup_key} ({self.reason})"


@dataclass(frozen=True, slots=True)
class ChangeStep:
    """One change to send to one channel."""

    channel: str
    change: Change

    @property
    def label(self) -> str:
        """Name of the step in log lines."""
        change = self.change
        where = f"{change.service}/{change.feature}, {change.kind}"
        return f"{self.channel}: change {change.change_id} ({where})"


@dataclass(frozen=True, slots=True)
class Request:
    """A request for the shell to send. Method PRINT writes the body to standard output.

    Address, headers and body may contain secrets, so they are not part of its repr. Requests with the same
    ``key`` are sent one after the other: each after the answer to the previous one was saved.
    """

    method: Literal["POST", "GET", "PRINT"]
    key: str
    url: str = field(default="", repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)
    timeout_s: float = 10.0


class Delivered(NamedTuple):
    """The receiver has confirmed it."""


class Retry(NamedTuple):
    """Try again.

    ``after_s``: the shortest wait, seconds. ``hold``: the whole channel waits, not only this episode.
    ``unexpected``: the answer is not the receiver's own, so address, login or proxy are wrong.
    """

    reason: str
    after_s: float = 0.0
    hold: bool = False
    unexpected: bool = False


class Permanent(NamedTuple):
    """The receiver read this request and will never take it."""

    reason: str


DeliveryResult = Delivered | Retry | Permanent


class Channel(Protocol):
    """A receiver of episodes."""

    @property
    def name(self) -> str:
        """Its name under ``channels`` in the configuration."""

    def request(self, step: Step, now_us: int) -> Request:
        """Build the request that sends a step. Pure. ``now_us``: wall clock, microseconds since 1970."""

    def interpret(
        self, status: int | None, headers: Mapping[str, str], body: bytes, now_us: int
    ) -> DeliveryResult:
        """Interpret an answer.

        Args:
            status: HTTP status; None: there was no answer, and ``body`` says why.
            headers: of the answer.
            body: of the answer, or its beginning.
            now_us: wall clock, microseconds since 1970.
        """


@runtime_checkable
class ChangeChannel(Channel, Protocol):
    """A channel that also takes changes, which are no fault and page nobody."""

    @property
    def sends_changes(self) -> bool:
        """Whether the configuration wants it to."""

    def change_request(self, change: Change, now_us: int) -> Request:
        """Build the request that sends a change. Pure. ``now_us``: wall clock, microseconds since 1970."""


def required(settings: _Settings | None, name: str) -> _Settings:
    """Return the settings of a channel.

    Raises:
        ValueError: the configuration has none.
    """
    if settings is None:
        raise ValueError(f"channels.{name}: is not configured")
    return settings


def is_success(status: int, body: bytes) -> bool:
    """Return whether an answer has any status 2xx."""
    del body
    return 200 <= status < 300


def is_refusal(status: int, body: bytes) -> bool:
    """Return whether an answer has a status that is about the request itself: 400, 413 or 422."""
    del body
    return status in (400, 413, 422)


def interpret_http(
    status: int | None,
    headers: Mapping[str, str],
    body: bytes,
    now_us: int,
    *,
    accepted: Callable[[int, bytes], bool] = is_success,
    refused: Callable[[int, bytes], bool] = is_refusal,
) -> DeliveryResult:
    """Interpret an HTTP answer.

    An outage (408, 425, 429, 5xx, no answer): retry. Any answer that neither accepts nor refuses the request,
    like a redirect, 403, 404 or a login page: retry, and ``unexpected``.

    Args:
        status: HTTP status; None: there was no answer, and ``body`` says why.
        headers: of the answer.
        body: of the answer, or its beginning.
        now_us: wall clock, microseconds since 1970.
        accepted: whether a status and a body are how this receiver confirms a request.
        refused: whether they are how it refuses a request for good.

    >>> interpret_http(503, {"Retry-After": "7"}, b"busy", 0)
    Retry(reason='503: busy', after_s=7.0, hold=False, unexpected=False)
    >>> interpret_http(404, {}, b"", 0).unexpected, interpret_http(400, {}, b"", 0)
    (True, Permanent(reason='400'))
    """
    if status is not None and accepted(status, body):
        return Delivered()
    text = " ".join(body[:300].decode("utf-8", "replace").split())
    if status is None:
        return Retry(text or "no answer")
    reason = f"{status}: {text}" if text else str(status)
    after_s = retry_after_s(headers, now_us)
    if status == 429:
        return Retry(reason, 30.0 if after_s is None else after_s, hold=True)
    if status >= 500 or status in (408, 425):
        return Retry(reason, after_s or 0.0)
    if refused(status, body):
        return Permanent(reason)
    return Retry(f"{reason} ({_remedy(status)})", after_s or 0.0, unexpected=True)


def _remedy(status: int) -> str:
    if status < 300:
        return "not the receiver's confirmation: check the address and the proxy"
    if status < 400:
        return "redirects are not followed: configure the address they lead to"
    return "check the address, the login and the proxy"


def json_or_none(body: bytes) -> Any:
    """Decode a body; None if it is no JSON."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def retry_after_s(headers: Mapping[str, str], now_us: int) -> float | None:
    """Return the seconds that a ``Retry-After`` header asks for, 0 to 3600; None without a valid one.

    >>> retry_after_s({"retry-after": "120"}, 0)
    120.0
    >>> retry_after_s({"Retry-After": "Thu, 01 Jan 1970 00:00:30 GMT"}, 10_000_000)
    20.0
    >>> retry_after_s({"Retry-After": "soon"}, 0), retry_after_s({}, 0)
    (None, None)

    Source: RFC 9110, 10.2.3.
    """
    value = next((text.strip() for name, text in headers.items() if name.lower() == "retry-after"), "")
    if value.isascii() and value.isdigit():
        return min(LONGEST_RETRY_AFTER_S, float(value[:9]))
    try:
        time = parsedate_to_datetime(value)
        wait_s = (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() - now_us / 1e6
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return min(LONGEST_RETRY_AFTER_S, max(0.0, wait_s))


def without_secrets(result: DeliveryResult, *secrets: str) -> DeliveryResult:
    """Remove secrets from a result: an answer may quote the request, an error the address.

    >>> without_secrets(Permanent("403: no hook at /services/T0/B0/abc"), "/services/T0/B0/abc")
    Permanent(reason='403: no hook at <SECRET>')
    """
    if isinstance(result, Delivered):
        return result
    reason = result.reason
    for secret in sorted(secrets, key=len, reverse=True):  # the longest first: a secret may contain another
        if len(secret) >= 4:  # a header may be "1", which is no secret and part of many reasons
            reason = reason.replace(secret, "<SECRET>")
    return result._replace(reason=reason)


def json_bytes(value: Any) -> bytes:
    """Encode a value as JSON in UTF-8.

    Lone surrogates, which JSON escapes may contain and UTF-8 may not, become ``?``.
    """
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
