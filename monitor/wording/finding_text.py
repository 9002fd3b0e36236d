"""Write one finding in English: metric, value, interval, and reference or threshold."""

from __future__ import annotations

from typing import Literal

from monitor.evaluators import EVALUATORS
from monitor.windows.failure_kind import ERRORS
from monitor.wording.number_format import (
    figure,
    figures_between,
    share,
    shares_between,
    span,
    supports_share,
    weighted_sample_of,
)
from monitor.wording.text_categories import label_name
from schemas.evidence_record import Evidence
from softfail.redact import redact
from softfail.sanitize import sanitize

_NUMBERS = {
    "duration_s": ("duration", "s"),
    "time_to_first_token_s": ("time to first token", "s"),
    "output_tokens": ("output length", "tokens"),
    "input_tokens": ("input length", "tokens"),
    "output_chars": ("output length", "characters"),
    "input_chars": ("input length", "characters"),
    "reasoning_tokens": ("length of reasoning", "tokens"),
    "cached_input_tokens": ("input taken from the cache", "tokens"),
    "tool_calls": ("tool calls of an answer", ""),
    "cost_usd": ("cost of a call", "US dollars"),
    "feedback.rating": ("people's rating", ""),
    "feedback.edit_distance": ("what people change in answers", "of 1"),
    "feedback.task_s": ("time that people take for their task", "s"),
}
_READINGS = {
    "p50": "median",
    "p90": "90th percentile",
    "p95": "95th percentile",
    "p99": "99th percentile",
}
_TEXT_METRICS = {"input_text": "the texts sent", "output_text": "the texts of answers"}
_CATEGORIES = {
    "response_model": "calls are answered by the model",
    "provider": "calls go to the provider",
    "finish_reason": "answers end with the finish reason",
    "error_type": "calls fail with the error",
    "outcome": "answers have the outcome",
    "guardrail": "calls make the guardrail say",
    "fallback": "calls are answered by the fallback",
    "degradation_level": "calls run at the degradation level",
}
_OF_EXCEPTIONS = frozenset({"error_type", "finish_reason"})  # may contain what a person wrote
_OF_TEXTS = {"input_language": "inputs", "output_language": "answers", "output_format": "answers"}
_FAILURES = {
    "error_rate": "calls failed",
    "pass_rate": "answers did not pass",
    "feedback.acceptance_rate": "answers that people judged were not accepted",
    "feedback.regeneration_rate": "answers were asked for anew",
}
_ABSENT = {
    "error_type=none": "calls succeed without an error",
    "guardrail=none": "calls pass the guardrail",
    "fallback=none": "calls need no fallback",
}


def measure(evidence: Evidence, *, interval: bool = True) -> str:
    """Write metric, value and limit.

    Args:
        evidence: what a rule read.
        interval: whether to add the 95 % interval. A rule decides by a wider interval.

    >>> measure(Evidence(metric="evaluator.refusal.fail_rate", value=0.23, low=0.13, high=0.36, n=310, above=0.02, window_s=300))
    '23 % of answers refused (19 to 28 %; should stay under 2 %)'
    >>> measure(Evidence(metric="pass_rate", value=0.812, low=0.7, high=0.9, n=310, below=0.95, window_s=300))
    'only 81.2 % of answers pass (76 to 85 %; should be at least 95 %)'
    >>> measure(Evidence(metric="duration_s.p90", value=4.218, low=4, high=5, n=310, above=1, window_s=300))
    '90th percentile of duration is 4.22 s (should stay under 1 s)'
    >>> measure(Evidence(metric="events", value=0, low=None, high=None, n=0, window_s=600, expected=44.4))
    'no events for 10 min, where about 44 were expected'
    >>> measure(Evidence(metric="output_tokens.p50", value=412, low=400, high=420, n=310, window_s=300, reference=181))
    'median of output length is 412 tokens (was 181 tokens)'
    >>> measure(Evidence(metric="pass_rate", value=0.81, low=0.7, high=0.9, n=310, window_s=300, reference=0.97), interval=False)
    'only 81 % of answers pass (was 97 %)'
    >>> from schemas.evidence_record import WeightedSample
    >>> few = WeightedSample(failed=8, calls_per_minute=203, low=0.001, high=1)
    >>> measure(Evidence(metric="error_rate", value=1, low=0.001, high=1, n=0.1, window_s=300, reference=0.01, weighted_sample=few))
    '8 calls failed in 5 min, of about 203 a minute (was 1 %)'
    """
    if evidence.expected is not None:
        received = f"only {evidence.value:.0f}" if evidence.value else "no"
        expected = f"about {evidence.expected:.0f} were expected"
        return f"{received} events for {span(evidence.window_s)}, where {expected}"
    if evidence.metric in _TEXT_METRICS:
        difference = "" if evidence.effect is None else f" (by {evidence.effect:.2g} on a scale from 0 to 1)"
        return f"{_TEXT_METRICS[evidence.metric]} differ from before{difference}"
    if "=" in evidence.metric:
        return _category(evidence, interval=interval)
    threshold = evidence.above if evidence.above is not None else evidence.below
    shown = evidence.value, threshold, evidence.reference
    if evidence.metric.endswith("_rate"):
        value, limit, before = ("?" if rate is None else share(rate, *shown) for rate in shown)
        if supports_share(evidence):
            text, between = _rate(evidence, value), shares_between(evidence) if interval else ""
        else:
            text, between = _failure_count(evidence), ""
    else:
        name, unit = _number(evidence.metric)
        value, limit, before = (
            "?" if number is None else f"{figure(number, unit, *shown)} {unit}".rstrip() for number in shown
        )
        text, between = f"{name} is {value}", figures_between(evidence, unit) if interval else ""
    if evidence.reference is not None:
        return f"{text}{_in_brackets(between, _was(evidence, before))}"
    if evidence.burn is not None and evidence.target is not None:
        return (
            f"{text}{_in_brackets(between)}, so that the error budget of {share(evidence.target)} burns"
            f" {evidence.burn:.3g} times too fast"
        )
    bound = "stay under" if evidence.above is not None else "be at least"
    return f"{text}{_in_brackets(between, threshold is not None and f'should {bound} {limit}')}"


