"""Sequence numbers, from the SDK to the worker that detects lost events by them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest
from kafka.errors import KafkaTimeoutError

from monitor.protocol.messages import FileRecord
from monitor.watch import Watch
from monitor.windows.feature_series import FeatureState
from monitor.windows.segment_keys import FeatureKey
from schemas.config.monitor_config import Config

Make = Callable[..., Any]


def sequences(events: list[dict[str, Any]]) -> dict[tuple[str, str, str], list[int]]:
    """The sequence numbers by producer, feature and environment."""
    sequences: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for event in events:
        key = event["producer_id"], event["feature"], event.get("environment", "production")
        sequences[key].append(event["sequence"])
    return dict(sequences)


def worker_state(values: list[bytes]) -> FeatureState:
    watch = Watch(Config())
    watch.apply([FileRecord(value, offset) for offset, value in enumerate(values)])
    return watch.partition_state.features[FeatureKey("shop", "f", "production")]


def test_each_feature_and_environment_is_numbered_from_zero_without_gaps(client: Make, fake: Any) -> None:
    sf = client(sample_probability=0.5)
    for call in range(300):
        environment = "staging" if call % 7 == 0 else "production"
        sf.response(feature=f"f{call % 3}", model="m", environment=environment)
    assert sf.flush(10)
    by_feature = sequences(fake.events())
    assert len(by_feature) == 6
    assert {producer_id for producer_id, _, _ in by_feature} == {sf.producer_id}
    assert all(numbers == list(range(len(numbers))) for numbers in by_feature.values())


def test_a_producer_id_or_sequence_passed_by_the_service_is_replaced(client: Make, fake: Any) -> None:
    sf = client()
    sf.response(feature="f", model="m", producer_id="own", sequence=77)
    assert sf.flush(5)
    assert sequences(fake.events()) == {(sf.producer_id, "f", "production"): [0]}


def test_an_event_that_is_retried_keeps_its_number(
    client: Make, fake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    send, timeouts = fake.send, iter([True, True, False, True] + [False] * 100)

    def send_or_time_out(topic: str, value: bytes, key: bytes) -> Any:
        if next(timeouts):
            raise KafkaTimeoutError("not now")
        return send(topic, value=value, key=key)

    monkeypatch.setattr(fake, "send", send_or_time_out)
    sf = client()
    for _ in range(5):
        sf.response(feature="f", model="m")
    assert sf.flush(10)
    assert sequences(fake.events()) == {(sf.producer_id, "f", "production"): [0, 1, 2, 3, 4]}


def test_an_event_dropped_before_it_is_numbered_is_not_missing(client: Make, fake: Any) -> None:
    sf = client()
    for call in range(10):
        sf.response(feature="f", model="m", output_tokens=-1 if call == 4 else 1)
    assert sf.flush(10)
    sf.close(5)
    feature = worker_state([value for _, value in fake.messages])
    assert feature.producer_totals() == (10, 10, 9, 1)
    assert feature.missing == 0
    assert feature.received == {"response": 9}


def test_an_event_dropped_after_it_is_numbered_is_missing(
    client: Make, fake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = fake.send

    def send_or_raise(topic: str, value: bytes, key: bytes) -> Any:
        if json.loads(value).get("sequence") in (3, 4, 7):
            raise RuntimeError("network error")
        return send(topic, value=value, key=key)

    monkeypatch.setattr(fake, "send", send_or_raise)
    sf = client()
    for _ in range(10):
        sf.response(feature="f", model="m")
    assert sf.flush(10)
    sf.close(5)
    values = [value for _, value in fake.messages]
    feature = worker_state(values)
    assert feature.producer_totals() == (10, 10, 7, 3)
    assert feature.missing == 3
    one_more_lost = [value for value in values if json.loads(value).get("sequence") != 5]
    feature = worker_state(one_more_lost)
    assert feature.missing - feature.producer_totals().dropped == 1


def test_features_above_the_metered_limit_are_not_numbered_so_that_none_has_gaps(
    client: Make, fake: Any
) -> None:
    sf = client(queue_size=100_000)
    for turn in range(2):
        for number in range(1_100):
            sf.response(feature=f"f{number}", model="m", event_id=f"{turn}-{number}")
    assert sf.flush(20)
    by_feature = sequences(fake.events())
    assert len(by_feature) == 1_100
    assert sorted(map(str, by_feature.values())) == ["[0, 1]"] * 1_000 + ["[None, None]"] * 100


def test_through_a_broker_all_sent_events_are_received_and_lost_events_are_missing(broker: Any) -> None:
    from softfail import Softfail

    topic = broker.topic()
    with Softfail(
        service="shop",
        bootstrap_servers=broker.address,
        topic=topic,
        sample_probability=0.5,
        meter_interval_s=3600,
        api_version=(2, 3),
    ) as sf:
        for _ in range(400):
            sf.response(feature="f", model="m", output="It ships.")
        assert sf.flush(20)
        sent = sf.counts()["shop/f"]["sent"]
    values = [message.value() for message in broker.messages(topic, sent + 1)]
    feature = worker_state(values)
    assert feature.producer_totals() == (400, sent, sent, 0)
    assert feature.received == {"response": sent}
    assert feature.missing == 0
    three_lost = [value for value in values if json.loads(value).get("sequence") not in (10, 11, 12)]
    assert worker_state(three_lost).missing == 3
