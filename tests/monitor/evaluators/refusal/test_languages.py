from __future__ import annotations

from pathlib import Path

import pytest

from monitor.evaluators.re2_patterns import Expression
from monitor.evaluators.refusal.clause_meaning import NON_ASCII_PATTERNS, TRIGGER_PATTERNS
from monitor.evaluators.refusal.evaluator import RefusalEvaluator, refusal
from monitor.evaluators.refusal.languages import LANGUAGES
from monitor.evaluators.suite import Suite


@pytest.mark.parametrize("code", LANGUAGES)
def test_the_examples_of_a_language_hold(code):
    language = LANGUAGES[code]
    suite = Suite.from_settings(["refusal"])
    assert [text for text in language.refused if refusal(text) is None or suite._match(text) is None] == []
    assert [text for text in language.answered if refusal(text)] == []


def test_patterns_beyond_ascii_have_no_alternative_in_ascii():
    page = (Path(__file__).parents[4] / "docs" / "operations.md").read_text()
    texts = [page.encode("ascii", "ignore").decode(), "no AI as well", "AI", ""]
    assert set(TRIGGER_PATTERNS) >= NON_ASCII_PATTERNS
    matched = [
        name
        for name in NON_ASCII_PATTERNS
        if any(Expression(RefusalEvaluator.patterns[name]).occurs(text) for text in texts)
    ]
    assert matched == []
