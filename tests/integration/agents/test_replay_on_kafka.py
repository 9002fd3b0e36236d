"""Replay from a real topic: the same report as from files, and a time range."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta

import pytest

from agents.commands.replay import main
from monitor.cli.replay import main as from_files
from schemas.config.connections import Kafka
from softfail.partitioning import partition_of

PARTITIONS = 4


@pytest.fixture
def topics(make_topics):
    return make_topics(PARTITIONS)


def events(features, began, seconds):
    """One response a second per feature; half of those of the first fail."""
    made = []
    for second in range(seconds):
        for nth, feature in enumerate(features):
            time_ = (began + timedelta(seconds=second, milliseconds=nth)).isoformat()
            made.append(
                {
                    "kind": "response",
                    "event_id": f"{second}-{nth}",
                    "time": time_,
                    "service": "bot",
                    "feature": feature,
                    "model": "m",
                    "output": "It ships on Tuesday.",
                    **({"error_type": "timeout"} if not nth and second % 2 else {}),
                }
            )
    return made


def publish(topics, values):
    """Write each event into its partition; return when all are acknowledged."""
    from kafka import KafkaProducer

    producer = KafkaProducer(bootstrap_servers=topics.address)
    for value in values:
        producer.send(
            f"{topics.prefix}.events",
            json.dumps(value).encode(),
            partition=partition_of(value["service"], value["feature"], topics.partitions),
        )
    producer.flush()
    producer.close()


def without_segments(out):
    return [
        record
        for line in out.splitlines()
        if (record := json.loads(line))["record"] != "window" or record["level"] == "feature"
    ]


def test_a_topic_gives_the_report_of_its_events_as_files_and_the_range_applies(topics, tmp_path, capsys):
    began = datetime.now(UTC) - timedelta(minutes=20)
    first, second = (
        events(["a", "b", "c", "d", "e"], began, 400),
        events(["a", "b"], began + timedelta(seconds=500), 60),
    )
    publish(topics, first)
    time.sleep(1.5)
    cut = datetime.now(UTC)
    time.sleep(0.5)
    publish(topics, second)
    config = tmp_path / "softfail.yaml"
    rule = {"name": "errors", "on": "error_rate", "above": 0.1, "window": "5m", "severity": "critical"}
    settings = {
        "default_rules": False,
        "no_data": {"severity": None},
        "rules": [rule],
        "kafka": Kafka(brokers=topics.address, prefix=topics.prefix).model_dump(
            include={"brokers", "prefix"}
        ),
    }
    config.write_text(json.dumps(settings))
    path = tmp_path / "first.ndjson"
    path.write_text("\n".join(map(json.dumps, first)))

    assert main(["--config", str(config), "--format", "ndjson", "--to", cut.isoformat()]) == 0
    topic = without_segments(capsys.readouterr().out)
    assert from_files([str(path), "--config", str(config), "--format", "ndjson"]) == 0
    files = without_segments(capsys.readouterr().out)
    assert [record for record in topic if record["record"] == "window"] == [
        file for file in files if file["record"] == "window"
    ]
    fired = [
        [
            (record["state"], record["feature"], record["time"])
            for record in records
            if record["record"] == "transition"
        ]
        for records in (topic, files)
    ]
    assert fired[0][: len(fired[1])] == fired[1]
    assert fired[1][0][:2] == ("firing", "a")

    assert (
        main(["--config", str(config), "--format", "ndjson", "--from", cut.isoformat(), "--match", "bot/b"])
        == 0
    )
    later = without_segments(capsys.readouterr().out)
    assert {record["feature"] for record in later} == {"b"}
    assert sum(record["events"] for record in later if record["record"] == "window") == 60


def test_a_report_of_a_topic_is_a_page_and_an_unknown_topic_is_refused(topics, tmp_path, capsys):
    publish(topics, events(["a", "b"], datetime.now(UTC) - timedelta(minutes=20), 300))
    config, report = tmp_path / "softfail.yaml", tmp_path / "report.html"
    config.write_text(json.dumps({"kafka": {"brokers": topics.address, "prefix": topics.prefix}}))
    assert main(["--config", str(config), "--format", "html", "--output", str(report)]) == 0
    assert "of 2 features</h1>" in report.read_text()
    assert main(["--config", str(config), "--topic", "nobody.events"]) == 78
    assert "topic nobody.events does not exist" in capsys.readouterr().err
    assert (
        main(["--config", str(config), "--format", "summary", "--from", "2020-01-01", "--to", "2020-01-02"])
        == 0
    )
    shown = capsys.readouterr()
    assert shown.out.startswith("nothing was measured")
    assert "has no record of these times" in shown.err


def test_all_20000_records_of_several_partitions_are_read_and_any_range_of_them(
    make_topics, tmp_path, capsys
):
    """With paused partitions kafka-python stopped here for ever, after the first 5,000 records of two."""
    topics = make_topics(4)
    features = {partition_of("bot", feature, 4): feature for feature in "abcdefghijkl"}
    assert len(features) == 4
    began = datetime.now(UTC) - timedelta(minutes=170)
    counts = dict(
        zip(features.values(), (9_000, 7_000, 3_000, 1_000), strict=True)
    )  # two are fetched in parts
    for feature, count in counts.items():
        publish(topics, events([feature], began, count))
    time.sleep(1.1)  # a range begins at a millisecond of append time
    cut = datetime.now(UTC)
    publish(topics, events(["z"], began, 500))
    config = tmp_path / "softfail.yaml"
    config.write_text(json.dumps({"kafka": {"brokers": topics.address, "prefix": topics.prefix}}))

    def replayed(*options):
        assert main(["--config", str(config), "--format", "ndjson", *options]) == 0
        sums = {}
        for record in without_segments(capsys.readouterr().out):
            if record["record"] == "window":
                sums[record["feature"]] = sums.get(record["feature"], 0) + record["events"]
        return sums

    assert replayed("--to", cut.isoformat()) == counts
    assert replayed("--from", cut.isoformat()) == {"z": 500}
    assert replayed() == counts | {"z": 500}
