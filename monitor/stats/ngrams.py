"""Texts as counts of their character 3-grams, hashed into 2,048 places.

The counts are integers, the same on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

MAX_TEXT_CHARS = 2000
"""Characters of a text that are read."""
HASH_PLACES = 2048

# Odd numbers, so that multiplying loses no bit. Source: the primes of xxHash.
_MIX = (np.uint32(0x9E3779B1), np.uint32(0x85EBCA77), np.uint32(0xC2B2AE3D))
_ROOTS = np.rint(16 * np.sqrt(np.arange(MAX_TEXT_CHARS + 1))).astype(np.float32)

Roots = npt.NDArray[np.float32]


def ngram_roots(texts: Sequence[str]) -> Roots:
    """Return 16 times the square root of the count of 3-grams in each place, rounded: shape (n, 2048).

    A text is casefolded, white space runs become one space, and it is padded with one space on either side,
    so that word bounds count. The square root limits the weight of text that repeats itself. An empty text
    has a row of zeros.

    >>> roots = ngram_roots(["a  B", "A b ", ""])
    >>> bool((roots[0] == roots[1]).all()), roots.sum(axis=1).tolist()
    (True, [48.0, 48.0, 0.0])
    """
    padded = [
        f" {' '.join(text[:MAX_TEXT_CHARS].casefold().split())[: MAX_TEXT_CHARS - 2]} " for text in texts
    ]
    lengths = np.array([len(text) for text in padded])
    points = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), np.uint32)
    if len(points) < 3:
        return np.zeros((len(texts), HASH_PLACES), np.float32)
    hashes = points[:-2] * _MIX[0]
    hashes ^= hashes >> np.uint32(15)
    hashes += points[1:-1]
    hashes *= _MIX[1]
    hashes ^= hashes >> np.uint32(13)
    hashes += points[2:]
    hashes *= _MIX[2]
    hashes >>= np.uint32(21)  # the high bits are mixed best; they give a place below 2,048
    ends = np.cumsum(lengths)
    inside = np.ones(len(points), bool)
    inside[ends - 1] = inside[ends - 2] = False  # 3-grams that would begin in one text and end in the next
    place = np.repeat(np.arange(len(texts)) * HASH_PLACES, lengths)[:-2] + hashes
    counts = np.bincount(place[inside[:-2]], minlength=len(texts) * HASH_PLACES)
    roots: Roots = _ROOTS[counts].reshape(len(texts), HASH_PLACES)
    return roots