def amount(evidence: Evidence) -> str:
    """Write the value alone; empty without a value, or if the sample does not support one.

    >>> amount(Evidence(metric="error_rate", value=0.23, low=None, high=None, n=310, window_s=300))
    '23 %'
    >>> amount(Evidence(metric="duration_s.p90", value=8.31, low=None, high=None, n=310, window_s=300))
    '8.31 s'
    """
    if evidence.value is None or evidence.metric in _TEXT_METRICS or not supports_share(evidence):
        return ""
    if evidence.metric.endswith("_rate") or "=" in evidence.metric:
        return share(evidence.value)
    unit = _number(evidence.metric)[1]
    return f"{figure(evidence.value, unit)} {unit}".rstrip()


def _rate(evidence: Evidence, share_of: str) -> str:
    """Write a rate: the share of answers or calls.

    >>> _rate(Evidence(metric="evaluator.tone.fail_rate", value=0.2, low=None, high=None, n=90, window_s=60), "20 %")
    '20 % of answers failed the evaluator tone'
    >>> _rate(Evidence(metric="feedback.acceptance_rate", value=0.2, low=None, high=None, n=90, window_s=60, reference=0.6), "20 %")
    'only 20 % of answers that people judged were accepted'
    >>> _rate(Evidence(metric="pass_rate", value=0.0, low=None, high=None, n=90, window_s=60, reference=0.6), "0 %")
    '0 % of answers pass'
    """
    metric, before = evidence.metric, evidence.reference
    limits = [limit for limit in (evidence.below, before) if limit is not None]
    only = "only " if evidence.value and limits and evidence.value < min(limits) else ""
    if metric == "pass_rate":
        return f"{only}{share_of} of answers pass"
    if metric == "error_rate":
        return f"{share_of} of calls failed"
    if metric == "feedback.acceptance_rate":
        return f"{only}{share_of} of answers that people judged were accepted"
    if metric == "feedback.regeneration_rate":
        return f"{share_of} of answers were asked for anew"
    evaluator = metric.removeprefix("evaluator.").removesuffix(".fail_rate")
    if f"evaluator.{evaluator}.fail_rate" == metric:
        return f"{share_of} of {_failure_text(evaluator)}"
    return f"{metric} is {share_of}"


def _failure_count(evidence: Evidence) -> str:
    """Write how many failed, where too few events were sampled to state a share."""
    sample = weighted_sample_of(evidence)
    assert sample is not None
    metric = evidence.metric
    evaluator = metric.removeprefix("evaluator.").removesuffix(".fail_rate")
    failures = _FAILURES.get(metric) or (
        _failure_text(evaluator) if metric != evaluator else f"failures of {sanitize(metric, 100)}"
    )
    return (
        f"{figure(sample.failed, 'tokens')} {failures} in {span(evidence.window_s)},"
        f" of about {figure(sample.calls_per_minute, '')} a minute"
    )


def failure_text(kind: str) -> str:
    """Write what failed, of the kind of an evaluator; empty for any other kind.

    >>> failure_text("refusal"), failure_text("errors"), failure_text("answers")
    ('answers refused', 'calls failed', '')
    """
    evaluator = EVALUATORS.get("error" if kind == ERRORS else kind)
    return evaluator.failure_text if evaluator is not None else ""


def _failure_text(evaluator: str) -> str:
    evaluator_class = EVALUATORS.get(evaluator)
    if evaluator_class is not None and evaluator_class.failure_text:
        return evaluator_class.failure_text
    return f"answers failed the evaluator {sanitize(evaluator, 100)}"


