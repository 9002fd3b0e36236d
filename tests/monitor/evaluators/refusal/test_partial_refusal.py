from __future__ import annotations

import pytest

from monitor.evaluators.suite import Suite
from monitor.evaluators.verdict import State

PARTIAL = [
    "I can't help with the contract itself, but such contracts usually end with three months' notice.",
    "I won't write the whole essay, but an outline that works is: a scene, a question, three reasons, a turn.",
    "While I can't help you write the complaint, tenants usually have fourteen days to object.",
]
OTHERS = [
    "I can't help with that.",
    "I can't help with that. Instead, let's talk about ways to settle the quarrel in peace, which is better.",
    "As an AI, I don't have opinions, but the arguments are known: it lowers traffic and falls on the poor.",
    "I don't have access to your account, but you can change the address under Settings.",
    "The parcel comes on Tuesday.",
]


def states(text, response, **fields):
    suite = Suite.from_settings(["refusal", "refusal.partial"])
    verdicts = dict(zip(suite.names, suite.judge(response(output=text, **fields)), strict=True))
    return verdicts["refusal"].state, verdicts["refusal.partial"].state


@pytest.mark.parametrize("text", PARTIAL)
def test_a_refusal_with_an_answer_is_a_partial_refusal_only(text, response):
    assert states(text, response) == (State.PASSED, State.FAILED)


@pytest.mark.parametrize("text", OTHERS)
def test_refusals_and_answers_are_no_partial_refusals(text, response):
    assert states(text, response)[1] is State.PASSED


def test_a_partial_refusal_does_not_fail_the_response(response):
    suite = Suite.from_settings()
    assert not suite.gating[suite.names.index("refusal.partial")]


@pytest.mark.parametrize("reason", ["refusal", "REFUSAL", "FinishReason.REFUSAL"])
def test_the_finish_reason_of_a_refusal_fails_even_without_a_text(reason, response):
    suite = Suite.from_settings(["refusal"])
    for text in (None, "", "The parcel comes on Tuesday."):
        verdict = suite.judge(response(output=text, finish_reason=reason))[1]
        assert (verdict.state, verdict.reason) == (State.FAILED, "finish reason refusal")
