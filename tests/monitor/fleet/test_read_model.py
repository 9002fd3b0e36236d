"""The read model shows of all workers what each worker shows of its own partitions."""

from __future__ import annotations

import json
import random

import pytest

from monitor.fleet import read_model
from monitor.fleet.read_model import Fleet
from monitor.protocol.messages import FileRecord
from monitor.watch import Watch
from schemas.config.monitor_config import Config
from schemas.times import rfc3339

NINE_US = 1_772_442_000_000_000
SECOND_US = 1_000_000
RULE = {"name": "errors", "on": "error_rate", "above": 0.1, "for": "1m"}
CONFIG = Config.model_validate({"rules": [RULE], "links": {"trace": "https://traces.example/{trace_id}"}})


def events(feature, *, seconds, failing_from, seed):
    rng = random.Random(seed)
    for second in range(seconds):
        event = {
            "event_id": f"{feature}-{second}",
            "time": rfc3339(NINE_US + second * SECOND_US),
            "service": "bot",
            "feature": feature,
            "model": rng.choice(["m", "n"]),
            "output": "It ships on Tuesday.",
            "output_tokens": rng.randrange(20, 90),
            "duration_s": round(rng.lognormvariate(0, 0.6), 3),
            "trace_id": f"t{second}",
            "sample_probability": rng.choice([1.0, 0.5]),
        }
        if second >= failing_from and second % 2:
            event |= {"error_type": "timeout"}
        yield FileRecord(json.dumps(event).encode(), second)


@pytest.fixture(scope="module")
def worlds():
    """Two workers of one partition each, and everything that they have published, as records of topics."""
    watches, published = [], []
    for partition, (feature, failing_from) in enumerate([("sound", 9999), ("broken", 900)]):
        watch = Watch(CONFIG, partition)
        outputs = watch.apply(list(events(feature, seconds=1500, failing_from=failing_from, seed=partition)))
        watches.append(watch)
        published += [
            (topic, FileRecord(message.value, number, None, message.key, f"softfail.{topic}", partition))
            for number, (topic, message) in enumerate(outputs.order, 1)
        ]
    return watches, published


@pytest.fixture
def fleet(worlds):
    fleet = Fleet(CONFIG)
    for topic, record in worlds[1]:
        fleet.take(topic, record, NINE_US)
    return fleet


def by_name(status):
    return {feature["feature"]: feature for feature in status["features"]}


def test_the_features_of_all_workers_have_the_figures_of_their_own_workers(worlds, fleet):
    shown = by_name(fleet.status(NINE_US + 1500 * SECOND_US))
    own = {name: row for watch in worlds[0] for name, row in by_name(watch.status()).items()}
    assert set(shown) == set(own) == {"sound", "broken"}
    for name, row in own.items():
        assert shown[name]["events_5m"] == row["events_5m"] > 0
        assert shown[name]["segments"] == row["segments"]
        for rate in ("pass_rate", "error_rate", "refusal_rate"):
            assert shown[name][rate] == row[rate]
        assert shown[name]["duration_p90_s"]["value"] == pytest.approx(
            row["duration_p90_s"]["value"], rel=0.03
        )
        assert shown[name]["output_tokens_mean"]["value"] == pytest.approx(row["output_tokens_mean"]["value"])
        measured = [pane for pane in row["series"] if pane["events"]]
        assert shown[name]["series"] == measured


def test_an_episode_of_another_worker_is_shown_with_its_text_examples_and_traces_until_it_ends(worlds, fleet):
    (own,) = worlds[0][1].status()["episodes"]
    (shown,) = fleet.status(NINE_US)["episodes"]
    for field in ("episode_id", "headline", "next_step", "urgency", "severity"):
        assert shown[field] == own[field]
    assert shown["examples"][0]["trace_url"].startswith("https://traces.example/t")
    resolved = json.dumps({**shown, "state": "resolved"}).encode()
    fleet.take("alerts", FileRecord(resolved, 10**6), NINE_US)
    assert fleet.status(NINE_US)["episodes"] == []


def test_figures_that_were_refreshed_are_those_of_the_last_window(worlds, fleet):
    before = fleet.status(NINE_US)
    assert len(list(fleet.refresh())) == 2
    assert fleet.status(NINE_US) == before
    last = next(
        record
        for topic, record in reversed(worlds[1])
        if topic == "windows" and b'"level":"feature"' in record.value
    )
    window = json.loads(last.value)
    window |= {"revision": window["revision"] + 1, "events": window["events"] + 5}
    fleet.take("windows", last._replace(value=json.dumps(window).encode()), NINE_US)
    name = window["feature"]
    assert by_name(fleet.status(NINE_US))[name]["events_5m"] == by_name(before)[name]["events_5m"] + 5


def test_records_that_are_read_again_change_nothing(worlds, fleet):
    before = fleet.status(NINE_US)
    resolved = {**before["episodes"][0], "state": "resolved"}
    for topic, record in worlds[1]:
        fleet.take(topic, record, NINE_US)
    again = fleet.status(NINE_US)
    assert (again["features"], again["episodes"]) == (before["features"], before["episodes"])
    fleet.take("alerts", FileRecord(json.dumps(resolved).encode(), 10**6), NINE_US)
    for topic, record in worlds[1]:
        fleet.take(topic, record, NINE_US)
    assert fleet.status(NINE_US)["episodes"] == []


