"""The health findings of a partition."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.protocol.messages import FileRecord
from monitor.protocol.read_progress import ReadProgress
from monitor.self_health.partition_health import PartitionHealth
from monitor.self_health.share_checks import SHARE_LIMITS, HealthFinding, ShareChecks
from monitor.watch import Watch
from schemas.config.monitor_config import Config
from schemas.config.self_health import Health as Settings
from schemas.records import Heartbeat
from schemas.times import rfc3339

SECOND = 1_000_000
WELL = ReadProgress(caught_up=True, lost=0)
GOOD = b'{"event_id":"1","time":"2026-03-02T09:00:00Z","service":"s","feature":"f","model":"m"}'


def heartbeats_of(
    counts_at,
    *,
    seconds,
    figures_at=lambda second: WELL,
    watermark_at=lambda second: None,
    settings=None,
    every=1,
):
    """Return the heartbeats of a partition whose cumulative counts and measurements are functions of the
    second.
    """
    health, heartbeats = PartitionHealth(settings or Settings(), 3, 16), []
    for second in range(0, seconds, every):
        now_us = 1_000_000 * SECOND + second * SECOND
        if health.is_due(now_us):
            watermark_s = watermark_at(second)
            watermark_us = None if watermark_s is None else now_us - watermark_s * SECOND
            beat = health.look(counts_at(second), figures_at(second), watermark_us, now_us)
            if beat is not None:
                heartbeats.append((second, msgspec.to_builtins(beat)))
    return heartbeats


def finding_names(heartbeats):
    return [
        (second, {(finding["name"], finding["severity"]) for finding in beat["findings"]})
        for second, beat in heartbeats
    ]


def records(share):
    return lambda second: {
        "records": 100 * second,
        "dead-letters": round(100 * second * share),
        "dead-letters/unreadable": round(100 * second * share),
    }


def test_a_healthy_partition_sends_a_heartbeat_once_a_minute():
    heartbeats = heartbeats_of(records(0.0), seconds=601)
    assert [second for second, _ in heartbeats] == list(range(0, 601, 60))
    assert not any(beat["findings"] for _, beat in heartbeats)
    assert [beat["observed_s"] for _, beat in heartbeats[:7]] == [0, 60, 120, 180, 240, 300, 300]


def test_a_heartbeat_matches_its_schema():
    for _, beat in heartbeats_of(
        records(0.2),
        seconds=300,
        figures_at=lambda second: ReadProgress(False, second),
        watermark_at=lambda second: 4000,
    ):
        Heartbeat.model_validate_json(json.dumps(beat))


@pytest.mark.parametrize(("share", "severity"), [(0.005, None), (0.03, "warning"), (0.2, "error")])
def test_dead_letters_are_a_warning_from_1_percent_and_an_error_from_10_percent(share, severity):
    last = finding_names(heartbeats_of(records(share), seconds=330))[-1][1]
    assert last == ({("dead-letters", severity)} if severity else set())


@pytest.mark.parametrize(("share", "page_after_s"), [(0.12, 250), (0.5, 60), (1.0, 30)])
def test_what_a_new_owner_has_not_seen_counts_as_good_until_a_share_is_an_error(share, page_after_s):
    names = finding_names(heartbeats_of(records(share), seconds=330))
    severities = {second: dict(found).get("dead-letters") for second, found in names}
    assert {severities[second] for second in severities if 0 < second < page_after_s} <= {"warning"}
    assert {severities[second] for second in severities if second >= page_after_s + 15} == {"error"}


def test_fewer_than_ten_dead_letters_cause_no_finding_at_any_share():
    def counts(second):
        return {"records": second // 30, "dead-letters": second // 31}

    assert not any(findings for _, findings in finding_names(heartbeats_of(counts, seconds=290)))


def test_a_new_finding_is_sent_immediately_and_names_its_main_cause():
    def counts(second):
        bad = 100 * max(0, second - 70)
        return records(0.0)(second) | {"dead-letters": bad, "dead-letters/no_text": bad}

    heartbeats = heartbeats_of(counts, seconds=90)
    second, beat = heartbeats[-1]
    assert second == 75
    assert [finding["text"] for finding in beat["findings"]] == [
        "6.7 % of records could not be read in 75 s (mostly: no_text)"
    ]


def test_a_finding_ends_at_half_of_its_threshold_and_not_before():
    def counts(second):
        return {
            "records": 100 * second,
            "dead-letters": 3 * min(second, 600) + (second > 600) * 0.7 * (second - 600),
        }

    states = finding_names(
        heartbeats_of(lambda second: {name: round(n) for name, n in counts(second).items()}, seconds=1200)
    )
    assert all(findings for second, findings in states if 60 <= second < 840)
    states = finding_names(
        heartbeats_of(
            lambda second: {"records": 100 * second, "dead-letters": 3 * min(second, 600)}, seconds=1200
        )
    )
    assert not states[-1][1]


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 30)), min_size=1, max_size=60))
def test_the_severity_of_a_finding_never_decreases(steps):
    checks, before = ShareChecks(Settings()), {}
    for nth, (good, bad) in enumerate(steps):
        heartbeats = {
            finding.name: finding.severity
            for finding in checks.check({"records": good + bad, "dead-letters": bad}, 300, nth)
        }
        if before.get("dead-letters") == "error" and heartbeats:
            assert heartbeats == {"dead-letters": "error"}
        before = heartbeats


def test_a_broken_evaluator_among_ten_is_an_error_that_names_it():
    def counts(second):
        sound = {f"judged/e{number}": 10 * second for number in range(9)}
        return {
            "records": 10 * second,
            "judged/broken": 10 * second,
            "evaluator-errors/broken": 5 * second,
            **sound,
        }

    _, beat = heartbeats_of(counts, seconds=120)[-1]
    assert [
        (finding["name"], finding["severity"], "mostly: broken" in finding["text"])
        for finding in beat["findings"]
    ] == [("evaluator-errors", "error", True)]


@pytest.mark.parametrize(
    ("caught_up", "behind_s", "fires"), [(False, 900, True), (False, 200, False), (True, 900, False)]
)
def test_a_lag_is_an_error_after_a_window_when_records_wait_and_the_watermark_is_late(
    caught_up, behind_s, fires
):
    states = finding_names(
        heartbeats_of(
            records(0.0),
            seconds=601,
            figures_at=lambda second: ReadProgress(caught_up, 0),
            watermark_at=lambda second: behind_s,
        )
    )
    assert [findings for second, findings in states if second < 300] == [set()] * 5
    assert (states[-1][1] == {("lag", "error")}) is fires


def test_a_lag_ends_when_everything_is_applied():
    states = finding_names(
        heartbeats_of(
            records(0.0),
            seconds=900,
            figures_at=lambda second: ReadProgress(second > 600, 0),
            watermark_at=lambda second: 900,
        )
    )
    assert {second: findings for second, findings in states if 590 < second < 640} == {
        600: {("lag", "error")},
        615: set(),
    }


def test_records_lost_before_the_first_check_are_in_the_first_heartbeat():
    (second, beat), *_ = heartbeats_of(
        records(0.0), seconds=30, figures_at=lambda second: ReadProgress(True, 1234)
    )
    assert second == 0
    assert beat["findings"][0]["text"].startswith("1,234 records were deleted by Kafka before they were read")


@pytest.mark.parametrize(
    ("took_s", "text"),
    [
        (59, set()),
        (
            95,
            {"reading the state took 95 s: for so long nothing was measured, and pages were late by as much"},
        ),
    ],
)
def test_a_recovery_of_over_a_minute_is_an_immediate_warning_for_one_window(took_s, text):
    heartbeats = heartbeats_of(
        records(0.0), seconds=601, figures_at=lambda second: ReadProgress(True, 0, took_s)
    )
    texts = {second: {finding["text"] for finding in beat["findings"]} for second, beat in heartbeats}
    assert texts[0] == texts[300] == text
    assert heartbeats[-1][0] >= 540
    assert not heartbeats[-1][1]["findings"]
    since = {
        (finding["name"], finding["severity"], finding["since"])
        for _, beat in heartbeats
        for finding in beat["findings"]
    }
    assert since == ({("recovery", "warning", "1970-01-12T13:45:05Z")} if text else set())


def test_findings_of_other_checks_are_sent_immediately():
    health, silent = (
        PartitionHealth(Settings(), 0, 1),
        HealthFinding("evaluator-silence", "warning", "e has judged none", 5 * SECOND, 60.0),
    )
    assert health.look({}, WELL, None, 1000 * SECOND).findings == []
    assert health.look({}, WELL, None, 1015 * SECOND) is None
    assert health.look({}, WELL, None, 1030 * SECOND, [silent]).findings == [silent.record()]


def test_a_clock_set_back_does_not_stop_heartbeats():
    health = PartitionHealth(Settings(), 0, 1)
    health.look({}, WELL, None, 5_000_000 * SECOND)
    assert health.is_due(4_000_000 * SECOND)


def test_the_configured_share_applies():
    settings = Settings.model_validate({"dead_letter_share": 0.3})
    assert not finding_names(heartbeats_of(records(0.2), seconds=120, settings=settings))[-1][1]
    assert finding_names(heartbeats_of(records(0.4), seconds=120, settings=settings))[-1][1] == {
        ("dead-letters", "warning")
    }
    assert finding_names(heartbeats_of(records(0.6), seconds=330, settings=settings))[-1][1] == {
        ("dead-letters", "error")
    }


def test_a_watch_counts_accepted_and_refused_records_and_heartbeats_do_not_affect_its_outputs():
    reader, other = Watch(Config(), 0, 1), Watch(Config(), 0, 1)
    log = [FileRecord(GOOD, 0)] + [
        FileRecord(b"garbage" if nth % 5 == 0 else GOOD, nth) for nth in range(1, 101)
    ]
    now_us = 1_772_442_000 * SECOND
    heartbeats = [*reader.heartbeat(WELL, now_us).messages["alerts"]]
    outputs = [reader.apply(log, now_us)]
    heartbeats += reader.heartbeat(WELL, now_us + 20 * SECOND).messages["alerts"]
    assert [(json.loads(message.value)["partition"], message.key) for message in heartbeats] == [
        (0, b"watch/0")
    ] * 2
    beat = json.loads(heartbeats[-1].value)
    assert (beat["counts"]["records"], beat["counts"]["dead-letters"]) == (101, 20)
    assert [finding["name"] for finding in beat["findings"]] == ["dead-letters"]
    assert outputs == [other.apply(log, now_us)]
    assert reader.advance(now_us + 600 * SECOND, 0) == other.advance(now_us + 600 * SECOND, 0)
    assert reader.changed() == other.changed()


@pytest.mark.parametrize(
    ("key", "good", "hidden"),
    [(b"s/f", 0, True), (b"s/f", 100, True), (b"s/f", 900, False), (b"s/g", 0, False), (None, 0, False)],
)
def test_unreadable_records_hide_something_only_if_they_are_much_of_one_measured_feature(key, good, hidden):
    watch, now_us = Watch(Config(), 0, 1), 1_772_442_000 * SECOND
    watch.apply([FileRecord(GOOD, nth) for nth in range(50)], now_us)
    watch.heartbeat(WELL, now_us)
    junk = [FileRecord(b"garbage", nth, key=key) for nth in range(50, 90)]
    watch.apply(junk + [FileRecord(GOOD, nth) for nth in range(90, 90 + good)], now_us)
    (message,) = watch.heartbeat(WELL, now_us + 60 * SECOND).messages["alerts"]
    findings = {finding["name"]: finding["text"] for finding in json.loads(message.value)["findings"]}
    assert ("unreadable-feature" in findings) is hidden
    assert set(findings) <= {"dead-letters", "unreadable-feature"}
    if hidden:
        assert "of the records of s/f could not be read in 60 s" in findings["unreadable-feature"]


NINE_US = 1_772_442_000 * SECOND


def event(nth, **more):
    plain = {
        "event_id": str(nth),
        "time": rfc3339(NINE_US + nth * SECOND // 10),
        "service": "s",
        "feature": "f",
        "model": "m",
    }
    return FileRecord(json.dumps(plain | more).encode(), nth)


def meter(nth, sampled, dropped):
    return event(
        nth,
        kind="meter",
        producer_id="p",
        started_at=rfc3339(NINE_US),
        seen=10 * sampled,
        sampled=sampled,
        sent=sampled - dropped,
        dropped=dropped,
    )


def numbered(holes):
    """A thousand events of one producer, of which some were lost."""
    return [event(nth, producer_id="p", sequence=nth) for nth in range(1000) if nth % 1000 not in holes]


WORLDS = {
    "a producer gives up a twentieth": (
        [meter(0, 0, 0), *(event(nth) for nth in range(900)), meter(901, 1000, 50)],
        "producer-drops",
        "warning",
    ),
    "it gives up one in a thousand": (
        [meter(0, 0, 0), *(event(nth) for nth in range(900)), meter(901, 20_000, 20)],
        None,
        None,
    ),
    "a twentieth never arrived": (numbered(set(range(200, 250))), "events-missing", "warning"),
    "one in five hundred never arrived": (numbered({200, 400}), None, None),
    "the last ones are on their way": (numbered(set(range(900, 1000))), None, None),
}


@pytest.mark.parametrize(("log", "name", "severity"), WORLDS.values(), ids=WORLDS)
def test_dropped_and_missing_events_are_findings_from_1_percent(log, name, severity):
    watch = Watch(Config(), 0, 1)
    watch.heartbeat(WELL, NINE_US)
    watch.apply(log, NINE_US + 100 * SECOND)
    # what is missing is known when it is too late for it
    watch.advance(NINE_US + 600 * SECOND, NINE_US + 100 * SECOND)
    heartbeats = watch.heartbeat(WELL, NINE_US + 120 * SECOND).messages["alerts"]
    assert [
        (finding["name"], finding["severity"]) for finding in json.loads(heartbeats[-1].value)["findings"]
    ] == ([(name, severity)] if name else [])


@pytest.mark.parametrize(("wrong", "heartbeats"), [(0.5, True), (0.05, False)])
def test_a_producer_with_another_partitioner_is_an_info_finding(wrong, heartbeats):
    own_partition = next(
        number
        for number in range(4)
        if Watch(Config(), number, 4).apply([event(0)]).messages.get("events") is None
    )
    away = next(
        name
        for name in "abcdefgh"
        if Watch(Config(), own_partition, 4).apply([event(0, feature=name)]).messages.get("events")
    )
    watch = Watch(Config(), own_partition, 4)
    watch.heartbeat(WELL, NINE_US)
    watch.apply(
        [event(nth, **({"feature": away} if nth % 100 < 100 * wrong else {})) for nth in range(1000)], NINE_US
    )
    beat = json.loads(watch.heartbeat(WELL, NINE_US + 60 * SECOND).messages["alerts"][-1].value)
    assert [(finding["name"], finding["severity"]) for finding in beat["findings"]] == (
        [("wrong-partition", "info")] if heartbeats else []
    )
    assert beat["counts"]["wrong-partition"] == 1000 * wrong


def test_every_share_check_has_a_unique_name():
    assert len({limit.name for limit in SHARE_LIMITS}) == len(SHARE_LIMITS)
