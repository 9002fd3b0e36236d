"""Code of answers is parsed within bounds, and never run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.evaluators.code import MOST_CHARS, fenced_blocks, python_fault
from monitor.evaluators.suite import Suite
from monitor.evaluators.verdict import State


def verdict(response, output, **parameters):
    suite = Suite.from_settings([{"code": parameters}])
    return dict(zip(suite.names, suite.judge(response(output=output)), strict=True))["code"]


@pytest.mark.parametrize(
    "code",
    ["(" * 41, "x = " + "[" * 200 + "]" * 200, "not " * 5000 + "x", "-" * 9000 + "1", "lambda:" * 900 + "1",
     "await " * 50 + "x", "x" * (MOST_CHARS + 1), "\n".join(" " * n + "if a:" for n in range(60))],
)  # fmt: skip
def test_code_beyond_the_bounds_is_skipped_and_not_parsed(response, code):
    assert verdict(response, f"```python\n{code}\n```").state == State.SKIPPED


def test_an_answer_without_code_and_a_fence_without_end_fail_only_where_configured(response):
    assert verdict(response, "No code.").state == State.SKIPPED
    assert verdict(response, "No code.", required=True).reason == "no Python"
    cut = "```python\nx = 1"
    assert verdict(response, cut).state == State.PASSED
    assert verdict(response, cut, closed=True).reason == "a code fence has no end"


def test_code_is_not_run(response, tmp_path):
    file = tmp_path / "ran"
    assert verdict(response, f"```python\nopen({str(file)!r}, 'w')\n```").state == State.PASSED
    assert not file.exists()


def test_a_null_byte_is_a_fault_and_an_invalid_escape_is_none():
    assert python_fault("a\x00b") is not None
    assert python_fault(r"pattern = '\d+'") is None


@given(st.text("`~ \nab{py}", max_size=80))
def test_each_line_of_a_text_is_in_one_block_at_most(text):
    blocks = [content for _, content, _ in fenced_blocks(text)]
    assert sum(content.count("\n") + 1 for content in blocks if content) <= text.count("\n") + 1
