"""Counts in arrays equal those of the panes, whatever came late."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.stats.exponential_buckets import bucket_codes
from monitor.windows.count_columns import EVENTS, CountColumns
from monitor.windows.pane import Pane, merge_panes
from monitor.windows.pane_difference import pane_difference
from monitor.windows.segment_keys import SegmentKey
from monitor.windows.segment_series import FINE_RETENTION_US, HOUR, SegmentSeries

MINUTE_US = 60_000_000
START_US = 1_772_438_400_000_000  # a whole hour
KEYS = [SegmentKey(f"m{index}", "1", "", ()) for index in range(3)]


def count_into(pane: Pane, rng: np.random.Generator) -> None:
    n = int(rng.integers(1, 12))
    pane.events += n
    pane.rate("error_rate").add(1_000_000, n, int(rng.integers(0, n + 1)))
    values = rng.integers(0, 5000, n)
    codes, counts = np.unique(bucket_codes(values), return_counts=True)
    buckets = dict(zip(codes.tolist(), counts.tolist(), strict=True))
    pane.number("output_tokens").add(1_000_000, n, int(values.sum()), buckets)
    pane.category("finish_reason").add(1_000_000, {rng.choice(["stop", "length", "tool"]): n})


class World:
    """Segments with panes, minute by minute, and their counts as arrays."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.segments: dict[SegmentKey, SegmentSeries] = {}
        self.columns = CountColumns()
        self.edge_us = START_US

    def minute(self) -> None:
        for key in KEYS[: 1 + self.rng.integers(0, 3)]:
            segment = self.segments.setdefault(key, SegmentSeries(key))
            pane = segment.panes[self.edge_us] = Pane(self.edge_us)
            count_into(pane, self.rng)
        self.edge_us += MINUTE_US
        assert self.columns.update(self.segments, self.edge_us, MINUTE_US)

    def late(self) -> None:
        key = KEYS[self.rng.integers(0, 3)]
        segment = self.segments.get(key)
        if segment is None or not segment.panes:
            return
        start_us = int(self.rng.choice(sorted(segment.panes)[-30:]))
        pane = segment.panes[start_us]
        before = Pane.from_state(start_us, pane.state()).unpacked()
        count_into(pane, self.rng)
        counts = pane_difference(pane, before)
        assert counts is not None
        self.columns.add_late(key, counts)

    def panes(self, key: SegmentKey | None, start_us: int, end_us: int) -> Pane:
        return merge_panes(
            (
                pane
                for own, segment in self.segments.items()
                for begin_us, pane in segment.panes.items()
                if key in (None, own) and start_us <= begin_us < end_us
            ),
            start_us,
        )

    def check(self, rates: np.ndarray, others: np.ndarray, start_us: int, end_us: int) -> None:
        for key, row in self.columns.rows.items():
            pane = self.panes(key, start_us, end_us)
            assert rates[row, self.columns.rates[EVENTS][0]] == pane.events
            n, failures = (rates[row, column] for column in self.columns.rates["error_rate"])
            rate = pane.rates.get("error_rate")
            assert (n, failures) == ((rate.events, rate.failures) if rate else (0, 0))
            buckets = pane.numbers["output_tokens"].weighted_buckets() if pane.numbers else {}
            assert {
                code: others[row, column]
                for code, column in self.columns.numbers["output_tokens"].items()
                if others[row, column]
            } == buckets
            labels = pane.categories["finish_reason"].weighted_counts() if pane.categories else {}
            assert {
                label: others[row, column]
                for label, column in self.columns.labels["finish_reason"].items()
                if others[row, column]
            } == labels


@pytest.mark.parametrize("seed", range(4))
def test_windows_and_what_came_before_equal_the_merged_panes(seed: int) -> None:
    world = World(seed)
    for number in range(150):
        world.minute()
        for _ in range(world.rng.integers(0, 3)):
            world.late()
        if number % 10 == 9:
            edge_us = world.edge_us
            for length_us in (MINUTE_US, 5 * MINUTE_US, 30 * MINUTE_US, FINE_RETENTION_US):
                world.check(
                    world.columns.rates_within(length_us, edge_us),
                    world.columns.within(length_us, edge_us),
                    edge_us - length_us,
                    edge_us,
                )
            for back in (3, 7, 120):
                before = world.columns.before(edge_us - back * MINUTE_US)
                world.check(
                    before.rates.shaped(*world.columns.shape_of_rates),
                    before.others.shaped(*world.columns.shape_of_others),
                    0,
                    edge_us - back * MINUTE_US,
                )


def test_what_came_before_is_corrected_by_late_counts() -> None:
    world = World(9)
    for _ in range(20):
        world.minute()
    end_us = world.edge_us - 5 * MINUTE_US
    before = world.columns.before(end_us)
    before.results["made"] = "from the counts"
    for _ in range(40):
        world.late()
    assert world.columns.before(end_us) is before
    assert not before.results
    world.check(
        before.rates.shaped(*world.columns.shape_of_rates),
        before.others.shaped(*world.columns.shape_of_others),
        0,
        end_us,
    )


def test_arrays_made_after_a_restart_have_the_counts_of_fine_panes_and_hours() -> None:
    world = World(5)
    for _ in range(100):
        world.minute()
    for segment in world.segments.values():  # as when they are rolled up
        old = {
            start_us: pane for start_us, pane in segment.panes.items() if start_us < START_US + 60 * MINUTE_US
        }
        if old:
            hours = segment.panes_by_resolution[HOUR]
            hours[START_US] = merge_panes(old.values(), START_US)
            for start_us in old:
                del segment.panes[start_us]
    columns = CountColumns()
    assert columns.update(world.segments, world.edge_us, MINUTE_US)
    end_us = world.edge_us - MINUTE_US
    names = [*world.columns.labels["finish_reason"], ""]
    for key, row in world.columns.rows.items():
        known, made = (
            {
                name: own.before(end_us).others.shaped(*own.shape_of_others)[at, column]
                for name, column in own.labels["finish_reason"].items()
            }
            for own, at in ((world.columns, row), (columns, columns.rows[key]))
        )
        assert known == made, names


@pytest.mark.parametrize(
    "spoil",
    [
        lambda pane: pane.rate("error_rate").add(250_000, 1, 0),
        lambda pane: pane.number("output_tokens").add(250_000, 1, 3, {40: 1}),
        lambda pane: pane.category("finish_reason").add(1_000_000, {f"reason-{n}": 1 for n in range(61)}),
    ],
    ids=["weights of a rate", "weights of a number", "labels"],
)
def test_what_arrays_do_not_show_makes_them_odd(spoil: object) -> None:
    world = World(1)
    world.minute()
    pane = world.segments[KEYS[0]].panes.setdefault(world.edge_us, Pane(world.edge_us))
    count_into(pane, world.rng)
    spoil(pane)  # type: ignore[operator]
    world.edge_us += MINUTE_US
    assert not world.columns.update(world.segments, world.edge_us, MINUTE_US)
    assert world.columns.is_odd
