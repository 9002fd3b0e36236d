"""Laws of the core: its outputs depend on the order of the log alone."""

from __future__ import annotations

import base64
import json
import random
from collections import Counter, defaultdict
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.protocol.messages import FileRecord, Outputs
from monitor.watch import Watch
from schemas.config.monitor_config import Config
from schemas.records import RECORDS
from softfail.partitioning import partition_of
from tests.monitor.event_values import NINE, event
from tests.tiers import examples

HOUR_S = 3600.0
# For laws of windows and counts: reading rules takes most of the time of a watch.
QUIET = Config.model_validate({"default_rules": False, "no_data": {"severity": None}})


def records_of(values: list[bytes]) -> list[FileRecord]:
    return [FileRecord(value, offset) for offset, value in enumerate(values)]


def run(
    values: list[bytes], config: Config | None = None, bundle: int = 1000, *, finish: bool = True
) -> list[tuple[str, dict[str, Any]]]:
    watch, records, out = Watch(config or Config()), records_of(values), Outputs()
    for start in range(0, len(records), bundle):
        out.extend(watch.apply(records[start : start + bundle]))
    if finish:
        out.extend(watch.finish())
    return [(topic, json.loads(message.value)) for topic, message in out.order]


def records_of_kind(written: list[tuple[str, dict[str, Any]]], kind: str) -> list[dict[str, Any]]:
    return [record for _, record in written if record.get("record") == kind]


def last_windows(
    written: list[tuple[str, dict[str, Any]]], level: str = "feature"
) -> dict[Any, dict[str, Any]]:
    windows: dict[Any, dict[str, Any]] = {}
    for record in records_of_kind(written, "window"):
        if record["level"] == level:
            windows[
                record["service"],
                record["feature"],
                record["model"],
                record["prompt_version"],
                record["start"],
            ] = record
    return windows


@st.composite
def logs(draw: st.DrawFn) -> list[bytes]:
    """A log with late, mixed, sampled and invalid events of a few segments over some minutes, sometimes with
    a jump.
    """
    rng = draw(st.randoms(use_true_random=False))
    values, second = [], 0.0
    for _ in range(draw(st.integers(1, 120))):
        second += (
            rng.choice([0.2, 1, 5, 5, 20, 90])
            if rng.random() < 0.98
            else rng.choice([2 * HOUR_S, 30 * HOUR_S])
        )
        event_second = second - (rng.choice([40, 200, 3 * HOUR_S]) if rng.random() < 0.1 else 0)
        values.append(_drawn(rng, max(event_second, -1000.0)))
    return values


def _drawn(rng: random.Random, second: float) -> bytes:
    kind = rng.random()
    if kind < 0.05:
        return rng.choice([b"garbage", b"[]", event(second, duration_s=-1), event(second, kind="nonsense")])
    if kind < 0.1:
        return event(
            second, kind="feedback", response_id="r", accepted=rng.random() < 0.5, model=rng.choice(["", "a"])
        )
    if kind < 0.15:
        return event(
            second,
            kind="evaluation",
            response_id="r",
            evaluator="judge",
            passed=rng.random() < 0.5,
            score=rng.uniform(-1, 1),
            model="a",
        )
    if kind < 0.2:
        return event(
            second,
            kind="meter",
            producer_id="p",
            started_at="2026-03-02T08:00:00Z",
            seen=5,
            sampled=5,
            sent=5,
            dropped=0,
            output=None,
        )
    return event(
        second,
        feature=rng.choice(["answer", "search"]),
        model=rng.choice("abc"),
        prompt_version=rng.choice(["1", "2"]),
        sample_probability=rng.choice([1.0, 1.0, 0.1, 0.37]),
        content_probability=rng.choice([1.0, 0.1]),
        output=rng.choice([None, "", "It ships on Tuesday.", "I'm sorry, but I can't help with that."]),
        error_type=rng.choice([None, None, None, "timeout"]),
        duration_s=round(rng.lognormvariate(0, 1), 6),
        output_tokens=rng.randint(0, 500),
        cost_usd=rng.choice([None, 0.00123]),
        stages_s=rng.choice([None, {"retrieve": 0.2}]),
    )


