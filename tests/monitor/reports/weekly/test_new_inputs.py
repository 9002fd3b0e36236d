"""New inputs: found, grouped, and rarely where nothing is new."""

from __future__ import annotations

import random

from monitor.reports.weekly.new_inputs import LEAST_KNOWN, find_new_inputs

PLACES = ("Lund", "Oslo", "Bergen", "Turku", "Malmo", "Visby")
USUAL = (
    "where is my parcel to {place} with number {n}",
    "how do I change the address of order {n} to {place}",
    "why was I charged twice for invoice {n} in {place}",
    "can I return the shoes {n} at your shop in {place}",
)
NEW = ("my SolarRoof X{n} inverter shows error E7, what now", "the SolarRoof X{n} inverter shows E7 again")


def texts(draw, patterns, count):
    return [
        draw.choice(patterns).format(n=draw.randint(100, 999), place=draw.choice(PLACES))
        for _ in range(count)
    ]


def test_a_new_kind_of_input_is_one_cluster_with_examples_and_the_nearest_known_one():
    draw = random.Random(1)
    current = texts(draw, USUAL, 380) + texts(draw, NEW, 20)
    found = find_new_inputs(texts(draw, USUAL, 400), current)
    assert found is not None
    largest = found.clusters[0]
    assert 15 <= largest.size <= 22
    assert all("SolarRoof" in text for text in largest.examples)
    assert len(largest.examples) == 3
    assert "SolarRoof" not in largest.nearest
    assert largest.similarity < 0.5


def test_where_nothing_is_new_about_1_percent_counts_as_new():
    draw = random.Random(2)
    shares = [find_new_inputs(texts(draw, USUAL, 400), texts(draw, USUAL, 400)).share for _ in range(20)]
    assert sum(shares) / 20 < 0.02


def test_inputs_that_repeat_exactly_are_never_new():
    found = find_new_inputs(["ping"] * 100, ["ping"] * 100)
    assert (found.share, found.clusters) == (0, [])


def test_with_few_known_inputs_nothing_is_called_new():
    assert find_new_inputs(["a b c"] * (LEAST_KNOWN - 1), ["x"]) is None
    assert find_new_inputs(["a b c"] * LEAST_KNOWN, []) is None
