"""The command `review`, from events to events."""

from __future__ import annotations

import json

import pytest

from monitor.__main__ import main

REFUSAL = "I'm sorry, but I can't help with that."


def event(number, **fields):
    given = {
        "event_id": f"r{number}",
        "time": "2026-11-20T10:00:00Z",
        "service": "shop",
        "feature": "answer",
        "model": "m",
        "input": "Where is it?",
        "output": REFUSAL if number % 10 == 0 else "It ships on Monday.",
        **fields,
    }
    return json.dumps({name: value for name, value in given.items() if value is not None})


def judged(number, passed, name="judge"):
    return json.dumps(
        {
            "kind": "evaluation",
            "event_id": f"e{number}",
            "time": "2026-11-20T10:01:00Z",
            "service": "shop",
            "feature": "answer",
            "response_id": f"r{number}",
            "evaluator": name,
            "passed": passed,
        }
    )


@pytest.fixture
def sample(tmp_path):
    """Return a function from lines and flags to exit code and records of the sample."""

    def run(lines, *flags):
        (tmp_path / "events.ndjson").write_text("\n".join(lines) + "\n")
        folder = tmp_path / "out"
        arguments = [
            str(tmp_path / "events.ndjson"),
            "--question",
            "correct",
            "--output",
            str(folder),
            *flags,
        ]
        code = main(["review", "sample", *arguments])
        file = folder / "sample.jsonl"
        return code, [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    return run


def test_answers_that_failed_are_half_of_the_sample(sample):
    code, (head, *answers) = sample([event(number) for number in range(300)], "--answers", "20")
    assert code == 0
    assert sum(answer["stratum"]["verdict"] == "failed" for answer in answers) == 10
    assert len(answers) == 20
    assert head["by"] == ["verdict", "feature", "version", "language"]


def test_calls_that_failed_answers_without_text_and_softfail_itself_are_not_sampled(sample):
    lines = [
        event(1),
        event(2, error_type="timeout", output=None),
        event(3, output=None),
        event(4, output=" "),
        event(5, service="softfail", feature="judge-x"),
    ]
    code, (_, *answers) = sample(lines)
    assert code == 0
    assert [answer["response_id"] for answer in answers] == ["r1"]


def test_the_verdicts_of_a_judge_stratify_also_when_they_come_after_the_responses(sample):
    lines = [event(number) for number in range(1, 100)] + [
        judged(number, number > 3) for number in range(1, 60)
    ]
    code, (_, *answers) = sample(lines, "--verdict", "judge", "--answers", "10", "--by", "verdict")
    assert code == 0
    failed = [answer["response_id"] for answer in answers if answer["stratum"]["verdict"] == "failed"]
    assert sorted(failed) == ["r1", "r2", "r3"]
    assert len(answers) == 10
    assert round(sum(1 / answer["draw_probability"] for answer in answers)) == 59


def test_texts_are_redacted_unless_it_is_switched_off(sample):
    code, (_, answer) = sample([event(1, input="I am ann@example.org")])
    assert (code, answer["input"]) == (0, "I am <EMAIL>")
    _, (_, answer) = sample([event(1, input="I am ann@example.org")], "--no-redact")
    assert answer["input"] == "I am ann@example.org"


def test_a_line_that_cannot_be_read_is_named_and_the_rest_is_sampled(sample, capsys):
    code, records = sample([event(1), "{junk", event(2)])
    assert (code, len(records)) == (1, 3)
    assert "events.ndjson:2: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("lines", "flags", "message"),
    [
        ([event(1)], ["--answers", "0"], "--answers: 0 is not 1 to 1,000"),
        ([event(1)], ["--by", "verdict,speed"], "--by: 'speed' is unknown"),
        ([event(1)], ["--verdict", "judge"], "judge judged none of the 1 answers"),
        ([event(1)], ["--match", "shop"], "--match: write service/feature"),
        ([event(1)], ["--pass", "a", "--fail", "a"], "'a' is named twice"),
        ([event(1, output=None)], [], "no response with an output text"),
    ],
)
def test_an_option_that_cannot_be_used_is_named(sample, capsys, lines, flags, message):
    try:
        code, _ = sample(lines, *flags)
    except SystemExit as exit_:
        code = exit_.code
    assert code == 2
    assert message in capsys.readouterr().err


def test_labels_of_two_raters_are_imported_and_disagreement_is_shown(sample, tmp_path, capsys):
    _, (head, *answers) = sample([event(number) for number in range(200)], "--answers", "40")
    files = []
    for rater, flips in (("ann", ()), ("bo", (3, 4))):
        rows = [
            {
                "record": "review_label",
                "sample": head["sample"],
                "answer": number,
                "rater": rater,
                "label": "fail" if (answer["output"] == REFUSAL) != (number in flips) else "pass",
            }
            for number, answer in enumerate(answers, 1)
        ]
        files.append(tmp_path / f"{rater}.jsonl")
        files[-1].write_text("\n".join(map(json.dumps, rows)))
    capsys.readouterr()
    out = tmp_path / "labels.ndjson"
    names = [str(tmp_path / "out" / "sample.jsonl"), *map(str, files)]
    assert main(["review", "import", *names, "--output", str(out), "--width", "0.05"]) == 0
    printed = capsys.readouterr().out
    assert "40 of 40 answers have a verdict" in printed
    assert "Krippendorff's alpha 0.90 (good); 38 of 40" in printed
    assert "answer 3: ann " in printed
    assert "no majority, so no event" in printed
    assert "more labels are missing" in printed
    assert len(out.read_text().splitlines()) == 38
    assert main(["evaluate", str(out)]) == 0, "the events can be read"


def test_status_without_labels_says_what_to_do(sample, tmp_path, capsys):
    sample([event(number) for number in range(20)])
    assert main(["review", "status", str(tmp_path / "out" / "sample.jsonl"), "--width", "0.1"]) == 0
    assert "0 of 20 answers have a verdict" in capsys.readouterr().out
    assert main(["review", "import", *[str(tmp_path / "out" / "sample.jsonl")] * 2]) == 2
    assert "no answer has a verdict yet" in capsys.readouterr().err
