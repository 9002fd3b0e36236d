"""Labels whose values never repeat go to ``other``; what repeats, and all other labels, stay as they are."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from monitor.protocol.messages import FileRecord
from monitor.watch import Watch
from monitor.windows.segment_keys import OTHER, OVERFLOW, SegmentKey
from monitor.windows.unrepeated_labels import (
    COUNTED,
    LEAST_EVENTS,
    LEAST_MERGED,
    MAX_REPEATED,
    UnrepeatedLabel,
    UnrepeatedLabels,
)
from schemas.config.monitor_config import Config
from tests.monitor.event_values import event
from tests.monitor.restarted_watch import restarted, run_watch

CONFIG = Config.model_validate(
    {
        "features": [{"match": "*", "dimensions": ["tenant"]}],
        "default_rules": False,
        "no_data": {"severity": None},
    }
)
DAY_US = 86_400_000_000


def ids(count: int, first: int = 0, a_second: float = 20, **labels: object) -> list[bytes]:
    """Make events whose labels have the number of the event for ``{}``."""
    template = json.dumps(labels)
    return [
        event(number / a_second, event_id=str(number), **json.loads(template.replace("{}", f"id-{number}")))
        for number in range(first, first + count)
    ]


def watched(values: list[bytes]) -> Watch:
    watch = Watch(CONFIG)
    watch.apply([FileRecord(value, offset) for offset, value in enumerate(values)])
    return watch


def events_by_segment(watch: Watch) -> dict[SegmentKey, int]:
    (feature,) = watch.partition_state.features.values()
    return {key: segment.events for key, segment in feature.segments.items()}


@pytest.mark.parametrize(
    ("labels", "segment"),
    [
        ({"prompt_version": "{}", "variant": "b"}, SegmentKey("m", OTHER, "b", (("tenant", ""),))),
        ({"model": "{}", "prompt_version": "v1"}, SegmentKey(OTHER, "v1", "", (("tenant", ""),))),
        ({"variant": "{}"}, SegmentKey("m", "", OTHER, (("tenant", ""),))),
        ({"dimensions": {"tenant": "{}"}}, SegmentKey("m", dimensions=(("tenant", OTHER),))),
        ({"model": "{}", "prompt_version": "{}"}, SegmentKey(OTHER, OTHER, "", (("tenant", ""),))),
    ],
)
def test_values_that_never_repeat_are_measured_under_other_and_all_other_labels_stay(labels, segment):
    counts = events_by_segment(watched(ids(1_000, **labels)))
    assert counts[segment] >= 700
    assert sum(counts.values()) == 1_000
    assert len(counts) <= 3


def test_few_or_repeating_values_have_segments_of_their_own():
    values = [
        event(number / 20, event_id=str(number), dimensions={"tenant": f"t{number % 190}"})
        for number in range(4_000)
    ]
    counts = events_by_segment(watched(values))
    assert len(counts) == 190
    assert OVERFLOW not in counts


def test_a_version_that_repeats_among_those_that_never_do_has_a_segment():
    unique = ids(3_000, prompt_version="{}")
    real = [event(60 + number / 2, event_id=f"r{number}", prompt_version="v7") for number in range(180)]
    by_time = sorted(unique + real, key=lambda value: json.loads(value)["time"])
    counts = events_by_segment(watched(by_time))
    assert counts[SegmentKey("m", "v7", "", (("tenant", ""),))] >= 180 - 2 * LEAST_EVENTS


def test_a_new_model_is_still_a_change_where_prompt_versions_never_repeat():
    before = ids(3_700, prompt_version="{}", a_second=1)
    after = ids(600, first=3_700, prompt_version="{}", model="m-2", a_second=1)
    after += [event(4_300 + n, event_id=f"r{n}", model="m-2", prompt_version="v7") for n in range(90)]
    written = [
        json.loads(value) for topic, value in run_watch(before + after, config=CONFIG) if topic == "alerts"
    ]
    changes = {(record["kind"], record["name"]) for record in written if record["record"] == "change"}
    assert changes == {("model", "m-2"), ("prompt version", "v7")}


@pytest.mark.parametrize("bundle", [1, 7, 400])
def test_bundles_and_restarts_change_nothing(bundle):
    values = ids(900, prompt_version="{}", a_second=5)
    values[500:900:3] = [
        event(100 + number * 3 / 5, event_id=f"r{number}", prompt_version="v7") for number in range(134)
    ]
    whole = Counter(run_watch(values, config=CONFIG))
    assert Counter(run_watch(values, bundle, every=0 if bundle > 1 else 1, config=CONFIG)) == whole


def test_what_was_found_is_restored():
    watch = watched(ids(1_000, prompt_version="{}"))
    (before,) = watch.partition_state.features.values()
    (after,) = restarted(watch, CONFIG).partition_state.features.values()
    assert after.unrepeated.state() == before.unrepeated.state()
    assert list(after.unrepeated.labels) == ["prompt_version"]


def test_a_label_ends_after_a_day_without_such_values():
    labels = UnrepeatedLabels()
    segments = {SegmentKey("m", f"v{number}"): 1 for number in range(LEAST_MERGED)}
    assert [labels.note_merged(0) for _ in range(LEAST_MERGED)] == [False] * (LEAST_MERGED - 1) + [True]
    assert labels.find(segments, 0) == ["prompt_version"]
    key = SegmentKey("m", "new")
    assert labels.narrow(key, DAY_US) == SegmentKey("m", OTHER)
    assert labels.narrow(key, 2 * DAY_US + 1) == key
    assert labels.labels == {}
    assert labels.events == {"prompt_version": 1}


def test_merged_segments_are_counted_by_day():
    labels = UnrepeatedLabels()
    assert not any(labels.note_merged(day * DAY_US) for day in range(3) for _ in range(LEAST_MERGED - 1))


def test_values_that_had_repeated_when_the_label_was_found_keep_their_segments():
    labels = UnrepeatedLabels()
    segments = {SegmentKey("m", f"v{number}"): 1 for number in range(150)} | {
        SegmentKey("m", "old"): LEAST_EVENTS
    }
    labels.find(segments, 0)
    assert labels.is_repeated("prompt_version", "old")
    assert not labels.is_repeated("prompt_version", "v3")


def test_a_value_repeats_from_twenty_events_on_and_memory_is_bounded():
    label = UnrepeatedLabel(0)
    repeats = []
    for number in range(20_000):
        label.repeats(f"id-{number}")
        if number % 20 == 0:
            repeats.append(label.repeats("v7"))
    assert repeats.index(True) <= 2 * LEAST_EVENTS
    assert all(repeats[repeats.index(True) :])
    for number in range(MAX_REPEATED + 50):
        for _ in range(2 * LEAST_EVENTS):
            label.repeats(f"real-{number}")
    _, _, counts, repeated = label.state()
    assert len(counts) <= COUNTED
    assert len(repeated) == MAX_REPEATED
