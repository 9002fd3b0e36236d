"""``python -m agents state`` without a broker: decoding, output and refusals."""

from __future__ import annotations

import json

import msgspec
import pytest

from agents.commands import command_line, state
from agents.kafka.state_topic import HEADER, POSITION, StateSnapshot, StateTopic
from agents.process.exits import Refused
from agents.state_admin import drop_reset
from agents.state_admin.contents import decode_contents, keys_matching, printable_key, record_rows
from agents.state_admin.report import report_lines, reset_summary
from monitor.delivery.episode_delivery import EpisodeDelivery
from monitor.delivery.snapshot import snapshot
from monitor.incidents.episode import Episode
from monitor.incidents.incident import Incident
from monitor.rules.evidence import no_evidence
from monitor.state.partition_state import PartitionState
from monitor.windows.format_versions import LAYOUT
from monitor.windows.pane import Pane
from monitor.windows.segment_keys import FeatureKey, SegmentKey
from monitor.windows.segment_series import HOUR, SegmentSeries
from schemas.config.connections import Kafka

AT, OTHER_AT = FeatureKey("bot", "answer", "production"), FeatureKey("bot", "search", "production")
SEGMENT = SegmentKey("gpt-x", "v1", "a", (("country", "de"),))
NINE_US = 1_772_442_000_000_000  # 2 March 2026, 09:00 UTC
EVIDENCE = no_evidence("evaluator.refusal.fail_rate", 300.0)


@pytest.fixture
def records() -> dict[bytes, bytes]:
    """State records of two features, one of them with an incident and an episode, and the internal records of
    the store.
    """
    partition_state = PartitionState(60_000_000, "digest of 60 s")
    for feature_key in (AT, OTHER_AT):
        feature = partition_state.feature(feature_key)
        for minute in range(3):
            segment = feature.segments.get(SEGMENT) or feature.segments.setdefault(
                SEGMENT, SegmentSeries(SEGMENT)
            )
            partition_state.pane(feature, segment, NINE_US + minute * 60_000_000).events = 5
    partition_state.features[AT].segments[SEGMENT].panes_by_resolution[HOUR][NINE_US] = Pane(NINE_US)
    partition_state.mark_pane(AT, SEGMENT, HOUR, NINE_US)
    partition_state.incidents[AT] = {
        (SEGMENT, "refusals"): Incident("i1", "refusals", "d", "critical", NINE_US, EVIDENCE, "firing")
    }
    partition_state.mark_incident(AT, SEGMENT, "refusals")
    partition_state.episodes[AT] = Episode(AT, "e1", NINE_US, "critical", "high")
    partition_state.mark_episode(AT)
    partition_state.watermark_us = NINE_US + 180_000_000
    header = {"layout": LAYOUT, "agent": "watch", "cluster": "c1", "source": "p.events", "partitions": 4}
    return {
        HEADER: json.dumps(header).encode(),
        POSITION: b"90",
        **{key: value for key, value in partition_state.changed() if value is not None},
    }


def no_episodes(records, match="*", begin=0, end=100) -> str:
    return "\n".join(
        report_lines(
            [decode_contents(StateSnapshot(2, records, begin, end))], "p.watch.state", "p.events", match
        )
    )


def test_the_table_shows_owner_position_watermark_panes_incidents_and_episodes(records):
    text = no_episodes(records)
    assert "p.watch.state/2: 14 records" in text
    assert f"layout {LAYOUT}, agent watch, cluster c1, 4 partitions of p.events" in text
    assert "90 of [0, 100), lag 10" in text
    assert "2026-03-02T09:03:00Z" in text
    assert "bot/answer (production): 1 segments, panes 3 fine 1 hours 0 days" in text
    assert "firing since 2026-03-02T09:00:00Z: refusals, gpt-x v1 a country=de (critical)" in text
    assert "EPISODE e1 since 2026-03-02T09:00:00Z: critical, urgency high" in text
    assert "2 features, 7 panes, 1 incidents, 1 open episodes, 0 unreadable" in text


