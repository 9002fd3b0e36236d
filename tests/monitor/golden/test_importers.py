from __future__ import annotations

from typing import Any

import pytest
import yaml

from monitor.golden.case_set import read_case
from monitor.golden.importers import FORMATS
from monitor.golden.importers.imported import Imported
from monitor.golden.importers.promptfoo_assertions import _PLAIN, _RUBRICS


def load(form: str, tree: Any, files: dict[str, str] | None = None) -> Imported:
    def read(name: str) -> str:
        if name not in (files or {}):
            raise ValueError("cannot be read: No such file")
        return (files or {})[name]

    imported = FORMATS[form](yaml.safe_load(tree) if isinstance(tree, str) else tree, "set", read)
    for case in imported.cases:
        assert read_case(case.model_dump_json(exclude_defaults=True).encode()) == case
    return imported


def test_prompts_times_tests_times_choices_become_cases_with_filled_in_templates() -> None:
    imported = load(
        "promptfoo",
        """
        prompts: ['Say {{word}} to {{ who }}', file://chat.json]
        defaultTest: {vars: {who: Ann}, assert: [{type: cost, threshold: 0.01}]}
        tests:
          - vars: {word: [hi, bye]}
            description: greets
            assert: [{type: not-icontains, value: '{{who}}'}]
        """,
        {"chat.json": '[{"role": "user", "content": "{{word}}"}]'},
    )
    assert imported.cases[0].input == "Say hi to Ann"
    assert len(imported.cases) == 4
    assert imported.cases[1].model_dump()["input"] == ({"role": "user", "content": "hi"},)
    assert [(c.type, c.value, c.negate) for c in imported.cases[0].checks] == [
        ("cost_usd", None, False),
        ("icontains", "Ann", True),
    ]
    assert (imported.checks, imported.mapped, imported.notes) == (8, 8, [])


@pytest.mark.parametrize("kind", sorted({*_PLAIN, *_RUBRICS, "latency", "cost", "assert-set", "javascript"}))
@pytest.mark.parametrize("negated", [False, True])
def test_each_assertion_type_that_is_mapped_makes_a_check(kind: str, negated: bool) -> None:
    values: dict[str, Any] = {
        "is-json": {"type": "object"},
        "contains-json": None,
        "contains-any": "a, b",
        "icontains-all": ["a"],
        "word-count": {"min": 1},
        "javascript": "output.length > 1",
    }
    assertion: dict[str, Any] = {"type": f"not-{kind}" if negated else kind, "value": values.get(kind, "a")}
    if kind in ("is-xml", "contains-xml", "is-html", "contains-html", "is-refusal", "latency", "cost"):
        del assertion["value"]
    if kind in ("latency", "cost"):
        assertion["threshold"] = 1000
    if kind == "assert-set":
        assertion["type"] = kind  # there is no not-assert-set
        assertion["assert"] = [{"type": "equals", "value": 3}]
    imported = load("promptfoo", {"prompts": ["p"], "tests": [{"assert": [assertion]}]})
    assert imported.notes == []
    (check,) = imported.cases[0].checks
    assert check.negate is (negated and kind != "assert-set")


@pytest.mark.parametrize(
    ("assertion", "note"),
    [
        ({"type": "similar", "value": "x"}, "similar: needs an embedding model"),
        ({"type": "python", "value": "len(output)"}, "python: runs code"),
        ({"type": "javascript", "value": "file://check.js"}, "check.js is code"),
        ({"type": "javascript", "value": "fetch(output)"}, "javascript: the expression uses fetch"),
        ({"type": "no-such-thing"}, "no-such-thing: there is no such check"),
        (
            {"type": "contains", "value": "x", "transform": "fetch(output)"},
            "contains: transform: the expression uses",
        ),
        (
            {"type": "context-recall", "value": "x", "contextTransform": "output"},
            "context-recall: contextTransform",
        ),
        (
            {"type": "llm-rubric", "value": "x", "rubricPrompt": "y"},
            "llm-rubric: has a grading prompt of its own",
        ),
        ({"type": "latency"}, "latency: has no threshold"),
        ({"type": "contains", "value": "{{ a | upper }}"}, "contains: the template {{ a | upper }}"),
        ({"type": "regex", "value": "a(?=b)"}, "regex: value: invalid perl operator"),
        ({"type": "is-json", "value": "file://none.json"}, "is-json: cannot be read"),
        ({"type": "assert-set", "assert": [{"type": "similar"}, {"type": "is-json"}]}, "assert-set: a part"),
        ({"value": "x"}, "an assertion without a type"),
    ],
)
def test_what_cannot_be_mapped_is_named_in_a_note_and_in_the_case(
    assertion: dict[str, Any], note: str
) -> None:
    tree = {"prompts": ["p"], "tests": [{"assert": [assertion, {"type": "contains", "value": "ok"}]}]}
    imported = load("promptfoo", tree)
    assert any(text.startswith(note) or note in text for _, text in imported.notes)
    assert (imported.checks, imported.mapped) == (2, 1)
    assert any(note in text for text in imported.cases[0].origin.not_imported)


