"""Find inputs of this week that are unlike all of last week, and group them.

Two texts are compared by the cosine of the roots of their 3-gram counts, which the text sketches use, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from monitor.stats.ngrams import ngram_roots

LEAST_KNOWN = 50
"""Inputs of last week without which nothing can be called new."""
MOST_TEXTS = 1_500
"""Texts of a feature and week that are compared: of more, a random sample."""
LEAST_CLUSTER = 3
_EXAMPLES = 3
_LIKE = 0.5  # cosine from which two new texts are of one cluster
_CHANCE = 0.01  # share of last week's own inputs that would count as new
_ROWS = 256

_Vectors = npt.NDArray[np.float32]


class Cluster(NamedTuple):
    """New inputs that are alike.

    Attributes:
        size: number of inputs in the sample.
        share: of all inputs in the sample, 0 to 1.
        examples: up to three of them, the most typical first.
        nearest: the known input that is most like them.
        similarity: of that input to them, mean cosine, 0 to 1.
    """

    size: int
    share: float
    examples: Sequence[str]
    nearest: str
    similarity: float


class NewInputs(NamedTuple):
    """Inputs of a week compared with those of the week before. ``share``: new ones, 0 to 1; of usual weeks 0.01."""

    compared: int
    known: int
    share: float
    clusters: Sequence[Cluster]


def find_new_inputs(known: Sequence[str], current: Sequence[str]) -> NewInputs | None:
    """Find the inputs that are less like any known one than all but 1 % of the known ones are like each other.

    Args:
        known: inputs of the week before, a random sample of at most ``MOST_TEXTS``.
        current: inputs of this week, likewise.

    Returns:
        The new inputs; None if there are fewer than ``LEAST_KNOWN`` known ones, or no current ones.
    """
    if len(known) < LEAST_KNOWN or not current:
        return None
    base, vectors = _unit_vectors(known), _unit_vectors(current)
    # Each half is compared with the other, so that a known text does not find itself. Half as many texts are
    # further away, so the bound is rather too low: too few texts are new, not too many.
    half = len(base) // 2
    within = np.concatenate([_nearest(base[:half], base[half:])[0], _nearest(base[half:], base[:half])[0]])
    bound = float(np.quantile(within, _CHANCE))
    similarity, _ = _nearest(vectors, base)
    new = np.flatnonzero(similarity < bound)
    clusters = []
    for members in _clusters(vectors, new):
        if len(members) < LEAST_CLUSTER:
            continue
        centre = vectors[members].mean(axis=0)
        order = members[np.argsort(-(vectors[members] @ centre), kind="stable")]
        closest = int(np.argmax(base @ centre))
        clusters.append(
            Cluster(
                len(members),
                len(members) / len(current),
                list(dict.fromkeys(current[index] for index in order))[:_EXAMPLES],
                known[closest],
                max(0.0, float((vectors[members] @ base[closest]).mean())),
            )
        )
    clusters.sort(key=lambda cluster: -cluster.size)
    return NewInputs(len(current), len(known), len(new) / len(current), clusters)


def _unit_vectors(texts: Sequence[str]) -> _Vectors:
    roots = ngram_roots(texts)
    lengths = np.sqrt(np.maximum((roots**2).sum(axis=1, keepdims=True), 1))
    vectors: _Vectors = (roots / lengths).astype(np.float32)
    return vectors


def _nearest(vectors: _Vectors, base: _Vectors) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Return the greatest cosine of each vector to any of the base, and which one it is."""
    best = np.empty(len(vectors), np.float32)
    index = np.empty(len(vectors), np.int64)
    for begin in range(0, len(vectors), _ROWS):
        cosines = vectors[begin : begin + _ROWS] @ base.T
        index[begin : begin + _ROWS] = cosines.argmax(axis=1)
        best[begin : begin + _ROWS] = cosines.max(axis=1)
    return best, index


def _clusters(vectors: _Vectors, members: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
    """Group vectors: the one with most that are like it leads the first cluster, and so on."""
    if not len(members):
        return []
    alike = vectors[members] @ vectors[members].T >= _LIKE
    left = np.ones(len(members), bool)
    out = []
    while left.any():
        counts = np.where(left, (alike & left).sum(axis=1), -1)
        group = alike[int(counts.argmax())] & left
        group[int(counts.argmax())] = True
        out.append(members[np.flatnonzero(group)])
        left &= ~group
    return out