@settings(max_examples=examples(1 / 4))
@given(logs(), st.integers(1, 50))
def test_bundles_of_any_size_give_byte_identical_outputs(values: list[bytes], bundle: int) -> None:
    whole, cut = Watch(Config()), Watch(Config())
    records = records_of(values)
    at_once = whole.apply(records)
    many = Outputs()
    for start in range(0, len(records), bundle):
        many.extend(cut.apply(records[start : start + bundle]))
    at_once.extend(whole.finish())
    many.extend(cut.finish())
    for topic in at_once.messages.keys() | many.messages.keys():
        assert at_once.messages.get(topic) == many.messages.get(topic)


@settings(max_examples=examples(1 / 4))
@given(logs(), st.integers(0, 120), st.randoms(use_true_random=False))
def test_a_restart_at_any_record_changes_nothing(
    values: list[bytes], restart_at: int, rng: random.Random
) -> None:
    records = records_of(values)
    whole, first, second = Watch(Config()), Watch(Config()), Watch(Config())
    expected = whole.apply(records)
    expected.extend(whole.finish())
    state: list[tuple[bytes, bytes | None]] = []
    got = Outputs()
    start = 0
    while start < min(restart_at, len(records)):
        stop = min(restart_at, start + rng.randint(1, 30))
        got.extend(first.apply(records[start:stop]))
        state += first.changed()
        start = stop
    second.restore(state)
    got.extend(second.apply(records[start:]))
    got.extend(second.finish())
    for topic in expected.messages.keys() | got.messages.keys():
        assert got.messages.get(topic) == expected.messages.get(topic)


@settings(max_examples=examples(1 / 4))
@given(logs())
def test_every_written_record_matches_its_schema(values: list[bytes]) -> None:
    for topic, record in run(values):
        model = RECORDS["deadletter" if topic == "deadletter" else record["record"]]
        model.model_validate_json(json.dumps(record))


@settings(max_examples=examples(1 / 4))
@given(logs())
def test_every_event_is_in_a_window_expired_or_a_dead_letter(values: list[bytes]) -> None:
    watch, records, out = Watch(QUIET), records_of(values), Outputs()
    out.extend(watch.apply(records))
    out.extend(watch.finish())
    written = [(topic, json.loads(message.value)) for topic, message in out.order]
    measured = sum(record["events"] for record in last_windows(written).values())
    letters = sum(topic == "deadletter" for topic, _ in written)
    expired = sum(feature.expired for feature in watch.partition_state.features.values())
    received: Counter[str] = Counter()
    for feature in watch.partition_state.features.values():
        received.update(feature.received)
    meters = sum(b'"kind": "meter"' in value for value in values)
    assert letters + expired + received.total() + meters == len(values)
    assert measured == received["response"]


def oracle(values: list[bytes]) -> dict[Any, Any]:
    """Count each segment and minute in plain Python from the events; no event here is late by more than two
    hours.
    """
    counts: dict[Any, Any] = defaultdict(
        lambda: {"events": 0, "errors": 0, "passed": 0, "tokens": 0, "us": 0}
    )
    for value in values:
        event_fields = json.loads(value)
        minute = event_fields["time"][:16] + ":00Z"
        pane = counts[
            event_fields["service"],
            event_fields["feature"],
            event_fields["model"],
            event_fields.get("prompt_version", ""),
            minute,
        ]
        pane["events"] += 1
        pane["errors"] += "error_type" in event_fields
        pane["passed"] += (
            "error_type" not in event_fields and event_fields["output"] == "It ships on Tuesday."
        )
        pane["tokens"] += event_fields["output_tokens"]
        pane["us"] += round(event_fields["duration_s"] * 1e6)
    return counts


