"""An episode in plain words: what broke, where, how much, since when. Shared by all channels."""

from __future__ import annotations

import re
from datetime import datetime

from monitor.alerts.advice import advice
from schemas.records import Episode, EpisodeIncident, Evidence

SEVERITIES = ("critical", "error", "warning", "info")

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_FAILED = {
    "error": "calls failed",
    "outcome": "answers were of no use to the service",
    "empty": "answers were empty",
    "refusal": "answers refused",
    "truncation": "answers cut short",
    "content_filter": "answers stopped by a content filter",
    "known_failure": "answers matched a known failure",
    "json": "answers were not valid JSON",
    "json_schema": "answers did not fit their JSON schema",
    "length": "answers had an unusual length",
    "latency": "calls exceeded their latency budget",
    "latency_budget": "calls exceeded their latency budget",
}
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
}
_READINGS = {"p50": "median"}
_TEXTS = {"input_text": "the texts sent", "output_text": "the texts of answers"}
_CATEGORIES = {
    "response_model": "the model that answers",
    "provider": "the provider",
    "finish_reason": "the reason to finish",
    "error_type": "the error",
    "outcome": "what became of answers",
    "guardrail": "the guardrail's word",
    "fallback": "what stood in for the model",
    "degradation_level": "the degradation level",
    "input_language": "the language of texts sent",
    "output_language": "the language of answers",
}


def clean(text: str, most: int) -> str:
    """One line without control characters, at most ``most`` characters.

    >>> clean("a\\x1b[31m\\nb", 80), clean("abcdef", 4)
    ('a [31m b', 'abc…')
    """
    line = _CONTROL.sub(" ", text)
    return line if len(line) <= most else line[: most - 1] + "…"


def place(episode: Episode) -> str:
    """Where: ``service/feature``, with the environment unless it is production."""
    where = f"{episode.service}/{episode.feature}"
    return clean(where if episode.environment == "production" else f"{where} ({episode.environment})", 600)


def clock(time: datetime) -> str:
    """An UTC time for people.

    >>> from datetime import UTC
    >>> clock(datetime(2026, 3, 2, 14, 5, 9, tzinfo=UTC))
    '2 Mar 14:05 UTC'
    """
    return f"{time.day} {time:%b %H:%M} UTC"


def span(seconds: float) -> str:
    """A length of time for people.

    >>> span(20), span(90), span(300), span(7200), span(259200)
    ('20 s', '90 s', '5 min', '2 h', '3 d')
    """
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:.6g} s"


def share(value: float) -> str:
    """A share of one as a percentage of two or three digits.

    >>> share(0.234), share(0.0042), share(1.0), share(0.9996), share(0.99997)
    ('23.4 %', '0.42 %', '100 %', '99.96 %', '99.997 %')
    """
    percent = value * 100
    if percent in (0, 100):
        return f"{percent:.0f} %"
    for digits in range(2 if percent < 1 else 1, 6):
        shown = round(percent, digits)
        if 0 < shown < 100:  # what is not all must not read as all
            return f"{shown:.{digits}f}".rstrip("0").rstrip(".") + " %"
    return "almost 100 %" if percent > 50 else "almost 0 %"


def measure(evidence: Evidence) -> str:
    """What was measured, how much, and what is allowed.

    >>> measure(Evidence(metric="evaluator.refusal.fail_rate", value=0.23, low=0.2, high=0.26, n=310, above=0.02, window_s=300))
    '23 % of answers refused (should stay under 2 %)'
    >>> measure(Evidence(metric="pass_rate", value=0.812, low=0.8, high=0.83, n=310, below=0.95, window_s=300))
    'only 81.2 % of answers pass (should be at least 95 %)'
    >>> measure(Evidence(metric="duration_s.p90", value=4.218, low=4, high=5, n=310, above=1, window_s=300))
    'p90 of duration is 4.22 s (should stay under 1 s)'
    >>> measure(Evidence(metric="events", value=0, low=None, high=None, n=0, window_s=600, expected=44.4))
    'no events for 10 min, where about 44 were expected'
    >>> measure(Evidence(metric="output_tokens.p50", value=412, low=400, high=420, n=310, window_s=300, reference=181))
    'median of output length is 412 tokens (was 181 tokens)'
    >>> measure(Evidence(metric="pass_rate", value=0.81, low=0.8, high=0.83, n=310, window_s=300, reference=0.97))
    'only 81 % of answers pass (was 97 %)'
    """
    if evidence.expected is not None:
        got = f"only {evidence.value:.0f}" if evidence.value else "no"
        return f"{got} events for {span(evidence.window_s)}, where about {evidence.expected:.0f} were expected"
    if evidence.metric in _TEXTS:
        return f"{_TEXTS[evidence.metric]} are not what they were" + ("" if evidence.effect is None else f" (distance {evidence.effect:.2g} of at most 1)")
    if "=" in evidence.metric:
        return _category(evidence)
    name, _, detail = evidence.metric.rpartition(".")
    value, threshold = evidence.value, evidence.above if evidence.above is not None else evidence.below
    if evidence.metric.endswith("_rate"):
        amount, limit, before = ("?" if one is None else share(one) for one in (value, threshold, evidence.reference))
        if evidence.metric == "pass_rate":
            fell = evidence.below is not None or (evidence.reference is not None and value is not None and value < evidence.reference)
            said = f"{'only ' if fell else ''}{amount} of answers pass"
        elif evidence.metric == "error_rate":
            said = f"{amount} of calls failed"
        elif evidence.metric.startswith("evaluator.") and (evaluator := name.removeprefix("evaluator.")) in _FAILED:
            said = f"{amount} of {_FAILED[evaluator]}"
        else:
            said = f"{evidence.metric} is {amount}"
    else:
        what, unit = _NUMBERS.get(name, (name or evidence.metric, ""))
        amount, limit, before = ("?" if one is None else f"{_figure(one, unit)} {unit}".rstrip() for one in (value, threshold, evidence.reference))
        said = f"{_READINGS.get(detail, detail) or 'value'} of {what} is {amount}"
    if evidence.reference is not None:
        return f"{said} (was {before})"
    if evidence.burn is not None and evidence.target is not None:
        return f"{said}, so that the error budget of {share(evidence.target)} burns {evidence.burn:.3g} times too fast"
    if threshold is None:
        return said
    return f"{said} (should {'stay under' if evidence.above is not None else 'be at least'} {limit})"