def test_only_the_requested_features_are_shown(records):
    text = no_episodes(records, "bot/s*")
    assert "bot/search" in text
    assert "bot/answer" not in text
    assert {
        tuple(row["key"][1:3])
        for row in record_rows(decode_contents(StateSnapshot(2, records, 0, 100)), "bot/s*")
    } == {("bot", "search")}


def test_a_position_outside_the_source_is_marked(records):
    assert "BEYOND THE END" in no_episodes(records, end=50)
    assert "5 LOST" in no_episodes(records, begin=95)
    del records[POSITION]
    assert "a worker begins anew" in no_episodes(records)


def test_sizes_are_those_of_keys_and_values(records):
    of_search = sum(len(key) + len(value) for key, value in records.items() if b"search" in key)
    assert (
        f"bot/search (production): 1 segments, panes 3 fine 0 hours 0 days, {of_search} bytes"
        in no_episodes(records)
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b'["pane","bot","answer","production",["m","","",[]],"pane",1]', b"\xc1"),
        (b'["pane","bot","answer","production",["m","","",[]],"week",1]', b"\x90"),
        (b'["incident","bot","answer","production",null,"r"]', b"\x90"),
        (b'["novelty","bot","answer","production"]', b"\x90"),
        (b"\xff\x00", b""),
        (b"[", b"x"),
        (b"7", b"x"),
        (b"[]", b"x"),
        (b'"clock"', b"x"),
        (b"{}", b"x"),
        (b'["clock"]', b"\xc1"),
        (b'["clock"]', msgspec.msgpack.encode([8, "d", None, 0, {}, 0])),
        (b'["clock"]', b"\x90"),
        (HEADER, b"[]"),
        (POSITION, b"-3"),
        (b"delivery/pagerduty/e1", b"{}"),
        (b"change/pagerduty/c1", b"{}"),
        (b"counts", b"[]"),
    ],
)
def test_an_unreadable_record_is_reported_by_key_and_the_others_are_shown(records, key, value):
    records[key] = value
    contents = decode_contents(StateSnapshot(2, records, 0, 100))
    assert list(contents.unreadable) == [printable_key(key)]
    assert f"UNREADABLE  {printable_key(key)}" in no_episodes(records)
    assert "bot/answer (production): 1 segments, panes 3 fine" in no_episodes(records)
    assert next(row for row in record_rows(contents, "*") if "unreadable" in row)["bytes"] == len(value)


def test_each_record_is_one_json_object_with_its_key_decoded(records):
    contents = [
        json.loads(json.dumps(row, default=str))
        for row in record_rows(decode_contents(StateSnapshot(2, records, 0, 100)), "*")
    ]
    assert len(contents) == len(records)
    assert ["pane", *AT, ["gpt-x", "v1", "a", [["country", "de"]]], "pane", NINE_US] in [
        row["key"] for row in contents
    ]
    (clock,) = (row for row in contents if row["key"] == ["clock"])
    assert clock["value"][:2] == ["digest of 60 s", NINE_US + 180_000_000]


def test_every_printed_key_identifies_exactly_its_record(records):
    records[b"\xff\xfe"] = b"no text"
    for key in records:
        assert keys_matching(records, printable_key(key)) == [key]
    assert keys_matching(records, '[ "episode", "bot", "answer", "production" ]') == [
        b'["episode","bot","answer","production"]'
    ]
    assert keys_matching(records, "nothing") == []


def test_external_text_cannot_control_the_terminal(records, command, capsys):
    partition_state = PartitionState(60_000_000, "d")
    partition_state.feature(FeatureKey("\x1b[2J\u202e", "a\nb\u200b", "\x9b1m\ufeff"))
    records |= {
        key: value for key, value in partition_state.changed() if value is not None and b"clock" not in key
    }
    records |= {b"\x1b[2J": b"", b'["\\ud800"]': b"x"}
    for arguments in (["inspect"], ["inspect", "--format", "ndjson"]):
        assert command(arguments) == 0
        assert all(line.isprintable() for line in capsys.readouterr().out.split("\n"))


