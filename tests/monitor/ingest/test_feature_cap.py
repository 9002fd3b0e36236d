"""Features beyond the cap of a partition are measured together, whichever of their names never repeats."""

from __future__ import annotations

import json

import pytest

from monitor.ingest.feature_cap import MAX_OTHERS
from monitor.ingest.feature_settings import MAX_FEATURES
from monitor.protocol.messages import FileRecord
from monitor.protocol.read_progress import ReadProgress
from monitor.self_health.feature_cap_finding import feature_cap_finding
from monitor.watch import Watch
from monitor.windows.segment_keys import OTHER, FeatureKey
from schemas.config.monitor_config import Config
from tests.monitor.event_values import NINE, event

QUIET = Config.model_validate({"default_rules": False, "no_data": {"severity": None}})
NINE_US = int(NINE.timestamp()) * 1_000_000
MINUTE_US = 60_000_000
NAMES = ("feature", "service", "environment")
BEYOND = 200


def watch_of(name: str, count: int, bundle: int = 10_000) -> Watch:
    watch = Watch(QUIET)
    values = [event(number / 20, event_id=str(number), **{name: f"n{number}"}) for number in range(count)]
    records = [FileRecord(value, offset) for offset, value in enumerate(values)]
    for start in range(0, count, bundle):
        watch.apply(records[start : start + bundle])
    return watch


@pytest.mark.parametrize("name", NAMES)
def test_names_that_never_repeat_open_no_features_beyond_the_cap(name):
    features = watch_of(name, MAX_FEATURES + BEYOND).partition_state.features
    assert len(features) <= MAX_FEATURES + MAX_OTHERS + 1
    others = [state for key, state in features.items() if key[:2] == (OTHER, OTHER)]
    assert sum(state.received["response"] for state in others) == BEYOND


@pytest.mark.parametrize("name", NAMES)
def test_names_of_events_that_come_too_late_open_no_features_beyond_the_cap(name):
    watch = watch_of("feature", MAX_FEATURES)
    watch.apply([FileRecord(event(4 * 3600, feature="n0", event_id="now"), 10_000)])
    late = [event(1, event_id=f"late {number}", **{name: f"late{number}"}) for number in range(BEYOND)]
    watch.apply([FileRecord(value, 20_000 + offset) for offset, value in enumerate(late)])
    features = watch.partition_state.features
    assert len(features) <= MAX_FEATURES + MAX_OTHERS + 1
    assert sum(state.expired for key, state in features.items() if key[:2] == (OTHER, OTHER)) == BEYOND


@pytest.mark.parametrize("name", NAMES)
def test_the_cap_does_not_depend_on_bundles(name):
    whole, single = watch_of(name, MAX_FEATURES + BEYOND), watch_of(name, MAX_FEATURES + BEYOND, bundle=100)
    assert whole.partition_state.features.keys() == single.partition_state.features.keys()


def test_an_environment_that_pages_is_measured_apart_after_a_flood_of_environments():
    watch = watch_of("environment", MAX_FEATURES + BEYOND)
    late = event(70, event_id="late", feature="new")
    watch.apply([FileRecord(late, 10_000)])
    features = watch.partition_state.features
    assert features[FeatureKey(OTHER, OTHER, "production")].received == {"response": 1}


@pytest.mark.parametrize("name", NAMES)
def test_the_heartbeat_names_what_has_the_most_values(name):
    watch = watch_of(name, MAX_FEATURES + BEYOND)
    (message,) = watch.heartbeat(ReadProgress(caught_up=True, lost=0), NINE_US + MINUTE_US).order
    (finding,) = json.loads(message[1].value)["findings"]
    assert (finding["name"], finding["severity"]) == ("too-many-features", "warning")
    assert f"values of `{name}`: {BEYOND} events of further features" in finding["text"]


def test_the_finding_ends_an_hour_after_the_last_event_beyond_the_cap():
    watch = watch_of("feature", MAX_FEATURES + BEYOND)
    watch.advance(NINE_US + 59 * MINUTE_US)
    assert feature_cap_finding(watch.partition_state)
    watch.advance(NINE_US + 62 * MINUTE_US)
    assert feature_cap_finding(watch.partition_state) == []


def test_a_partition_within_the_cap_has_none():
    assert feature_cap_finding(watch_of("feature", MAX_FEATURES).partition_state) == []