def _category(evidence: Evidence) -> str:
    """What became more or less frequent.

    >>> _category(Evidence(metric="response_model=gpt-4-0613", value=0.94, low=None, high=None, n=300, window_s=60, reference=0.0, test="never_seen"))
    'the model that answers is gpt-4-0613 in 94 % of calls, which was never seen before'
    >>> _category(Evidence(metric="fallback=model", value=0.3, low=None, high=None, n=300, window_s=60, reference=0.01, test="g"))
    'what stood in for the model is model in 30 % of calls (was 1 %)'
    >>> _category(Evidence(metric="output_language=fr", value=0.65, low=None, high=None, n=300, window_s=1800, reference=0.0, test="g"))
    'the language of answers is fr in 65 % of those where it can be told (was 0 %)'
    """
    name, _, label = evidence.metric.partition("=")
    of = "those where it can be told" if name.endswith("_language") else "calls"
    what = f"{_CATEGORIES.get(name, name)} is {clean(label, 100) or 'empty'} in {'?' if evidence.value is None else share(evidence.value)} of {of}"
    if evidence.test == "never_seen":
        return f"{what}, which was never seen before"
    return what if evidence.reference is None else f"{what} (was {share(evidence.reference)})"


def _figure(value: float, unit: str) -> str:
    if unit in ("tokens", "characters") and value >= 1:  # a quantile is the middle of a bucket, and there are no parts of them
        return f"{value:,.0f}"
    return f"{value:{'.3g' if abs(value) < 1000 else ',.0f'}}"


def segment(incident: EpisodeIncident) -> str:
    """Which part of the feature; empty when all of it."""
    labels = {"model": incident.model, "prompt": incident.prompt_version, "variant": incident.variant, **incident.dimensions}
    return clean(", ".join(f"{name} {value}" for name, value in labels.items() if value), 400) if incident.level == "segment" else ""


def sentence(incident: EpisodeIncident) -> str:
    """One incident: measure, part, since when, on how many events, and whether it is over."""
    evidence, part = incident.evidence, segment(incident)
    over = ", well again" if incident.state == "resolved" else ""
    if incident.text:
        return f"{clean(incident.text, 600)}, since {clock(incident.since)}{over}"
    events = "" if evidence.expected is not None else f", {evidence.n:,.0f} events in {span(evidence.window_s)}"
    more = [measure(one) for one in (Evidence.model_construct(**moved.model_dump()) for moved in evidence.findings[1:3])]
    also = f"; also {'; '.join(more)}" if more else ""
    return f"{measure(evidence)}{f' with {part}' if part else ''}{also}, since {clock(evidence.began or incident.since)}{events}{over}"


def by_weight(episode: Episode) -> list[EpisodeIncident]:
    """The incidents, the one to be told first at the head: worst, still firing, whole feature, earliest."""
    def weight(one: EpisodeIncident) -> tuple[object, ...]:
        return SEVERITIES.index(one.severity), one.state != "firing", one.level != "feature", one.since, one.incident_id

    return sorted(episode.incidents, key=weight)


def likely(episode: Episode) -> list[str]:
    """What is probably behind it, the likeliest first; often nobody knows, and then there is nothing."""
    return [clean(cause, 240) for cause in episode.causes]


def next_step(episode: Episode) -> str:
    """What to do next, in one line."""
    first = next(iter(by_weight(episode)), None)
    return advice(first.evidence.metric if first else "", first.rule if first else "", of_softfail=episode.service == "softfail")


def summary(episode: Episode, left_out: int = 0, most: int = 1024) -> str:
    """The episode in one line of at most ``most`` characters; ``left_out`` incidents more than it lists. The likely cause stands in it if it fits."""
    incidents = by_weight(episode)
    if not incidents:
        return clean(f"{place(episode)}: {episode.reason or 'quality degraded'}, since {clock(episode.started_at)}", most)
    more = len(incidents) + left_out - 1
    tail = f"; and {more} more {'finding' if more == 1 else 'findings'}" if more else ""
    said = f"{place(episode)}: {sentence(incidents[0])}"
    for cause in likely(episode)[:1]:
        if len(said) + len(cause) + len(tail) + 10 <= most:
            tail = f"; likely: {cause}{tail}"
    return clean(said, most - len(tail)) + tail
