from __future__ import annotations

import json
from pathlib import Path

import pytest

from monitor.cli.golden.main import main
from monitor.golden.case_set import read_set
from schemas.golden import GoldenCase

DEMO_SET = Path(__file__).parents[4] / "agents" / "demo" / "golden.ndjson"


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def cases(name: str = "set.ndjson") -> dict[str, GoldenCase]:
    return {case.id: case for case in read_set(Path(name).read_bytes().splitlines()).cases}


def write_samples() -> None:
    refused = {
        "kind": "response", "event_id": "e", "time": "2026-11-30T00:00:00Z", "service": "s", "feature": "f",
        "model": "m", "input": "What is a lamp?", "output": "I'm sorry, but I can't help with that.",
    }  # fmt: skip
    sample = {
        "record": "sample",
        "failed": {"empty": "no text"},
        "input": "q?",
        "service": "s",
        "feature": "f",
        "event_id": "x",
    }
    lines = [refused, {**refused, "output": "A lamp gives light."}, sample]
    Path("samples.ndjson").write_text("".join(json.dumps(line) + "\n" for line in lines) + "junk\n")


def test_failures_are_added_listed_and_confirmed_and_other_lines_stay_as_they_were(
    capsys: pytest.CaptureFixture[str],
) -> None:
    own = '{ "id": "own",  "input": "written by hand" }'
    Path("set.ndjson").write_text(own)  # without an end of line
    write_samples()
    assert main(["add", "samples.ndjson", "--to", "set.ndjson"]) == 1  # a line is junk
    assert "samples.ndjson:4: not JSON" in capsys.readouterr().err
    added = [case for case in cases().values() if case.status == "candidate"]
    assert {tuple(case.evaluators or ()) for case in added} == {("refusal",), ("empty",)}
    assert main(["list", "set.ndjson", "--candidates"]) == 0
    assert "1 case (0 must pass)" not in (out := capsys.readouterr().out)
    assert out.count("candidate,") == 2
    assert main(["confirm", "set.ndjson", added[0].id, "--must-pass"]) == 0
    assert Path("set.ndjson").read_text().splitlines()[0] == own
    assert (cases()[added[0].id].status, cases()[added[0].id].must_pass) == ("active", True)
    assert cases()[added[1].id].status == "candidate"
    assert main(["add", "samples.ndjson", "--to", "set.ndjson"]) == 1
    assert len(cases()) == 3  # nothing is added twice


@pytest.mark.parametrize("arguments", [["nobody"], [], ["own", "--all"]])
def test_confirm_refuses_what_is_no_candidate(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("set.ndjson").write_text('{"id": "own", "input": "x"}\n')
    assert main(["confirm", "set.ndjson", *arguments]) == 2
    assert capsys.readouterr().err


def test_an_import_writes_a_set_names_what_is_left_and_reads_no_file_outside(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("secret.txt").write_text("s3cret")
    Path("config").mkdir()
    Path("config/c.yaml").write_text(
        "prompts: ['{{q}}']\ntests:\n"
        "  - {vars: {q: file://../secret.txt}, assert: [{type: contains, value: a}, {type: similar, value: b}]}\n"
        "  - {vars: {q: fine}, assert: [{type: similar, value: c}, {type: is-json}]}\n"
    )
    assert main(["import", "config/c.yaml", "--from", "promptfoo", "--output", "set.ndjson"]) == 1
    errors = capsys.readouterr().err
    assert "lies outside of the folder" in errors
    assert "test 1 and 1 more: similar: needs an embedding model" in errors
    assert "2 cases, 2 of 4 expectations" in errors
    assert "s3cret" not in Path("set.ndjson").read_text()
    assert main(["import", "config/c.yaml", "--from", "promptfoo", "--output", "set.ndjson"]) == 2
    assert "exists, and people edit sets" in capsys.readouterr().err


BOMB = "a: &a [x,x,x,x,x,x,x,x]\n" + "".join(
    f"{b}: &{b} [{','.join([f'*{a}'] * 8)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize("content", [BOMB, "", "{", "- 1", "a: [", "tests: 3"])
def test_a_file_that_is_no_configuration_is_refused(content: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("c.yaml").write_text(content)
    assert main(["import", "c.yaml", "--from", "promptfoo"]) == 2
    assert "c.yaml" in capsys.readouterr().err


def test_dates_and_other_values_of_yaml_become_text() -> None:
    Path("c.yaml").write_text(
        "prompts: ['On {{day}}']\ntests: [{vars: {day: 2026-11-30}, assert: [{type: equals, value: 2026-11-30}]}]\n"
    )
    assert main(["import", "c.yaml", "--from", "promptfoo", "--output", "set.ndjson"]) == 0
    (case,) = cases().values()
    assert (case.input, case.checks[0].value) == ("On 2026-11-30", "2026-11-30")


def test_json_lines_of_a_data_set_are_read(capsys: pytest.CaptureFixture[str]) -> None:
    Path("d.jsonl").write_text('{"input": "2+2?", "ideal": "4"}\n{"input": "3+3?", "ideal": "6"}\n')
    assert main(["import", "d.jsonl", "--from", "openai-evals"]) == 0
    assert [json.loads(line)["reference"] for line in capsys.readouterr().out.splitlines()] == ["4", "6"]


def test_the_set_of_the_demo_is_valid(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", str(DEMO_SET), "--format", "json"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 5
