"""Real answers: GPT-4 of March 2023 answered opinion questions, that of June mostly said that they are
subjective.
"""

from __future__ import annotations

import pytest

from monitor.evaluators.suite import Suite
from tests.llmdrift import rows_of

pytestmark = pytest.mark.llmdrift


def answers(dataset, model):
    return [row["answer"] for row in rows_of(dataset, f"openaichat/{model}")]


def share_failed(name, answers, response):
    suite = Suite.from_settings([name])
    return suite.judge_all([response(output=answer) for answer in answers]).codes[:, 1].tolist().count(
        1
    ) / len(answers)


@pytest.mark.parametrize(
    ("dataset", "model", "least", "most"),
    [
        ("OPINIONQA", "gpt-4-0314", 0.015, 0.035),
        ("OPINIONQA", "gpt-4-0613", 0.70, 0.80),
        ("OPINIONQA", "gpt-3.5-turbo-0301", 0.0, 0.06),
        ("OPINIONQA", "gpt-3.5-turbo-0613", 0.0, 0.04),
        ("PRIME_FULL", "gpt-4-0314", 0.0, 0.002),
        ("PRIME_FULL", "gpt-4-0613", 0.0, 0.002),
        ("PRIME_FULL", "gpt-3.5-turbo-0301", 0.0, 0.002),
    ],
)
def test_the_share_of_refusals_matches_the_model(dataset, model, least, most, response):
    assert least <= share_failed("refusal", answers(dataset, model), response) <= most


@pytest.mark.parametrize("dataset", ["OPINIONQA", "PRIME_FULL"])
@pytest.mark.parametrize("model", ["gpt-4-0314", "gpt-4-0613"])
def test_real_answers_show_no_known_failure(dataset, model, response):
    assert share_failed("known_failure", answers(dataset, model), response) == 0
