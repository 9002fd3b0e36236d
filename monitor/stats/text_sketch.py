"""Sketches of texts: sums over random features of their 3-grams, by which any two windows can be compared.

No text is kept. A text's vector of 3-gram roots, normalised to length 1, is projected on 16 random
frequencies of a Gaussian kernel. The cosine and sine of each projection are its 32 features, integers from
-25 to 25. A sketch keeps the sum of the features and the sum of their products: means and covariance, which a
kernel two-sample test and its null distribution need (``monitor.drift.mmd``).

The bandwidth is 1. Texts of one kind lie 0.4 to 1.3 apart (LLMDrift: medians 0.85 and 1.34 for GPT-4's
answers, 0.38 and 0.95 for the prompts), unlike texts at most √2. Of the bandwidths 0.35, 0.5, 0.7, 1 and 1.4
those from 0.7 on find the changes there about equally often, and smaller ones less often.

All arithmetic is on integers that float32 represents exactly, or single IEEE operations. So the features of a
text do not depend on the machine, on the order in which BLAS adds, or on the other texts of a batch.

Source: Rahimi and Recht, NIPS (2007), random Fourier features; Gretton et al., JMLR 13 (2012), the kernel
test.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from monitor.stats.ngrams import HASH_PLACES, ngram_roots

FREQUENCIES = 16
FEATURES = 2 * FREQUENCIES
FEATURE_UNIT = 25
"""The feature of a cosine of 1; with 25 the sums of products of 52 texts fit into 16 bits."""
VERSION = 1
_BANDWIDTH = 1.0
_BATCH = 8
"""Texts projected at once.

