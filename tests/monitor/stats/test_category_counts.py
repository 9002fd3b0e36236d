"""Laws of category counts: exact in any order, of bounded size, weighted by sampling probability."""

from __future__ import annotations

import random
import string

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.stats.category_counts import MAX_NAMES, OTHER, WELL_KNOWN_NAMES, CategoryCounts
from monitor.stats.sampling_weights import MILLION, to_ppm

names = st.one_of(
    st.sampled_from(sorted(WELL_KNOWN_NAMES)),
    st.text(string.ascii_lowercase, min_size=1, max_size=2),
    st.just(OTHER),
)
parts = st.lists(
    st.tuples(st.floats(1e-6, 1.0), st.dictionaries(names, st.integers(0, 9), max_size=30)), max_size=30
)


def counts_of(additions: list[tuple[float, dict[str, int]]]) -> CategoryCounts:
    categories = CategoryCounts()
    for probability, counts in additions:
        categories.add(to_ppm(probability), counts)
    return categories


@given(parts, st.randoms(use_true_random=False))
def test_merging_in_any_order_and_grouping_gives_the_same_bytes(
    additions: list[tuple[float, dict[str, int]]], rng: random.Random
) -> None:
    whole = counts_of(additions)
    shuffled = additions[:]
    rng.shuffle(shuffled)
    cuts = sorted(rng.randint(0, len(additions)) for _ in range(3))
    groups = [
        counts_of(shuffled[begin:end]) for begin, end in zip([0, *cuts], [*cuts, len(additions)], strict=True)
    ]
    merged = CategoryCounts()
    merged.merge(groups[3])
    groups[1].merge(groups[0])
    merged.merge_all([groups[2], groups[1]])
    assert msgspec.msgpack.encode(merged.state()) == msgspec.msgpack.encode(whole.state())
    back = CategoryCounts.from_state(whole.state())
    back.add(MILLION, {"zz-new": 1})
    whole.add(MILLION, {"zz-new": 1})
    assert back.state() == whole.state()
    assert whole.n == sum(sum(counts.values()) for _, counts in additions) + 1


@given(st.lists(st.text(string.ascii_letters, min_size=1, max_size=3), max_size=300, unique=True))
def test_at_most_64_names_have_an_exact_count_of_their_own(names: list[str]) -> None:
    categories = CategoryCounts()
    for nth, name in enumerate(names):
        categories.add(MILLION, {name: nth + 1})
    counts = categories.weighted_counts()
    own = {name: n for name, n in counts.items() if name != OTHER}
    assert len(own) == min(MAX_NAMES, len(set(names) - {OTHER}))
    assert all(names.index(name) + 1 == n for name, n in own.items())
    assert sum(counts.values()) == sum(range(1, len(names) + 1))


def test_counted_names_keep_their_count_when_others_arrive() -> None:
    categories = CategoryCounts()
    categories.add(MILLION, {f"error {number}": 1 for number in range(5000)})
    categories.add(MILLION, {"length": 3, "": 2, "content_filter": 1})
    counts = categories.weighted_counts()
    assert (counts["length"], counts[""], counts["content_filter"]) == (3, 2, 1)
    assert (len(counts), counts[OTHER]) == (MAX_NAMES + 1, 5000 - (MAX_NAMES - 3))


def test_a_name_is_truncated_to_128_characters() -> None:
    categories = CategoryCounts()
    categories.add(MILLION, {"x" * 128 + "a": 1, "x" * 128 + "b": 2})
    assert categories.weighted_counts() == {"x" * 128: 3}


def test_counts_are_weighted_by_their_sampling_probability() -> None:
    categories = counts_of([(1.0, {"length": 10}), (0.1, {"stop": 9})])
    assert categories.weighted_counts() == {"length": 10.0, "stop": pytest.approx(90.0)}
    assert categories.n == 19
    assert categories.effective_n == pytest.approx(100**2 / (10 + 9 * 100))


def test_empty_counts_have_no_shares() -> None:
    assert (
        CategoryCounts().weighted_counts(),
        CategoryCounts().n,
        CategoryCounts().effective_n,
        CategoryCounts().state(),
    ) == (
        {},
        0,
        0.0,
        [0, []],
    )
    assert counts_of([(0.5, {"stop": 0})]).state() == CategoryCounts().state()
