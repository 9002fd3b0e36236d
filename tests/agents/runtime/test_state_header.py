"""Headers and notes in the state topic that cannot be read."""

from __future__ import annotations

import pytest

from agents.process.exits import Misconfigured
from agents.runtime.careful_replay import decode_attempt
from agents.runtime.state_header import compare_with_lead, expected_header, read_header

UNREADABLE = (
    b"",
    b"x",
    b"\xff",
    b"[]",
    b"{}",
    b"null",
    b"9" * 5000,
    b"1e999",
    b"[" * 100_000,
    b'{"layout":' * 5000,
)


@pytest.mark.parametrize("value", UNREADABLE, ids=lambda value: repr(value[:12]))
def test_a_header_that_cannot_be_read_is_a_fault_of_the_state_and_a_note_is_none(value: bytes) -> None:
    expected = expected_header("watch", "c", "t.events", 2)
    with pytest.raises(Misconfigured, match=r"^t\.state/1: the header cannot be read \(.*\); remedy$"):
        read_header(value, expected, "t.state/1", "remedy")
    assert decode_attempt(value) is None


@pytest.mark.parametrize("value", [b"x", b"[1]", b"5", b"[" * 100_000, b'{"a":' * 5000])
def test_a_header_of_the_leading_partition_that_cannot_be_read_is_a_fault_of_it(value: bytes) -> None:
    with pytest.raises(Misconfigured, match=r"^t\.state/0: the header cannot be read"):
        compare_with_lead(value, {}, "t.state/0", "t.state/1")