def test_windows_equal_an_independent_count() -> None:
    rng = random.Random(3)
    values = []
    for nth in range(3000):
        text = rng.choices(
            [
                ("It ships on Tuesday.", None),
                ("I'm sorry, but I can't help with that.", None),
                (None, "timeout"),
            ],
            [90, 5, 5],
        )[0]
        late = rng.uniform(60, 3000) if rng.random() < 0.05 else 0
        values.append(
            event(
                max(0.0, round(nth * 1.7 - late, 3)),
                model=rng.choice("ab"),
                prompt_version=rng.choice("12"),
                output=text[0],
                error_type=text[1],
                output_tokens=rng.randint(0, 99),
                duration_s=round(rng.uniform(0, 9), 6),
                event_id=str(nth),
            )
        )
    windows = last_windows(run(values, QUIET), "segment")
    expected = oracle(values)
    assert windows.keys() == expected.keys()
    for key, window in windows.items():
        metrics, pane = window["metrics"], expected[key]
        [(_, n, errors)] = metrics["error_rate"]["classes"]
        [(_, judged, failures)] = metrics["pass_rate"]["classes"]
        assert (window["events"], n, errors, judged, judged - failures) == (
            pane["events"],
            pane["events"],
            pane["errors"],
            pane["events"],
            pane["passed"],
        )
        assert metrics["output_tokens.mean"]["sum"] == pane["tokens"]
        assert metrics["duration_s.mean"]["sum"] == pane["us"]
        assert metrics["pass_rate"]["value"] == pytest.approx(pane["passed"] / pane["events"])


def test_the_feature_is_the_sum_of_its_segments() -> None:
    values = [event(second, model="ab"[second % 2], output_tokens=second) for second in range(300)]
    written = run(values, QUIET)
    for (*_, start), whole in last_windows(written).items():
        parts = [
            window
            for (*_, window_start), window in last_windows(written, "segment").items()
            if window_start == start
        ]
        assert whole["events"] == sum(part["events"] for part in parts)
        assert whole["metrics"]["output_tokens.mean"]["sum"] == sum(
            part["metrics"]["output_tokens.mean"]["sum"] for part in parts
        )


def test_a_late_event_raises_the_revision_at_the_next_edge() -> None:
    values = [event(second) for second in range(0, 300, 5)]
    values.insert(45, event(10, event_id="late"))  # its minute closed long ago
    first = [
        window
        for window in records_of_kind(run(values), "window")
        if window["start"] == "2026-03-02T09:00:00Z" and window["level"] == "feature"
    ]
    assert [(window["revision"], window["events"]) for window in first] == [(1, 12), (2, 13)]


def test_events_over_two_hours_late_expire_and_are_counted() -> None:
    watch = Watch(Config())
    watch.apply(records_of([event(0), event(3 * HOUR_S), event(1800, event_id="too late")]))
    (feature,) = watch.partition_state.features.values()
    assert feature.expired == 1
    assert feature.received == {"response": 2}


def test_expired_events_stay_counted_when_their_feature_is_dropped() -> None:
    watch = Watch(Config())
    watch.apply(records_of([event(5 * HOUR_S), event(0, feature="long-gone"), event(9 * HOUR_S)]))
    assert sum(feature.expired for feature in watch.partition_state.features.values()) == 1
    assert {key.feature for key in watch.partition_state.features} == {"answer", "other"}
    assert dict(watch.changed())[b'["feature","bot","long-gone","production"]'] is None


def test_the_watermark_never_decreases_and_ignores_clocks_ahead_of_the_broker() -> None:
    watch = Watch(Config())
    now_ms = int(NINE.timestamp() * 1000)
    watch.apply([FileRecord(event(0), 0, now_ms)])
    before = watch.watermark_us
    assert before == (now_ms - 30_000) * 1000
    watch.apply([FileRecord(event(200), 1, now_ms + 1000)])  # a producer whose clock is 200 s ahead
    assert watch.watermark_us == (now_ms + 1000 - 30_000) * 1000
    watch.apply([FileRecord(event(-100), 2, now_ms + 2000)])
    assert watch.watermark_us == (now_ms + 1000 - 30_000) * 1000
    watch.advance(before)
    assert watch.watermark_us == (now_ms + 1000 - 30_000) * 1000


