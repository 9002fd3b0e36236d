"""Files of events that are too large, cut or nested too deep: one clear error, and bounded memory."""

from __future__ import annotations

import gzip
import io
import json
import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from monitor.backtest.engine import BUNDLE_BYTES, bundles
from monitor.backtest.event_files import Files
from monitor.backtest.file_clock import LOOK_AHEAD_BYTES, FileClock
from monitor.cli import baseline, evaluate, replay, seen_features
from monitor.cli.seen_features import NotAnswered, SeenByWorker
from monitor.protocol.messages import FileRecord
from softfail.bounded_lines import MAX_LINE_BYTES
from softfail.publish import InvalidLine, parse_line

BOMB_BYTES = 3 * MAX_LINE_BYTES
LEAST_BYTES = MAX_LINE_BYTES + (1 << 20)


def event(number: int, **fields: object) -> bytes:
    time = f"2026-03-02T09:{number // 60:02}:{number % 60:02}Z"
    known = {"event_id": str(number), "time": time, "service": "s", "feature": "f", "model": "m"}
    return json.dumps(known | fields).encode() + b"\n"


@pytest.fixture
def bomb(tmp_path: Path) -> Path:
    """Two events, and between them a line of 96 MiB that has 100 kB on disk."""
    path = tmp_path / "week.ndjson.gz"
    with gzip.open(path, "wb", 1) as file:
        file.write(event(1))
        for _ in range(BOMB_BYTES >> 20):
            file.write(b"[" * (1 << 20))
        file.write(b"\n" + event(2))
    return path


def test_a_line_that_is_larger_than_the_limit_is_cut_and_the_next_line_is_read(bomb: Path) -> None:
    tracemalloc.start()
    lengths = [(record.offset, len(record.value or b"")) for record in Files([str(bomb)]).records()]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [offset for offset, _ in lengths] == [1, 2, 3]
    assert lengths[1][1] == MAX_LINE_BYTES + 1
    assert peak < BOMB_BYTES


@pytest.mark.parametrize("command", ["evaluate", "replay", "pin"])
def test_each_command_names_the_line_that_is_too_long_and_reads_the_others(
    command: str, bomb: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if command == "evaluate":
        assert evaluate.main([str(bomb)]) == 1
    elif command == "replay":
        assert replay.main([str(bomb), "--format", "ndjson"]) == 1
    else:
        day = ["--from", "2026-03-02", "--to", "2026-03-03", "--output", str(tmp_path / "p.json")]
        assert baseline.main(["pin", "p", str(bomb), *day]) == 2  # two events are too few
    printed = capsys.readouterr()
    assert "the line has more than 32 MiB; send one JSON object a line" in printed.err
    assert f"{bomb}:2" in printed.err or "week.ndjson.gz, line 2" in printed.err
    if command == "evaluate":
        assert [json.loads(line)["event_id"] for line in printed.out.splitlines()] == ["1", "2"]


def test_publish_refuses_a_line_that_is_too_long() -> None:
    with pytest.raises(InvalidLine, match="the line has more than 32 MiB"):
        parse_line(b'{"a": "' + b"x" * LEAST_BYTES + b'"}')


def test_a_bundle_ends_when_its_records_have_many_bytes() -> None:
    size = BUNDLE_BYTES // 3
    value = bytes(size)
    lengths = [len(bundle) for bundle in bundles(FileRecord(value, number) for number in range(10))]
    assert lengths == [4, 4, 2]


def test_few_large_records_are_read_ahead_to_decide_about_a_step_forward() -> None:
    value, read = bytes(LOOK_AHEAD_BYTES // 3), 0

    def records() -> Any:
        nonlocal read
        for number in range(20):
            read += 1
            yield FileRecord(event(1) if number == 0 else value, number)

    next(FileClock().mark(records()))
    assert read <= 5


def test_a_worker_whose_answer_is_endless_or_nested_too_deep_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for body in (b'{"features_total": 1, "features": [' + b" " * (64 << 20), b"[" * 100_000):
        read: list[int] = []

        def answer(*_: object, body: bytes = body, read: list[int] = read, **__: object) -> Any:
            stream = io.BytesIO(body)

            class Answer(SimpleNamespace):
                def __enter__(self) -> Any:
                    return self

                def __exit__(self, *_: object) -> None: ...

                def read(self, size: int = -1) -> bytes:
                    read.append(size)
                    return stream.read(size)

            return Answer()

        monkeypatch.setattr(seen_features.urllib.request, "urlopen", answer)
        with pytest.raises(NotAnswered, match="does not answer"):
            SeenByWorker("http://127.0.0.1:1", "")
        assert 0 < max(read) <= seen_features.MAX_ANSWER_BYTES
