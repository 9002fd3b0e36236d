"""Labels of files: the page's, a spreadsheet's, and wrong ones."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime

import pytest

from monitor.review.answer import Answer
from monitor.review.consensus import common_factor, consensus_of, events_of
from monitor.review.label_page import render
from monitor.review.labels import Label, Labels, csv_text
from monitor.review.question import InvalidQuestion, Question, make_question
from monitor.review.sample_file import InvalidSample, Sample, read_sample
from softfail.events import Evaluation

QUESTION = Question("correct", "Correct?", ("right", "nearly"), ("wrong",))


def answer(number, probability=0.5, **labels):
    names = {"service": "shop", "feature": "answer", "model": "m", **labels}
    return Answer(
        f"r{number}", "2026-11-20T10:00:00Z", names, {"team": "a"}, 1.0, 0.5, "in", "", "out", {}, probability
    )


SAMPLE = Sample(QUESTION, (), "", tuple(answer(number) for number in range(1, 6)))


def label(number, text, rater="ann", **fields):
    sample = SAMPLE.sample_id
    return json.dumps(
        {
            "record": "review_label",
            "sample": sample,
            "answer": number,
            "label": text,
            "rater": rater,
            **fields,
        }
    )


def read(*texts, name="ann.jsonl"):
    labels = Labels(QUESTION, SAMPLE.sample_id, 5)
    for text in texts:
        labels.read(name, text)
    return labels


def test_the_last_label_of_a_rater_counts_and_raters_are_kept_apart():
    labels = read(label(1, "wrong") + "\n" + label(1, "right", "bo"), label(1, "Right ", note="better"))
    assert labels.faults == []
    assert labels.by_answer() == {1: [Label(1, "ann", "right", "better"), Label(1, "bo", "right")]}


def test_cannot_tell_is_counted_and_gives_no_verdict():
    labels = read(label(2, "cannot tell") + "\n" + label(3, "wrong"))
    assert list(labels.by_answer()) == [3]
    assert labels.raters() == {"ann": (1, 1)}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "not JSON"),
        ('{"record": "review_answer"}', "give the file that the page saved"),
        (label(6, "wrong"), "answer is '6'; the sample has 1 to 5"),
        (label("x", "wrong"), "answer is 'x'"),
        (label(1, "bad"), "label 'bad' is unknown; there are right, nearly, wrong, cannot tell"),
        (label(1, "wrong", sample="other"), "import it with its own sample"),
        ('{"record": "review_label", "answer": 1e999, "label": "wrong"}', "answer is"),
    ],
)
def test_a_wrong_line_is_named_and_the_others_count(line, reason):
    labels = read(label(1, "right") + "\n" + line)
    (fault,) = labels.faults
    assert fault.startswith("ann.jsonl:2: ")
    assert reason in fault
    assert list(labels.by_answer()) == [1]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_filled_spreadsheet_is_read_with_the_delimiter_of_its_language(delimiter):
    rows = list(csv.reader(io.StringIO(csv_text([{"answer": "1", "output": "a, b; c"}, {"answer": "2"}]))))
    rows[1][1:4] = ["wrong", "late", ""]
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter).writerows(rows)
    labels = read("\ufeff" + out.getvalue(), name="/tmp/bo.csv")
    assert labels.faults == []
    assert labels.by_answer() == {1: [Label(1, "bo", "wrong", "late")]}


def test_a_spreadsheet_runs_no_formula_of_a_text():
    text = csv_text(
        [{"answer": "1", "output": '=HYPERLINK("https://evil.example")', "input": "+1", "context": "-"}]
    )
    (row,) = csv.DictReader(io.StringIO(text))
    assert all(row[name].startswith("'") for name in ("output", "input", "context"))


def test_a_csv_file_without_the_columns_is_one_fault():
    (fault,) = read("name,verdict\nx,y\n").faults
    assert "no column answer and no column label" in fault


def test_the_majority_decides_and_a_tie_makes_no_event():
    labels = read(
        *(label(1, text, rater) for text, rater in (("wrong", "a"), ("nearly", "b"), ("right", "c"))),
        label(2, "wrong", "a"),
        label(2, "right", "b"),
    )
    verdicts = consensus_of(SAMPLE, labels.by_answer())
    assert [(verdict.answer, verdict.passed, verdict.is_unanimous) for verdict in verdicts] == [
        (1, True, False),
        (2, None, False),
    ]
    (event,) = events_of(SAMPLE, verdicts, datetime(2026, 11, 30, tzinfo=UTC))
    assert (event["response_id"], event["passed"], event["reason"]) == ("r1", True, "nearly, right, wrong")


def test_an_event_is_valid_and_carries_labels_and_probability_of_its_response():
    verdicts = consensus_of(SAMPLE, read(label(4, "wrong", note="cites a wrong page")).by_answer())
    time = datetime(2026, 11, 30, tzinfo=UTC)
    (event,) = events_of(SAMPLE, verdicts, time)
    evaluation = Evaluation.model_validate_json(json.dumps(event))
    assert (evaluation.service, evaluation.feature, evaluation.model) == ("shop", "answer", "m")
    assert (evaluation.evaluator, evaluation.evaluator_version) == ("human:correct", QUESTION.version)
    assert evaluation.dimensions == {"team": "a"}
    assert evaluation.sample_probability == 0.25, "0.5 that its texts were sent, 0.5 that it was drawn"
    assert evaluation.reason == "wrong: cites a wrong page"
    assert "ann" not in json.dumps(event)
    assert events_of(SAMPLE, verdicts, time) == [event], "imported twice, the events are the same"


def test_labels_that_stand_for_over_10000_calls_are_raised_alike():
    rare = Sample(QUESTION, (), "", (answer(1, 1e-5), answer(2, 1e-2), answer(3, 1e-4)))
    verdicts = consensus_of(rare, {number: [Label(number, "a", "wrong")] for number in (1, 2, 3)})
    events = events_of(rare, verdicts, datetime(2026, 11, 30, tzinfo=UTC))
    assert common_factor(rare)[1] == 0
    assert [event["sample_probability"] for event in events] == pytest.approx([1e-4, 0.1, 1e-3])
    beyond = Sample(QUESTION, (), "", (answer(1, 1e-5), answer(2, 1.0)))
    factor, cut = common_factor(beyond)
    assert (factor, cut) == (2.0, 1)
    events = events_of(beyond, verdicts[:2], datetime(2026, 11, 30, tzinfo=UTC))
    assert all(1e-4 <= event["sample_probability"] <= 1 for event in events)


def test_another_text_or_label_is_another_version():
    versions = {
        make_question("q", text, passing, failing).version
        for text, passing, failing in ((None, None, None), ("Good?", None, None), (None, ["yes"], ["no"]))
    }
    assert len(versions) == 3


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        (("a b", "t", ("x",), ("y",)), "--question"),
        (("q", " ", ("x",), ("y",)), "--ask"),
        (("q", "t", (), ("y",)), "at least one label of each"),
        (("q", "t", ("x",), ("x",)), "named twice"),
        (("q", "t", tuple("abcdefgh"), tuple("ij")), "only 9 have a digit"),
        (("q", "t", ("cannot tell",), ("y",)), "which is 0"),
        (("q", "t", ("a\u202eb",), ("y",)), "visible characters"),
    ],
)
def test_an_invalid_question_names_its_option(values, fault):
    with pytest.raises(InvalidQuestion, match=fault):
        Question(*values)


def test_a_sample_is_read_as_it_was_written_and_a_changed_one_is_refused():
    lines = list(SAMPLE.lines())
    assert read_sample(lines) == SAMPLE
    for wrong in ([], ["{}"], lines[:-1], [*lines, lines[1]], ["x"], [lines[0], "[]"]):
        with pytest.raises(InvalidSample):
            read_sample(wrong)


def test_the_page_has_no_text_that_could_end_its_data_and_neither_verdict_nor_model():
    hostile = "</script><script>alert(1)</script><!--"
    given = Answer("r", "", {"service": hostile, "feature": "f", "model": "secret-model"}, {}, 1.0, 1.0,
                   hostile, hostile, hostile, {"verdict": "secret-verdict"}, 1.0)  # fmt: skip
    page = render(Sample(QUESTION, ("verdict",), "", (given,)))
    assert page.count("</script>") == 2
    assert "<!--" not in page
    assert "secret" not in page
    assert "default-src 'none'" in page
    assert "http" not in page.replace("http-equiv", "")