def test_a_reset_names_the_features_it_deletes_and_the_episodes_it_resolves(records):
    text = "\n".join(
        reset_summary([decode_contents(StateSnapshot(2, records, 0, 100))], ["p/e1 of bot/answer"])
    )
    assert "2 features: bot/answer (production), bot/search (production)" in text
    assert "1 open episodes, which will be resolved (state_reset)" in text
    assert "  p/e1 of bot/answer" in text


def test_silences_of_the_notifier_are_listed_and_an_unreadable_silence_is_reported_by_id():
    value = json.dumps(
        {
            "record": "silence",
            "silence_id": "a",
            "match": "b/*",
            "starts_at": "2026-03-02T09:00:00Z",
            "ends_at": "2026-03-02T10:00:00Z",
            "reason": "r",
            "time": "2026-03-02T09:00:00Z",
        }
    ).encode()
    contents = decode_contents(StateSnapshot(0, {b"silence/a": value, b"silence/b": b"{}"}, 0, 9))
    assert contents.broken == [b"silence/b"]
    assert [row["value"]["match"] for row in record_rows(contents, "*") if "value" in row] == ["b/*"]


def test_deliveries_of_the_notifier_are_shown_with_their_open_keys(episode_of):
    entry = EpisodeDelivery(
        order=1, dedup_key="p/e1", latest=snapshot(episode_of(), 0), keys={"low": "closed", "high": "open"}
    )
    done = EpisodeDelivery(order=2, dedup_key="p/e2", latest=None, keys={"high": "closed"}, done_us=5)
    records = {
        b"delivery/pagerduty/e1": entry.model_dump_json().encode(),
        b"delivery/pagerduty/e2": done.model_dump_json().encode(),
        b"counts": b"{}",
    }
    contents = decode_contents(StateSnapshot(0, records, 0, 9))
    assert not contents.unreadable
    assert contents.open_pages() == [("p/e1/high", "support-bot/answer at pagerduty (open)")]
    assert "pagerduty: e1 opened, keys high open, low closed" in no_episodes(records)


class FakeTopic(StateTopic):
    """A state topic of one partition without an owner."""

    records: dict[bytes, bytes] = {}

    async def partitions(self, only=None):
        return [0]

    async def read(self, numbers):
        return [StateSnapshot(0, self.records, 10, 20)]

    async def require_unowned(self, numbers):
        pass

    async def cluster(self):
        return "c1"

    async def count(self):
        return 1


@pytest.fixture
def command(monkeypatch, records):
    """Run the command on a topic in memory; a write to it fails the test."""
    monkeypatch.setattr(FakeTopic, "records", records)
    monkeypatch.setattr(state, "StateTopic", FakeTopic)
    monkeypatch.setattr(drop_reset, "StateTopic", FakeTopic)

    async def reachable(*_, **__):
        pass

    def write(*_):
        raise AssertionError("it was about to write")

    monkeypatch.setattr(command_line, "await_broker", reachable)

    async def no_episodes(*_):
        return {}

    monkeypatch.setattr(drop_reset, "rewriter_for", write)
    monkeypatch.setattr(drop_reset, "open_episodes", no_episodes)
    return state.main


@pytest.mark.parametrize("key", [HEADER.decode(), "\\x00position", printable_key(POSITION), "\\u0000barrier"])
def test_internal_records_of_the_store_are_never_dropped(command, key, capsys):
    assert command(["drop", "--agent", "watch", "--partition", "0", "--key", key, "--yes"]) == 1
    assert "store's own" in capsys.readouterr().err


def test_a_missing_record_cannot_be_dropped(command, capsys):
    assert command(["drop", "--agent", "watch", "--partition", "0", "--key", "[1]", "--yes"]) == 1
    assert "has no record [1]" in capsys.readouterr().err


