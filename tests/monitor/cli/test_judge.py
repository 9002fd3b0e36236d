"""``python -m monitor judge calibrate``."""

from __future__ import annotations

import json

import pytest

from monitor.__main__ import main
from tests.monitor.event_values import time_of

CONFIG = """
judges:
  - name: grounded
    rubric: rubric.yaml
    model: m-1
    budget: 5
    prices: {input: 1, output: 4}
    anchors: anchors.ndjson
    calibration: grounded.json
"""
RUBRIC = 'prompt: "Is it right? {{output}}"\nchoice_scores: {"yes": 1, "no": 0}\n'


def evaluation(number, evaluator, passed, **more):
    event = {
        "kind": "evaluation",
        "event_id": f"{evaluator}-{number}",
        "response_id": f"e{number}",
        "time": time_of(number),
        "service": "bot",
        "feature": "answer" if number % 3 else "search",
        "evaluator": evaluator,
        "passed": passed,
        **more,
    }
    return json.dumps(event)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "softfail.yaml").write_text(CONFIG)
    (tmp_path / "rubric.yaml").write_text(RUBRIC)
    (tmp_path / "anchors.ndjson").write_text('{"id": "a", "output": "x", "passed": true}\n')
    return tmp_path


def write(folder, lines):
    (folder / "labels.ndjson").write_text("\n".join(lines) + "\n")


def run(*more):
    return main(["judge", "calibrate", "labels.ndjson", "--config", "softfail.yaml", *more])


def labelled(number, wrong_every=50, every=5):
    human = number % every > 0
    judge = human ^ (number % wrong_every == 1)
    return [
        evaluation(number, "grounded_uncalibrated", judge, evaluator_version="abc", sample_probability=0.05),
        evaluation(number, "human:grounded", human),
    ]


def test_it_prints_the_agreement_writes_the_file_and_the_file_is_accepted(folder, capsys):
    write(folder, [line for number in range(300) for line in labelled(number)])
    code = run("--output", "grounded.json")
    output = capsys.readouterr().out
    assert "judge grounded, identity abc: 300 labels, taken as a random sample" in output
    assert "agreement    98.0%" in output
    assert "bot/search: 100 labels" in output
    assert json.loads((folder / "grounded.json").read_text())["labels"] == [60, 6, 0, 234]
    assert code == 1  # those labels are of March
    assert "uncalibrated: its labels are older than 90 days" in output
    assert main(["check", "softfail.yaml"]) == 0


def test_verdicts_without_a_label_say_how_often_the_judge_fails(folder, capsys):
    lines = [line for number in range(200) for line in labelled(number, every=2)]
    lines += [evaluation(number, "grounded", True, evaluator_version="abc") for number in range(200, 5000)]
    write(folder, lines)
    run()
    output = capsys.readouterr().out
    assert "200 labels, chosen by verdict" in output
    assert "failure rate 2" in output or "failure rate 1" in output


def test_labels_of_another_identity_and_without_verdict_are_named(folder, capsys):
    lines = [line for number in range(60) for line in labelled(number)]
    lines += [
        evaluation(900, "grounded", True, evaluator_version="def"),
        evaluation(900, "human:grounded", True),
    ]
    lines += [evaluation(901, "human:grounded", True), "{broken"]
    write(folder, lines)
    assert run() == 1
    captured = capsys.readouterr()
    assert "1 labels are of verdicts of another identity, def" in captured.out
    assert "1 labelled answers have no verdict" in captured.out
    assert "1 line could not be read" in captured.err


def test_of_several_raters_the_majority_counts(folder, capsys):
    lines = [line for number in range(60) for line in labelled(number, 1000)]
    lines += [
        evaluation(2, "human:grounded", False, event_id="again"),
        evaluation(3, "human:grounded", False, event_id="b"),
    ]
    write(folder, [*lines, evaluation(3, "human:grounded", True, event_id="c")])
    run()
    assert (
        "judged failed: 12 labelled failed, 1 passed; judged passed: 1 failed, 46 passed"
        in capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("lines", "arguments", "part"),
    [
        ([evaluation(1, "human:grounded", True)], (), "no answer has both"),
        ([], ("--judge", "other"), "configured are: grounded"),
    ],
)
def test_what_cannot_be_compared_is_said_with_the_remedy(folder, capsys, lines, arguments, part):
    write(folder, lines)
    assert run(*arguments) == 2
    assert part in capsys.readouterr().err


def test_two_features_with_the_same_ids_do_not_mix(folder, capsys):
    lines = []
    for number in range(300):
        fails = number % 5 == 0
        for feature, human_fails in (("a", fails), ("b", not fails)):
            where = {"feature": feature}
            lines.append(evaluation(number, "grounded", not fails, evaluator_version="abc", **where))
            lines.append(evaluation(number, "human:grounded", not human_fails, **where))
    write(folder, lines)
    assert run() == 1
    out = capsys.readouterr().out
    assert "600 labels" in out
    assert "bot/a: 300 labels; sensitivity 100.0%" in out
    assert "bot/b: 300 labels; sensitivity 0.0%" in out
