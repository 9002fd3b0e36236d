from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from monitor.cli.evaluate import main

ROOT = Path(__file__).parents[3]


def line(event_id, **fields):
    return json.dumps(
        {
            "event_id": event_id,
            "time": "2026-03-02T09:00:00Z",
            "service": "s",
            "feature": "f",
            "model": "m",
            **fields,
        }
    )


METER = json.dumps(
    {
        "kind": "meter",
        "time": "2026-03-02T09:00:00Z",
        "service": "s",
        "feature": "f",
        "producer_id": "p",
        "started_at": "2026-03-02T08:00:00Z",
        "seen": 1,
        "sampled": 1,
        "sent": 1,
        "dropped": 0,
    }
)


@pytest.fixture
def file(tmp_path):
    """Return a function from lines to the path of a file that contains them."""

    def write(*lines, name="events.ndjson"):
        path = tmp_path / name
        data = "".join(f"{line}\n" for line in lines).encode()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return str(path)

    return write


def test_each_response_gives_one_object_in_file_order(file, capsys):
    path = file(
        line("a", output="I can't help with that."),
        line("b", output="Paris", finish_reason="length"),
        line("c", error_type="timeout"),
    )
    assert main([path]) == 0
    first, second, third = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [first["event_id"], second["event_id"], third["event_id"]] == ["a", "b", "c"]
    assert first["verdicts"]["refusal"] == {
        "passed": False,
        "score": None,
        "reason": "refusal: cannot_help",
        "state": "failed",
    }
    assert second["verdicts"]["truncation"]["passed"] is False
    assert second["verdicts"]["refusal"] == {"passed": True, "score": None, "reason": "", "state": "passed"}
    assert third["verdicts"]["refusal"] == {
        "passed": None,
        "score": None,
        "reason": "the call failed",
        "state": "skipped",
    }


def test_unreadable_lines_are_reported_by_number_and_the_rest_is_judged(file, capsys):
    path = file(line("a"), "{", line("b", output_tokens=-1), "", line("c"))
    assert main([path]) == 1
    out, err = capsys.readouterr()
    assert [json.loads(line)["event_id"] for line in out.splitlines()] == ["a", "c"]
    assert [line.split(": ")[0] for line in err.splitlines()] == [f"{path}:2", f"{path}:3"]
    assert "output_tokens" in err


def test_a_missing_or_damaged_file_is_reported_and_the_others_are_judged(file, tmp_path, capsys):
    cut = tmp_path / "cut.ndjson.gz"
    cut.write_bytes(gzip.compress(line("a").encode())[:-9])
    assert main([str(tmp_path / "none"), str(cut), file(line("b"))]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out.splitlines()[-1])["event_id"] == "b"
    assert "No such file" in err
    assert str(cut) in err


def test_events_of_other_kinds_are_counted_and_not_judged(file, capsys):
    assert main([file(line("a"), METER, METER)]) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 1
    assert "2 meter" in err


def test_gzip_and_standard_input_are_read_like_plain_files(file, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(line("b").encode())))
    assert main([file(line("a"), name="events.ndjson.gz"), "-"]) == 0
    assert [json.loads(line)["event_id"] for line in capsys.readouterr().out.splitlines()] == ["a", "b"]


def test_the_configuration_chooses_the_evaluators(file, tmp_path, capsys):
    (tmp_path / "answer.schema.json").write_text('{"type": "object"}')
    config = tmp_path / "softfail.yaml"
    config.write_text(
        "features:\n  - match: s/*\n    evaluators: [{length: {max_chars: 3}}, {json_schema: {file:"
        " answer.schema.json}}]\n"
    )
    assert main([file(line("a", output="[1, 2]")), "--config", str(config)]) == 0
    verdicts = json.loads(capsys.readouterr().out)["verdicts"]
    assert list(verdicts) == ["error", "length", "json_schema"]
    assert verdicts["length"] == {
        "passed": False,
        "score": 6.0,
        "reason": "6 characters, over 3",
        "state": "failed",
    }
    assert verdicts["json_schema"]["reason"] == "$: breaks type: 'object'"


def test_an_invalid_configuration_is_reported_and_no_response_is_judged(file, tmp_path, capsys):
    config = tmp_path / "softfail.yaml"
    config.write_text("features:\n  - match: s/*\n    evaluators: [refusall]\n")
    assert main([file(line("a")), "--config", str(config)]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert "refusall" in err


def test_the_table_ends_with_a_summary(file, capsys):
    assert (
        main(
            [
                file(
                    line("a\x1b[2J\u202e\u200b", output="I can't help with that."), line("b", output="Paris")
                ),
                "--format",
                "table",
            ]
        )
        == 0
    )
    out = capsys.readouterr().out
    assert "refusal failed (refusal: cannot_help)" in out
    assert not set("\x1b\u202e\u200b") & set(out)
    row = next(line for line in out.splitlines() if line.startswith("refusal "))
    assert row.split() == ["refusal", "1", "1", "0", "0", "50.00%"]
    assert out.splitlines()[-1] == "2 responses, pass rate 50.00%"


def test_a_closed_output_pipe_is_not_an_error(file):
    path = file(*(line(str(n), output="Paris") for n in range(3000)))
    command = f"{sys.executable} -m monitor evaluate {path} | head -n 1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["event_id"] == "0"


def test_odd_optional_fields_are_reported_by_field_and_reason_and_cost_no_event(file, capsys):
    path = file(line("a", duration_s="fast"), line("b", duration_s="slow", variant="v" * 300), line("c"))
    assert main([path]) == 0
    out, err = capsys.readouterr()
    assert [json.loads(line)["event_id"] for line in out.splitlines()] == ["a", "b", "c"]
    assert err == "odd optional fields, left out or cut: duration_s not_a_number 2, variant too_long 1\n"
