"""Which calls are sent, and which with their texts: decided by hashing, so that every process decides alike.

The law: what an event records as ``sample_probability`` and ``content_probability`` is the real probability
that it was sent, and that its texts came along, *given the call*. Then Σ x/p over what was sent is unbiased
for Σ x over all calls.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from hashlib import blake2b
from typing import NamedTuple

# two salts: whether the text comes along must not depend on whether the event does
_SAMPLE = b"softfail-sample"
_CONTENT = b"softfail-text"


class Decision(NamedTuple):
    """What becomes of one call. The probabilities are those to record, (0, 1]."""

    send: bool
    text: bool
    sample_probability: float
    content_probability: float


def unit(name: str, salt: bytes) -> float:
    """A number in [0, 1) from a name, the same in every process and on every machine.

    Args:
        salt: at most 16 bytes; different salts give independent numbers.

    >>> round(unit("session-1", b"a"), 6) == round(unit("session-1", b"a"), 6) != round(unit("session-1", b"b"), 6)
    True
    """
    digest = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8, person=salt).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2.0**53


class Bucket:
    """A token bucket: ``take`` succeeds at most ``per_minute`` times a minute, and that many at once.

    Args:
        per_minute: at least 0; 0 never succeeds.
        clock: seconds, monotonic.
    """

    def __init__(self, per_minute: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = per_minute / 60.0
        self._capacity = per_minute
        self._tokens = per_minute
        self._clock = clock
        self._at = clock()

    def take(self) -> bool:
        """Take one token, if there is one."""
        now = self._clock()
        self._tokens = min(self._capacity, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


class Sampler:
    """Decides for each call. The caller holds a lock around ``decide``; it takes about two microseconds.

    *Ordinary calls* are sent when the hash of their session (or else of their event id) is below p, with
    texts when another hash is below q. Both are recorded, so weighing by 1/p and 1/(p·q) is unbiased. By
    session, so that a conversation comes whole or not at all.

    *Errors* come with p = q = 1 while the bucket has a token, and like ordinary calls when it has none.
    Unbiased, because

    1. the recorded probability is the one that held for this very call: given a token the error is certain to
    be sent with
       its texts, so 1 is true; given none, the hash decides, so p and q are true;
    2. the bucket never looks at a hash. Every error takes a token if there is one, *also* one that its hash
    would have
       sent anyway. If only the others took tokens, the bucket would be fuller in the worlds where a session
       was sampled, and the session's second error would carry probability 1 just where it was going to be
       sent anyway: its expected weight would be p instead of 1;
    3. an adaptive design stays unbiased as long as each probability is fixed before its draw (Horvitz and
    Thompson,
       conditionally on the past): E[Σ x·I/p] = Σ x·E[E[I | past]/p] = Σ x.

    Args:
        sample_probability: p, (0, 1].
        content_probability: q, [0, 1]. With 0 no ordinary text is ever sent; then the recorded value is never
            used, and 1.
        error_content_per_minute: errors a minute that come for certain and with texts, per process.

    Source: D. G. Horvitz and D. J. Thompson (1952), "A generalization of sampling without replacement from a
    finite universe".
    """

    def __init__(
        self,
        sample_probability: float,
        content_probability: float,
        error_content_per_minute: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._p = sample_probability
        self._q = content_probability
        self._bucket = Bucket(error_content_per_minute, clock)

    def decide(self, name: str, error: bool) -> Decision:
        """What becomes of a call.

        Args:
            name: its session id, or else its event id.
            error: whether it failed.
        """
        if error and self._bucket.take():
            return Decision(True, True, 1.0, 1.0)
        send = self._p >= 1.0 or unit(name, _SAMPLE) < self._p
        text = send and (self._q >= 1.0 or unit(name, _CONTENT) < self._q)
        return Decision(send, text, self._p, self._q or 1.0)
