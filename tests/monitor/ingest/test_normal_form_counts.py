"""What counts of a response in normal form: errors by finish reason, unknown reasons, odd fields."""

from __future__ import annotations

from collections import Counter

from monitor.watch import Watch
from schemas.config.monitor_config import Config
from tests.monitor.ingest.event_records import record_of


def applied(*records) -> Watch:
    watch = Watch(Config())
    watch.apply(list(records))
    return watch


def test_a_finish_reason_of_an_error_counts_in_the_error_rate():
    watch = applied(
        record_of(1, finish_reason="insufficient_system_resource", output="It ships on Tu"),
        record_of(2, finish_reason="stop", output="It ships on Tuesday."),
        record_of(3, error_type="timeout"),
    )
    (feature,) = watch.partition_state.features.values()
    (segment,) = feature.segments.values()
    ((pane,),) = (panes.values() for panes in segment.panes_by_resolution.values() if panes)
    assert [(n, failed) for n, failed in pane.rate("error_rate").classes.values()] == [(3, 2)]


def test_an_unknown_finish_reason_is_a_skip_with_its_own_reason():
    watch = applied(record_of(1, finish_reason="zorp", output="It ships on Tuesday."))
    (feature,) = watch.partition_state.features.values()
    assert feature.skipped["truncation"] == {"unknown finish reason": 1}
    assert feature.skipped["content_filter"] == {"unknown finish reason": 1}


def test_odd_fields_are_counted_by_field_and_reason_exactly_and_survive_a_restart():
    records = [
        record_of(number, duration_s="slow", variant="v" * (300 if number % 2 else 3)) for number in range(40)
    ]
    watch = applied(*records)
    assert watch.partition_state.left_out == {"duration_s.not_a_number": 40, "variant.too_long": 20}
    assert watch.partition_state.dead_letters == {}
    restored = Watch(Config())
    restored.restore(watch.changed())
    assert restored.partition_state.left_out == watch.partition_state.left_out
    measured = Counter(
        {measure.labels: measure.value for measure in restored.counted() if "left_out" in measure.name}
    )
    assert measured == {("duration_s", "not_a_number"): 40, ("variant", "too_long"): 20}
    assert restored.status()["left_out"] == {"duration_s.not_a_number": 40, "variant.too_long": 20}
