"""What is computed from short texts, kept for texts that come again: refusals, greetings, canned answers.

A text is looked up in a microsecond; its sketch takes 40, its language 100. The results are those of the
functions that are cached, so they are the same after a restart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TypeVar

import numpy as np

from monitor.ingest.text_format import text_format
from monitor.languages.language_detection import detect_language
from monitor.stats.text_sketch import FEATURES, FeatureVectors, text_features

MAX_CHARS = 500
"""Longer texts are not kept, so a cache has at most a few megabytes."""
MAX_TEXTS = 2048

T = TypeVar("T")


def _kept(compute: Callable[[str], T]) -> Callable[[str], T]:
    """Return the function with a cache of short texts."""
    cached = lru_cache(MAX_TEXTS)(compute)
    return lambda text: cached(text) if len(text) <= MAX_CHARS else compute(text)


cached_language = _kept(detect_language)
cached_format = _kept(text_format)
_features: dict[str, bytes] = {}


def cached_features(texts: Sequence[str]) -> FeatureVectors:
    """Return ``text_features``, shape (n, 32), each distinct text computed once.

    >>> texts = ["Yes.", "No.", "Yes."]
    >>> bool((cached_features(texts) == text_features(texts)).all())
    True
    """
    missing = [text for text in dict.fromkeys(texts) if text not in _features]
    if not missing:
        return _rows(texts, _features)
    vectors = text_features(missing)
    data = vectors.tobytes()
    computed = {text: data[FEATURES * row : FEATURES * (row + 1)] for row, text in enumerate(missing)}
    features = vectors if len(missing) == len(texts) else _rows(texts, _features | computed)
    if len(_features) + len(missing) > MAX_TEXTS:
        _features.clear()
    for text in missing[:MAX_TEXTS]:
        if len(text) <= MAX_CHARS:
            _features[text] = computed[text]
    return features


def _rows(texts: Sequence[str], features: dict[str, bytes]) -> FeatureVectors:
    """Return the features of each text, shape (n, 32)."""
    rows = b"".join([features[text] for text in texts])
    return np.frombuffer(rows, np.int8).reshape(len(texts), FEATURES)
