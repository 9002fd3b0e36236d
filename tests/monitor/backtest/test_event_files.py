from __future__ import annotations

import gzip
import io
import json
from types import SimpleNamespace

import pytest

from monitor.backtest.event_files import EventFilter, Files, UnreadableInput
from monitor.protocol.messages import FileRecord

MINUTE_US = 60_000_000


def event(minute: int, feature: str = "answer") -> bytes:
    fields = {
        "kind": "response",
        "event_id": "e",
        "time": f"1970-01-01T00:{minute:02}:00Z",
        "service": "bot",
        "feature": feature,
        "model": "m",
    }
    return json.dumps(fields).encode()


def test_a_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(UnreadableInput, match=r"gone.ndjson: cannot be read: No such file"):
        Files([str(tmp_path / "gone.ndjson")])


def test_a_directory_is_refused_by_name(tmp_path):
    with pytest.raises(UnreadableInput, match=f"{tmp_path}: cannot be read: Is a directory"):
        list(Files([str(tmp_path)]).records())


def test_a_gz_file_that_is_not_gzip_is_refused_with_the_remedy(tmp_path):
    path = tmp_path / "week.ndjson.gz"
    path.write_bytes(event(1))
    with pytest.raises(UnreadableInput, match=r"week.ndjson.gz: is not gzip.*without .gz"):
        list(Files([str(path)]).records())


def test_a_truncated_gzip_gives_its_lines_and_then_an_error(tmp_path):
    path = tmp_path / "week.ndjson.gz"
    path.write_bytes(gzip.compress(b"\n".join([event(1)] * 5000))[:-30])
    given = Files([str(path)]).records()
    assert next(given).value == event(1)
    with pytest.raises(
        UnreadableInput, match=r"week.ndjson.gz: the gzip data is truncated or damaged after line \d+"
    ):
        list(given)


def test_gzip_is_decompressed_under_any_file_name(tmp_path):
    path = tmp_path / "week.ndjson"
    path.write_bytes(gzip.compress(event(1) + b"\n\n" + event(2) + b"\n"))
    assert [(record.offset, record.value) for record in Files([str(path)]).records()] == [
        (1, event(1)),
        (3, event(2)),
    ]


def test_gzip_on_standard_input_is_decompressed(monkeypatch):
    stdin = io.BufferedReader(io.BytesIO(gzip.compress(event(1))))  # type: ignore[arg-type]
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=stdin))
    assert [record.value for record in Files(["-"]).records()] == [event(1)]


def test_a_file_given_twice_is_refused_because_its_events_would_count_twice(tmp_path):
    path = tmp_path / "week.ndjson"
    path.write_bytes(event(1))
    with pytest.raises(UnreadableInput, match="is listed twice"):
        Files([str(path), str(path)])


def test_reported_progress_reaches_all_bytes_at_the_end_and_starts_at_zero(tmp_path):
    paths = [tmp_path / "a.ndjson", tmp_path / "b.ndjson.gz"]
    paths[0].write_bytes(b"\n".join([event(1)] * 3000))
    paths[1].write_bytes(gzip.compress(b"\n".join([event(2)] * 3000)))
    files = Files([str(path) for path in paths])
    assert files.total == sum(path.stat().st_size for path in paths)
    assert files.done == 0
    records = files.records()
    next(records)
    assert 0 < files.done < files.total
    assert len(list(records)) == 5999
    assert files.done == files.total


def test_files_are_merged_by_running_maximum_time_and_each_keeps_its_order(tmp_path):
    first, second = tmp_path / "a.ndjson", tmp_path / "b.ndjson"
    first.write_bytes(b"\n".join([event(1), event(5), event(2), event(6)]))
    second.write_bytes(b"\n".join([event(3), b"garbage", event(4)]))
    merged = [(record.topic[-8:], record.offset) for record in Files([str(first), str(second)]).records()]
    assert merged == [
        ("a.ndjson", 1),
        ("b.ndjson", 1),
        ("b.ndjson", 2),
        ("b.ndjson", 3),
        ("a.ndjson", 2),
        ("a.ndjson", 3),
        ("a.ndjson", 4),
    ]


def test_only_selected_events_are_replayed_and_unreadable_lines_stay_with_their_neighbours():
    records = [
        FileRecord(value, nth)
        for nth, value in enumerate(
            [b"garbage", event(1), event(2), event(2, "summary"), b"garbage", event(3), b"garbage", event(9)]
        )
    ]
    event_filter = EventFilter(2 * MINUTE_US, 4 * MINUTE_US, "bot/a*")
    assert [record.offset for record in event_filter.select(records)] == [2, 4, 5, 6]
    assert [record.offset for record in EventFilter().select(records)] == list(range(8))
    assert [record.offset for record in EventFilter(end_us=2 * MINUTE_US).select(records)] == [0, 1]
