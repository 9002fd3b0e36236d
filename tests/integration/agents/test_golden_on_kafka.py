"""Failure samples of a real topic become candidates of a golden set."""

from __future__ import annotations

import json
from pathlib import Path

from agents.commands.golden import main


def publish(topics, values):
    from kafka import KafkaProducer

    producer = KafkaProducer(bootstrap_servers=topics.address)
    for number, value in enumerate(values):
        producer.send(f"{topics.prefix}.samples", value, partition=number % topics.partitions)
    producer.flush()
    producer.close()


def sample(number, text, reason):
    return json.dumps(
        {
            "record": "sample",
            "event_id": f"e{number}",
            "time": "2026-11-30T12:00:00Z",
            "service": "bot",
            "feature": "answer",
            "failed": {"refusal": reason},
            "input": text,
            "output": "I cannot help with that.",
        }
    ).encode()


def config(topics):
    return {"kafka": {"brokers": topics.address, "prefix": topics.prefix}}


def test_samples_of_all_partitions_become_candidates(make_topics, tmp_path, monkeypatch, capsys):
    topics = make_topics(3)
    monkeypatch.chdir(tmp_path)
    Path("softfail.yaml").write_text(json.dumps(config(topics)))
    publish(
        topics,
        [sample(n, f"Where is my order {n}, please?", "cannot_help") for n in range(6)]
        + [b"no JSON", sample(9, "Change the delivery address of my parcel", "cannot_help")],
    )
    command = ["add", "--config", "softfail.yaml", "--to", "set.ndjson"]
    assert main(command) == 1  # a record that is no sample
    assert "not JSON" in capsys.readouterr().err
    cases = [json.loads(line) for line in Path("set.ndjson").read_text().splitlines()]
    assert [(case["status"], case["origin"].get("similar", 1)) for case in cases] == [
        ("candidate", 6),
        ("candidate", 1),
    ]
    main(command)
    assert len(Path("set.ndjson").read_text().splitlines()) == 2  # a second time adds none


def test_a_topic_or_broker_that_does_not_exist_is_named(make_topics, tmp_path, monkeypatch, capsys):
    topics = make_topics(1)
    monkeypatch.chdir(tmp_path)
    Path("softfail.yaml").write_text(json.dumps(config(topics)))
    assert main(["add", "--config", "softfail.yaml", "--topic", "other", "--to", "set.ndjson"]) == 2
    assert "topic other does not exist" in capsys.readouterr().err
    assert not Path("set.ndjson").exists()
