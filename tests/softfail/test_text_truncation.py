from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softfail import redact
from softfail.text_truncation import LIMIT_BYTES, redact_and_truncate, truncate, truncate_for_queue


@given(st.text(st.characters(), max_size=400), st.integers(64, 300))
def test_a_truncated_text_fits_the_limit_and_keeps_both_ends(text: str, limit: int) -> None:
    result = truncate(text, limit)
    encoded = result.encode()
    assert len(encoded) <= limit
    whole = text.encode("utf-8", "replace").decode()
    if len(whole.encode()) <= limit:
        assert result == whole
    else:
        head, _, rest = result.partition("… [")
        count = rest.partition(" ")[0]
        tail = result.rpartition(" cut] …")[2]
        assert whole.startswith(head)
        assert whole.endswith(tail)
        assert int(count) == len(whole) - len(head) - len(tail)


def test_a_code_point_is_never_split() -> None:
    assert "\ufffd" not in truncate("é𝄞" * 40_000)


def test_a_long_text_of_any_characters_is_truncated_to_64_kib() -> None:
    for text in ("x" * 10**6, "€" * 10**6, "𝄞" * 10**6):
        result = redact_and_truncate(truncate_for_queue(text), redact)
        assert LIMIT_BYTES - 200 < len(result.encode()) <= LIMIT_BYTES
        assert result[0] == result[-1] == text[0]


def test_the_marker_counts_the_characters_of_the_whole_text() -> None:
    result = redact_and_truncate(truncate_for_queue("x" * 10**6), redact)
    marker = f"… [{10**6 - result.count('x')} characters cut] …"
    assert marker in result


@pytest.mark.parametrize("shift", range(0, 20, 3))
def test_no_part_of_a_secret_remains_at_a_cut(shift: int) -> None:
    """Both truncations cut a card number somewhere. At no position may eight of its digits remain."""
    card = "4111111111111111"
    text = "a" * shift + " " + (card + " bbb ") * 10_000
    assert "11111111" not in redact_and_truncate(truncate_for_queue(text), redact)