def test_a_case_whose_expectations_are_all_unmapped_is_a_candidate() -> None:
    imported = load(
        "promptfoo", {"prompts": ["p"], "tests": [{"assert": [{"type": "similar", "value": "x"}]}]}
    )
    assert imported.cases[0].status == "candidate"


def test_references_scenarios_csv_and_compact_assertions_are_read() -> None:
    imported = load(
        "promptfoo",
        """
        prompts: ['{{q}}']
        tests: [file://cases.csv, {vars: {q: x}, assert: [{$ref: '#/assertionTemplates/short'}]}]
        scenarios:
          - config: [{vars: {q: one}}, {vars: {q: two}}]
            tests: [{assert: [{type: contains, value: '{{q}}'}]}]
        assertionTemplates: {short: {type: word-count, value: {max: 5}}}
        """,
        {
            "cases.csv": 'q,__expected,__expected2\nwhy,"contains-any: a, b","fn:output.length > 3"\nwho,grade: polite,Bob\n'
        },
    )
    assert imported.notes == []
    assert [[check.type for check in case.checks] for case in imported.cases] == [
        ["contains_any", "expression"],
        ["rubric", "equals"],
        ["word_count"],
        ["contains"],
        ["contains"],
    ]


def test_transforms_of_a_test_and_of_an_assertion_are_kept_and_both_at_once_are_named() -> None:
    transform = {"transform": "JSON.parse(output)"}
    tests = [
        {
            "options": transform,
            "assert": [{"type": "is-json"}, {"type": "equals", "value": "a", "transform": "output.a"}],
        },
        {"assert": [{"type": "equals", "value": "a", "transform": "output.a"}]},
    ]
    imported = load("promptfoo", {"prompts": ["p"], "tests": tests})
    assert (imported.checks, imported.mapped) == (3, 2)
    assert [case.checks[0].transform for case in imported.cases] == ["JSON.parse(output)", "output.a"]
    assert "transforms of the test and of the assertion" in imported.notes[0][1]


@pytest.mark.parametrize(
    ("form", "tree", "expected"),
    [
        (
            "openai-evals",
            [{"input": [{"role": "user", "content": "2+2"}], "ideal": ["4", "four"]}],
            {"reference": "4", "checks": ["contains_any"]},
        ),
        (
            "langfuse",
            {"data": [{"id": "i1", "status": "ACTIVE", "input": {"question": "q"}, "expectedOutput": "a", "sourceTraceId": "t"}]},
            {"id": "i1", "input": "q", "reference": "a"},
        ),
        (
            "langsmith",
            [{"id": "e1", "inputs": {"x": 1, "y": 2}, "outputs": {"answer": "a"}, "split": "test"}],
            {"input": {"x": 1, "y": 2}, "reference": "a", "tags": ("test",)},
        ),
        (
            "deepeval",
            [{"input": "q", "expected_output": "a", "retrieval_context": ["c1", "c2"]}],
            {"reference": "a", "context": "c1\n\nc2"},
        ),
        ("braintrust", [{"id": "b", "input": "q", "expected": {"k": 1}, "tags": ["x"]}], {"reference": '{"k": 1}', "tags": ("x",)}),
        (
            "inspect",
            [{"id": 3, "input": "Which?", "choices": ["red", "blue"], "target": "A"}],
            {"id": "3", "input": "Which?\n\nA) red\nB) blue", "checks": ["icontains_any"]},
        ),
    ],
)  # fmt: skip
def test_data_sets_of_other_tools_become_cases(form: str, tree: Any, expected: dict[str, Any]) -> None:
    (case,) = load(form, tree).cases
    for name, value in expected.items():
        found = [check.type for check in case.checks] if name == "checks" else getattr(case, name)
        assert found == value


@pytest.mark.parametrize(
    ("form", "tree", "note"),
    [
        ("langfuse", [{"id": "x", "status": "ARCHIVED", "input": "q"}], "archived"),
        ("deepeval", [{"scenario": "s", "turns": []}], "a conversation"),
        ("deepeval", [{"input": "q", "expected_tools": ["t"]}], "expected_tools"),
        ("inspect", [{"input": "q", "files": {"a": "b"}}], "files, setup"),
        ("openai-evals", [{"input": "q", "ideal": {"a": 1}}], "ideal: is no text"),
        ("braintrust", [3], "not an object"),
        ("langsmith", [{"inputs": 3}], "no case: input"),
    ],
)
def test_what_a_data_set_has_beyond_is_noted(form: str, tree: Any, note: str) -> None:
    assert any(note in text for _, text in load(form, tree).notes)


@pytest.mark.parametrize("form", sorted(FORMATS))
@pytest.mark.parametrize(
    "tree",
    [None, 3, "text", [], {}, [[]], {"tests": 3, "prompts": 4}, {"prompts": [None], "tests": [3, None]}],
)
def test_any_tree_is_read_without_an_exception(form: str, tree: Any) -> None:
    def refuse(name: str) -> str:
        raise ValueError("cannot be read")

    assert FORMATS[form](tree, "set", refuse).cases in ([], FORMATS[form](tree, "set", refuse).cases)
