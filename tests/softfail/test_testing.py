"""``softfail.testing``, and the page that shows it: its examples run as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from monitor.backtest.event_files import FileRecord
from monitor.cli import check
from monitor.evaluators.user_evaluator import UserEvaluatorSettings
from monitor.watch import Watch
from schemas.config.load import load
from schemas.event_decoder import STRUCTS
from softfail.evaluator import FINISH_REASONS, ModelResponse
from softfail.testing import Case, check_evaluator
from tests.monitor.event_values import event
from tests.softfail import own_evaluators

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "own-evaluators.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```(python|yaml)\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files of the page."""
    for kind, text in EXAMPLES:
        named = re.match(r"# (\w+\.py)\n", text)
        (tmp_path / (named[1] if named else "softfail.yaml")).write_text(text)
        assert kind == ("python" if named else "yaml")
    return tmp_path


def test_the_tests_of_the_page_pass_where_only_the_sdk_is(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_checks.py"],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT / "sdk"), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_the_configuration_of_the_page_is_valid_and_its_evaluators_are_asked(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check.main([str(folder / "softfail.yaml")]) == 0
    assert "valid. Rules: " in capsys.readouterr().out
    watch = Watch(load(folder / "softfail.yaml", {}))
    records = [FileRecord(event(second, service="shop-bot")) for second in range(100)]
    assert {spec.use for spec, _ in watch.requests(records)} == {"checks:CitesSource", "checks:is_brief"}


def test_the_page_has_each_key_with_its_default() -> None:
    for name, field in UserEvaluatorSettings.model_fields.items():
        row = re.search(rf"\n\| `{name}` \| ([^|]*)\|", PAGE)
        assert row, name
        if name not in ("use", "name"):
            default = (
                "1s" if name == "timeout" else f"{field.default:g}" if field.default else str(field.default)
            )
            assert f"`{default}`" in row[1]


def test_a_response_has_only_fields_of_events() -> None:
    for field in fields(ModelResponse):
        assert field.name in STRUCTS["response"].__struct_fields__


def test_a_report_names_what_went_wrong_and_how_long_it_took() -> None:
    cases = [
        Case("passed", output="no"),
        Case("passed", output="[1]"),
        Case("failed", output="no", reason="[2]"),
    ]
    report = check_evaluator(own_evaluators.CitesSource, cases)
    assert [result.case for result in report.wrong] == [cases[0], cases[2]]
    assert "version 3: 3 cases, 2 wrong" in str(report)
    assert "got failed (no [1])" in str(report)
    assert 0 < report.slowest_s < 60


def test_parameters_and_errors_are_those_of_a_worker() -> None:
    report = check_evaluator(own_evaluators.CitesSource, [Case("passed", output="(1)")], {"mark": "("})
    assert not report.wrong
    report = check_evaluator(
        own_evaluators.by_text, [Case("error", output="die", reason="code 7")], timeout_s=10
    )
    assert not report.wrong
    with pytest.raises(ValueError, match="parameter 'marc' is unknown"):
        check_evaluator(own_evaluators.CitesSource, [], {"marc": "("})


def test_an_evaluator_that_breaks_always_is_not_cut_off() -> None:
    report = check_evaluator(own_evaluators.by_text, [Case("error", output="raise")] * 150)
    assert not report.wrong


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Case("good"), "write passed, failed, skipped or error"),
        (lambda: Case("passed", text="x"), "a response has no field 'text'"),
        (lambda: Case("passed", finish_reason="max_tokens"), f"one of {', '.join(FINISH_REASONS[1:])}"),
        (lambda: check_evaluator(lambda response: True, []), "not at the top level of a module"),
    ],
)
def test_a_case_that_no_worker_has_is_refused(make: Any, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        make()


def test_the_finish_reasons_are_those_of_the_normal_form() -> None:
    from monitor.normal_form.finish_reason import Finish

    assert sorted(FINISH_REASONS) == sorted(finish.value for finish in Finish)
