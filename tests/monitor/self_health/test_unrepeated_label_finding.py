"""A label whose values never repeat is a finding that names it, until an hour after the last such event."""

from __future__ import annotations

import json

from monitor.protocol.messages import FileRecord
from monitor.protocol.read_progress import ReadProgress
from monitor.self_health.unrepeated_label_finding import unrepeated_label_finding
from monitor.status import StatusView
from monitor.watch import Watch
from schemas.config.monitor_config import Config
from tests.monitor.event_values import NINE, event

QUIET = Config.model_validate({"default_rules": False, "no_data": {"severity": None}})
NINE_US = int(NINE.timestamp()) * 1_000_000
MINUTE_US = 60_000_000


def watch_of(**labels):
    watch = Watch(QUIET)
    values = [
        event(number / 20, event_id=str(number), **dict.fromkeys(labels, f"{number}"))
        for number in range(900)
    ]
    watch.apply([FileRecord(value, offset) for offset, value in enumerate(values)])
    return watch


def test_the_heartbeat_names_the_feature_and_the_label():
    watch = watch_of(prompt_version=True)
    (message,) = watch.heartbeat(ReadProgress(caught_up=True, lost=0), NINE_US + MINUTE_US).order
    (finding,) = json.loads(message[1].value)["findings"]
    assert (finding["name"], finding["severity"]) == ("unrepeated-label", "warning")
    assert finding["text"].startswith("nearly every event of bot/answer has a prompt_version of its own")


def test_several_labels_are_one_finding():
    (finding,) = unrepeated_label_finding(watch_of(prompt_version=True, model=True).partition_state)
    assert finding.text.endswith("; and 1 more like it")


def test_the_finding_ends_an_hour_after_the_last_such_event():
    watch = watch_of(model=True)
    watch.advance(NINE_US + 59 * MINUTE_US)
    assert unrepeated_label_finding(watch.partition_state)
    watch.advance(NINE_US + 62 * MINUTE_US)
    assert unrepeated_label_finding(watch.partition_state) == []


def test_features_with_ordinary_labels_have_none():
    assert unrepeated_label_finding(watch_of().partition_state) == []


def test_events_measured_under_other_are_counted_by_label():
    watch = watch_of(model=True)
    view = StatusView(watch.partition_state, lambda service, feature: (), None)
    (measure,) = (m for m in view.counted(0) if m.name == "softfail_unrepeated_label_events_total")
    assert measure.labels == ("bot", "answer", "production", "model")
    assert measure.value >= 400
