"""Fresh counts at an edge: their sum over all edges equals the total count, with late events, restarts and
evicted segments.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.alerts.pane_close import PaneCloser
from monitor.alerts.pane_packing import UNPACKED
from monitor.protocol.messages import Outputs
from monitor.state.partition_state import PartitionState
from monitor.stats.rate import Rate
from monitor.windows.pane import Pane
from monitor.windows.segment_keys import OVERFLOW, FeatureKey, SegmentKey
from monitor.windows.segment_series import SegmentSeries
from schemas.config.monitor_config import Config

KEY = FeatureKey("bot", "answer", "production")
PANE_US = 60_000_000
# more than a rate keeps apart
PPM = [1_000_000, 500_000, 370_000, 250_000, 123_456, 90_000, 61_803, 33_000, 20_000, 10_000, 7_000, 3_000]

steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("count"),
            st.integers(0, 6),
            st.integers(0, 3),
            st.sampled_from(PPM),
            st.integers(1, 9),
            st.floats(0, 1),
        ),
        st.just(("edge",)),
        st.just(("restart",)),
        st.just(("overflow",)),
    ),
    min_size=1,
    max_size=60,
)


def count(
    partition_state: PartitionState, segment_key: SegmentKey, start_us: int, ppm: int, n: int, failures: int
) -> None:
    feature = partition_state.feature(KEY)
    segment = feature.segments.get(segment_key)
    if segment is None:
        segment = feature.segments[segment_key] = SegmentSeries(segment_key)
    pane = partition_state.pane(feature, segment, start_us)
    pane.events += n
    pane.rate("error_rate").add(ppm, n, failures)


def totals(rates: dict[str, Rate]) -> tuple[int, int]:
    rate = rates.get("error_rate", Rate())
    return rate.events, rate.failures


def restarted(
    config: Config, partition_state: PartitionState, log: dict[bytes, bytes | None]
) -> PartitionState:
    log.update(dict(partition_state.changed()))
    again = PartitionState(PANE_US, partition_state.digest)
    again.restore([(key, value) for key, value in log.items() if value is not None])
    return again


@given(steps)
def test_fresh_counts_of_all_edges_sum_to_the_total_count(plan: list[Any]) -> None:
    config = Config(default_rules=False)
    partition_state, log, edge_us = PartitionState(PANE_US, "d"), dict[bytes, bytes | None](), 0
    counted, fresh = [0, 0], [0, 0]

    def close(until_us: int) -> None:
        given = PaneCloser(config, partition_state)._write_windows(until_us, Outputs()).get(KEY, [])
        for _, rates in given:
            for _, (n, failures) in rates["error_rate"].classes.items() if "error_rate" in rates else ():
                assert 0 <= failures <= n
            assert totals(rates)[0] > 0  # nothing is told of a pane that got nothing
            fresh[:] = fresh[0] + totals(rates)[0], fresh[1] + totals(rates)[1]

    for step, *rest in plan:
        if step == "count":
            pane, segment, ppm, n, share = rest
            failures = round(share * n)
            count(partition_state, SegmentKey(f"m{segment}"), pane * PANE_US, ppm, n, failures)
            counted[:] = counted[0] + n, counted[1] + failures
        elif step == "edge":
            edge_us += PANE_US
            close(edge_us)
        elif step == "restart":
            partition_state = restarted(config, partition_state, log)
        elif KEY in partition_state.features and any(
            key != OVERFLOW for key in partition_state.features[KEY].segments
        ):
            partition_state.overflow(partition_state.features[KEY], 0)
    close(100 * PANE_US)
    assert fresh == counted


def test_a_late_event_alone_is_fresh_at_the_next_edge() -> None:
    pane = Pane(0)
    pane.open_for_counting()
    pane.rate("error_rate").add(1_000_000, 10, 2)
    assert totals(pane.new_rates()) == (10, 2)
    assert totals(pane.closed_rates()) == (0, 0)
    pane.revision, pane.stale, pane.rates_at_close = 1, False, None
    assert totals(pane.new_rates()) == (0, 0)
    assert totals(pane.closed_rates()) == (10, 2)
    pane.open_for_counting()
    pane.rate("error_rate").add(1_000_000, 1, 1)
    pane.rate("pass_rate").add(1_000_000, 1, 1)  # a rate that the pane did not have when it was closed
    assert totals(pane.new_rates()) == (1, 1)
    assert pane.new_rates()["pass_rate"].events == 1
    assert totals(pane.closed_rates()) == (10, 2)
    again = Pane.from_state(0, pane.state())
    assert totals(again.new_rates()) == (1, 1)
    assert again.state() == pane.state()


def test_fresh_counts_are_complete_when_late_events_coarsen_the_weight_classes() -> None:
    pane = Pane(0)
    pane.open_for_counting()
    for ppm in PPM[:8]:
        pane.rate("error_rate").add(ppm, 3, 1)
    pane.revision, pane.stale, pane.rates_at_close = 1, False, None
    pane.open_for_counting()
    for ppm in PPM[8:]:
        pane.rate("error_rate").add(ppm, 5, 2)
    assert pane.rates["error_rate"].level > pane.closed_rates()["error_rate"].level
    assert totals(pane.new_rates()) == (5 * len(PPM[8:]), 2 * len(PPM[8:]))


@pytest.mark.parametrize("stale", [False, True])
def test_an_evicted_segment_adds_its_counts_to_other_once(stale: bool) -> None:
    config, partition_state = Config(default_rules=False), PartitionState(PANE_US, "d")
    count(partition_state, SegmentKey("a"), 0, 1_000_000, 10, 1)
    PaneCloser(config, partition_state)._write_windows(PANE_US, Outputs())
    if stale:
        count(partition_state, SegmentKey("a"), 0, 1_000_000, 2, 2)
    partition_state.overflow(partition_state.features[KEY], 0)
    late_rates = PaneCloser(config, partition_state)._write_windows(2 * PANE_US, Outputs()).get(KEY, [])
    assert [(segment_key, totals(rates)) for segment_key, rates in late_rates] == (
        [(OVERFLOW, (2, 2))] if stale else []
    )


def test_all_but_the_newest_panes_are_packed_and_those_with_late_events_again() -> None:
    partition_state, segment_key = PartitionState(PANE_US, "test"), SegmentKey("m")
    closer = PaneCloser(Config(), partition_state)
    for number in range(12):
        count(partition_state, segment_key, number * PANE_US, 1_000_000, 5, 1)
        if number == 10:
            count(partition_state, segment_key, 2 * PANE_US, 1_000_000, 3, 3)
            assert not partition_state.features[KEY].segments[segment_key].panes[2 * PANE_US].is_packed
        list(closer.close_steps((number + 1) * PANE_US, None, Outputs()))
    panes = partition_state.features[KEY].segments[segment_key].panes
    assert [pane.is_packed for _, pane in sorted(panes.items())] == [True] * (12 - UNPACKED) + [
        False
    ] * UNPACKED
    assert totals(panes[2 * PANE_US].unpacked().rates) == (8, 4)
