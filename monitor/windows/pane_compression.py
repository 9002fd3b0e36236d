"""Compression of packed panes in memory, by what nearly all panes have in common.

A pane of ten events takes 400 bytes as a state record and 150 compressed. Deflate is given a dictionary: the
record of a typical pane. State records themselves are not compressed, so that recovery stays fast.
"""

from __future__ import annotations

import zlib
from functools import lru_cache

import msgspec

from monitor.stats.category_counts import WELL_KNOWN_NAMES
from monitor.stats.sampling_weights import MILLION
from monitor.windows.metric_ids import METRIC_NAMES, metric_id

COMPRESSED = b"\x00"
"""First byte of a compressed pane; that of a state record is the head of a MessagePack array."""
_WINDOW_BITS = -12  # raw deflate; 4 KiB hold the dictionary and nearly all panes
_LEVEL, _MEMORY_LEVEL = 6, 4


def _typical_pane() -> bytes:
    rates = sorted(
        [*(name for name in METRIC_NAMES if name.endswith("_rate")), "evaluator.refusal.partial.fail_rate"]
    )
    numbers = ["cost_usd", "duration_s", "input_chars", "input_tokens", "output_chars", "output_tokens"]
    categories = ["finish_reason", "output_format", "output_language", "provider", "response_model"]
    values = ["stop", "prose", "en", "openai", "gpt-4o-mini"]
    steps, ones = [180, 11, 3, 6, 4, 9, 2, 16, 5, 7], [1] * 10
    return b"".join(
        msgspec.msgpack.encode(part)
        for part in (
            sorted(WELL_KNOWN_NAMES),
            [10, 1, 0, 0, False],
            [[metric_id(name), [0, [[MILLION, 10, 1]]]] for name in rates],
            [[metric_id(name), [0, [[MILLION, 10, 0]]]] for name in rates],
            [[metric_id(name), [0, [[MILLION, 10, 9_000, steps, ones]]]] for name in numbers],
            [
                [metric_id(name), [0, [[MILLION, {value: 10}]]]]
                for name, value in zip(categories, values, strict=True)
            ],
            None,
        )
    )


_DICTIONARY = _typical_pane()
_COMPRESSOR = zlib.compressobj(
    _LEVEL, zlib.DEFLATED, _WINDOW_BITS, _MEMORY_LEVEL, zlib.Z_DEFAULT_STRATEGY, _DICTIONARY
)
_DECOMPRESSOR = zlib.decompressobj(_WINDOW_BITS, _DICTIONARY)


def compress(state: bytes) -> bytes:
    """Return a pane's state compressed; if it is already, as it is."""
    if state.startswith(COMPRESSED):
        return state
    compressor = _COMPRESSOR.copy()
    return COMPRESSED + compressor.compress(state) + compressor.flush()


def decompress(packed: bytes) -> bytes:
    """Return a pane's state. ``packed``: from ``compress``, or a state, which is returned as it is.

    >>> decompress(compress(b"\\x99")), decompress(b"\\x99")
    (b'\\x99', b'\\x99')
    """
    return _decompress(packed) if packed.startswith(COMPRESSED) else packed


@lru_cache(maxsize=512)
def _decompress(packed: bytes) -> bytes:
    # Rules read several metrics of a pane one after the other, so the last panes are kept.
    return _DECOMPRESSOR.copy().decompress(packed[1:])