Their counts stay in the cache, and the product is so small (up to 2**18 multiplications) that OpenBLAS starts
no threads. On a busy machine threads wait for one another twenty times as long as the product takes.
"""
_ROWS = 256
_TURN = 4096  # steps of a full turn
_PAIRS = np.triu_indices(FEATURES)
_PLACES = np.ravel_multi_index(_PAIRS, (FEATURES, FEATURES))
_SUMS = FEATURES + len(_PAIRS[0])
FEW_TEXTS = 35
"""Texts whose features take less memory than their sums."""
_ROWS_ONLY = b"\x00"  # first byte of packed features; that of a state is its version
_WIDTHS = {2: "<i2", 4: "<i4", 8: "<i8"}
_HEAD = 10  # bytes: version, width, number of texts

Ints = npt.NDArray[np.int64]
FeatureVectors = npt.NDArray[np.int8]


def _weights() -> tuple[npt.NDArray[np.float32], float]:
    """Return the weight of each place in each frequency, integers of about normal distribution, and their
    standard deviation.

    Each weight is the sum of four bytes less 510, so at most 510 in size. A projection sums at most 2,000
    roots of 16, so it is at most 16.3 million < 2**24, which float32 represents exactly.
    """
    stream = hashlib.shake_256(b"softfail text features 1").digest(4 * HASH_PLACES * FREQUENCIES)
    drawn = (
        np.frombuffer(stream, np.uint8).reshape(HASH_PLACES, FREQUENCIES, 4).sum(axis=2, dtype=np.int64) - 510
    )
    return drawn.astype(np.float32), math.sqrt(4 * (256**2 - 1) / 12)


_WEIGHTS, _SPREAD = _weights()
_STEPS = _TURN / (2 * math.pi * _BANDWIDTH * _SPREAD)
_COSINES = np.array(
    [round(FEATURE_UNIT * math.cos(2 * math.pi * (step + 0.5) / _TURN)) for step in range(_TURN)], np.int8
)


def text_features(texts: Sequence[str]) -> FeatureVectors:
    """Return the features of each text, shape (n, 32), in units of 1/25, between -25 and 25.

    >>> features = text_features(["It ships on Monday.", "it  ships on monday."])
    >>> features.shape, bool((features[0] == features[1]).all())
    ((2, 32), True)
    """
    out = np.empty((len(texts), FEATURES), np.int8)
    for begin in range(0, len(texts), _BATCH):
        roots = ngram_roots(texts[begin : begin + _BATCH])
        length = np.sqrt(np.maximum(np.einsum("ij,ij->i", roots, roots), 1).astype(np.float64))
        angles = np.floor((roots @ _WEIGHTS).astype(np.float64) / length[:, None] * _STEPS).astype(np.int64)
        out[begin : begin + _BATCH, :FREQUENCIES] = _COSINES[angles % _TURN]
        out[begin : begin + _BATCH, FREQUENCIES:] = _COSINES[(angles - _TURN // 4) % _TURN]  # the sine
    return out


class TextSketch:
    """Number of texts, sum of their features, sum of the products of features. Initially empty: no text.

    Texts are not weighted by sampling probability.

    >>> sketch, other = TextSketch(), TextSketch()
    >>> sketch.update(text_features(["yes", "no"]))
    >>> other.update(text_features(["maybe"]))
    >>> sketch.merge(other)
    >>> sketch.n, sketch.sum.shape, sketch.products.shape
    (3, (32,), (32, 32))
    """

    __slots__ = ("_rows", "_sums", "n")

    def __init__(self) -> None:
        self.n = 0
        self._rows = b""  # features of texts that are not in the sums yet, 32 bytes a text
        self._sums: Ints | None = None

    def update(self, vectors: FeatureVectors) -> None:
        """Add texts by their ``text_features``, shape (n, 32)."""
        self.n += len(vectors)
        self._add_rows(vectors.tobytes())

    def merge(self, other: TextSketch) -> None:
        """Add the texts of ``other``, which stays as it is."""
        self.n += other.n
        if other._sums is not None:
            self._sums = other._sums.copy() if self._sums is None else self._sums + other._sums
        self._add_rows(other._rows)

    @property
    def sum(self) -> Ints:
        """Sum of features, shape (32,), in units of 1/25."""
        return self._totals()[:FEATURES]

    @property
    def products(self) -> Ints:
        """Sum of products of features, shape (32, 32), in units of 1/625; squares on the diagonal."""
        out = np.zeros((FEATURES, FEATURES), np.int64)
        out[_PAIRS] = out.T[_PAIRS] = self._totals()[FEATURES:]
        return out

    def state(self) -> bytes:
        """Return version, bytes per integer, number of texts and the integers, little-endian.

        The same texts in any order give the same bytes; up to 52 texts take 1,130 bytes.
        """
        sums = self._totals()
        if self.n * FEATURE_UNIT**2 < 2**15:
            width = 2
        else:
            largest = max(int(sums.max()), -int(sums.min()))
            width = 2 if largest < 2**15 else 4 if largest < 2**31 else 8
        return bytes((VERSION, width)) + self.n.to_bytes(8, "little") + sums.astype(_WIDTHS[width]).tobytes()

    def packed(self) -> bytes:
        """Return the smallest form: of a few texts that were never summed up their features, else ``state``.

        >>> sketch = TextSketch()
        >>> sketch.update(text_features(["yes", "no"]))
        >>> len(sketch.packed()), TextSketch.from_packed(sketch.packed()).state() == sketch.state()
        (65, True)
        """
        return _ROWS_ONLY + self._rows if self._sums is None and self.n <= FEW_TEXTS else self.state()

    @classmethod
    def from_packed(cls, packed: bytes) -> TextSketch:
        """Restore a sketch from ``packed`` or ``state``."""
        if not packed.startswith(_ROWS_ONLY):
            return cls.from_state(packed)
        sketch = cls()
        sketch._rows = packed[1:]
        sketch.n = len(sketch._rows) // FEATURES
        return sketch

    @classmethod
    def from_state(cls, state: bytes) -> TextSketch:
        """Restore a sketch from ``state``.

        Raises:
            ValueError: another version wrote it, which has other features, or it is not a sketch.
        """
        if state[:1] != bytes((VERSION,)):
            raise ValueError(
                f"text sketch of version {state[0] if state else 'none'}; this release reads {VERSION}, and"
                " features of others differ"
            )
        width = state[1] if len(state) > 1 else 0
        if width not in _WIDTHS or len(state) != _HEAD + width * _SUMS:
            raise ValueError(f"text sketch of {len(state)} bytes: it was cut, or is none")
        sketch = cls()
        sketch.n = int.from_bytes(state[2:_HEAD], "little")
        sketch._sums = np.frombuffer(state, _WIDTHS[width], offset=_HEAD).astype(np.int64)
        return sketch

    def _add_rows(self, rows: bytes) -> None:
        self._rows += rows
        if len(self._rows) > FEATURES * _ROWS:
            self._add_up()

    def _add_up(self) -> None:
        """Move all rows into the sums."""
        sums = np.zeros(_SUMS, np.int64) if self._sums is None else self._sums
        for begin in range(0, len(self._rows), FEATURES * _ROWS):
            sums = sums + _sums_of(self._rows[begin : begin + FEATURES * _ROWS])
        self._sums, self._rows = sums, b""

    def _totals(self) -> Ints:
        if self._sums is None and self.n <= FEW_TEXTS:
            return _sums_of(self._rows)  # and keep the rows, which are smaller
        if self._rows or self._sums is None:
            self._add_up()
        assert self._sums is not None
        return self._sums


def _sums_of(rows: bytes) -> Ints:
    """Return the sums of features and of their products of at most ``_ROWS`` texts, 32 bytes a text."""
    exact = np.frombuffer(rows, np.int8).reshape(-1, FEATURES).astype(np.float64)
    sums = np.empty(_SUMS, np.int64)
    sums[:FEATURES] = np.add.reduce(exact)
    sums[FEATURES:] = (exact.T @ exact).ravel().take(_PLACES)
    return sums
