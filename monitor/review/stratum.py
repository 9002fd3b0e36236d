"""The stratum of an answer: verdict, feature, version and language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from monitor.evaluators.suite import Suite
from monitor.evaluators.verdict import State, Verdict
from monitor.languages.language_detection import detect_language
from monitor.review.stratified_sample import FAILED, FEATURE, LANGUAGE, VERDICT, VERSION

PASSED, NOT_JUDGED = "passed", "not judged"
OutsideVerdicts = Mapping[tuple[str, str, str], bool]
"""Service, feature and id of a response -> whether an evaluator outside of softfail passed it."""


def stratum_of(
    event: Any,
    suite: Suite,
    verdicts: Sequence[Verdict],
    evaluator: str | None = None,
    outside: OutsideVerdicts | None = None,
) -> dict[str, str] | None:
    """Return value by dimension of ``STRATA``.

    Args:
        event: a decoded response with an output.
        suite: of its feature.
        verdicts: of the suite, in its order.
        evaluator: whose verdict counts; None: whether the response passed.
        outside: verdicts of this evaluator, if it is none of softfail's.

    Returns:
        The stratum; None if the evaluator that counts gave no verdict.
    """
    verdict = _verdict(event, suite, verdicts, evaluator, outside)
    if verdict == NOT_JUDGED and evaluator is not None:
        return None
    return {
        VERDICT: verdict,
        FEATURE: f"{event.service}/{event.feature}",
        VERSION: " ".join(filter(None, (event.response_model or event.model, event.prompt_version))),
        LANGUAGE: detect_language(event.output) or "",
    }


def _verdict(
    event: Any,
    suite: Suite,
    verdicts: Sequence[Verdict],
    evaluator: str | None,
    outside: OutsideVerdicts | None,
) -> str:
    if outside is not None:
        passed = outside.get((event.service, event.feature, event.event_id))
        return NOT_JUDGED if passed is None else PASSED if passed else FAILED
    if evaluator is None:
        states = {verdict.state for verdict, gates in zip(verdicts, suite.gating, strict=True) if gates}
    else:
        states = {
            verdict.state for verdict, name in zip(verdicts, suite.names, strict=True) if name == evaluator
        }
    return FAILED if State.FAILED in states else PASSED if State.PASSED in states else NOT_JUDGED