@pytest.mark.parametrize("typed", ["", "y", "Softfail"])
@pytest.mark.parametrize(
    "arguments",
    [["reset", "--agent", "watch"], ["drop", "--agent", "watch", "--partition", "0", "--key", '["clock"]']],
)
def test_nothing_changes_until_the_prefix_is_typed(command, arguments, typed, monkeypatch, capsys):
    monkeypatch.setattr("builtins.input", lambda _: typed)
    assert command(arguments) == 1
    assert "not confirmed" in capsys.readouterr().err
    monkeypatch.setattr("builtins.input", lambda _: "softfail")
    with pytest.raises(AssertionError, match="about to write"):
        command(arguments)


@pytest.mark.parametrize("to", ["9", "21"])
def test_an_offset_outside_the_source_is_refused(command, to, capsys):
    assert command(["reset", "--agent", "watch", "--partition", "0", "--to", to, "--yes"]) == 1
    assert "holds [10, 20)" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["rebuild", "--agent", "notify"],
        ["rebuild", "--partition", "x"],
        ["drop", "--agent", "watch", "--key", "k"],
        ["reset"],
        ["reset", "--agent", "web"],
        ["reset", "--agent", "watch", "--to", "5"],
        ["reset", "--agent", "watch", "--partition", "-1"],
        ["reset", "--agent", "watch", "--to", "soon"],
    ],
)
def test_invalid_arguments_are_reported(arguments):
    with pytest.raises(SystemExit) as ended:
        state.main(arguments)
    assert ended.value.code == 2


def test_an_unreachable_broker_gives_a_one_line_error_and_exit_code_78(monkeypatch, free_port, capsys):
    monkeypatch.setattr(command_line, "CONNECT_S", 0.1)
    monkeypatch.setenv("SOFTFAIL_KAFKA__BROKERS", f"localhost:{free_port()}")
    assert state.main(["inspect"]) == 78
    assert capsys.readouterr().err.count("\n") == 1


def test_a_broker_lost_during_the_command_causes_no_traceback(command, monkeypatch, capsys):
    from aiokafka.errors import KafkaConnectionError

    async def disconnect(self, numbers):
        raise KafkaConnectionError("gone")

    monkeypatch.setattr(FakeTopic, "read", disconnect)
    assert command(["inspect"]) == 78
    assert "not certain what was done" in capsys.readouterr().err


def member(tp_topic: str, *partitions: int) -> dict[str, object]:
    from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment

    assignment = ConsumerProtocolMemberAssignment(0, [(tp_topic, list(partitions))], b"").encode()
    return {"client_id": "w1", "client_host": "/127.0.0.1", "member_assignment": assignment}


@pytest.mark.parametrize(
    ("group", "refused"),
    [
        (
            {"state": "Stable", "members": [member("softfail.events", 0, 1)]},
            "a worker owns softfail.events/1 ",
        ),
        (
            {
                "state": "PreparingRebalance",
                "members": [{"client_id": "w", "client_host": "/h", "member_assignment": b""}],
            },
            "rebalancing",
        ),
        ({"state": "Stable", "members": [member("softfail.events", 0)]}, None),
        ({"state": "Stable", "members": [member("softfail.alerts", 1)]}, None),
        ({"state": "Empty", "members": []}, None),
        ({"state": "Dead", "members": []}, None),
    ],
)
def test_a_partition_is_free_only_in_a_stable_group_without_its_owner(group, refused, monkeypatch):
    import asyncio

    topic = StateTopic(Kafka(), "watch")

    async def contents():
        return group

    monkeypatch.setattr(topic, "_group", contents)
    if refused is None:
        asyncio.run(topic.require_unowned([1]))
    else:
        with pytest.raises(Refused, match=refused) as caught:
            asyncio.run(topic.require_unowned([1]))
        assert "6 s" in str(caught.value)