def _number(metric: str) -> tuple[str, str]:
    """Write name and reading of a number; also return its unit.

    >>> _number("stage.retrieve_s.p90"), _number("evaluator.judge.score.mean"), _number("cost_usd.p50")  # doctest: +NORMALIZE_WHITESPACE
    (('90th percentile of duration of stage retrieve', 's'), ('mean of score by judge', ''), ('median of cost of a call',
    'US dollars'))
    """
    name, _, reading = metric.rpartition(".")
    if name in _NUMBERS:
        quantity, unit = _NUMBERS[name]
    elif name.startswith("stage.") and name.endswith("_s"):
        quantity, unit = f"duration of stage {sanitize(name[6:-2], 100)}", "s"
    elif name.startswith("evaluator.") and name.endswith(".score"):
        quantity, unit = f"score by {sanitize(name[10:-6], 100)}", ""
    else:
        quantity, unit = name or metric, ""
    return f"{_READINGS.get(reading, reading) or 'value'} of {quantity}", unit


def _category(evidence: Evidence, *, interval: bool) -> str:
    """Write a category that became more or less frequent.

    >>> _category(Evidence(metric="response_model=gpt-4-0613", value=0.94, low=None, high=None, n=300, window_s=60, test="never_seen"), interval=True)
    '94 % of calls are answered by the model gpt-4-0613 (91 to 96 %), which was never seen before'
    >>> _category(Evidence(metric="fallback=cache", value=0.3, low=None, high=None, n=300, window_s=60, reference=0.01), interval=True)
    '30 % of calls are answered by the fallback cache (25 to 35 %; was 1 %)'
    >>> _category(Evidence(metric="error_type=NoRoute: ann@example.org", value=0.3, low=None, high=None, n=300, window_s=60, reference=0.01), interval=False)
    '30 % of calls fail with the error NoRoute: <EMAIL> (was 1 %)'
    """
    name, _, label = evidence.metric.partition("=")
    if name in _OF_TEXTS:
        return _text_category(evidence, name, label, interval=interval)
    if name in _OF_EXCEPTIONS:
        label = redact(label)
    value, before = evidence.value, evidence.reference
    only = "only " if value and before is not None and value < before else ""
    subject = (
        _ABSENT.get(evidence.metric)
        or f"{_CATEGORIES.get(name, f'calls have the {name}')} {sanitize(label, 100) or 'empty'}"
    )
    text, between = (
        f"{only}{'?' if value is None else share(value, before)} of {subject}",
        shares_between(evidence) if interval else "",
    )
    if evidence.test == "never_seen":
        return f"{text}{_in_brackets(between)}, which was never seen before"
    was = before is not None and _was(evidence, share(before, value))
    return f"{text}{_in_brackets(between, was)}"


def _text_category(evidence: Evidence, name: str, label: str, *, interval: bool) -> str:
    """Write a language or format of texts that became more or less frequent, and what was usual.

    >>> from functools import partial
    >>> moved = partial(Evidence, low=None, high=None, n=60, window_s=300, usual_share=1)
    >>> german = moved(metric="output_language=de", value=1, reference=0.0, usual_label="en")
    >>> _text_category(german, "output_language", "de", interval=True)
    'language of answers: German 100 % (94 to 100 %; was English 100 %)'
    >>> fences = moved(metric="output_format=code_fence", value=0.98, reference=0.0, usual_label="code")
    >>> _text_category(fences, "output_format", "code_fence", interval=False)
    'answers are now mostly in code fences: 98 % (was 0 %, bare code was 100 %)'
    >>> lists = moved(metric="output_format=list", value=0.3, reference=0.7, usual_label="list")
    >>> _text_category(lists, "output_format", "list", interval=False)
    'only 30 % of answers are lists (was 70 %)'
    """
    value, before, texts, named = evidence.value, evidence.reference, _OF_TEXTS[name], label_name(name, label)
    now = "?" if value is None else share(value, before)
    between = shares_between(evidence) if interval else ""
    was = "" if before is None else _was(evidence, share(before, value))
    usual_name, usual = "", ""
    if evidence.usual_label not in (None, label) and evidence.usual_share is not None:
        usual_name, usual = label_name(name, evidence.usual_label), share(evidence.usual_share)
    if name != "output_format":
        if usual:
            was = (
                f"was {usual_name} {usual}"
                if not before
                else f"was {usual_name} {usual}, {named} {was.removeprefix('was ')}"
            )
        return f"language of {texts}: {named} {now}{_in_brackets(between, was)}"
    if value is not None and before is not None and before < 0.5 <= value:
        text = f"{texts} are now mostly {named}: {now}"
    else:
        only = "only " if value and before is not None and value < before else ""
        text = f"{only}{now} of {texts} are {named}"
    if usual:
        was = f"{was}, {usual_name} was {usual}" if was else f"{usual_name} was {usual}"
    return f"{text}{_in_brackets(between, was)}"


def _was(evidence: Evidence, before: str) -> str:
    """Write the value of the reference; a figure is not repeated as if it had changed."""
    return "as before" if evidence.value == evidence.reference else f"was {before}"


def _in_brackets(*parts: str | Literal[False]) -> str:
    joined = "; ".join(part for part in parts if part)
    return f" ({joined})" if joined else ""
