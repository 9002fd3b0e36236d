"""``python -m agents golden run --judge NAME``: the judges of production grade the answers of a golden set."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agents.commands.golden import main
from monitor.cli.golden.main import main as without_clients
from monitor.golden.run_record import read_run
from softfail.backoff import Backoff
from tests.agents.judging.model_server import ModelServer

NO_WORSE, WORSE, USAGE, CANNOT_TELL = 0, 1, 2, 3
COST_USD = 440e-6  # of a call: 400 tokens sent, 40 received, one dollar for a million each


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JUDGE_TEST_KEY", "key")
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    monkeypatch.setattr("agents.judging.configured_judge.BACKOFF", Backoff(0.001, 0.01))


@pytest.fixture
def server():
    with ModelServer() as server:
        yield server


def write_config(server, kind="openai", **more):
    judge = {
        "name": "grounded",
        "rubric": {"prompt": "Is the answer right? {{output}}", "choice_scores": {"yes": 1, "no": 0}},
        "model": "m-1",
        "budget": 10,
        "prices": {"input": 1, "output": 1},
        "endpoint": {
            "kind": kind,
            "url": server.url + ("/v1" if kind == "openai" else ""),
            "api_key_variable": "JUDGE_TEST_KEY",
        },
        **more,
    }
    Path("softfail.yaml").write_text(json.dumps({"judges": [judge]}))


def write_set(*cases):
    lines = [
        {"id": f"c{number}", "input": "q", "evaluators": [], **case} for number, case in enumerate(cases)
    ]
    Path("set.ndjson").write_text("".join(json.dumps(line) + "\n" for line in lines))


def write_bot(answer):
    """Write a target that answers each question alike, for a cent's hundredth."""
    Path("bot.sh").write_text(f"cat > /dev/null; echo '{json.dumps({'output': answer, 'cost_usd': 0.0001})}'")


def run(*options, command=main):
    return command(
        [
            "run",
            "set.ndjson",
            "--target",
            "sh bot.sh",
            "--config",
            "softfail.yaml",
            "--judge",
            "grounded",
            *options,
        ]
    )


def records(name="set.run.ndjson"):
    with Path(name).open("rb") as lines:
        return [record for case in read_run(lines)[0].records.values() for record in case]


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
def test_a_judge_fails_answers_as_an_evaluator_does(server, kind, capsys):
    write_config(server, kind)
    write_set(*[{"must_pass": True}] * 3)
    write_bot("a fine answer")
    assert run("--run", "base.ndjson") == NO_WORSE
    assert "has no calibration" in capsys.readouterr().err
    write_bot("a BAD answer")
    assert run("--baseline", "base.ndjson") == WORSE
    assert {record.failed["grounded"] for record in records()} == {"no: because"}
    assert [record.judge_cost_usd for record in records()] == pytest.approx([COST_USD] * 9)


def test_only_features_that_production_judges_are_graded(server):
    write_config(server, match=["bot/*"])
    write_set({"feature": "bot/answer"}, {"feature": "shop/search"}, {})
    write_bot("a BAD answer")
    run()
    assert {record.case: record.passed for record in records()} == {"c0": False, "c1": True, "c2": False}


def test_rubrics_of_checks_are_decided_by_the_same_model_with_the_reference(server):
    write_config(server, match=["other/*"])
    check = {"type": "rubric", "value": "Is polite {{and}} short."}
    write_set({"feature": "bot/answer", "checks": [check], "reference": "Good day."})
    write_bot("a BAD answer")
    run()
    assert [record.passed for record in records()] == [False] * 3
    prompt = server.bodies[0]["messages"][1]["content"]
    assert "Is polite { {and} } short." in prompt
    assert "An answer that meets it: Good day." in prompt


def test_a_judge_without_a_verdict_decides_nothing_and_its_cost_counts():
    with ModelServer(lambda _: "wrong") as server:
        write_config(server)
        write_set({}, {"must_pass": True})
        write_bot("a fine answer")
        assert run() == CANNOT_TELL
    assert [record.passed for record in records()] == [None, None]
    assert "broken_answer" in records()[0].undecided["grounded"]
    assert [record.judge_cost_usd for record in records()] == pytest.approx([2 * COST_USD] * 2)


def test_an_answer_without_text_is_not_graded(server):
    write_config(server)
    write_set({})
    write_bot(" ")
    run()
    assert server.calls == 0
    assert [record.passed for record in records()] == [None]


def test_failed_calls_of_a_judge_are_tried_again_and_the_target_is_not_asked_twice():
    with ModelServer(lambda call: ("500", "429", "close", None)[call % 4]) as server:
        write_config(server)
        write_set({}, {})
        write_bot("a fine answer")
        assert run("--concurrency", "1") == NO_WORSE
    assert [(record.passed, record.attempts) for record in records()] == [(True, 1)] * 2


def test_the_cost_limit_includes_the_judge(server, capsys):
    write_config(server)
    write_set(*[{}] * 20)
    write_bot("a fine answer")
    assert run("--max-cost", "0.003") == CANNOT_TELL
    spent_usd = sum(record.cost_usd + record.judge_cost_usd for record in records())
    assert 0.002 < spent_usd <= 0.003
    assert "cost limit" in capsys.readouterr().out


def test_a_baseline_of_another_judge_is_refused(server, capsys):
    write_config(server)
    write_set({})
    write_bot("a fine answer")
    assert run("--run", "base.ndjson") == NO_WORSE
    write_config(server, budget=99, concurrency=3)  # shape no verdict
    assert run("--baseline", "base.ndjson") != USAGE
    for change in (
        {"model": "m-2"},
        {"temperature": None},
        {"rubric": {"prompt": "Is the answer kind? {{output}}", "choice_scores": {"yes": 1, "no": 0}}},
    ):
        write_config(server, **change)
        capsys.readouterr()
        assert run("--baseline", "base.ndjson") == USAGE
        assert "judged by other evaluators" in capsys.readouterr().err


def test_what_is_missing_is_named_with_its_remedy(server, capsys, monkeypatch):
    write_config(server)
    write_set({})
    write_bot("a fine answer")
    assert run(command=without_clients) == USAGE
    assert "run the same with: python -m agents golden run" in capsys.readouterr().err
    assert run("--judge", "groundde") == USAGE
    assert "--judge 'groundde': there is no command" in capsys.readouterr().err
    monkeypatch.delenv("JUDGE_TEST_KEY")
    assert run() == USAGE
    assert "the environment has no variable JUDGE_TEST_KEY" in capsys.readouterr().err