def test_a_later_revision_replaces_a_window_and_an_earlier_one_does_not(worlds, fleet):
    windows = [record for topic, record in worlds[1] if topic == "windows"]
    last = next(record for record in reversed(windows) if b'"level":"feature"' in record.value)
    window = json.loads(last.value)
    for revision, events_now in ((window["revision"] + 1, 7), (window["revision"], 99)):
        changed = json.dumps({**window, "revision": revision, "events": events_now}).encode()
        fleet.take("windows", last._replace(value=changed), NINE_US)
        row = by_name(fleet.status(NINE_US))[window["feature"]]
        assert row["series"][-1]["events"] == 7


@pytest.mark.parametrize(
    "value", [None, b"", b"{", b"[]", b"{}", b'{"record":"episode"}', b'{"record":"health"}']
)
@pytest.mark.parametrize("topic", ["windows", "alerts", "samples"])
def test_a_record_that_cannot_be_read_is_skipped(fleet, topic, value):
    before = fleet.status(NINE_US)
    fleet.take(topic, FileRecord(value), NINE_US)
    assert fleet.status(NINE_US) == before


def test_silences_heartbeats_and_failing_answers_are_known_to_every_worker(fleet):
    silence = {
        "record": "silence",
        "silence_id": "s1",
        "match": "bot/*",
        "environments": [],
        "severity": [],
        "starts_at": rfc3339(NINE_US),
        "ends_at": rfc3339(NINE_US + 3600 * SECOND_US),
        "reason": "deploy",
        "author": "me",
        "time": rfc3339(NINE_US),
    }
    beat = {"record": "health", "agent": "watch", "partition": 3, "time": rfc3339(NINE_US)}
    for record in (silence, beat):
        fleet.take("alerts", FileRecord(json.dumps(record).encode(), 1), NINE_US)
    status = fleet.status(NINE_US + SECOND_US)
    assert [entry["match"] for entry in status["silences"]] == ["bot/*"]
    assert status["partitions"] == [{"agent": "watch", "partition": 3, "heard_at": rfc3339(NINE_US)}]
    assert {sample["feature"] for sample in fleet.samples("bot/b*")} == {"broken"}
    assert fleet.samples("bot/s*") == []


def test_memory_is_bounded(monkeypatch, worlds):
    monkeypatch.setattr(read_model, "FEATURES", 10)
    monkeypatch.setattr(read_model, "EPISODES", 10)
    monkeypatch.setattr(read_model, "SAMPLED_FEATURES", 10)
    fleet = Fleet(CONFIG)
    for nth in range(40):
        for topic, record in worlds[1]:
            if topic == "samples" or b'"record":"episode"' in record.value or nth == 0:
                fields = json.loads(record.value)
                fields |= {"feature": f"f{nth}", "episode_id": f"e{nth}"}
                fleet.take(topic, record._replace(value=json.dumps(fields).encode()), NINE_US)
        window = next(record for topic, record in worlds[1] if topic == "windows")
        fields = json.loads(window.value) | {"feature": f"w{nth}"}
        fleet.take("windows", window._replace(value=json.dumps(fields).encode()), NINE_US)
    assert len(fleet._features) == len(fleet._samples) == len(fleet._episodes) == 10
    assert {sample["feature"] for sample in fleet.samples("")} == {f"f{nth}" for nth in range(30, 40)}


def judged(partition, time_us, *, calibrated=True, feature="answer"):
    rate = {"service": "bot", "feature": feature, "n": 400.0, "judged": 0.053, "value": 0.03}
    rate |= {"low": 0.01, "high": 0.06, "labels": 200, "reasons": []}
    record = {
        "record": "judged",
        "judge": "grounded",
        "partition": partition,
        "time": rfc3339(time_us),
        "identity": "abc",
        "calibrated": calibrated,
        "reasons": [] if calibrated else ["nobody has labelled its verdicts"],
        "labels": 200,
        "agreement": [0.96, 0.93, 0.98],
        "rates": [rate],
    }
    return FileRecord(json.dumps(record).encode(), 1)


def test_a_judge_is_shown_with_the_rates_of_all_partitions_and_the_trust_of_its_newest_record(fleet):
    fleet.take("alerts", judged(0, NINE_US, feature="search"), NINE_US)
    fleet.take("alerts", judged(1, NINE_US + 2 * SECOND_US, calibrated=False), NINE_US)
    fleet.take("alerts", judged(1, NINE_US, feature="older"), NINE_US)
    (shown,) = fleet.status(NINE_US + 3 * SECOND_US)["judges"]
    assert (shown["calibrated"], shown["reasons"]) == (False, ["nobody has labelled its verdicts"])
    rates = {rate["feature"]: (rate["value"], rate["calibrated"]) for rate in shown["rates"]}
    assert rates == {"answer": (0.03, False), "search": (0.03, False)}
    assert (shown["runs"], shown["labels"]) == (True, 200)


def test_a_judge_that_reports_no_more_is_shown_as_not_running_and_after_a_day_not_at_all(fleet):
    fleet.take("alerts", judged(0, NINE_US), NINE_US)
    (shown,) = fleet.status(NINE_US + 600 * SECOND_US)["judges"]
    assert not shown["runs"]
    assert fleet.status(NINE_US + 86_401 * SECOND_US)["judges"] == []
