"""Contract of statistics."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from monitor.stats import STATISTICS
from monitor.stats.text_sketch import text_features

FILLED = {
    "rate": lambda statistic, nth: statistic.add((1_000_000, 500_000, 10_000)[nth % 3], 5 + nth, nth % 5),
    "number": lambda statistic, nth: statistic.add(
        (1_000_000, 500_000, 10_000)[nth % 3], 2, 60 + nth, {33 + 400 * nth: 1, -7: 1}
    ),
    "categories": lambda statistic, nth: statistic.add(
        (1_000_000, 500_000, 10_000)[nth % 3],
        {f"name {number}": number for number in range(20 * nth, 20 * nth + 20)},
    ),
    "text": lambda statistic, nth: statistic.update(text_features([f"answer {nth}", "yes"])),
}


def filled(kind: str, *numbers: int) -> Any:
    statistic = STATISTICS[kind]()
    for nth in numbers:
        FILLED[kind](statistic, nth)
    return statistic


def bytes_of(statistic: Any) -> bytes:
    return msgspec.msgpack.encode(statistic.state())


@pytest.mark.parametrize("kind", STATISTICS)
def test_merging_an_empty_statistic_changes_nothing(kind):
    statistic, empty = filled(kind, 0, 1, 2), STATISTICS[kind]()
    before = bytes_of(statistic)
    statistic.merge(empty)
    empty.merge(statistic)
    assert bytes_of(statistic) == bytes_of(empty) == before != bytes_of(STATISTICS[kind]())


@pytest.mark.parametrize("kind", STATISTICS)
def test_merge_is_associative_and_leaves_its_arguments_unchanged(kind):
    whole = bytes_of(filled(kind, 0, 1, 2, 3, 4))
    left, right, rest = filled(kind, 4, 1), filled(kind, 0), filled(kind, 3, 2)
    untouched = bytes_of(rest)
    right.merge(rest)
    left.merge(right)
    assert bytes_of(left) == whole
    assert bytes_of(rest) == untouched
    rest.merge(filled(kind, 1, 4, 0))
    assert bytes_of(rest) == whole


@pytest.mark.parametrize("kind", STATISTICS)
def test_a_restored_statistic_behaves_like_the_original(kind):
    statistic = filled(kind, 0, 1)
    back = STATISTICS[kind].from_state(msgspec.msgpack.decode(bytes_of(statistic)))
    for either in (statistic, back):
        FILLED[kind](either, 3)
        either.merge(filled(kind, 2))
    assert bytes_of(back) == bytes_of(statistic) == bytes_of(filled(kind, 0, 1, 2, 3))
