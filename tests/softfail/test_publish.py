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
from softfail.publish import Outcome
from softfail.publish_progress import Progress


def line(number: int, **fields: Any) -> str:
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


def publish(path: Path, broker: Any, topic: str, *more: str) -> int:
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
            *more,
        ]
    )


def test_a_file_is_sent_byte_for_byte_in_order_under_the_key_of_each_event(
    broker: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    topic = broker.topic()
    path = tmp_path / "events.ndjson"
    lines = [
        line(1, unknown={"a": [1.0, 1e400 and 2]}),
        line(2, kind="feedback", response_id="1", sample_probability=0.5).replace(", ", " ,  "),
        line(3, output="é" * 100_000),
    ]
    path.write_text("\ufeff" + "\n\n".join(lines) + "\n", encoding="utf-8")
    assert publish(path, broker, topic) == 0
    messages = broker.raw(topic, 3)
    assert [message.value().decode() for message in messages] == lines
    assert {message.key() for message in messages} == {b"s/f"}
    assert "3 events sent" in capsys.readouterr().err


def test_texts_are_redacted_unless_told_not_to(broker: Any, tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    path.write_text(line(1, output="I am ann@example.org", other="ann@example.org", output_chars=20))
    outputs = []
    for more in ([], ["--no-redact"]):
        topic = broker.topic()
        assert publish(path, broker, topic, *more) == 0
        (message,) = broker.raw(topic, 1)
        outputs.append(json.loads(message.value()))
    assert outputs[0] == {**outputs[1], "output": "I am <EMAIL>"}
    assert outputs[1] == json.loads(path.read_text())


def test_each_bad_line_is_named_with_its_field_and_the_rest_is_sent(
    broker: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    topic = broker.topic()
    path = tmp_path / "events.ndjson"
    bad = [
        b"{",
        b"[1]",
        b"\xff\xfe",
        line(2, duration_s=-1).encode(),
        line(3, kind="nothing").encode(),
        b'{"kind": "response"}',
        line(4, cost_usd="1").encode(),
    ]
    path.write_bytes(b"\n".join([line(1).encode(), *bad, line(5).encode()]))
    assert publish(path, broker, topic) == 1
    assert [json.loads(message.value())["event_id"] for message in broker.raw(topic, 2)] == ["1", "5"]
    told = capsys.readouterr().err.splitlines()
    for number, field in enumerate(
        ["not JSON", "not a JSON object", "not JSON", "duration_s", "kind", "event_id", "cost_usd"], 2
    ):
        assert [text for text in told if text.startswith(f"{path}:{number}: {field}")], told
    assert "2 events sent" in told[-1]
    assert "7 lines invalid, 0 events undelivered" in told[-1]


def test_an_event_that_kafka_does_not_take_is_undelivered(
    broker: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "events.ndjson"
    path.write_text("\n".join([line(1, output="x" * 2_000_000), line(2)]))
    assert publish(path, broker, broker.topic()) == 1
    told = capsys.readouterr().err
    assert f"{path}:1: too large" in told
    assert "1 events sent" in told
    assert "1 events undelivered" in told


def test_without_kafka_publish_gives_up_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "events.ndjson"
    path.write_text(line(1))
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
    told = capsys.readouterr().err
    assert "nothing acknowledged for 0.3 s" in told
    assert "1 events undelivered" in told


def test_speed_is_a_multiple_of_event_time(broker: Any, tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    path.write_text("\n".join(line(number) for number in (0, 5, 3, 20)))
    began = time.monotonic()
    assert publish(path, broker, broker.topic(), "--speed", "20") == 0
    assert time.monotonic() - began >= 1.0  # twenty seconds of event time: no less, whatever the machine


def test_events_come_from_standard_input_too(broker: Any) -> None:
    topic = broker.topic()
    done = subprocess.run(
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
        input=line(1) + "\nx\n",
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "<stdin>:2: not JSON" in done.stderr
    assert len(broker.raw(topic, 1)) == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["publish", "x", "--speed", "0"], "not a number above 0"),
        (["publish", "x", "--speed", "nan"], "not a number above 0"),
        (["publish", "x", "-X", "acks"], "not NAME=VALUE"),
        ([], "required"),
    ],
)
def test_wrong_usage_is_explained(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as raised:
        main(arguments)
    assert raised.value.code == 2
    assert told in capsys.readouterr().err


def test_an_unknown_setting_or_a_missing_file_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["publish", str(tmp_path / "none")]) == 2
    assert main(["publish", "x", "-X", "colour=red"]) == 2
    told = capsys.readouterr().err
    assert "none: No such file" in told
    assert "colour: no option" in told


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_bar_shows_share_and_counts_and_gives_way_to_faults(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"x" * 100)
    err = Terminal()
    with path.open("rb") as file:
        progress = Progress(file, err)
        progress.read(50)
        progress._shown -= 1
        progress.show(Outcome(sent=1234, invalid=2))
        progress.end(Outcome(faults=["f:1: wrong"]))
    assert "[###############               ]  50%  1,234 sent" in err.getvalue()
    assert "2 invalid" in err.getvalue()
    assert err.getvalue().endswith("\r\x1b[Kf:1: wrong\n\r\x1b[K")


def test_elsewhere_plain_lines_come(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"x" * 100)
    err = io.StringIO()
    with path.open("rb") as file:
        progress = Progress(file, err)
        progress.show(Outcome(sent=1))
        progress.read(50)
        progress._shown -= 6
        progress.show(Outcome(sent=2))
    assert err.getvalue().startswith("50% read, 2 sent")
    assert "\x1b" not in err.getvalue()
