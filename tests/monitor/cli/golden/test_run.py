from __future__ import annotations

import json
import re
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from monitor.cli.golden.main import main
from monitor.golden.run_record import read_run
from tests.monitor.cli.golden.model_server import ModelServer

NO_WORSE, WORSE, USAGE, CANNOT_TELL, INTERRUPTED = 0, 1, 2, 3, 130


@pytest.fixture
def server() -> Iterator[ModelServer]:
    model = ModelServer(fails_each=10)
    yield model
    model.close()


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)


def write_set(count: int, **fields: Any) -> None:
    lines = [
        {"id": f"c{n}", "input": f"Question {n}", "evaluators": ["refusal"], **fields} for n in range(count)
    ]
    Path("set.ndjson").write_text("".join(json.dumps(line) + "\n" for line in lines))


def run(*options: str) -> int:
    return main(["run", "set.ndjson", *options])


def test_cases_that_newly_fail_are_named_and_an_unchanged_target_is_no_worse(
    server: ModelServer, capsys: pytest.CaptureFixture[str]
) -> None:
    write_set(100)
    server.refused = {"c7"}
    assert run("--target", server.url, "--run", "base.ndjson") == NO_WORSE
    assert run("--target", server.url, "--baseline", "base.ndjson") == NO_WORSE
    server.refused = {f"c{n}" for n in range(7, 14)}
    capsys.readouterr()
    assert run("--target", server.url, "--baseline", "base.ndjson", "--format", "json") == WORSE
    report = json.loads(capsys.readouterr().out)
    assert {case["case_id"] for case in report["comparison"]["worse"]} == {f"c{n}" for n in range(8, 14)}
    assert {r["id"]: r["kind"] for r in report["results"]}["c7"] == "fails_in_the_baseline_too"


def test_baselines_of_another_set_or_evaluator_or_unfinished_are_refused_by_name(
    server: ModelServer, capsys: pytest.CaptureFixture[str]
) -> None:
    write_set(3)
    assert run("--target", server.url, "--run", "base.ndjson") == NO_WORSE
    calls = server.calls.total()
    for count, fields, message in (
        (4, {}, "base.ndjson is of another set (.*): 1 case added \\(c3\\)"),
        (3, {"input": "other"}, "3 cases changed"),
    ):
        write_set(count, **fields)
        capsys.readouterr()
        assert run("--target", server.url, "--baseline", "base.ndjson") == USAGE
        assert re.search(message, capsys.readouterr().err)
    write_set(3)
    lines = Path("base.ndjson").read_text().splitlines(keepends=True)
    Path("base.ndjson").write_text(
        re.sub('evaluator_digest":"[^"]*', 'evaluator_digest":"0', lines[0]) + "".join(lines[1:])
    )
    assert run("--target", server.url, "--baseline", "base.ndjson") == USAGE
    assert "judged by other evaluators" in capsys.readouterr().err
    Path("base.ndjson").write_text("".join(lines[:-1]))
    assert run("--target", server.url, "--baseline", "base.ndjson") == USAGE
    assert "is unfinished" in capsys.readouterr().err
    assert server.calls.total() == calls  # refused before anything is asked


def test_an_unfinished_run_is_neither_continued_nor_replaced_without_a_word(
    server: ModelServer, capsys: pytest.CaptureFixture[str]
) -> None:
    write_set(3)
    assert run("--target", server.url, "--run", "r.ndjson") == NO_WORSE
    lines = Path("r.ndjson").read_text().splitlines(keepends=True)
    Path("r.ndjson").write_text("".join(lines[:2]))
    assert run("--target", server.url, "--run", "r.ndjson") == USAGE
    assert "continue with --resume, or start again with --fresh" in capsys.readouterr().err
    assert run("--target", "python:json:loads", "--run", "r.ndjson", "--resume") == USAGE
    assert "was begun with --target" in capsys.readouterr().err
    assert run("--target", server.url, "--run", "r.ndjson", "--fresh") == NO_WORSE
    assert run("--target", server.url, "--resume", "--run", "none.ndjson") == USAGE


