from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softfail import redact
from softfail.text_truncation import LIMIT_BYTES, cut, finished, rough


@given(st.text(st.characters(), max_size=400), st.integers(64, 300))
def test_a_cut_text_fits_is_valid_and_keeps_both_ends(text: str, limit: int) -> None:
    result = cut(text, limit)
    encoded = result.encode()
    assert len(encoded) <= limit
    whole = text.encode("utf-8", "replace").decode()
    if len(whole.encode()) <= limit:
        assert result == whole
    else:
        head, gone, tail = (
            result.partition("… [")[0],
            result.split("… [")[1],
            result.rpartition("] …")[2] or result.rpartition(" cut] …")[2],
        )
        assert whole.startswith(head)
        assert whole.endswith(tail)
        assert int(gone.split(" ")[0]) == len(whole) - len(head) - len(tail)


def test_a_code_point_is_never_split() -> None:
    assert "\ufffd" not in cut("é𝄞" * 40_000)


def test_a_long_text_is_cut_to_64_kib_whatever_it_is_made_of() -> None:
    for text in ("x" * 10**6, "€" * 10**6, "𝄞" * 10**6):
        result = finished(rough(text), redact)
        assert LIMIT_BYTES - 200 < len(result.encode()) <= LIMIT_BYTES
        assert result[0] == result[-1] == text[0]


@pytest.mark.parametrize("shift", range(0, 20, 3))
def test_no_half_of_a_secret_is_left_at_an_edge(shift: int) -> None:
    """Every cut, the rough one and the fine one, falls somewhere into a card's number; nowhere may twelve of
    its digits be left.
    """
    card = "4111111111111111"
    text = "a" * shift + " " + (card + " bbb ") * 10_000
    assert "11111111" not in finished(rough(text), redact)
