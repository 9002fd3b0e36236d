"""What is kept for repeated texts equals what is computed anew."""

from __future__ import annotations

import random

from monitor.ingest import repeated_texts
from monitor.ingest.repeated_texts import MAX_TEXTS, cached_features, cached_format, cached_language
from monitor.ingest.text_format import text_format
from monitor.languages.language_detection import detect_language
from monitor.stats.text_sketch import text_features


def test_features_of_repeated_texts_equal_those_computed_anew_and_few_are_kept():
    rng = random.Random(1)
    for _ in range(60):
        texts = [
            f"word {rng.randrange(3 * MAX_TEXTS)} " * rng.choice([1, 1, 30, 200])
            for _ in range(rng.choice([1, 10, 300]))
        ]
        texts += texts[:3]
        assert (cached_features(texts) == text_features(texts)).all()
        assert len(repeated_texts._features) <= MAX_TEXTS
    more = [f"text {number}" for number in range(2 * MAX_TEXTS)]
    assert (cached_features(more) == text_features(more)).all()
    assert len(repeated_texts._features) <= MAX_TEXTS


def test_formats_and_languages_of_repeated_texts_equal_those_computed_anew():
    texts = [
        "Votre commande arrivera vendredi matin.",
        "- tea\n- milk",
        "",
        "x" * 5000,
        "def f():\n    return 1",
    ]
    for text in texts * 2:
        assert cached_format(text) == text_format(text)
        assert cached_language(text) == detect_language(text)