def test_the_cost_stays_below_its_limit_and_the_run_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    model = ModelServer(cost_usd=0.01)
    write_set(50)
    assert run("--target", model.url, "--run", "r.ndjson", "--max-cost", "0.1") == CANNOT_TELL
    assert "stopped by the cost limit of $0.1" in capsys.readouterr().out
    assert model.calls.total() == 10
    assert run("--target", model.url, "--run", "r.ndjson", "--resume", "--max-cost", "1") == NO_WORSE
    assert model.calls.total() == 50
    model.close()


def test_a_cost_limit_without_costs_stops_at_once(
    server: ModelServer, capsys: pytest.CaptureFixture[str]
) -> None:
    write_set(50)
    assert run("--target", server.url, "--max-cost", "1") == CANNOT_TELL
    assert "have no cost_usd" in capsys.readouterr().out
    assert server.calls.total() <= 4


def test_a_target_that_is_down_is_not_asked_all_cases(capsys: pytest.CaptureFixture[str]) -> None:
    model = ModelServer(fails_each=1)
    model.status = 404
    write_set(500)
    assert run("--target", model.url) == CANNOT_TELL
    assert "gave no answer in" in capsys.readouterr().out
    assert model.calls.total() < 20
    model.close()


def test_the_time_limit_ends_a_run_that_can_be_continued(
    server: ModelServer, capsys: pytest.CaptureFixture[str]
) -> None:
    write_set(3)
    server.hanging = {"c0"}
    assert run("--target", server.url, "--timeout", "1s", "--max-time", "0.5s") == CANNOT_TELL
    assert "time limit" in capsys.readouterr().out


