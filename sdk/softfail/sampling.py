"""Decide which calls are sent, and which include their texts, by hashing: every process decides alike.

An event records ``sample_probability`` and ``content_probability``. Law: these are the true probabilities
that the event was sent and that its texts were included, *given the call*. Then Σ x/p over the sent events is
an unbiased estimate of Σ x over all calls.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from hashlib import blake2b
from typing import NamedTuple

# two salts: whether the texts are included must not depend on whether the event is sent
_SAMPLE_SALT = b"softfail-sample"
_CONTENT_SALT = b"softfail-text"


class SamplingDecision(NamedTuple):
    """Whether a call is sent, whether its texts are included, and the probabilities to record, (0, 1].

    ``base_probability``: the one with which an ordinary call is sent, where this call has another one.
    """

    send: bool
    include_texts: bool
    sample_probability: float
    content_probability: float
    base_probability: float | None = None


def keep_always(decision: SamplingDecision) -> SamplingDecision:
    """Return the decision on a call that is certain to be sent, whatever its hash is: p = q = 1. It records
    the probability of an ordinary call.

    >>> keep_always(SamplingDecision(False, False, 0.01, 0.1))
    SamplingDecision(send=True, include_texts=True, sample_probability=1.0, content_probability=1.0, base_probability=0.01)
    """
    base = decision.base_probability
    if base is None and decision.sample_probability < 1:
        base = decision.sample_probability
    return SamplingDecision(True, True, 1.0, 1.0, base)


def hash_to_unit(name: str, salt: bytes) -> float:
    """Hash a name to a number in [0, 1), the same in every process and on every machine.

    Args:
        name: any string, lone surrogates included.
        salt: at most 16 bytes. Different salts give independent numbers.

    >>> first = hash_to_unit("session-1", b"a")
    >>> first == hash_to_unit("session-1", b"a"), first == hash_to_unit("session-1", b"b")
    (True, False)
    """
    digest = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8, person=salt).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2.0**53


class TokenBucket:
    """A token bucket. It starts full and allows bursts of ``per_minute``.

    Args:
        per_minute: tokens a minute, at least 0; with 0 ``take`` never succeeds.
        clock: monotonic, seconds.
    """

    def __init__(self, per_minute: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._tokens_per_s = per_minute / 60.0
        self._capacity = per_minute
        self._tokens = per_minute
        self._clock = clock
        self._last_refill_s = clock()

    def take(self) -> bool:
        """Take a token. Return False if there is none."""
        now_s = self._clock()
        self._tokens = min(self._capacity, self._tokens + (now_s - self._last_refill_s) * self._tokens_per_s)
        self._last_refill_s = now_s
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


class Sampler:
    """Decides for each call whether it is sent. The caller holds a lock around ``decide``.

    *Ordinary calls* are sent when the hash of their session id (or else of their event id) is below p. They
    include their texts when a second hash is below q. Both probabilities are recorded, so weighting by 1/p
    and 1/(p·q) is unbiased. Hashing the session keeps conversations whole: all of a session is sent, or none.

    *Errors* are sent with p = q = 1 while the token bucket has a token. They also record p as
    ``base_probability``, so that a reader of errors alone knows that ordinary calls are sampled. When the
    bucket is empty, errors are sampled like ordinary calls. This is unbiased, because

    1. the recorded probability is the one that applied to this call. With a token the error is certain to be
       sent with its texts, so 1 is true. Without one the hash decides, so p and q are true;
    2. the bucket never depends on a hash. Every error takes a token if there is one, *including* errors that
       their hash would have sent anyway. If those errors took no token, the bucket would be fuller whenever a
       session was sampled. The second error of that session would then record probability 1 exactly where it
       was going to be sent anyway, so its expected weight would be p instead of 1;
    3. an adaptive design stays unbiased as long as each probability is fixed before its draw (Horvitz and
       Thompson, conditional on the past): E[Σ x·I/p] = Σ x·E[E[I | past]/p] = Σ x.

    Args:
        sample_probability: p, (0, 1].
        content_probability: q, [0, 1]. With 0 no ordinary text is sent. The recorded value is then 1, and
            nothing uses it.
        error_content_per_minute: errors a minute and process that are always sent, with texts.
        clock: monotonic, seconds.

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
        self._bucket = TokenBucket(error_content_per_minute, clock)

    def decide(self, unit_id: str, error: bool) -> SamplingDecision:
        """Decide whether a call is sent. Takes about two microseconds.

        Args:
            unit_id: the session id, or else the event id.
            error: whether the call failed.
        """
        if error and self._bucket.take():
            return SamplingDecision(True, True, 1.0, 1.0, self._p if self._p < 1 else None)
        send = self._p >= 1.0 or hash_to_unit(unit_id, _SAMPLE_SALT) < self._p
        include_texts = send and (self._q >= 1.0 or hash_to_unit(unit_id, _CONTENT_SALT) < self._q)
        return SamplingDecision(send, include_texts, self._p, self._q or 1.0)
