"""Records that a rebuild writes in the place of unreadable ones. Without a broker; with one:
test_state_on_kafka.py.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.kafka.state_topic import HEADER, POSITION, StateSnapshot
from agents.runtime.clock import WallClock
from agents.state_admin.contents import decode_contents
from agents.state_admin.open_episodes import _apply, in_partitions
from agents.state_admin.rebuild import _compared
from agents.state_admin.replay import ReplayResult, _CaughtUpWorker, _seconds
from monitor.alerts.forced_resolution import as_on_topic, ended_episodes, ended_incidents, resolved
from monitor.delivery.alert_records import read_alert_record
from monitor.watch import Watch
from schemas.config.monitor_config import Config
from schemas.records import RECORDS
from softfail.partitioning import partition_of
from tests.tiers import examples

NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)
NINE_US = int(NINE.timestamp()) * 1_000_000
CONFIG = Config.model_validate(
    {
        "rules": [{"name": "errors", "on": "error_rate", "above": 0.1, "min_events": 5}],
        "default_rules": False,
        "no_data": {"severity": None},
    }
)


class Appended(NamedTuple):
    """A record of the log."""

    value: bytes
    offset: int
    timestamp: int
    key: bytes | None = None
    topic: str = "p.events"
    partition: int = 0
    headers: tuple[tuple[str, bytes], ...] = ()


def log(delays: list[tuple[float, float]], failing: bool = True) -> list[Appended]:
    """Events by (seconds since the append of the previous event, seconds from its time to its append)."""
    events, second = [], 0.0
    for offset, (gap, delay) in enumerate(delays):
        second += gap
        fields: dict[str, Any] = {
            "event_id": str(offset),
            "time": (NINE + timedelta(seconds=second - delay)).isoformat(),
            "service": "s",
            "feature": "answer",
            "model": "m",
            "output": "It ships.",
        }
        events.append(
            Appended(
                json.dumps(fields | ({"error_type": "timeout"} if failing else {})).encode(),
                offset,
                NINE_US // 1000 + round(second * 1000),
            )
        )
    return events


def worked(records: list[Appended], *, until_ms: int) -> Watch:
    """A worker that keeps up: each second it applies what has come, and lets the clock go on."""
    watch, clock = Watch(CONFIG), WallClock()
    left = list(records)
    for now_ms in range(records[0].timestamp, until_ms, 1000):
        due = [record for record in left if record.timestamp <= now_ms]
        left = left[len(due) :]
        if due:
            watch.apply(due, now_ms * 1000)
        if (
            watch.watermark_us is not None
            and (mark := clock.mark(watch.watermark_us, now_ms / 1000)) > watch.watermark_us
        ):
            watch.advance(mark, now_ms * 1000)
    return watch


def state_of(watch: Watch) -> dict[bytes, bytes]:
    return {key: value for key, value in watch.changed() if value is not None}


@settings(max_examples=examples(1 / 4))
@given(
    delays=st.lists(
        st.tuples(st.sampled_from([0.0, 0.3, 2.0, 45.0, 400.0]), st.sampled_from([0.0, 1.0, 20.0])),
        min_size=1,
        max_size=60,
    ),
    rng=st.randoms(use_true_random=False),
)
def test_a_replay_equals_the_state_of_an_uninterrupted_worker_for_any_fetch_sizes(delays, rng):
    records = log(delays)
    watch = worked(records, until_ms=records[-1].timestamp + 30_000)
    replayed = ReplayResult(0)
    follower = _CaughtUpWorker(Watch(CONFIG), watch.watermark_us, replayed)
    left = list(records)
    while left:
        fetched, left = left[: (cut := rng.randint(1, 20))], left[cut:]
        for batch in _seconds(fetched):
            follower.take(batch)
        if rng.random() < 0.2:
            follower.fold()
    follower.advance(watch.watermark_us, records[-1].timestamp * 1000)
    follower.fold()
    assert replayed.records == state_of(watch)
    assert replayed.events == len(records)


def watch_with_episodes() -> tuple[Watch, dict[bytes, bytes], dict[str, dict[str, Any]]]:
    """A partition with an open episode, its state records, and its records on the alerts topic."""
    watch, episodes = Watch(CONFIG), {}
    for message in watch.apply(log([(2.0, 0.0)] * 200), None).messages["alerts"]:
        _apply(episodes, message.value)
    return watch, state_of(watch), episodes


def broken(records: dict[bytes, bytes], *kinds: bytes) -> Any:
    """Contents in which the first record of each kind cannot be read."""
    keys = [next(key for key in records if key.startswith(b'["%s"' % kind)) for kind in kinds]
    return (
        decode_contents(
            StateSnapshot(
                0, records | dict.fromkeys(keys, b"\xc1\x02") | {POSITION: b"200", HEADER: b"{}"}, 0, 200
            )
        ),
        keys,
    )


def test_only_unreadable_records_are_replaced():
    _, records, episodes = watch_with_episodes()
    contents, keys = broken(records, b"pane", b"incident", b"episode", b"feature")
    plan = _compared(contents, ReplayResult(0, None, 200, records), episodes, everything=False)
    assert plan.changes == {key: records[key] for key in keys}
    assert (sorted(plan.restored), plan.partly, plan.lost) == (sorted(keys), [], [])


def test_state_older_than_the_log_is_partly_rebuilt_and_the_rest_is_lost():
    _, records, episodes = watch_with_episodes()
    contents, (pane, incident) = broken(records, b"pane", b"incident")
    contents.note(b"nonsense", "it is none of softfail's")
    plan = _compared(
        contents, ReplayResult(0, NINE_US + 60_000_000, 200, records), episodes, everything=False
    )
    assert (plan.restored, plan.partly, plan.lost) == ([], [pane, incident], [b"nonsense"])
    assert plan.changes[b"nonsense"] is None


def test_all_replaces_exactly_the_panes_that_the_log_covers_entirely():
    _, records, episodes = watch_with_episodes()
    panes = sorted((key for key in records if key.startswith(b'["pane"')), key=lambda key: json.loads(key)[6])
    altered = {
        key: value[:-1] + b"\x00" if key.startswith((b'["pane"', b'["feature"')) else value
        for key, value in records.items()
    }
    missing_key = json.dumps(
        [*json.loads(panes[-1])[:6], NINE_US + 3_600_000_000], separators=(",", ":")
    ).encode()
    altered[missing_key] = records[panes[-1]]  # a pane of which the log has nothing
    contents = decode_contents(StateSnapshot(0, altered | {POSITION: b"200"}, 0, 200))
    contents.broken.clear()
    plan = _compared(
        contents, ReplayResult(0, json.loads(panes[1])[6], 200, records), episodes, everything=True
    )
    assert plan.changes == {key: records[key] for key in panes[1:]} | {missing_key: None}


def test_an_unreadable_episode_is_rebuilt_from_the_alerts_topic():
    watch, records, episodes = watch_with_episodes()
    ((key, episode),) = (as_on_topic(episode) for episode in episodes.values())
    assert episode == watch.partition_state.episodes[key]
    contents, (feature_key,) = broken(records, b"episode")
    other = {
        key: value for key, value in records.items() if key != feature_key
    }  # the replay found none, or another
    assert _compared(contents, ReplayResult(0, None, 200, other), episodes, everything=False).changes == {
        feature_key: records[feature_key]
    }
    # nobody was told of it
    assert _compared(contents, ReplayResult(0, None, 200, records), {}, everything=False).changes == {
        feature_key: None
    }


def test_a_resolve_of_a_dropped_episode_is_accepted_by_the_notifier():
    watch, _, episodes = watch_with_episodes()
    now_us = NINE_US + 7_200_000_000
    for open_episodes in (episodes, {}):
        (message,) = ended_episodes(watch.partition_state, open_episodes, "state_reset", now_us, "softfail")
        episode = read_alert_record(message.value)
        assert (episode.state, episode.reason, episode.firing, episode.time) == (
            "resolved",
            "state_reset",
            0,
            NINE + timedelta(hours=2),
        )
        assert {incident.state for incident in episode.incidents} == {"resolved"}
        assert episode.dedup_key == next(iter(episodes.values()))["dedup_key"]
    assert (
        list(
            ended_episodes(
                watch.partition_state, episodes, "state_rebuilt", now_us, "softfail", staying=episodes
            )
        )
        == []
    )
    ended = [
        json.loads(message.value) for message in ended_incidents(watch.partition_state, "state_reset", now_us)
    ]
    assert {(record["state"], record["reason"], record["episode_id"]) for record in ended} == {
        ("resolved", "state_reset", *episodes)
    }
    for record in ended:
        RECORDS["transition"].model_validate_json(json.dumps(record))


def test_the_open_episodes_are_those_whose_last_record_is_no_resolve():
    _, _, episodes = watch_with_episodes()
    ((name, last),) = episodes.items()
    assert in_partitions(episodes, 8, [partition_of("s", "answer", 8)]) == episodes
    assert in_partitions(episodes, 8, set(range(8)) - {partition_of("s", "answer", 8)}) == {}
    _apply(episodes, resolved(last, "well", NINE_US).value)
    assert episodes == {}
    for value in (
        None,
        b'"episode"',
        b'{"episode"',
        json.dumps(last | {"service": "softfail"}).encode(),
        json.dumps({"record": "episode"}).encode(),
    ):
        _apply(episodes, value)
    assert episodes == {}
    _apply(episodes, json.dumps(last).encode())
    assert list(episodes) == [name]


@pytest.mark.parametrize("change", [{"state": "updated"}, {"state": "escalated"}])
def test_an_episode_is_open_until_it_is_resolved(change):
    _, _, episodes = watch_with_episodes()
    before = dict(episodes)
    _apply(episodes, json.dumps(next(iter(episodes.values())) | change).encode())
    assert episodes.keys() == before.keys()
