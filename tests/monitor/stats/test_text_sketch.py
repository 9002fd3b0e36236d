"""Laws of text sketches: a text's features depend on the text alone, and sums merge to the same bytes."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.stats.ngrams import HASH_PLACES, ngram_roots
from monitor.stats.text_sketch import _WEIGHTS, FEATURE_UNIT, FEATURES, TextSketch, text_features

texts = st.lists(st.text(max_size=80), max_size=20)


def sketch_of(texts: list[str]) -> TextSketch:
    sketch = TextSketch()
    if texts:
        sketch.update(text_features(texts))
    return sketch


@given(texts)
def test_the_features_of_a_text_do_not_depend_on_other_texts(texts: list[str]) -> None:
    together = text_features(texts)
    assert together.shape == (len(texts), FEATURES)
    for text, row in zip(texts, together, strict=True):
        assert text_features([text])[0].tolist() == row.tolist()


def test_features_are_the_same_on_every_machine() -> None:
    """A sketch outlives the process and the machine: another digest would make a drift of every text. Then
    VERSION must rise.
    """
    texts = [
        "It ships on Monday.",
        "",
        "x",
        "Ünïcödé ß 東京 🙂\ud800",
        "a" * 5000,
        " ".join(map(str, range(2000))),
    ]
    assert hashlib.sha256(text_features(texts).tobytes()).hexdigest()[:16] == "04f76b7c87ba8589"


def test_no_text_exceeds_the_exact_range_of_float32_sums() -> None:
    heaviest = float(np.abs(_WEIGHTS).max())
    worst = [
        "".join(chr(0x4E00 + (7 * i) % 20_000) for i in range(5000)),
        "ΐ" * 5000,
        "ab" * 5000,
        " ".join(map(str, range(5000))),
    ]
    roots = ngram_roots(worst)
    assert roots.shape == (len(worst), HASH_PLACES)
    assert (roots == np.rint(roots)).all()
    assert roots.sum(axis=1).max() * heaviest < 2**24
    assert 2000 * 16 * 510 < 2**24


@given(texts, texts)
def test_merging_in_any_order_equals_counting_together_and_survives_a_restore(
    first: list[str], second: list[str]
) -> None:
    whole, merged = sketch_of([*first, *second]), sketch_of(second)
    merged.merge(sketch_of(first))
    assert merged.state() == whole.state()
    back = TextSketch.from_state(whole.state())
    assert back.state() == whole.state()
    assert (back.n, back.sum.tolist(), back.products.tolist()) == (
        whole.n,
        whole.sum.tolist(),
        whole.products.tolist(),
    )


def test_sums_equal_numpys() -> None:
    vectors = text_features([f"text number {number}" for number in range(700)]).astype(np.int64)
    sketch = sketch_of([f"text number {number}" for number in range(700)])
    assert sketch.sum.tolist() == vectors.sum(axis=0).tolist()
    assert sketch.products.tolist() == (vectors.T @ vectors).tolist()


def test_similar_texts_are_close_and_dissimilar_texts_distant_according_to_the_kernel() -> None:
    def kernel(text: str, other: str) -> float:
        first, second = text_features([text, other]).astype(float)
        return float(first @ second) / (FEATURE_UNIT**2 * FEATURES / 2)

    text = "The parcel ships on Monday and you can follow it by the number that we sent."
    assert kernel(text, text.upper().replace(" ", "\n ")) == pytest.approx(1, abs=0.05)
    close, far = (
        kernel(text, text.replace("Monday", "Tuesday")),
        kernel(text, "I'm sorry, but as a language model I cannot help."),
    )
    assert close > 0.75 > 0.6 > far


@pytest.mark.parametrize("count", [0, 1, 50, 52])
def test_fifty_equal_or_different_texts_take_less_than_1500_bytes(
    count: int,
) -> None:
    assert len(sketch_of(["yes"] * count).state()) <= 1500
    assert len(sketch_of([f"answer {number}" for number in range(count)]).state()) <= 1500


@pytest.mark.parametrize("count", [53, 5000, 100_000])
def test_more_than_65535_texts_survive_a_restore(count: int) -> None:
    sketch = sketch_of(["yes"])
    for _ in range(count.bit_length()):
        sketch.merge(sketch)
    assert TextSketch.from_state(sketch.state()).products.tolist() == sketch.products.tolist()


@pytest.mark.parametrize(
    "spoilt",
    [
        b"",
        b"\x01",
        b"\x02" + sketch_of(["a"]).state()[1:],
        sketch_of(["a"]).state()[:-1],
        b"\x01\x03" + b"0" * 1000,
    ],
)
def test_bytes_of_no_or_another_sketch_version_are_refused(spoilt: bytes) -> None:
    with pytest.raises(ValueError, match="text sketch of"):
        TextSketch.from_state(spoilt)
