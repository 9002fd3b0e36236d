"""Judge an answer to a case: with the evaluators of production, then with the checks of the case."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from monitor.evaluators.suite import Suite, suite_for
from monitor.evaluators.user_evaluator import requests_of
from monitor.evaluators.verdict import State
from monitor.golden import checks
from monitor.golden.case_set import digest_of
from monitor.golden.checks import Answer, judge_checks
from monitor.normal_form.response import normal_form
from schemas.event_decoder import InvalidEvent, read_event
from schemas.golden import Check, GoldenCase
from softfail.events import KINDS
from softfail.redact import redact

ANSWER_FIELDS = frozenset(KINDS["response"].model_fields) - {
    "kind",
    "event_id",
    "time",
    "service",
    "feature",
    "environment",
    "input",
    "context",
    "sample_probability",
    "base_probability",
    "content_probability",
    "schema_version",
}
"""Fields of a response event that an answer of a target may have."""
REASON_CHARS = 400


class CaseVerdict(NamedTuple):
    """The verdict on an answer. ``passed``: None if it cannot be decided. ``failed``, ``undecided``: name -> reason."""

    passed: bool | None
    failed: dict[str, str]
    undecided: dict[str, str]


class Grades(NamedTuple):
    """What a judge says about an answer.

    ``rubrics``: rubric of a check -> (whether the answer meets it, reason). ``failed``, ``undecided``: name of the
    judge -> reason, as of an evaluator. ``cost_usd``: of its calls.
    """

    rubrics: dict[str, tuple[bool, str]] = {}
    failed: dict[str, str] = {}
    undecided: dict[str, str] = {}
    cost_usd: float = 0.0


def suite_of(case: GoldenCase, config: Any) -> Suite:
    """Return the evaluators of a case: its own, else those of its feature, else the default ones.

    Raises:
        ValueError: one of them cannot be used.
    """
    if case.evaluators is not None:
        return Suite.from_settings(list(case.evaluators))
    if not case.feature or config is None:
        return suite_for(None, "", "")
    return suite_for(config, *case.feature.split("/", 1))


def evaluator_digest(
    cases: Sequence[GoldenCase], suites: Mapping[str, Suite], judge: str, *, grades_all: bool = False
) -> str:
    """Return a digest of all that judges: evaluators with their parameters, the checks, the judge.

    Args:
        cases: the active ones.
        suites: case id -> evaluators.
        judge: identity of the judge.
        grades_all: whether it grades answers to cases without a rubric, too; else it counts only if a case has one.
    """
    used = sorted({(version, gates) for suite in suites.values() for version, gates in _versions(suite)})
    is_asked = grades_all or any(rubrics_of(case.checks) for case in cases)
    return digest_of([used, checks.VERSION, judge if is_asked else ""])


def _versions(suite: Suite) -> zip[tuple[str, bool]]:
    return zip(suite.versions, suite.gating, strict=True)


def text_of(value: Any) -> str:
    """Return the input of a case as one text, as evaluators read it.

    >>> text_of({"city": "Graz"})
    '{"city": "Graz"}'
    """
    if isinstance(value, str):
        return value
    if isinstance(value, tuple):
        return "\n".join(
            part.content if isinstance(part.content, str) else json.dumps(part.content, ensure_ascii=False)
            for part in value
        )
    return json.dumps(value, ensure_ascii=False)


def response_event(case: GoldenCase, answer: Mapping[str, Any], time: str) -> Any:
    """Make the response event that production would have: the answer of a target to a case.

    Args:
        case: gives input, context and feature.
        answer: ``output`` and any of ``ANSWER_FIELDS``; others, and odd values of optional ones, are left out.
        time: RFC 3339.

    Raises:
        ValueError: a field has an impossible value.
    """
    service, _, feature = (case.feature or "golden/set").partition("/")
    fields = {name: value for name, value in answer.items() if name in ANSWER_FIELDS and value is not None}
    output = fields.pop("output", "")
    if not isinstance(output, str):
        output = json.dumps(output, ensure_ascii=False)
    tree = {
        "model": "target",
        **fields,
        "output": output[: checks.MAX_OUTPUT_CHARS],
        "kind": "response",
        "event_id": case.id,
        "time": time,
        "service": service,
        "feature": feature,
        "input": text_of(case.input),
        "context": case.context,
    }
    try:
        event, _ = read_event(json.dumps(tree).encode())
    except InvalidEvent as error:
        raise ValueError(f"the answer of the target cannot be used: {error}") from None
    return event


def rubrics_of(parts: Collection[Check]) -> list[str]:
    """Return the rubrics of checks and of the groups among them."""
    found = [check.value for check in parts if check.type == "rubric"]
    return found + [rubric for check in parts for rubric in rubrics_of(check.checks)]


def judge_answer(
    case: GoldenCase,
    suite: Suite,
    event: Any,
    grades: Grades | None = None,
    pool: Any = None,
) -> CaseVerdict:
    """Judge an answer.

    Args:
        case: with its checks.
        suite: its evaluators.
        event: as ``response_event`` makes it.
        grades: of a judge.
        pool: processes of the evaluators of users (``EvaluatorPool``), where the suite has some.

    A failure of an informative evaluator is no failure of the case. An evaluator that raises, and a check that
    cannot be decided, leave the verdict open unless another one failed.
    """
    normal = normal_form(event)
    if suite.users and pool is not None:
        given = pool.evaluate(requests_of(suite.users, normal))
        for evaluator in suite.users:
            evaluator.verdicts = given
    grades = grades or Grades()
    failed = {name: _reason(reason) for name, reason in grades.failed.items()}
    undecided = {name: _reason(reason) for name, reason in grades.undecided.items()}
    for name, gates, verdict in zip(suite.names, suite.gating, suite.judge(event), strict=True):
        if verdict.state is State.FAILED and gates:
            failed[name] = _reason(verdict.reason)
        elif verdict.state is State.ERROR and gates:
            undecided[name] = _reason(verdict.reason)
    if case.checks:
        _, whole = judge_checks(case.checks, Answer(normal, grades.rubrics), case.threshold)
        if whole.state is State.FAILED:
            failed["checks"] = _reason(whole.reason)
        elif whole.state is State.ERROR:
            undecided["checks"] = _reason(whole.reason)
    return CaseVerdict(False if failed else None if undecided else True, failed, undecided)


def _reason(text: str) -> str:
    return redact(text[: 2 * REASON_CHARS])[:REASON_CHARS]
