"""The examples of docs/judges.md run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from monitor.__main__ import main
from monitor.config_check import load_checked_config
from schemas.config.load import InvalidConfig
from schemas.event_decoder import decode

PAGE = (Path(__file__).parents[3] / "docs" / "judges.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(?:yaml)?\n(.*?)```", PAGE, re.DOTALL)


def test_the_configuration_of_the_page_is_valid(tmp_path):
    softfail, rubric, anchors = BLOCKS[:3]
    (tmp_path / "softfail.yaml").write_text(softfail)
    (tmp_path / "grounded.yaml").write_text(rubric)
    (tmp_path / "anchors.ndjson").write_text(anchors)
    (judge,) = load_checked_config(tmp_path / "softfail.yaml").judges
    assert [anchor.passed for anchor in judge.anchors] == [True, False]
    assert judge.label_evaluator == "human:grounded"


def test_the_label_of_the_page_is_an_event():
    (label,) = (block for block in BLOCKS if "human:grounded" in block)
    assert decode(label.strip().encode()).evaluator == "human:grounded"


def test_check_knows_the_metrics_of_judges(tmp_path, capsys):
    softfail, rubric, anchors = BLOCKS[:3]
    (tmp_path / "softfail.yaml").write_text(
        softfail.replace("grounded\n", "refusals\n", 1).replace("evaluator.grounded.", "evaluator.refusals.")
    )
    (tmp_path / "grounded.yaml").write_text(rubric)
    (tmp_path / "anchors.ndjson").write_text(anchors)
    assert main(["check", str(tmp_path / "softfail.yaml")]) == 0
    assert "note" not in capsys.readouterr().out


def test_a_judge_with_the_name_of_an_evaluator_is_refused(tmp_path):
    softfail, rubric, anchors = BLOCKS[:3]
    (tmp_path / "softfail.yaml").write_text(softfail.replace("name: grounded", "name: refusal", 1))
    (tmp_path / "grounded.yaml").write_text(rubric)
    (tmp_path / "anchors.ndjson").write_text(anchors)
    with pytest.raises(InvalidConfig, match=r"judges\[0\].name: 'refusal' is an evaluator of workers"):
        load_checked_config(tmp_path / "softfail.yaml")
