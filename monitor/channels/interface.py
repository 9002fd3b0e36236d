"""What every channel has: a step of an episode becomes a request, the answer to it a result. Nothing here
sends.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

from schemas.records import Change, Episode

Action = Literal["trigger", "resolve", "note"]
Urgency = Literal["high", "low"]

CLIENT = "softfail"  # what we call ourselves
LONGEST_RETRY_AFTER_S = 3600.0
DEDUP_CHARS = 255  # PagerDuty's limit, the smallest of those we know


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to tell one channel about one episode.

    ``trigger`` opens ``dedup_key`` or, when it is open, adds to it; ``resolve`` closes it; ``note`` says what
    is over already, and stays until a person closes it.
    """

    channel: str
    episode_id: str
    action: Action
    urgency: Urgency
    reason: str
    episode: Episode
    left_out: int = 0  # incidents that the episode had beside those it lists

    @property
    def dedup_key(self) -> str:
        """The key under which the receiver recognises the incident."""
        return f"{self.episode.dedup_key}/{'missed' if self.action == 'note' else self.urgency}"

    @property
    def label(self) -> str:
        """What log lines call it."""
        return f"{self.channel}: {self.action} {self.dedup_key} ({self.reason})"


@dataclass(frozen=True, slots=True)
class ChangeStep:
    """One change to send to one channel."""

    channel: str
    change: Change

    @property
    def label(self) -> str:
        """What log lines call it."""
        change = self.change
        where = f"{change.service}/{change.feature}, {change.kind}"
        return f"{self.channel}: change {change.change_id} ({where})"


@dataclass(frozen=True, slots=True)
class Request:
    """What the shell is to do. Address, headers and body may hold secrets and never show; method PRINT writes
    the body to standard output.

    Order: requests of one ``key`` go out one after the other, each when the one before has been answered and
    recorded.
    """

    method: Literal["POST", "GET", "PRINT"]
    key: str
    url: str = field(default="", repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)
    timeout_s: float = 10.0


class Delivered(NamedTuple):
    """The receiver has it."""


class Retry(NamedTuple):
    """Try again. ``after_s`` is the least wait; ``hold`` says that the whole channel waits, not only this
    episode.
    """

    reason: str
    after_s: float = 0.0
    hold: bool = False


class Permanent(NamedTuple):
    """The same request will never be taken."""

    reason: str


DeliveryResult = Delivered | Retry | Permanent


class Channel(Protocol):
    """Where episodes go."""

    @property
    def name(self) -> str:
        """As in the configuration."""

    def request(self, step: Step, now_us: int) -> Request:
        """The request that tells a step. Pure. ``now_us``: wall clock, microseconds since 1970."""

    def interpret(
        self, status: int | None, headers: Mapping[str, str], body: bytes, now_us: int
    ) -> DeliveryResult:
        """What an answer means. ``status`` None: there was none, and ``body`` says why. ``now_us``: wall
        clock, microseconds since 1970.
        """


@runtime_checkable
class ChangeChannel(Channel, Protocol):
    """A channel that also takes changes, which are no fault and page nobody."""

    @property
    def sends_changes(self) -> bool:
        """Whether it is configured to."""

    def change_request(self, change: Change, now_us: int) -> Request:
        """Build the request that sends a change. Pure. ``now_us``: wall clock, microseconds since 1970."""


def interpret_http(
    status: int | None, headers: Mapping[str, str], body: bytes, now_us: int
) -> DeliveryResult:
    """The common meaning of HTTP answers: 2xx taken; 408, 425, 429, 5xx and none at all: again; the rest
    never.

    >>> interpret_http(503, {"Retry-After": "7"}, b"busy", 0)
    Retry(reason='503: busy', after_s=7.0, hold=False)
    >>> interpret_http(404, {}, b"", 0)
    Permanent(reason='404')
    """
    if status is not None and 200 <= status < 300:
        return Delivered()
    said = " ".join(body[:300].decode("utf-8", "replace").split())
    if status is None:
        return Retry(said or "no answer")
    reason = f"{status}: {said}" if said else str(status)
    after_s = retry_after_s(headers, now_us)
    if status == 429:
        return Retry(reason, 30.0 if after_s is None else after_s, hold=True)
    if status >= 500 or status in (408, 425):
        return Retry(reason, after_s or 0.0)
    return Permanent(
        f"{reason} (redirects are not followed: configure the address they lead to)"
        if 300 <= status < 400
        else reason
    )


def retry_after_s(headers: Mapping[str, str], now_us: int) -> float | None:
    """Seconds that a ``Retry-After`` header asks for, 0 to 3600; None without a readable one. Source: RFC
    9110, 10.2.3.

    >>> retry_after_s({"retry-after": "120"}, 0), retry_after_s({"Retry-After": "Thu, 01 Jan 1970 00:00:30 GMT"}, 10_000_000)
    (120.0, 20.0)
    >>> retry_after_s({"Retry-After": "soon"}, 0), retry_after_s({}, 0)
    (None, None)
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
    """The result without secrets: an answer may quote what was sent, an error the address.

    >>> without_secrets(Permanent("403: no hook at /services/T0/B0/abc"), "/services/T0/B0/abc")
    Permanent(reason='403: no hook at <SECRET>')
    """
    if isinstance(result, Delivered):
        return result
    reason = result.reason
    for secret in sorted(secrets, key=len, reverse=True):  # the longest first: one may be a part of another
        if len(secret) >= 4:  # a header's value may be "1", which is in many a reason and no secret
            reason = reason.replace(secret, "<SECRET>")
    return result._replace(reason=reason)


def json_bytes(value: Any) -> bytes:
    """JSON in UTF-8. Lone surrogates can stand in the JSON escapes that we read, and in no UTF-8: they become
    ``?``.
    """
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
