"""Precision and recall of the evaluators that run only where configured, on labelled examples."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from monitor.evaluators import EVALUATORS
from monitor.evaluators.suite import Suite
from monitor.evaluators.verdict import State

FOLDER = Path(__file__).parent / "examples"
FILES = sorted(FOLDER.glob("*.ndjson"))
STATES = {True: State.FAILED, False: State.PASSED, None: State.SKIPPED}


def judged(path, response):
    """Yield each example with the verdict on it."""
    suites = {}
    for line in path.read_text("utf-8").splitlines():
        fields = json.loads(line)
        fails, parameters = fields.pop("fails"), fields.pop("parameters", {})
        key = json.dumps(parameters)
        suite = suites.get(key) or suites.setdefault(key, Suite.from_settings([{path.stem: parameters}]))
        verdict = dict(zip(suite.names, suite.judge(response(**fields)), strict=True))[path.stem]
        yield fields, fails, verdict


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_documented_precision_and_recall_are_those_on_the_labelled_examples(path, response):
    rows = list(judged(path, response))
    assert len(rows) >= 200
    found = [fails for _, fails, verdict in rows if verdict.state == State.FAILED]
    missed = sum(fails is True and verdict.state != State.FAILED for _, fails, verdict in rows)
    right = sum(fails is True for fails in found)
    precision, recall = right / len(found), right / (right + missed)
    measured = f"On {len(rows)} labelled examples: precision {precision:.2f}, recall {recall:.2f}."
    assert measured in " ".join((EVALUATORS[path.stem].__doc__ or "").split())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_evaluator_raises_on_an_example_and_few_are_skipped_that_should_not_be(path, response):
    rows = list(judged(path, response))
    assert not [verdict for _, _, verdict in rows if verdict.state == State.ERROR]
    skipped = sum(fails is not None and verdict.state == State.SKIPPED for _, fails, verdict in rows)
    assert skipped <= 0.05 * len(rows)
