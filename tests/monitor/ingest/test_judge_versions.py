"""A judge of another identity is another statistic, also after a restart."""

from __future__ import annotations

import json

from monitor.protocol.messages import FileRecord
from monitor.watch import Watch
from schemas.config.monitor_config import Config
from tests.monitor.event_values import ANSWER, time_of
from tests.monitor.judging.test_trust import judge


def verdict(second, version, evaluator="grounded"):
    event = {
        "kind": "evaluation",
        "event_id": f"{evaluator}{second}",
        "response_id": "r",
        "time": time_of(second),
        "service": "bot",
        "feature": "answer",
        "model": "m",
        "evaluator": evaluator,
        "evaluator_version": version,
        "passed": True,
    }
    return FileRecord(json.dumps(event).encode(), second)


def noted(watch):
    return {
        name: entry
        for name, entry in watch.partition_state.evaluators.get(ANSWER, {}).items()
        if name in ("grounded", "other")
    }


def test_a_new_identity_counts_from_the_next_pane_and_a_foreign_evaluator_is_not_followed():
    watch = Watch(Config(judges=(judge(),)))
    watch.apply([verdict(0, "a"), verdict(5, "a"), verdict(6, "x", "other"), verdict(7, "y", "other")])
    assert noted(watch) == {"grounded": ("a", 0)}
    watch.apply([verdict(70, "b"), verdict(75, "b")])
    identity, since_us = noted(watch)["grounded"]
    assert (identity, since_us % 60_000_000) == ("b", 0)
    copy = Watch(Config(judges=(judge(),)))
    copy.restore((key, value) for key, value in watch.changed() if value is not None)
    assert noted(copy)["grounded"] == ("b", since_us)


def test_without_judges_nothing_is_noted():
    watch = Watch(Config())
    watch.apply([verdict(0, "a"), verdict(5, "b")])
    assert noted(watch) == {}


def test_bundles_change_nothing():
    records = [verdict(second, "ab"[second % 120 > 60]) for second in range(0, 400, 7)]
    whole, single = Watch(Config(judges=(judge(),))), Watch(Config(judges=(judge(),)))
    whole.apply(records)
    for record in records:
        single.apply([record])
    assert noted(whole) == noted(single)
