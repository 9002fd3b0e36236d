"""Likely causes of an episode, in words: what was first seen shortly before, and findings that together have
a name.

Nothing of it is stored. It is computed from panes and evidence whenever a record of the episode is written,
so it is the same after a restart.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta

from monitor.diagnosis.recent_rollouts import (
    ANSWERING,
    LEAST_EVENTS,
    SHORTLY_US,
    WORSE,
    Rollout,
    names_in,
    panes_of,
    recent_rollouts,
)
from monitor.diagnosis.silence_causes import silence_causes
from monitor.evaluators import EVALUATORS
from monitor.evaluators.interface import Evaluator
from monitor.incidents.records import ShownIncident
from monitor.protocol.severity import PAGING
from monitor.rules.evidence import Evidence, Finding
from monitor.windows.failure_kind import ERRORS, kind_of
from monitor.windows.feature_series import FeatureState
from monitor.windows.figure_comparison import is_wrong_now
from monitor.windows.metric_definitions import evaluator_of_metric
from monitor.windows.metric_reader import MetricReader
from monitor.windows.pane import Pane
from monitor.windows.segment_series import DAY_US, HOUR_US
from monitor.wording.number_format import share
from schemas.times import microseconds
from softfail.redact import redact
from softfail.sanitize import sanitize

TOGETHER_US = 600_000_000  # between the starts of findings that "this" may name together
SAME_MINUTE_US = 60_000_000  # between starts that a text may call one
MOST = 3  # causes of an episode
CHARS = 240
MORE = 1.2  # times the reference: a rise that has a name
BEFORE_US = 5 * 60 * 1_000_000  # a breach begins to go wrong before its edge
SILENCE_US = 5 * 60 * 1_000_000  # without a meter: a producer is gone
RECENTLY_US = 5 * 60 * 1_000_000  # errors of this time say why calls fail now,
ENOUGH_ERRORS = 20  # if they are so many
MOSTLY = 0.6  # of all errors: one error type is the cause

_LONGER = (
    ("output_tokens", "answers"),
    ("input_tokens", "the texts sent"),
    ("reasoning_tokens", "reasoning"),
)
# the label of a category while the first choice answers
_FIRST_CHOICE = {"fallback": "none", "degradation_level": "1"}
_PROVIDER = (
    (re.compile(r"rate.?limit|429|quota|throttl", re.I), "the provider limits our calls"),
    (re.compile(r"auth|api.?key|permission|forbidden|40[13]", re.I), "the provider refuses our login"),
    (
        re.compile(r"time.?out|50\d|529|overload|unavailable|connect|server", re.I),
        "the provider does not answer, or fails",
    ),
)


def likely_causes(
    feature: FeatureState,
    incidents: Mapping[str, ShownIncident],
    edge_us: int,
    rolled_us: int,
) -> list[str]:
    """Return at most three causes of what fires now, the likeliest first; none of what lasts for over a day,
    because too little is known of the time before it.

    Pages come before tickets. A ticket that began long before a page is no cause of it, and silence has no
    causes but its own. Why calls fail is said only where nothing else fails: it does not explain refusals.

    Args:
        feature: of the episode.
        incidents: id -> incident, as the episode shows them.
        edge_us: now, microseconds since 1970.
        rolled_us: hours before this edge are known as a whole only.
    """
    firing = gravest(incidents.values())
    started_us = since_us(firing)
    if not firing or edge_us - started_us > DAY_US or not any(map(is_wrong_now, firing)):
        return []
    if (silence := next((item for item in firing if item.evidence.metric == "events"), None)) is not None:
        window_us = round(silence.evidence.window_s * 1e6)
        return list(silence_causes(feature, edge_us, min(window_us, SILENCE_US)))
    beside = [
        incident
        for incident in incidents.values()
        if incident.is_firing and since_us([incident]) >= started_us - SHORTLY_US
    ]
    rollouts = recent_rollouts(feature, firing, started_us, edge_us, rolled_us)
    evidence = [measured for incident in beside or firing for measured in _measured(incident.evidence)]
    causes = [_rollout_text(rollout, *_began_us(firing)) for rollout in rollouts]
    causes += _named(evidence, {rollout.name for rollout in rollouts if rollout.kind == ANSWERING})
    paging = {kind for incident in firing if incident.severity in PAGING for kind in _kinds(incident)}
    if all(map(_is_of_calls, paging)) and any(_is_of_calls(kind) for item in firing for kind in _kinds(item)):
        causes += _errors(feature, started_us, edge_us)
    return [sanitize(cause, CHARS) for cause in causes[:MOST]]


def gravest(incidents: Iterable[ShownIncident]) -> list[ShownIncident]:
    """Return the incidents that page, fire and are wrong now; else those that page and fire, else those that
    fire, else all.
    """
    shown = list(incidents)
    firing = [incident for incident in shown if incident.is_firing]
    paging = [incident for incident in firing if incident.severity in PAGING]
    wrong = [incident for incident in paging if is_wrong_now(incident)]
    return wrong or paging or firing or shown


def since_us(incidents: Iterable[ShownIncident]) -> int:
    """Return the first breaching edge of incidents, or from when on they fail again; microseconds since 1970,
    0 without incidents.
    """
    edges = (incident.returned or incident.since for incident in incidents)
    return min((microseconds(datetime.fromisoformat(edge)) for edge in edges), default=0)


def _began_us(incidents: Iterable[ShownIncident]) -> tuple[int, int]:
    """Return the first and the last time at which incidents began as texts show it, microseconds since 1970."""
    edges = [microseconds(datetime.fromisoformat(incident.wrong_since)) for incident in incidents]
    return min(edges), max(edges)


def _measured(evidence: Evidence) -> list[Evidence | Finding]:
    """Return the evidence and its further findings; the first finding is the evidence itself."""
    return [evidence, *evidence.findings[1:]]


def _kinds(incident: ShownIncident) -> set[str]:
    """Return the kinds of failure of an incident and its further findings."""
    return {incident.kind, *(kind_of(finding.metric) for finding in incident.evidence.findings[1:])}


def _is_of_calls(kind: str) -> bool:
    """Return whether the error types of failed calls may explain a kind of failure."""
    evaluator = EVALUATORS.get(kind)
    return kind == ERRORS or (evaluator is not None and evaluator.signals_provider_fault)


def _rollout_text(rollout: Rollout, first_us: int, last_us: int) -> str:
    """Say since when a rollout is in use. It is compared with the begin of the findings only where that is one
    for a reader: the title may state the begin of any of them.

    Args:
        rollout: what was rolled out.
        first_us: the first finding began then, microseconds since 1970.
        last_us: the last finding began then.
    """
    name = (
        _served(rollout.name)
        if rollout.kind == ANSWERING
        else f"new {rollout.kind} {sanitize(rollout.name, 80)}"
    )
    begun = datetime.fromtimestamp(rollout.begun_us / 1e6, UTC)
    if rollout.by_hour:
        return (
            f"{name}: first seen between {begun:%H:%M} and {begun + timedelta(hours=1):%H:%M} UTC, about when"
            " this began"
        )
    text = f"{name}: in use since {begun:%H:%M} UTC"
    before_us, spread_us = first_us - rollout.begun_us, last_us - first_us
    if spread_us > max(SAME_MINUTE_US, min(before_us, TOGETHER_US)):
        return text
    return f"{text}, {_minutes(before_us)} before this began" if before_us > 0 else f"{text}, when this began"


def _served(model: str) -> str:
    return f"the provider serves another model than before, {sanitize(model, 80)} (a silent change)"


def _minutes(microseconds: int) -> str:
    return (
        f"{microseconds // 60_000_000} min"
        if microseconds >= 60_000_000
        else f"{microseconds // 1_000_000} s"
    )


def _named(evidence: list[Evidence | Finding], served: Collection[str]) -> Iterator[str]:
    """Name findings that together are a known fault.

    ``served``: answering models that are already named as new.
    """
    risen = {_statistic(finding.metric) for finding in evidence if _rose(finding)}
    longer = [text for name, text in _LONGER if name in risen]
    has_tool_calls = "tool_calls" in risen
    if longer and (has_tool_calls or any(_signals_loop(name) for name in risen)):
        beside = (
            "more tool calls"
            if has_tool_calls
            else "more answers that repeat themselves or match another known failure"
        )
        yield f"a loop or an injection: {' and '.join(longer)} became longer, with {beside}"
    for finding in evidence:
        name, _, label = finding.metric.partition("=")
        if name == "response_model" and finding.test == "never_seen" and label not in served:
            yield _served(label)
            break
    if any(_took_over(finding) for finding in evidence):
        yield "a fallback has taken over from the first choice"


def _evaluator_of(metric: str) -> type[Evaluator] | None:
    """Return the evaluator whose verdicts a metric counts; None: another metric, or one from elsewhere."""
    return EVALUATORS.get(evaluator_of_metric(metric))


def _signals_loop(metric: str) -> bool:
    evaluator = _evaluator_of(metric)
    return evaluator is not None and evaluator.signals_loop


def _statistic(metric: str) -> str:
    """Return a metric without its label or reading."""
    return metric.partition("=")[0].rpartition(".")[0] or metric


def _rose(finding: Evidence | Finding) -> bool:
    if finding.value is None:
        return False
    return finding.above is not None or (
        finding.reference is not None and finding.value > MORE * finding.reference
    )


def _took_over(finding: Evidence | Finding) -> bool:
    """Return whether a fallback answers more calls than before."""
    name, _, label = finding.metric.partition("=")
    if name not in _FIRST_CHOICE or finding.value is None or finding.reference is None:
        return False
    return (
        finding.value < finding.reference
        if label == _FIRST_CHOICE[name]
        else finding.value > finding.reference
    )


def _errors(feature: FeatureState, started_us: int, edge_us: int) -> Iterator[str]:
    """Name the error type of most failed calls, and the models that fail, if not all do: of the last five
    minutes, or since the episode began if they have too few errors.
    """
    from_us = started_us - BEFORE_US
    counts, panes_by_model = _errors_between(feature, max(from_us, edge_us - RECENTLY_US), edge_us)
    if sum(counts.values()) < ENOUGH_ERRORS:
        counts, panes_by_model = _errors_between(feature, from_us, min(edge_us, started_us + HOUR_US))
    if not counts:
        return
    name = max(sorted(counts), key=lambda name: counts[name])
    part = counts[name] / sum(counts.values())
    if part < MOSTLY:
        return
    meaning = next(
        (words for pattern, words in _PROVIDER if pattern.search(name)), "most failed calls say the same"
    )
    yield f"{meaning}: {share(part)} of the errors are {sanitize(redact(name), 60)}{_failing_models(panes_by_model)}"


def _errors_between(
    feature: FeatureState, start_us: int, end_us: int
) -> tuple[dict[str, int], dict[str, list[Pane]]]:
    """Count the errors in [start, end) by type; return them and the panes by model."""
    counts: dict[str, int] = {}
    panes_by_model: dict[str, list[Pane]] = {}
    for key, segment in sorted(feature.segments.items()):
        for pane in panes_of([segment], start_us, end_us):
            panes_by_model.setdefault(key.model, []).append(pane)
            for name, n in names_in(pane, "error_type").items():
                counts[name] = counts.get(name, 0) + n
    return counts, panes_by_model


def _failing_models(panes_by_model: Mapping[str, list[Pane]]) -> str:
    """Say which models fail; empty where there is one model, or where more than two but not all fail."""
    rates: dict[str, float] = {}
    for model, panes in panes_by_model.items():
        estimate = MetricReader("error_rate").add(panes).estimate(0.0)
        if model and estimate.n >= LEAST_EVENTS and estimate.value is not None:
            rates[model] = estimate.value
    if len(rates) < 2:
        return ""
    worst = max(rates.values())
    failing = [model for model, rate in sorted(rates.items()) if rate > worst / WORSE / 2]
    if len(failing) == len(rates):
        return ", with every model"
    return f", only with model {sanitize(' and '.join(failing), 80)}" if len(failing) <= 2 else ""
