from __future__ import annotations

import pytest

from monitor.golden.run_record import AnswerRecord, Run, RunEnd, RunHeader, encode_line, mismatch, read_run

HEADER = RunHeader(
    set_name="s", set_digest="a", evaluator_digest="e", repeat=1, target="t", started="now", cases={"c": "1", "d": "2"}
)  # fmt: skip


def record(number: int, passed: bool | None, cost_usd: float | None = None) -> AnswerRecord:
    return AnswerRecord(case="c", number=number, passed=passed, cost_usd=cost_usd)


def test_what_is_written_is_read_and_a_half_line_is_left_out() -> None:
    lines = [
        encode_line(line) for line in (HEADER, record(1, False, 0.5), record(2, True), RunEnd(ended="later"))
    ]
    run, size = read_run(lines)
    assert (run.is_complete, run.count, run.failed, run.cost_usd) == (True, 2, 1, 0.5)
    assert size == len(b"".join(lines))
    run, size = read_run([*lines[:2], lines[2][:-5]])
    assert (run.is_complete, run.count, size) == (False, 1, len(lines[0] + lines[1]))


def test_a_later_answer_replaces_a_failed_attempt_and_the_sums_follow() -> None:
    run = Run(HEADER)
    for line in (record(1, None), record(2, True, 0.25), record(1, False, 0.5)):
        run.add(line)
    assert run.answers() == {"c": [False, True]}
    assert (run.count, run.failed, run.missing, run.cost_usd) == (2, 1, 0, 0.75)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "the file is empty"),
        ([b"{}\n"], "line 1: not a line of a run"),
        ([encode_line(RunEnd(ended="x"))], "line 1: not the header"),
        ([encode_line(HEADER), encode_line(HEADER)], "line 2: a second header"),
        ([encode_line(HEADER).replace(b'"format":1', b'"format":9')], "line 1: format 9"),
    ],
)
def test_a_file_that_is_no_run_is_refused_with_the_line(lines: list[bytes], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_run(lines)


def test_a_mismatch_names_the_cases_that_differ() -> None:
    other = RunHeader(
        **{
            **{name: getattr(HEADER, name) for name in HEADER.__struct_fields__},
            "set_digest": "b",
            "cases": {"c": "9", "x": "1"},
        }
    )
    assert "1 case added (d), 1 case removed (x), 1 case changed (c)" in mismatch(
        HEADER, other, "base.ndjson"
    )
    assert mismatch(HEADER, HEADER, "base.ndjson") == ""
