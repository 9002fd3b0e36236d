"""A run of 500 cases in a process of its own, against a target over HTTP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from monitor.cli.golden.main import main
from monitor.golden.run_record import read_run
from tests.monitor.cli.golden.model_server import ModelServer
from tests.polling import wait_until

NO_WORSE, INTERRUPTED = 0, 130


def start(*options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "monitor", "golden", "run", "set.ndjson", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )


def answers_in(name: str) -> int:
    path = Path(name)
    return path.read_bytes().count(b"golden_answer") if path.exists() else 0


def cases_in(name: str) -> set[str]:
    with Path(name).open("rb") as file:
        run, _ = read_run(file)
    return {case for case, passed in run.answers().items() if all(passed)}


def test_a_run_of_500_cases_survives_failures_a_hang_an_interruption_and_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    server = ModelServer(fails_each=10)
    lines = [{"id": f"c{n}", "input": f"Question {n}", "evaluators": ["refusal"]} for n in range(500)]
    Path("set.ndjson").write_text("".join(json.dumps(line) + "\n" for line in lines))
    server.hanging = {"c250"}
    options = ("--target", server.url, "--run", "r.ndjson", "--timeout", "2s", "--concurrency", "8")
    process = start(*options)
    wait_until(lambda: answers_in("r.ndjson") >= 60, 200)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED
    assert "continue with --resume" in errors

    first = answers_in("r.ndjson")
    process = start(*options, "--resume")
    wait_until(lambda: answers_in("r.ndjson") >= first + 60, 200)
    process.kill()
    process.communicate(timeout=60)
    answered = {case: server.calls[case] for case in cases_in("r.ndjson")}
    with Path("r.ndjson").open("ab") as file:
        file.write(b'{"record":"golden_answer","case":"c4')  # what a kill within a write leaves

    process = start(*options, "--resume", "--format", "json")
    output, errors = process.communicate(timeout=300)
    assert process.returncode == NO_WORSE, errors
    report = json.loads(output)
    assert (report["cases"], report["answers"]) == (500, 499)
    assert [result["id"] for result in report["results"] if result["kind"] == "unanswered"] == ["c250"]
    assert {case: server.calls[case] for case in answered} == answered  # nothing was asked twice

    calls = server.calls.total()
    assert main(["compare", "set.ndjson", "r.ndjson", "--json", "again.json"]) == NO_WORSE
    assert json.loads(Path("again.json").read_text()) == report
    assert main(["run", "set.ndjson", *options, "--resume"]) == NO_WORSE  # repeats its verdict
    assert server.calls.total() == calls
    server.close()
