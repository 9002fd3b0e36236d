"""Counters never fall where Prometheus would take it for a beginning."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from agents.web.metrics_endpoint import gather
from monitor.protocol.metrics import Measure

NAME = "softfail_dead_letters_total"


@pytest.fixture
def letters(fake_core):
    def make(count):
        return fake_core(
            [Measure(NAME, ("json",), count), Measure("softfail_segments", ("s", "f", "e"), count)]
        )

    return make


def scrape(worker):
    return asyncio.run(gather(worker, 0.0))


def test_a_counter_starts_at_zero_where_its_state_was_restored(fake_worker, part, letters):
    """After kill -9 the durable count is slightly below the last scraped one."""
    worker = fake_worker([replace(part(letters(1_000_007)), counted_at_start={(NAME, ("json",)): 1_000_000})])
    assert scrape(worker)[NAME] == {("json",): 7}
    worker.parts[0].core._measures[0] = Measure(NAME, ("json",), 1_000_010)
    assert scrape(worker)[NAME] == {("json",): 10}
    assert scrape(worker)["softfail_segments"] == {("s", "f", "e"): 1_000_007}


def test_a_total_does_not_decrease_when_a_partition_moves_away_and_back(fake_worker, part, letters):
    worker = fake_worker([part(letters(5), 0), part(letters(9), 1)])
    assert scrape(worker)[NAME] == {("json",): 14}
    moved = worker.parts.pop()
    assert scrape(worker)[NAME] == {("json",): 14}
    # two were counted elsewhere, one here
    worker.parts.append(replace(moved, core=letters(12), counted_at_start={(NAME, ("json",)): 11}))
    assert scrape(worker)[NAME] == {("json",): 15}


def test_a_series_that_appears_between_two_scrapes_is_zero_in_the_next(fake_worker, part, letters):
    """Prometheus computes no increase from a first value."""
    worker = fake_worker([part(letters(0))])
    scrape(worker)
    worker.parts[0].core._measures.append(Measure(NAME, ("field",), 40))
    assert [scrape(worker)[NAME]["field",] for _ in range(3)] == [0, 40, 40]


def test_a_counter_without_source_is_dropped(fake_worker, part, letters):
    worker = fake_worker([part(letters(5))])
    scrape(worker)
    worker.parts.clear()
    assert NAME not in scrape(worker)
