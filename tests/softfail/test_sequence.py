"""From the service to the worker: the numbers that a producer gives its events, and what the worker finds
missing by them.
"""

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


def numbers(events: list[dict[str, Any]]) -> dict[tuple[str, str, str], list[int]]:
    found: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for event in events:
        found[event["producer_id"], event["feature"], event.get("environment", "production")].append(
            event["sequence"]
        )
    return dict(found)


def worker_of(values: list[bytes]) -> FeatureState:
    watch = Watch(Config())
    watch.apply([FileRecord(value, offset) for offset, value in enumerate(values)])
    return watch.book.features[FeatureKey("shop", "f", "production")]


def test_each_feature_and_environment_is_numbered_from_zero_without_holes(client: Make, fake: Any) -> None:
    sf = client(sample_probability=0.5)
    for at in range(300):
        sf.response(feature=f"f{at % 3}", model="m", environment="staging" if at % 7 == 0 else "production")
    assert sf.flush(10)
    found = numbers(fake.events())
    assert len(found) == 6
    assert {producer for producer, _, _ in found} == {sf.producer_id}
    assert all(sequence == list(range(len(sequence))) for sequence in found.values())


def test_what_the_service_calls_its_own_producer_or_number_is_replaced(client: Make, fake: Any) -> None:
    sf = client()
    sf.response(feature="f", model="m", producer_id="mine", sequence=77)
    assert sf.flush(5)
    assert numbers(fake.events()) == {(sf.producer_id, "f", "production"): [0]}


def test_an_event_that_kafka_cannot_take_yet_keeps_its_number(
    client: Make, fake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    send, refusals = fake.send, iter([True, True, False, True] + [False] * 100)

    def reluctant(topic: str, value: bytes, key: bytes) -> Any:
        if next(refusals):
            raise KafkaTimeoutError("not now")
        return send(topic, value=value, key=key)

    monkeypatch.setattr(fake, "send", reluctant)
    sf = client()
    for _ in range(5):
        sf.response(feature="f", model="m")
    assert sf.flush(10)
    assert numbers(fake.events()) == {(sf.producer_id, "f", "production"): [0, 1, 2, 3, 4]}


def test_what_is_given_up_before_it_has_a_number_is_dropped_and_not_missing(client: Make, fake: Any) -> None:
    sf = client()
    for at in range(10):
        sf.response(feature="f", model="m", output_tokens=-1 if at == 4 else 1)
    assert sf.flush(10)
    sf.close(5)
    feature = worker_of([value for _, value in fake.messages])
    assert feature.producer_totals() == (10, 10, 9, 1)
    assert feature.missing == 0
    assert feature.received == {"response": 9}


def test_what_is_given_up_after_it_has_a_number_is_dropped_and_missing(
    client: Make, fake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = fake.send

    def broken(topic: str, value: bytes, key: bytes) -> Any:
        if json.loads(value).get("sequence") in (3, 4, 7):
            raise RuntimeError("the network ate it")
        return send(topic, value=value, key=key)

    monkeypatch.setattr(fake, "send", broken)
    sf = client()
    for _ in range(10):
        sf.response(feature="f", model="m")
    assert sf.flush(10)
    sf.close(5)
    values = [value for _, value in fake.messages]
    feature = worker_of(values)
    assert feature.producer_totals() == (10, 10, 7, 3)
    assert feature.missing == 3
    lost_on_the_way = [value for value in values if json.loads(value).get("sequence") != 5]
    feature = worker_of(lost_on_the_way)
    assert feature.missing - feature.producer_totals().dropped == 1


def test_features_beyond_those_that_are_metered_are_not_numbered_so_that_none_shows_holes(
    client: Make, fake: Any
) -> None:
    sf = client(queue_size=100_000)
    for turn in range(2):
        for at in range(1_100):
            sf.response(feature=f"f{at}", model="m", event_id=f"{turn}-{at}")
    assert sf.flush(20)
    found = numbers(fake.events())
    assert len(found) == 1_100
    assert sorted(map(str, found.values())) == ["[0, 1]"] * 1_000 + ["[None, None]"] * 100


def test_through_a_broker_all_that_was_sent_is_received_and_nothing_is_missing(broker: Any) -> None:
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
    values = [message.value() for message in broker.raw(topic, sent + 1)]
    feature = worker_of(values)
    assert feature.producer_totals() == (400, sent, sent, 0)
    assert feature.received == {"response": sent}
    assert feature.missing == 0
    without = [value for value in values if json.loads(value).get("sequence") not in (10, 11, 12)]
    assert worker_of(without).missing == 3