def test_the_target_gets_the_input_and_no_expectation(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY", "s3cret")
    write_set(1, reference="42", checks=[{"type": "contains", "value": "done"}], context="about")
    assert run("--target", server.url, "--header", "Authorization: Bearer ${KEY}") == NO_WORSE
    assert server.requests == [{"id": "c0", "input": "Question 0", "context": "about"}]
    assert server.headers[0]["Authorization"] == "Bearer s3cret"
    assert "s3cret" not in Path("set.run.ndjson").read_text()


def test_a_command_reads_json_and_a_hanging_one_is_killed() -> None:
    write_set(2)
    Path("bot.py").write_text(
        "import json, sys, time\n"
        "request = json.load(sys.stdin)\n"
        "if request['id'] == 'c1': time.sleep(600)\n"
        "print('You asked: ' + request['input'])\n"
    )
    command = f"{sys.executable} bot.py"
    assert run("--target", command, "--timeout", "5s", "--retries", "0") == CANNOT_TELL
    with Path("set.run.ndjson").open("rb") as file:
        run_of, _ = read_run(file)
    assert run_of.records["c0"][0].output == "You asked: Question 0"
    assert run_of.records["c1"][0].error == "no answer within 5 s"


def test_a_function_that_raises_hangs_or_returns_nonsense_costs_only_its_case() -> None:
    write_set(4)
    Path("bot_of_test.py").write_text(
        "import threading\n"
        "def ask(request):\n"
        "    if request['id'] == 'c1': raise RuntimeError('no')\n"
        "    if request['id'] == 'c2': threading.Event().wait()\n"
        "    if request['id'] == 'c3': return 7\n"
        "    print('noise')\n"
        "    return 'fine'\n"
    )
    assert run("--target", "python:bot_of_test:ask", "--timeout", "0.5s", "--retries", "0") == CANNOT_TELL
    with Path("set.run.ndjson").open("rb") as file:
        run_of, _ = read_run(file)
    errors = {case: records[0].error for case, records in run_of.records.items()}
    assert errors == {
        "c0": "",
        "c1": "RuntimeError: no",
        "c2": "no answer within 0.5 s",
        "c3": "the function returned no text and no object with output",
    }


def test_rubrics_are_decided_by_a_judge_and_open_without_one(capsys: pytest.CaptureFixture[str]) -> None:
    write_set(2, checks=[{"type": "rubric", "value": "is polite"}])
    Path("judge_of_test.py").write_text(
        "import json\n"
        "def answer(request):\n    return 'Thank you' if request['id'] == 'c0' else 'Go away'\n"
        "def judge(request):\n"
        "    data = json.loads(request['input'].split('\\n\\n', 1)[1])\n"
        "    return json.dumps({'passed': 'Thank' in data['answer'], 'reason': 'seen'})\n"
    )
    options = ("--target", "python:judge_of_test:answer", "--format", "json")
    assert run(*options, "--judge", "python:judge_of_test:judge") == NO_WORSE
    assert [r["kind"] for r in json.loads(capsys.readouterr().out)["results"]] == ["passed", "failed"]
    assert run(*options) == CANNOT_TELL
    captured = capsys.readouterr()
    assert "2 cases with rubrics, which are not decided without --judge" in captured.err
    assert [r["reason"] for r in json.loads(captured.out)["results"]] == ["no judge was given"] * 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--target", "python:nothing_here:f"), "ModuleNotFoundError"),
        (("--target", "no-such-command --x"), "there is no command 'no-such-command'"),
        (("--target", "python:json"), "write python:module:function"),
        (("--target", "true", "--header", "A: b"), "only an address has headers"),
        (("--target", "http://x", "--header", "A: ${NOT_SET_HERE}"), "NOT_SET_HERE is not set"),
        (("--target", "true", "--baseline", "none.ndjson"), "--baseline none.ndjson: cannot be read"),
        (("--target", "true", "--junit", "none/j.xml"), "there is no folder none"),
        (("--target", "true", "--run", "x", "--baseline", "x"), "are the same file"),
    ],
)
def test_wrong_options_name_the_option_and_the_remedy(
    options: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_set(1)
    assert run(*options) == USAGE
    assert message in capsys.readouterr().err


def test_a_faulty_set_is_refused_with_each_line(capsys: pytest.CaptureFixture[str]) -> None:
    Path("set.ndjson").write_text('{"id": "a", "input": "x"}\n{"id": "b"}\nnothing\n')
    assert run("--target", "true") == USAGE
    errors = capsys.readouterr().err.splitlines()
    assert errors[0].startswith("set.ndjson:2: input:")
    assert errors[1].startswith("set.ndjson:3: not JSON")
    assert errors[2] == "set.ndjson: 2 lines are no case; mend the file"


def test_junit_annotations_and_summary_escape_what_a_target_says(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("set.ndjson").write_text(
        json.dumps(
            {
                "id": "a<b>|x",
                "input": "q",
                "must_pass": True,
                "checks": [{"type": "is_json"}],
                "evaluators": [],
            }
        )
        + "\n"
    )
    Path("evil_of_test.py").write_text(
        "def ask(request):\n    return ']]></failure>\\x00\\x1b[31m::error::owned\\n::set-output name=x::y %0A | <script>'\n"
    )
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    assert run("--target", "python:evil_of_test:ask", "--junit", "j.xml", "--github") == WORSE
    cases = ElementTree.parse("j.xml").getroot().findall("testsuite/testcase")
    assert [case.get("name") for case in cases] == ["gate", "a<b>|x"]
    assert [case.find("failure") is not None for case in cases] == [True, True]
    errors = capsys.readouterr().err.splitlines()
    commands = [line for line in errors if line.startswith("::")]
    assert [line.split(" ")[0] for line in commands] == ["::error", "::error"]
    summary = Path("summary.md").read_text()
    assert "a\\<b\\>\\|x" in summary
    assert "<script>" not in summary
