"""What is packed to save memory gives the same bytes as before."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.protocol.messages import FileRecord
from monitor.references.growing import GrowingReference
from monitor.stats.text_sketch import FEW_TEXTS, TextSketch, text_features
from monitor.watch import Watch
from monitor.windows.pane import Pane
from monitor.windows.pane_compression import compress, decompress
from monitor.windows.text_blocks import TEXT_NAMES, TextBlock
from schemas.config.monitor_config import Config
from tests.monitor.event_values import event


def typical_pane() -> Pane:
    pane = Pane(60_000_000)
    pane.events = 10
    for name in ("pass_rate", "error_rate", "evaluator.refusal.fail_rate", "evaluator.length.fail_rate"):
        pane.rate(name).add(1_000_000, 10, 0)
    for name in ("output_tokens", "duration_s", "input_tokens"):
        pane.number(name).add(1_000_000, 3, 90, {33: 1, 70: 1, 90: 1})
    pane.category("finish_reason").add(1_000_000, {"stop": 10})
    return pane


@given(st.binary(max_size=6000))
def test_a_compressed_state_is_restored_byte_for_byte(rest):
    state = b"\x99" + rest
    assert decompress(compress(state)) == state
    assert compress(compress(state)) == compress(state)


def test_a_typical_pane_takes_less_than_half_when_it_is_compressed():
    state = typical_pane().state()
    assert len(compress(state)) < len(state) / 2


def test_a_restored_pane_that_is_compressed_later_has_the_same_state_and_stays_packed():
    state = typical_pane().state()
    pane = Pane.from_state(60_000_000, state)
    pane.shrink()
    assert pane.is_packed
    assert pane.packed_state() == pane.state() == state
    assert pane.find_rate("pass_rate").events == 10
    assert pane.find_number("output_tokens").classes[1_000_000].sum == 90
    assert pane.is_packed
    assert pane.rates["error_rate"].events == 10
    assert not pane.is_packed


def minutes_of(watch: Watch, first: int, last: int) -> None:
    """Twelve events a minute of two segments."""
    for minute in range(first, last):
        values = [
            event(60 * minute + 5 * nth, model="mn"[nth % 2], event_id=f"{minute}-{nth}", output_tokens=nth)
            for nth in range(12)
        ]
        watch.apply([FileRecord(value, 12 * minute + nth) for nth, value in enumerate(values)])


def test_restored_panes_are_compressed_edge_by_edge_and_no_output_changes():
    first = Watch(Config())
    minutes_of(first, 0, 60)
    second = Watch(Config())
    second.restore(list(first.changed()))
    panes = [
        pane
        for feature in second.partition_state.features.values()
        for segment in feature.segments.values()
        for pane in segment.panes.values()
    ]
    before = [pane.state() for pane in panes]
    size = sum(len(pane._packed) for pane in panes if pane.is_packed)
    for watch in (first, second):
        minutes_of(watch, 60, 90)
    assert [pane.state() for pane in panes[:40]] == before[:40]
    assert sum(len(pane._packed) for pane in panes if pane.is_packed) < 0.6 * size
    outputs = [[message.value for _, message in watch.finish().order] for watch in (first, second)]
    assert [json.loads(value)["record"] for value in outputs[0]]
    assert outputs[0] == outputs[1]


def fine_panes(watch: Watch) -> list[Pane]:
    (feature,) = watch.partition_state.features.values()
    return [pane for segment in feature.segments.values() for pane in segment.panes.values()]


def test_a_closed_pane_is_packed_when_its_record_is_encoded_and_counts_late_events_as_before():
    watch, other = Watch(Config()), Watch(Config())
    for minute in range(8):
        for each in (watch, other):
            minutes_of(each, minute, minute + 1)
        watch.changed()  # the other watch packs nothing before the fourth edge
    is_closed = [pane.revision > 0 for pane in fine_panes(watch)]
    assert [pane.is_packed for pane in fine_panes(watch)] == is_closed
    assert sum(is_closed) >= 12
    late = [FileRecord(event(60 * 6 + 1, model="m", event_id="late"), 1000)]
    for each in (watch, other):
        each.apply(late)
        minutes_of(each, 8, 12)
    states = [[pane.state() for pane in fine_panes(each)] for each in (watch, other)]
    assert states[0] == states[1]
    assert sum(pane.events for pane in fine_panes(watch)) == 12 * 12 + 1


def test_panes_that_rules_read_at_each_edge_stay_unpacked_while_they_are_new():
    watch = Watch(Config())
    for minute in range(8):
        values = [
            event(
                60 * minute + nth, model="m", event_id=f"{minute}-{nth}", sample_probability=1 / (1 + nth % 2)
            )
            for nth in range(12)
        ]
        watch.apply([FileRecord(value, 12 * minute + nth) for nth, value in enumerate(values)])
        watch.changed()
    assert not any(pane.is_packed for pane in fine_panes(watch)[-3:])


def test_only_the_newest_panes_are_unpacked_and_few_references_are_kept():
    watch = Watch(Config())
    minutes_of(watch, 0, 70)
    (feature,) = watch.partition_state.features.values()
    unpacked = [
        len([pane for pane in s.panes.values() if not pane.is_packed]) for s in feature.segments.values()
    ]
    assert max(unpacked) <= 5
    growing = [
        total
        for cache in feature.cache._series.values()
        for total in cache.sums.values()
        if isinstance(total, GrowingReference) and total._whole is not None
    ]
    assert all(total._grows_by_blocks for total in growing)


@pytest.mark.parametrize("count", [0, 1, FEW_TEXTS, FEW_TEXTS + 1, 300])
def test_a_packed_sketch_gives_the_state_of_the_sketch(count):
    sketch = TextSketch()
    sketch.update(text_features([f"answer {number} of many" for number in range(count)]))
    packed = TextSketch.from_packed(sketch.packed())
    assert (packed.n, packed.state()) == (count, sketch.state())
    packed.merge(sketch)
    sketch.merge(sketch)
    assert packed.state() == sketch.state()
    assert TextSketch.from_packed(sketch.state()).state() == sketch.state()


def test_a_packed_block_of_texts_counts_on_and_merges_like_one_that_is_not():
    blocks = [TextBlock(0), TextBlock(0)]
    for nth, name in enumerate(TEXT_NAMES):
        for block in blocks:
            block.update(name, text_features([f"{name} {number}" for number in range(3 + nth)]))
            block.responses[0] = 4
    packed, whole = blocks
    packed.pack()
    assert packed.state() == whole.state()
    assert packed.sketch("input_text").n == 3
    merged = TextBlock(0)
    merged.merge(packed)
    assert merged.state() == whole.state()
    for block in blocks:
        block.responses[60_000_000] = 1
        block.update("input_text", text_features(["another"]))
    assert packed.state() == whole.state()
    restored = TextBlock.from_state(0, packed.state())
    assert restored.state() == whole.state()
