"""Panes restored from bytes."""

from __future__ import annotations

import msgspec
import pytest

from monitor.state.partition_state import PartitionState
from monitor.windows.pane import Pane
from monitor.windows.segment_keys import FeatureKey, SegmentKey
from monitor.windows.segment_series import FINE, HOUR, SegmentSeries


def pane_with_counts() -> Pane:
    pane = Pane(60_000_000)
    pane.events, pane.revision, pane.samples = 3, 1, 2
    pane.rate("error_rate").add(1_000_000, 3, 1)
    pane.number("duration_s").add(1_000_000, 3, 60, {33: 2, 40: 1})
    return pane


def test_a_restored_pane_is_not_unpacked_before_its_first_use():
    back = Pane.from_state(60_000_000, pane_with_counts().state())
    assert (back.events, back.revision, back.samples, back.stale) == (3, 1, 2, False)
    assert hasattr(back, "_packed")
    assert back.rates["error_rate"].failures == 1
    assert not hasattr(back, "_packed")


def test_a_restored_pane_gives_the_same_bytes_before_and_after_unpacking_and_counts_on():
    whole, back = pane_with_counts(), Pane.from_state(60_000_000, pane_with_counts().state())
    assert back.state() == whole.state()
    for pane in (whole, back):
        pane.rate("error_rate").add(1_000_000, 2, 2)
    assert back.state() == whole.state()


def test_a_restored_pane_merges_from_either_side_without_unpacking():
    packed = pane_with_counts().state()
    expected = pane_with_counts()
    expected.merge(pane_with_counts())
    back = Pane.from_state(60_000_000, packed)
    back.merge(Pane.from_state(60_000_000, packed))
    assert back.state() == expected.state()


@pytest.mark.parametrize(
    "broken",
    [
        [3, 1, 0, 2, False, []],
        [3, 1, 0, 2, False, [], [], 7],
        ["3", 1, 0, 2, False, [], []],
        [3, 1, 0, 2, False, [["error_rate", [0, [[1_000_000, 3]]]]], []],
        [3, 1, 0, 2, False, [["error_rate", [0, [[1_000_000, 3, "1"]]]]], []],
        [3, 1, 0, 2, False, [], [["duration_s", [0, [[1_000_000, 3, 60, [33], [2, 1]]]]]]],
        [3, 1, 0, 2, False, [], [["duration_s", [0, [[1_000_000, 3, 60, 33, 2]]]]]],
    ],
    ids=[
        "too short",
        "too long",
        "a text for a number",
        "a class too short",
        "a text for a count",
        "more counts than buckets",
        "no buckets",
    ],
)
def test_invalid_bytes_are_refused_at_restore_and_not_at_first_use(broken):
    with pytest.raises((ValueError, msgspec.ValidationError)):
        Pane.from_state(60_000_000, msgspec.msgpack.encode(broken))


def test_a_packed_pane_is_not_unpacked_gives_the_same_readings_and_counts_on():
    whole, packed = pane_with_counts(), pane_with_counts()
    packed.pack(packed.state())
    assert hasattr(packed, "_packed")
    assert packed.state() == whole.state()
    packed.pack(packed.state())
    packed.revision = whole.revision = 2
    for pane in (whole, packed):
        pane.merge(pane_with_counts())
        pane.rate("error_rate").add(1_000_000, 2, 2)
    assert not hasattr(packed, "_packed")
    assert packed.state() == whole.state()


def test_hours_are_packed_when_they_are_written_and_minutes_are_not():
    """A week of hours is kept per segment: unpacked, they take eight times the memory."""
    feature = FeatureKey("s", "f", "production")
    partition_state = PartitionState(60_000_000, "d")
    segment = partition_state.feature(feature).segments.setdefault(
        SegmentKey("m", "", ""), SegmentSeries(SegmentKey("m", "", ""))
    )
    for resolution in (FINE, HOUR):
        segment.panes_by_resolution[resolution][60_000_000] = pane_with_counts()
        partition_state.mark_pane(feature, segment.key, resolution, 60_000_000)
    written = dict(partition_state.changed())
    assert {
        resolution: hasattr(segment.panes_by_resolution[resolution][60_000_000], "_packed")
        for resolution in (FINE, HOUR)
    } == {FINE: False, HOUR: True}
    assert sum(value.endswith(pane_with_counts().state()) for value in written.values() if value) == 2
