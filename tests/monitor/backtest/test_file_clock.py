"""The clock of a file: wrong clocks are found, gaps and disorder are not taken for them."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.backtest.event_files import EventFilter, Files
from monitor.backtest.file_clock import LOOK_AHEAD, FileClock
from monitor.cli.replay import main
from monitor.protocol.messages import FileRecord
from schemas.times import rfc3339

BEGAN_S = 1_772_409_600  # 2026-03-02T00:00:00Z
HOUR_S, DAY_S, YEAR_S = 3600, 86_400, 365 * 86_400


def line(second: float, **more: object) -> bytes:
    fields = {"event_id": f"e{second}", "service": "bot", "feature": "answer", "model": "m", "output": "Yes."}
    return json.dumps(fields | {"time": rfc3339(round((BEGAN_S + second) * 1e6))} | more).encode()


def marked(seconds: Sequence[float], look_ahead: int = LOOK_AHEAD) -> list[int]:
    """Return the positions of the records that are ahead of their neighbours."""
    records = [FileRecord(line(second), number) for number, second in enumerate(seconds)]
    passed = list(FileClock(look_ahead).mark(records))
    assert [record.offset for record in passed] == list(range(len(seconds)))
    return [record.offset for record in passed if record.timestamp is not None]


def steady(start_s: float, end_s: float, step_s: float) -> list[float]:
    return [start_s + step_s * number for number in range(int((end_s - start_s) / step_s))]


@pytest.mark.parametrize("step_s", [1.0, 6.0, 75.0, 900.0])
@pytest.mark.parametrize("ahead_s", [4 * DAY_S, YEAR_S, 73 * YEAR_S])
@pytest.mark.parametrize("count", [1, 7])
@pytest.mark.parametrize("place", [0, 3, 150, 300])
def test_events_of_a_wrong_clock_are_marked(step_s: float, ahead_s: float, count: int, place: int) -> None:
    seconds = steady(0, 300 * step_s, step_s)
    wrong = [seconds[min(place, 299)] + ahead_s + number for number in range(count)]
    if place == 300 and ahead_s < 8 * DAY_S:
        return  # nothing follows: it may be a gap
    assert marked([*seconds[:place], *wrong, *seconds[place:]]) == list(range(place, place + count))


@pytest.mark.parametrize("step_s", [1.0, 6.0, 30.0])
@pytest.mark.parametrize("ahead_s", [400, 1900, HOUR_S, 7 * HOUR_S])
def test_a_clock_slightly_ahead_is_detected_from_the_traffic(step_s: float, ahead_s: float) -> None:
    seconds = steady(0, 3000 * step_s, step_s)
    assert marked([*seconds[:500], seconds[500] + ahead_s, *seconds[500:]]) == [500]


def test_many_wrong_events_in_a_row_and_a_producer_that_is_ahead_all_the_time_are_marked() -> None:
    seconds = steady(0, 12_000, 6)
    row = [73 * YEAR_S + second for second in seconds[:400]]
    assert marked([*seconds[:100], *row, *seconds[100:]]) == list(range(100, 500))
    mixed = [second + (HOUR_S if number % 3 == 2 else 0) for number, second in enumerate(seconds)]
    assert marked(mixed) == list(range(2, len(mixed), 3))


@pytest.mark.parametrize("gap_s", [400, HOUR_S, 14 * HOUR_S, 62 * HOUR_S, 20 * DAY_S])
@pytest.mark.parametrize("step_s", [2, 60, 1000])
def test_a_gap_in_a_file_is_not_a_wrong_clock(gap_s: float, step_s: float) -> None:
    rng = random.Random(round(gap_s + step_s))
    seconds = [*steady(0, 80 * step_s, step_s), *steady(80 * step_s + gap_s, 240 * step_s + gap_s, step_s)]
    assert marked(seconds) == []
    assert marked([second + rng.uniform(-100, 100) for second in seconds]) == []


def test_office_hours_with_late_events_have_no_wrong_clock() -> None:
    rng = random.Random(5)
    seconds = [
        day * DAY_S + 8 * HOUR_S + second - (rng.uniform(0, 9000) if rng.random() < 0.1 else 0)
        for day in range(12)
        if day % 7 < 5
        for second in steady(0, 10 * HOUR_S, 40)
    ]
    assert marked(seconds) == []


def test_features_in_sequence_or_newest_first_have_no_wrong_clock() -> None:
    for step_s in (30, 2 * HOUR_S):
        feature = steady(0, 7 * DAY_S if step_s > 1000 else 2 * HOUR_S, step_s)
        shifted = [second + step_s / 2 for second in feature]
        assert marked([*feature, *shifted, *feature]) == []
        assert marked(feature[::-1]) == []


def test_a_wrong_clock_at_the_end_of_a_feature_is_marked() -> None:
    feature = steady(0, 2 * DAY_S, 600)
    assert marked([*feature, 50 * YEAR_S, *feature]) == [len(feature)]


@given(st.lists(st.integers(0, 40 * DAY_S), max_size=60), st.integers(1, 20))
def test_every_record_is_passed_on_in_its_order(seconds: list[int], look_ahead: int) -> None:
    positions = marked(seconds, look_ahead)
    assert positions == sorted(positions)
    assert marked(sorted(seconds), look_ahead) == [] or max(seconds) > 8 * DAY_S


def test_at_most_the_look_ahead_is_read_before_a_record_is_yielded() -> None:
    read = 0

    def records() -> object:
        nonlocal read
        for number, second in enumerate([0, *steady(DAY_S, DAY_S + 5000, 1)]):
            read += 1
            yield FileRecord(line(second), number)

    for number, _ in enumerate(FileClock(50).mark(records())):  # type: ignore[arg-type]
        assert read <= number + 52


def test_a_replay_makes_a_dead_letter_of_a_wrong_clock(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "events.ndjson"
    calls = [line(second) for second in steady(0, 1800, 6)]
    failing = [line(second, error_type="Timeout") for second in steady(1800, 3000, 6)]
    path.write_bytes(b"\n".join([b"no event", *calls, line(73 * YEAR_S), *failing, line(73 * YEAR_S + 1)]))
    assert main([str(path), "--format", "ndjson"]) == 1
    printed = capsys.readouterr()
    assert printed.err.count("ahead of the broker's clock, or in a file of the events around it") == 2
    opened = [
        record
        for record in map(json.loads, printed.out.splitlines())
        if record["record"] == "episode" and record["state"] == "opened"
    ]
    assert [record["severity"] for record in opened] == ["critical"]
    assert "2099" not in printed.out


def test_files_are_merged_by_their_own_clocks(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\n".join([line(0), line(50 * YEAR_S), *map(line, steady(10, 500, 10))]))
    (tmp_path / "b").write_bytes(b"\n".join(map(line, steady(5, 500, 10))))
    records = list(Files([str(tmp_path / "a"), str(tmp_path / "b")]).records())
    assert [Path(record.topic).name for record in records[:6]] == ["a", "a", "b", "a", "b", "a"]
    assert sum(record.timestamp is not None for record in records) == 1
    selected = EventFilter(None, round((BEGAN_S + DAY_S) * 1e6)).select(
        Files([str(tmp_path / "a")]).records()
    )
    assert all(record.timestamp is None for record in selected)
