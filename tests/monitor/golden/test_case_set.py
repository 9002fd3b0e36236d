from __future__ import annotations

import json
import re

import pytest

from monitor.golden.case_set import MAX_FAULTS, case_digest, make_case, read_case, read_set, set_digest


def line(**fields: object) -> bytes:
    return json.dumps({"id": "a", "input": "Hi", **fields}).encode()


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"{", "not JSON: Input data was truncated; write one JSON object a line"),
        (b"[1]", 'not an object; write one like {"id": "a", "input": "..."}'),
        (b'{"input": "Hi"}', "id: is missing; add it"),
        (b'{"id": "a"}', 'input: write a text, a list of messages {"role", "content"}, or an object'),
        (line(input=3), 'input: write a text, a list of messages {"role", "content"}, or an object'),
        (line(must_pass="yes"), "must_pass: must be true or false"),
        (line(mustpass=True), "mustpass: no such field; did you mean 'must_pass'?"),
        (line(evaluators=["refusl"]), "evaluators: evaluator 'refusl' is unknown; did you mean 'refusal'?"),
        (
            line(checks=[{"type": "contans", "value": "x"}]),
            "checks[0].type: no such check; did you mean 'contains'?",
        ),
        (line(checks=[{"type": "contains"}]), "checks[0].value: write a text"),
        (line(checks=[{"type": "regex", "value": "(?=a)"}]), "checks[0].value: invalid perl operator"),
        (line(checks=[{"type": "latency_s"}]), "checks[0].threshold: is missing"),
        (line(checks=[{"type": "any_of"}]), "checks[0].checks: is empty"),
        (line(threshold=2), "threshold: must be at most 1"),
        (line(feature="answer"), "feature: write service/feature"),
    ],
)
def test_a_line_that_is_no_case_gives_one_message_with_field_and_remedy(raw: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        read_case(raw)


def test_faulty_lines_leave_the_others_and_keep_their_numbers() -> None:
    read = read_set([line(), b"", b"{", line(id="b"), line(id="a")])
    assert [case.id for case in read.cases] == ["a", "b"]
    assert [number for number, _ in read.faults] == [3, 5]
    assert read.faults[1][1] == "id: 'a' is also the id of line 1; rename one"


def test_reading_ends_after_many_faults_and_refuses_a_huge_line() -> None:
    read = read_set([b"{"] * 200)
    assert len(read.faults) == MAX_FAULTS + 1
    assert "at most 1,048,576" in read_set([line(input="x" * 1_100_000)]).faults[0][1]


def test_the_digest_changes_with_what_decides_a_verdict_and_with_nothing_else() -> None:
    case = make_case({"id": "a", "input": "Hi"})
    assert case_digest(case) == case_digest(
        make_case({"id": "a", "input": "Hi", "tags": ["x"], "note": "n", "must_pass": True})
    )
    assert case_digest(case) != case_digest(make_case({"id": "a", "input": "Ho"}))
    other = make_case({"id": "b", "input": "Hi"})
    candidate = make_case({"id": "c", "input": "Hi", "status": "candidate"})
    assert set_digest([case, other]) == set_digest([other, candidate, case]) != set_digest([case])