def test_an_event_from_tomorrow_is_a_dead_letter_and_its_neighbours_count() -> None:
    watch = Watch(Config())
    now_ms = int(NINE.timestamp() * 1000)
    out = watch.apply(
        [
            FileRecord(event(0), 0, now_ms),
            FileRecord(event(86_400), 1, now_ms),
            FileRecord(event(1), 2, now_ms),
        ]
    )
    (letter,) = [json.loads(message.value) for message in out.messages["deadletter"]]
    assert (letter["offset"], letter["field"]) == (1, "time")
    assert "ahead" in letter["error"]
    assert watch.partition_state.dead_letters == {"future": 1}
    assert next(iter(watch.partition_state.features.values())).received == {"response": 2}


def test_a_dead_letter_contains_the_value_its_position_and_the_reason() -> None:
    poison = b"\x00\xff" * 50_000
    out = Watch(Config()).apply([FileRecord(poison, 7, 123, b"k\xff", "softfail.events", 3, (("h", b"v"),))])
    (letter,) = [json.loads(message.value) for message in out.messages["deadletter"]]
    assert (letter["topic"], letter["partition"], letter["offset"], letter["timestamp"]) == (
        "softfail.events",
        3,
        7,
        123,
    )
    assert base64.b64decode(letter["value"]) == poison[: 64 * 1024]
    assert (letter["size"], letter["key"], letter["headers"]) == (100_000, "k\\xff", [["h", "v"]])
    assert "JSON" in letter["error"]


def test_an_event_in_a_wrong_partition_is_forwarded_and_not_measured_there() -> None:
    home = partition_of("bot", "answer", 16)
    elsewhere = Watch(Config(), (home + 1) % 16, 16)
    out = elsewhere.apply([FileRecord(event(0), 5, None, None, "softfail.events", (home + 1) % 16)])
    (message,) = out.messages["events"]
    assert (message.partition, message.key, message.value) == (home, b"bot/answer", event(0))
    assert elsewhere.partition_state.features == {}
    at_home = Watch(Config(), home, 16)
    at_home.apply([FileRecord(message.value, 0, None, message.key, "softfail.events", home, message.headers)])
    assert next(iter(at_home.partition_state.features.values())).received == {"response": 1}
    again = elsewhere.apply([FileRecord(event(0), 6, None, None, "softfail.events", 1, message.headers)])
    assert "events" not in again.messages
    assert elsewhere.partition_state.dead_letters == {"misplaced": 1}


def test_unsampled_text_does_not_improve_the_pass_rate() -> None:
    """Every answer is refused; text is sent one time in ten. The pass rate is 0, not 90 %."""
    values = [
        event(
            nth * 0.1,
            content_probability=0.1,
            output="I'm sorry, but I can't help with that." if nth % 10 == 0 else None,
        )
        for nth in range(500)
    ]
    window, *_ = last_windows(run(values)).values()
    assert window["metrics"]["pass_rate"]["value"] == 0
    assert window["metrics"]["pass_rate"]["classes"] == [[0.1, 50, 50]]
    assert window["metrics"]["error_rate"]["n"] == 500


def test_an_event_without_text_is_measured_by_all_other_metrics() -> None:
    window, *_ = last_windows(run([event(0, output=None, duration_s=1.5, output_tokens=7)])).values()
    assert window["metrics"]["output_tokens.mean"]["sum"] == 7
    assert window["metrics"]["duration_s.mean"]["sum"] == 1_500_000
    assert window["metrics"]["pass_rate"]["value"] == 1
    assert "evaluator.refusal.fail_rate" not in window["metrics"]


