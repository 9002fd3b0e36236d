from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from softfail.__main__ import main
from softfail.publish_progress import PublishCounts, PublishProgress


def event_line(number: int, **fields: Any) -> str:
    return json.dumps(
        {
            "event_id": str(number),
            "time": f"2026-03-02T09:00:{number:02d}Z",
            "service": "s",
            "feature": "f",
            "model": "m",
            **fields,
        }
    )


def publish(path: Path, broker: Any, topic: str, *arguments: str) -> int:
    return main(
        [
            "publish",
            str(path),
            "--bootstrap-servers",
            broker.address,
            "--topic",
            topic,
            "-X",
            "api_version=[2,3]",
            "--patience",
            "20",
            *arguments,
        ]
    )


def test_a_file_is_sent_byte_for_byte_in_order_under_the_key_of_each_event(
    broker: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    topic = broker.topic()
    path = tmp_path / "events.ndjson"
    lines = [
        event_line(1, unknown={"a": [1.0, 1e400 and 2]}),
        event_line(2, kind="feedback", response_id="1", sample_probability=0.5).replace(", ", " ,  "),
        event_line(3, output="é" * 100_000),
    ]
    path.write_text("\ufeff" + "\n\n".join(lines) + "\n", encoding="utf-8")
    assert publish(path, broker, topic) == 0
    messages = broker.messages(topic, 3)
    assert [message.value().decode() for message in messages] == lines
    assert {message.key() for message in messages} == {b"s/f"}
    assert "3 events sent" in capsys.readouterr().err


def test_texts_are_redacted_unless_no_redact_is_given(broker: Any, tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    path.write_text(event_line(1, output="I am ann@example.org", other="ann@example.org", output_chars=20))
    events = []
    for arguments in ([], ["--no-redact"]):
        topic = broker.topic()
        assert publish(path, broker, topic, *arguments) == 0
        (message,) = broker.messages(topic, 1)
        events.append(json.loads(message.value()))
    redacted, unchanged = events
    assert redacted == {**unchanged, "output": "I am <EMAIL>"}
    assert unchanged == json.loads(path.read_text())


def test_each_invalid_line_is_reported_with_its_field_and_the_others_are_sent(
    broker: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    topic = broker.topic()
    path = tmp_path / "events.ndjson"
    invalid_lines = [
        b"{",
        b"[1]",
        b"\xff\xfe",
        event_line(2, output_tokens=-1).encode(),
        event_line(3, kind="nothing").encode(),
        b'{"kind": "response"}',
        event_line(4, sample_probability="1").encode(),
    ]
    path.write_bytes(b"\n".join([event_line(1).encode(), *invalid_lines, event_line(5).encode()]))
    assert publish(path, broker, topic) == 1
    assert [json.loads(message.value())["event_id"] for message in broker.messages(topic, 2)] == ["1", "5"]
    printed = capsys.readouterr().err.splitlines()
    for number, field in enumerate(
        [
            "not JSON",
            "not a JSON object",
            "not JSON",
            "output_tokens",
            "kind",
            "event_id",
            "sample_probability",
        ],
        2,
    ):
        assert [text for text in printed if text.startswith(f"{path}:{number}: {field}")], printed
    assert "2 events sent" in printed[-1]
    assert "7 lines invalid, 0 events undelivered" in printed[-1]


def test_an_event_that_kafka_rejects_is_counted_as_undelivered(
    broker: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "events.ndjson"
    path.write_text("\n".join([event_line(1, output="x" * 2_000_000), event_line(2)]))
    assert publish(path, broker, broker.topic()) == 1
    printed = capsys.readouterr().err
    assert f"{path}:1: too large" in printed
    assert "1 events sent" in printed
    assert "1 events undelivered" in printed


def test_without_kafka_publish_stops_and_reports_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "events.ndjson"
    path.write_text(event_line(1))
    assert (
        main(
            [
                "publish",
                str(path),
                "--bootstrap-servers",
                "127.0.0.1:1",
                "--patience",
                "0.3",
                "-X",
                "bootstrap_timeout_ms=100",
            ]
        )
        == 1
    )
    printed = capsys.readouterr().err
    assert "nothing was acknowledged for 0.3 s" in printed
    assert "1 events undelivered" in printed


def test_speed_paces_events_by_event_time(broker: Any, tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    path.write_text("\n".join(event_line(number) for number in (0, 5, 3, 20)))
    start_s = time.monotonic()
    assert publish(path, broker, broker.topic(), "--speed", "20") == 0
    assert time.monotonic() - start_s >= 1.0  # 20 s of event time at 20 s per second


def test_publish_reads_standard_input(broker: Any) -> None:
    topic = broker.topic()
    process = subprocess.run(
        [
            sys.executable,
            "-m",
            "softfail",
            "publish",
            "-",
            "--bootstrap-servers",
            broker.address,
            "--topic",
            topic,
            "-X",
            "api_version=[2,3]",
        ],
        input=event_line(1) + "\nx\n",
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert process.returncode == 1
    assert "<stdin>:2: not JSON" in process.stderr
    assert len(broker.messages(topic, 1)) == 1


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["publish", "x", "--speed", "0"], "not a number above 0"),
        (["publish", "x", "--speed", "nan"], "not a number above 0"),
        (["publish", "x", "-X", "acks"], "not NAME=VALUE"),
        ([], "required"),
    ],
)
def test_wrong_usage_exits_with_2_and_an_explanation(
    arguments: list[str], error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as system_exit:
        main(arguments)
    assert system_exit.value.code == 2
    assert error in capsys.readouterr().err


def test_an_unknown_setting_or_a_missing_file_exits_with_2_and_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["publish", str(tmp_path / "none")]) == 2
    assert main(["publish", "x", "-X", "colour=red"]) == 2
    printed = capsys.readouterr().err
    assert "none: No such file" in printed
    assert "colour: no option" in printed


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_bar_shows_share_and_counts_and_is_cleared_for_errors(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"x" * 100)
    err = Terminal()
    with path.open("rb") as file:
        progress = PublishProgress(file, err)
        progress.read(50)
        progress._last_shown_s -= 1
        progress.show(PublishCounts(sent=1234, invalid=2))
        progress.end(PublishCounts(errors=["f:1: wrong"]))
    assert "[###############               ]  50%  1,234 sent" in err.getvalue()
    assert "2 invalid" in err.getvalue()
    assert err.getvalue().endswith("\r\x1b[Kf:1: wrong\n\r\x1b[K")


def test_an_error_that_quotes_a_file_of_others_cannot_drive_the_terminal(tmp_path: Path) -> None:
    path, err = tmp_path / "f", io.StringIO()
    path.write_bytes(b"x")
    with path.open("rb") as file:
        PublishProgress(file, err).end(
            PublishCounts(errors=["f:1: dimensions.a\x1b[2J\u202e\u200bb: wrong\n"])
        )
    assert err.getvalue() == "f:1: dimensions.a [2Jb: wrong \n"


def test_without_a_terminal_progress_is_printed_as_plain_lines(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"x" * 100)
    err = io.StringIO()
    with path.open("rb") as file:
        progress = PublishProgress(file, err)
        progress.show(PublishCounts(sent=1))
        progress.read(50)
        progress._last_shown_s -= 6
        progress.show(PublishCounts(sent=2))
    assert err.getvalue().startswith("50% read, 2 sent")
    assert "\x1b" not in err.getvalue()
