"""Events that arrive over 30 minutes late revise windows and wake nobody."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from monitor.protocol.messages import FileRecord
from monitor.watch import Watch
from schemas.config.monitor_config import Config
from tests.monitor import event_values
from tests.monitor.restarted_watch import run_watch

CONFIG = Config.model_validate(
    {
        "rules": [
            {"name": "slow", "on": "duration_s.p90", "above": 5, "window": "2h", "severity": "error"},
            {"name": "long", "on": "error_rate", "above": 0.02, "window": "2h", "severity": "error"},
        ],
        "objectives": [{"name": "good", "on": "pass_rate", "target": 0.97, "period": "30d"}],
    }
)


def event(second: float, **more: Any) -> bytes:
    text, duration_s = "Your parcel was handed to the courier this morning.", 0.5 + second % 7 / 10
    return event_values.event(second, **{"output": text, "duration_s": duration_s, **more})


def healthy() -> list[tuple[float, bytes]]:
    """Two and a half hours of 20 calls a minute, one in fifty of which fails."""
    rng = random.Random(1)
    return [
        (second, event(second, outcome="schema_error" if rng.random() < 0.02 else "ok"))
        for second in range(0, 9000, 3)
    ]


def with_late(delay_s: float, count: int) -> Iterator[bytes]:
    """Add ``count`` failing and slow events of another model, each ``delay_s`` late, at 80 a minute."""
    added = 0
    for second, value in healthy():
        yield value
        if second >= 6000:
            for _ in range(4):
                if added < count:
                    text = "Ihr Paket wurde heute Morgen an den Boten übergeben."
                    more = {"output": text, "duration_s": 30.0, "response_model": "n"}
                    yield event(second - delay_s, event_id=f"late{added}", error_type="Timeout", **more)
                    added += 1


def run(
    values: list[bytes], bundle: int = 5000, every: int | None = None
) -> list[tuple[str, dict[str, Any]]]:
    """Return all outputs; ``every``: restart the watch after this many minutes."""
    return [(topic, json.loads(value)) for topic, value in run_watch(values, bundle, every, CONFIG)]


@cache
def undisturbed() -> list[tuple[str, dict[str, Any]]]:
    """Return all outputs without late events."""
    return run([value for _, value in healthy()])


@cache
def disturbed(delay_s: float, count: int) -> list[tuple[str, dict[str, Any]]]:
    """Return all outputs with late events, without a restart."""
    return run(list(with_late(delay_s, count)))


def alerts(outputs: list[tuple[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    return [record for topic, record in outputs if topic == "alerts"]


def last_windows(outputs: list[tuple[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Return start -> the newest window of the whole feature."""
    return {
        record["start"]: record
        for topic, record in outputs
        if topic == "windows" and record["level"] == "feature"
    }


@pytest.mark.parametrize("delay_s", [2000, 5900])
def test_events_over_thirty_minutes_late_change_no_alert(delay_s: float) -> None:
    assert alerts(disturbed(delay_s, 900)) == alerts(undisturbed())


def test_events_of_twenty_minutes_ago_are_read() -> None:
    paged = [record for record in alerts(disturbed(1200, 900)) if record["record"] == "episode"]
    assert any(record["severity"] in ("error", "critical") for record in paged)


def test_windows_include_late_events_with_a_higher_revision() -> None:
    late, before = last_windows(disturbed(3600, 300)), last_windows(undisturbed())
    revised = {start for start, window in late.items() if window["revision"] > 1}
    assert revised
    assert sum(window["events"] for window in late.values()) == len(healthy()) + 300
    for start, window in late.items():
        added = window["events"] - before[start]["events"]
        assert (added > 0) == (start in revised)
        failed = sum(f for _, _, f in window["metrics"]["error_rate"]["classes"])
        assert failed == added


@pytest.mark.parametrize(("bundle", "every"), [(211, 5), (97, 15)])
def test_late_events_are_counted_the_same_over_restarts_and_bundles(bundle: int, every: int) -> None:
    assert run(list(with_late(3600, 300)), bundle, every) == disturbed(3600, 300)


def test_the_counts_of_late_events_expire_with_their_hour() -> None:
    watch = Watch(CONFIG)
    values = [*with_late(3600, 300), event(20_000)]
    watch.apply([FileRecord(value, offset) for offset, value in enumerate(values)])
    (feature,) = watch.partition_state.features.values()
    assert feature.late >= 300
    assert not any(segment.late_panes for segment in feature.segments.values())
    hours = [
        pane for segment in feature.segments.values() for pane in segment.panes_by_resolution["hour"].values()
    ]
    assert sum(pane.events for pane in hours) == 3000