def test_a_jump_of_a_week_evaluates_few_edges_and_resolves_open_incidents() -> None:
    values = [event(second, error_type="timeout" if second > 600 else None) for second in range(0, 1200, 2)]
    values += [event(7 * 86_400 + second) for second in range(0, 1200, 2)]
    transitions = [
        (record["level"], record["state"])
        for record in records_of_kind(run(values), "transition")
        if record["rule"] == "error-rate"
    ]
    assert transitions.count(("feature", "firing")) == 1
    assert transitions.count(("feature", "resolved")) == 1


def test_segments_above_the_cap_are_counted_in_other() -> None:
    values = [event(nth * 0.05, variant=f"v{nth}", event_id=str(nth)) for nth in range(390)]
    watch = Watch(QUIET)
    watch.apply(records_of(values))
    (feature,) = watch.partition_state.features.values()
    assert len(feature.segments) <= 201
    assert "v389" in {key.variant for key in feature.segments}  # the newest is never the one that falls out
    assert feature.overflowed >= 189
    assert sum(pane.events for segment in feature.segments.values() for pane in segment.panes.values()) == 390


def test_old_panes_are_rolled_up_into_hours_with_the_same_counts() -> None:
    values = [event(minute * 60.0, output_tokens=minute) for minute in range(6 * 60)]
    watch = Watch(QUIET)
    watch.apply(records_of(values))
    state = dict(watch.changed())
    (segment,) = next(iter(watch.partition_state.features.values())).segments.values()
    assert len(segment.panes_by_resolution["hour"]) == 3
    assert min(segment.panes) >= max(segment.panes_by_resolution["hour"]) + 3_600_000_000
    panes = [pane for panes in segment.panes_by_resolution.values() for pane in panes.values()]
    assert sum(pane.events for pane in panes) == 360
    assert sum(pane.numbers["output_tokens"].weighted_sum() for pane in panes) == sum(range(360))
    # a tombstone for each fine pane that was rolled up
    assert sum(value is None for key, value in state.items() if key.startswith(b'["pane"')) == 180


def test_roll_ups_beyond_the_size_of_a_checkpoint_are_spread_over_edges(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("monitor.alerts.pane_close.ROLL_UPS", 2)
    watch = Watch(QUIET)
    watch.apply(records_of([event(nth * 0.1, model=f"m{nth % 9}", output_tokens=nth) for nth in range(900)]))
    rolled_up = []
    for minute in range(178, 190):
        watch.advance(int((NINE + timedelta(minutes=minute)).timestamp() * 1e6))
        (feature,) = watch.partition_state.features.values()
        rolled_up.append(
            sum(bool(segment.panes_by_resolution["hour"]) for segment in feature.segments.values())
        )
        panes = [
            pane
            for segment in feature.segments.values()
            for panes_of_resolution in segment.panes_by_resolution.values()
            for pane in panes_of_resolution.values()
        ]
        assert sum(pane.numbers["output_tokens"].weighted_sum() for pane in panes) == sum(range(900))
    assert rolled_up == [0, 0, 2, 4, 6, 8, 9, 9, 9, 9, 9, 9]


def test_a_state_of_another_pane_length_is_refused_with_the_remedy() -> None:
    watch = Watch(Config())
    watch.apply(records_of([event(0)]))
    other = Watch(Config.model_validate({"time": {"pane": "30s"}}))
    with pytest.raises(ValueError, match=r"pane 60 s.*set it back"):
        other.restore(watch.changed())


@pytest.mark.parametrize(
    "broken",
    [(b'["pane"', b"x"), (b'["pane","a","b","c",["","","",[]],"pane",0]', b"\xc1"), (b'["new"]', b"x")],
)
def test_an_unreadable_state_record_is_named_in_the_error(broken: tuple[bytes, bytes]) -> None:
    with pytest.raises(ValueError, match="cannot be read") as raised:
        Watch(Config()).restore([broken])
    assert repr(broken[0]) in str(raised.value)
