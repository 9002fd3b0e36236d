"""The checks of a case: by type, how its value is validated and how it judges an answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from monitor.evaluators.verdict import PASSED, State, Verdict, failed
from monitor.golden import structure_checks, text_checks
from monitor.golden.expression import evaluate
from monitor.golden.expression_checks import THREW, check_expression, expression_fault
from monitor.golden.expression_values import ExpressionFailure, to_json
from monitor.golden.text_checks import count_check, expression, fault_of_count, quoted
from schemas.golden import CHECK_TYPES, Check

VERSION = 1
"""Changes if a check judges an answer otherwise; it is part of the digest of the evaluators."""

MAX_OUTPUT_CHARS = 200_000
NO_JUDGE = "no judge was given"


class Answer(NamedTuple):
    """An answer as checks read it: the response event in normal form, and the verdicts of the judge.

    ``judged``: rubric -> (whether it passed, reason). ``value``: of a transform, in place of the output.
    """

    event: Any
    judged: Mapping[str, tuple[bool, str]] = {}
    value: Any = None

    @property
    def text(self) -> str:
        """The output, or the value of a transform as text, bounded."""
        if self.value is not None:
            text = self.value if isinstance(self.value, str) else json.dumps(to_json(self.value))
            return text[:MAX_OUTPUT_CHARS]
        return (self.event.output or "")[:MAX_OUTPUT_CHARS]


def _text_fault(value: Any) -> str:
    return "" if isinstance(value, str) and value else "write a text"


def _texts_fault(value: Any) -> str:
    right = isinstance(value, list | tuple) and value and all(isinstance(part, str) for part in value)
    return "" if right else "write a list of texts"


def _regex_fault(value: Any) -> str:
    if fault := _text_fault(value):
        return fault
    try:
        expression(value)
    except ValueError as error:
        return f"{error}; write an RE2 expression (without look-around and back references)"
    return ""


def _equals_fault(value: Any) -> str:
    return "write a text or a JSON value" if value is None else ""


def _schema_fault(value: Any) -> str:
    return "" if value is None else structure_checks.schema_fault(value)


def _none_fault(value: Any) -> str:
    return "" if value is None else "this check takes none; remove it"


def _check_refusal(check: Check, answer: Answer) -> Verdict:
    from monitor.evaluators import EVALUATORS

    verdict = EVALUATORS["refusal"]()(answer.event, ("moral", "encoded"))
    return PASSED if verdict.state is State.FAILED else failed("does not refuse")


def _check_finish(check: Check, answer: Answer) -> Verdict:
    finish = answer.event.finish_reason
    return PASSED if finish == check.value else failed(f"finish reason is {finish!r}, not {check.value!r}")


def _check_limit(field: str, unit: str) -> Callable[[Check, Answer], Verdict]:
    def check_limit(check: Check, answer: Answer) -> Verdict:
        number, most = getattr(answer.event, field), check.threshold or 0.0
        if number is None:
            return Verdict(State.ERROR, f"the answer has no {field}")
        return PASSED if number <= most else failed(f"{number:.3g} {unit} is more than {most:g}", number)

    return check_limit


def _check_rubric(check: Check, answer: Answer) -> Verdict:
    judged = answer.judged.get(check.value)
    if judged is None:
        return Verdict(State.ERROR, NO_JUDGE)
    return PASSED if judged[0] else failed(judged[1] or f"does not meet {quoted(check.value)}")


def _check_expression(check: Check, answer: Answer) -> Verdict:
    return check_expression(check, answer.text if answer.value is None else answer.value)


def _on_text(judge: Callable[[Check, str], Verdict]) -> Callable[[Check, Answer], Verdict]:
    return lambda check, answer: judge(check, answer.text)


class CheckKind(NamedTuple):
    """A type of check. ``fault``: why a value cannot be used; ``needs_threshold``: whether it must have one."""

    judge: Callable[[Check, Answer], Verdict]
    fault: Callable[[Any], str]
    needs_threshold: bool = False


CHECKS: dict[str, CheckKind] = {
    "equals": CheckKind(_on_text(text_checks.check_equals), _equals_fault),
    "contains": CheckKind(_on_text(text_checks.check_contains), _text_fault),
    "icontains": CheckKind(_on_text(text_checks.check_icontains), _text_fault),
    "contains_any": CheckKind(_on_text(text_checks.check_contains_any), _texts_fault),
    "contains_all": CheckKind(_on_text(text_checks.check_contains_all), _texts_fault),
    "icontains_any": CheckKind(_on_text(text_checks.check_icontains_any), _texts_fault),
    "icontains_all": CheckKind(_on_text(text_checks.check_icontains_all), _texts_fault),
    "starts_with": CheckKind(_on_text(text_checks.check_starts_with), _text_fault),
    "ends_with": CheckKind(_on_text(text_checks.check_ends_with), _text_fault),
    "regex": CheckKind(_on_text(text_checks.check_regex), _regex_fault),
    "is_json": CheckKind(_on_text(structure_checks.check_json), _schema_fault),
    "contains_json": CheckKind(_on_text(structure_checks.check_contains_json), _schema_fault),
    "is_xml": CheckKind(_on_text(structure_checks.check_xml), _none_fault),
    "contains_xml": CheckKind(_on_text(structure_checks.check_contains_xml), _none_fault),
    "is_html": CheckKind(_on_text(structure_checks.check_html), _none_fault),
    "contains_html": CheckKind(_on_text(structure_checks.check_contains_html), _none_fault),
    "levenshtein": CheckKind(_on_text(text_checks.check_levenshtein), _text_fault),
    "rouge_1": CheckKind(_on_text(text_checks.check_rouge_1), _text_fault),
    "word_count": CheckKind(_on_text(count_check(lambda text: len(text.split()), "words")), fault_of_count),
    "char_count": CheckKind(_on_text(count_check(len, "characters")), fault_of_count),
    "refusal": CheckKind(_check_refusal, _none_fault),
    "finish_reason": CheckKind(_check_finish, _text_fault),
    "latency_s": CheckKind(_check_limit("duration_s", "s"), _none_fault, needs_threshold=True),
    "cost_usd": CheckKind(_check_limit("cost_usd", "USD"), _none_fault, needs_threshold=True),
    "expression": CheckKind(_check_expression, expression_fault),
    "rubric": CheckKind(_check_rubric, _text_fault),
    "any_of": CheckKind(lambda check, answer: _judge_group(check, answer, least=0.0), _none_fault),
    "all_of": CheckKind(lambda check, answer: _judge_group(check, answer, least=None), _none_fault),
}
assert tuple(CHECKS) == CHECK_TYPES


def check_fault(check: Check, reference: str | None = None) -> str:
    """Return what is wrong with a check: field, fault and remedy; empty if it can be used.

    >>> check_fault(Check(type="regex", value="("))[:15]
    'value: missing '
    """
    kind = CHECKS[check.type]
    if fault := kind.fault(check.value):
        return f"value: {fault}"
    if check.transform is not None and (fault := expression_fault(check.transform)):
        return f"transform: {fault}"
    if kind.needs_threshold and check.threshold is None:
        return "threshold: is missing; add the greatest value allowed"
    if check.type in ("any_of", "all_of"):
        if not check.checks:
            return "checks: is empty; add a check"
        for index, part in enumerate(check.checks):
            if fault := check_fault(part, reference):
                return f"checks[{index}].{fault}"
    elif check.checks:
        return "checks: only any_of and all_of have checks; remove it"
    return ""


def judge_check(check: Check, answer: Answer) -> Verdict:
    """Judge an answer by one check; ``ERROR`` if it cannot be decided."""
    if check.transform is not None:
        try:
            answer = answer._replace(
                value=evaluate(check.transform, answer.text if answer.value is None else answer.value)
            )
        except ExpressionFailure as error:
            return failed(f"{THREW}{error}")
    verdict = CHECKS[check.type].judge(check, answer)
    if not check.negate or verdict.state is State.ERROR:
        return verdict
    if verdict.reason.startswith(THREW):
        return verdict  # as in promptfoo, an expression that throws fails, negated or not
    if verdict.state is State.FAILED:
        return PASSED
    shown = f" {quoted(str(check.value))}" if check.value is not None else ""
    return failed(f"must not be: {check.type}{shown}")


def judge_checks(
    checks: Sequence[Check], answer: Answer, threshold: float | None
) -> tuple[list[tuple[Check, Verdict]], Verdict]:
    """Judge all checks.

    Args:
        checks: of a case or group.
        answer: what they judge.
        threshold: least weighted share that must pass, [0, 1]; None: all must.

    Returns:
        The verdict of each check, and that of all together.
    """
    verdicts = [(check, judge_check(check, answer)) for check in checks]
    errors = [verdict for _, verdict in verdicts if verdict.state is State.ERROR]
    failures = [(check, verdict) for check, verdict in verdicts if verdict.state is State.FAILED]
    reasons = "; ".join(f"{check.type}: {verdict.reason}" for check, verdict in failures)
    if threshold is None:
        if failures:
            return verdicts, failed(reasons)
        return verdicts, errors[0] if errors else PASSED
    total = sum(check.weight for check in checks)
    passed = sum(check.weight for check, verdict in verdicts if verdict.state is State.PASSED)
    open_weight = sum(check.weight for check, verdict in verdicts if verdict.state is State.ERROR)
    score = passed / total if total else 1.0
    if score >= threshold:
        return verdicts, Verdict(State.PASSED, "", score)
    if total and (passed + open_weight) / total >= threshold:
        return verdicts, errors[0]
    return verdicts, failed(f"score {score:.2f} is below {threshold:g}: {reasons}", score)


def _judge_group(check: Check, answer: Answer, least: float | None) -> Verdict:
    if check.threshold is not None or least is None:
        return judge_checks(check.checks, answer, check.threshold)[1]
    verdicts = [judge_check(part, answer) for part in check.checks]
    if any(verdict.state is State.PASSED for verdict in verdicts):
        return PASSED
    errors = [verdict for verdict in verdicts if verdict.state is State.ERROR]
    return errors[0] if errors else failed("; ".join(verdict.reason for verdict in verdicts))
