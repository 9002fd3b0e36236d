"""A short run of ``tests/fuzz.py``; ten million values take an hour: ``python -m tests.fuzz --values 10000000``."""

from __future__ import annotations

import pytest

from tests import fuzz
from tests.event_oracle import Refused, left_out_of


@pytest.mark.seeds(1, nightly=4)
def test_every_input_is_counted_or_a_dead_letter_with_its_reason_and_left_out_fields_exactly(seed):
    counts = fuzz.run(20_000, seed, say=lambda line: None)
    assert (
        counts["dead-lettered"]
        + counts["measured"]
        + counts["forwarded"]
        + counts["expired"]
        + counts["meters"]
        == counts["values"]
    )
    assert {
        "dead letter: empty",
        "dead letter: future",
        "dead letter: invalid",
        "dead letter: unreadable",
    } <= counts.keys()
    assert (
        min(
            counts["measured"],
            counts["forwarded"],
            counts["expired"],
            counts["meters"],
            counts["dead-lettered"],
        )
        > 50
    )
    assert counts["fields left out"] > 1000
    assert counts["fields and reasons"] > 100


@pytest.mark.seeds(1, nightly=4)
def test_both_readers_read_the_same_values_and_leave_out_the_same_fields(seed):
    counts = fuzz.run_reading(20_000, seed, say=lambda line: None)
    assert counts["events"] + counts["dead letters"] + counts["not compared"] == counts["values"]
    assert counts["events"] > 5000
    assert counts["dead letters"] > 1000
    assert counts["not compared"] < 7000
    assert counts["fields left out"] > 1000


def test_the_second_reader_names_field_and_reason_of_what_is_left_out() -> None:
    line = (
        b'{"event_id": "1", "time": "2026-03-02T09:00:00Z", "service": "s", "feature": "f", "model": "m",'
        b' "output_tokens": 812.0, "duration_s": "slow", "dimensions": {"a": 1, "": "x", "b": null}, "attempt": 0}'
    )
    assert left_out_of(line) == [
        ("duration_s", "not_a_number"),
        ("dimensions", "no_name"),
        ("attempt", "out_of_range"),
    ]
    with pytest.raises(Refused):
        left_out_of(line.replace(b"812.0", b"-3"))
