from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.evaluators.verdict import State
from monitor.golden.expression import program
from monitor.golden.expression_checks import check_expression, expression_fault
from schemas.golden import Check


def verdict(code: str, output: str = "", threshold: float | None = None, **variables: object) -> State:
    value = {"code": code, "vars": variables} if variables else code
    assert not expression_fault(value)
    return check_expression(Check(type="expression", value=value, threshold=threshold), output).state


@pytest.mark.parametrize(
    ("code", "passing", "failing"),
    [
        ("output.length < 5", "four", "fives"),
        ("output.toLowerCase().includes('bonjour')", "BONJOUR le monde", "Hello"),
        ("output.trim().split(/\\s+/).length <= 3;", " a  b c ", "a b c d"),
        ("JSON.parse(output).color === 'red' && JSON.parse(output).n.includes(2)", '{"color":"red","n":[1,2]}', '{"color":"red"}'),
        ("/^\\d{4}-\\d\\d$/.test(output)", "2026-11", "26-11"),
        ("!/sorry/i.test(output)", "fine", "Sorry"),
        ("['a', 'b'].some(word => output.includes(word))", "xbx", "xyz"),
        ("['a', 'b'].every((word) => output.includes(word))", "ab", "a"),
        ("Math.max(0, Math.min(1, 1 - (output.length - 100) / 900))", "x" * 999, "x" * 1000),
        ("(output.match(/\\n- /g) || []).length === 2", "x\n- a\n- b", "x\n- a"),
        ("output.startsWith('A') ? output.endsWith('z') : output === `b${1 + 1}`", "b2", "Ab"),
        ("typeof JSON.parse(output)?.a?.b === 'string'", '{"a":{"b":"x"}}', '{"a":1}'),
        ("({pass: output == '3', score: 1, reason: 'counted'})", "3", "4"),
        (
            "// several lines\nconst data = JSON.parse(output);\nconst total = data.items.filter(i => i.n > 1).length;\n"
            "if (total === 0) { return false; }\nelse if (total > 1) return { pass: true, score: 1 };\nreturn total == 1;",
            '{"items":[{"n":2}]}',
            '{"items":[{"n":1}]}',
        ),
        ("try {\n const x = JSON.parse(output);\n return Array.isArray(x);\n} catch (e) {\n return false;\n}", "[]", "no"),
        ("Object.keys(JSON.parse(output)).length >= 2", '{"a":1,"b":2}', "{}"),
        ("output.replace(/[^a-z]/g, '') === 'abc'", "a-b-c!", "ab"),
        ("Number(output) > 0.5", "0.7", "none"),
        ("output.replace(/(b)/g, '<$1>') === 'a<b>' && output.substring(2, 1) === 'b'", "ab", "ac"),
        ("const long = text => text.length > 3;\nreturn long(output)", "four", "two"),
    ],
)  # fmt: skip
def test_what_expectations_use_is_evaluated_as_javascript_does(code: str, passing: str, failing: str) -> None:
    assert verdict(code, passing) is State.PASSED
    assert verdict(code, failing) is State.FAILED


def test_variables_of_the_case_and_a_threshold_are_read() -> None:
    assert verdict("output === context.vars.name", "Ann", name="Ann") is State.PASSED
    assert verdict("output.length / 10", "12345", 0.6) is State.FAILED
    assert verdict("output.length / 10", "1234567", 0.6) is State.PASSED


def test_an_answer_in_json_can_be_read_without_parsing_as_from_a_provider_of_structured_output() -> None:
    code = "output.tags.some(tag => tag.name === 'x') && output.length > 5"
    assert verdict(code, '{"tags": [{"name": "x"}]}') is State.PASSED
    assert verdict("output[0].name === 'x'", '[{"name": "x"}]') is State.PASSED
    assert verdict("output.a === 1", "no JSON") is State.FAILED


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("require('fs')", "uses require"),
        ("process.exit()", "uses process"),
        ("fetch('http://x')", "uses fetch"),
        ("for (const x of y) {}", "uses for"),
        ("output.constructor.constructor('x')()", "calls constructor"),
        ("output.__proto__.polluted()", "calls polluted"),
        ("async () => 1", "uses async"),
        ("output.length <", "ends too early"),
        ("/(?=a)/.test(output)", "invalid perl operator"),
        ("const x = 1;\nx;", "returns nothing"),
        ("(" * 100 + "1" + ")" * 100, "nested too deeply"),
        ("output.length < 5 # no", "has '#'"),
        ("", "write an expression"),
    ],
)
def test_what_is_not_supported_is_refused_by_name_before_a_run(code: str, message: str) -> None:
    assert message in expression_fault(code)


def test_what_throws_or_takes_too_long_fails() -> None:
    assert verdict("JSON.parse(output).a.b.c", "{}") is State.FAILED
    assert verdict("JSON.parse(output)", "no JSON") is State.FAILED
    squares = "output.split('').map(a => output.split('').map(b => a + b).length).length > 0"
    assert verdict(squares, "x" * 5000) is State.FAILED


@given(st.text("output.length <>=!&|()[]{}'\"/`$1a,;:?\\\n", max_size=60))
def test_any_text_is_code_or_has_a_fault(code: str) -> None:
    fault = expression_fault(code)
    if not fault:
        assert program(code)
        check_expression(Check(type="expression", value=code), "answer")
