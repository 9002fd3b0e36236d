"""The examples of docs/judges.md run."""

from __future__ import annotations

import re
from pathlib import Path

from monitor.config_check import load_checked_config
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
