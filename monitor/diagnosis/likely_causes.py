"""What is probably behind an episode, in words: what was first seen shortly before, and findings that
together have a name.

Nothing of it is kept: it is worked out whenever a record of the episode is written, from panes and evidence,
and so is the same after a restart.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from monitor.diagnosis.recent_rollouts import (
    ANSWERING,
    LEAST_EVENTS,
    WORSE,
    Newcomer,
    names_in,
    newcomers,
    panes_of,
)
from monitor.evaluators import EVALUATORS
from monitor.evaluators.interface import Evaluator
from monitor.windows.feature_series import DAY_US, HOUR_US, FeatureState
from monitor.windows.pane import MetricReader, Pane
from monitor.wording.number_format import share
from softfail.sanitize import sanitize

MOST = 3
CHARS = 240
MORE = 1.2  # times what it was: a rise that has a name
BEFORE_US = 5 * 60 * 1_000_000  # what breaches began to go wrong before it did
MOSTLY = 0.6  # of all errors: one of them is what happens

_PROVIDER = (
    (re.compile(r"rate.?limit|429|quota|throttl", re.I), "the provider limits our calls"),
    (re.compile(r"auth|api.?key|permission|forbidden|40[13]", re.I), "the provider refuses our login"),
    (
        re.compile(r"time.?out|50\d|529|overload|unavailable|connect|server", re.I),
        "the provider does not answer, or fails",
    ),
)


def causes(
    feature: FeatureState,
    incidents: Mapping[str, Mapping[str, Any]],
    started_us: int,
    edge_us: int,
    rolled_us: int,
) -> list[str]:
    """The likeliest first, at most three; none of an episode that lasts for over a day, for of that time too
    little is known.

    Args:
        feature: of the episode.
        incidents: id -> incident, as the episode shows them.
        started_us: the first breaching edge, microseconds since 1970.
        edge_us: now.
        rolled_us: hours before this edge are known as a whole only.
    """
    if not incidents or edge_us - started_us > DAY_US:
        return []
    firing = [one for one in incidents.values() if one["state"] == "firing"] or list(incidents.values())
    fresh = newcomers(feature, firing, started_us, edge_us, rolled_us)
    evidence = [one for incident in firing for one in _evidence(incident)]
    found = [_told(one, started_us) for one in fresh]
    found += _named(evidence, {one.name for one in fresh if one.kind == ANSWERING})
    if any(_signals_provider_fault(one["metric"]) for one in evidence):
        found += _errors(feature, started_us, edge_us)
    return [sanitize(one, CHARS) for one in found[:MOST]]


def _evidence(incident: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    evidence = incident["evidence"]
    return ([evidence, *evidence.get("findings", ())[1:]]) if evidence else []


def _told(new: Newcomer, started_us: int) -> str:
    what = _served(new.name) if new.kind == ANSWERING else f"new {new.kind} {sanitize(new.name, 80)}"
    at = datetime.fromtimestamp(new.begun_us / 1e6, UTC)
    if new.by_hour:
        return (
            f"{what}: first seen between {at:%H:%M} and {at + timedelta(hours=1):%H:%M} UTC, about when this"
            " began"
        )
    return f"{what}: in use since {at:%H:%M} UTC, {_minutes(started_us - new.begun_us)} before this began"


def _served(model: str) -> str:
    return f"the provider serves another model than before, {sanitize(model, 80)} (a silent change)"


def _minutes(microseconds: int) -> str:
    return (
        f"{microseconds // 60_000_000} min"
        if microseconds >= 60_000_000
        else f"{microseconds // 1_000_000} s"
    )


def _named(evidence: list[Mapping[str, Any]], served: Collection[str]) -> Iterator[str]:
    """Findings that together are something that people know. ``served``: models that answer, of which it is
    said already that they are new.
    """
    rose = {
        one["metric"].partition("=")[0].rpartition(".")[0] or one["metric"] for one in evidence if _rose(one)
    }
    longer = [
        said
        for name, said in (
            ("output_tokens", "answers"),
            ("input_tokens", "the texts sent"),
            ("reasoning_tokens", "reasoning"),
        )
        if name in rose
    ]
    if longer and ("tool_calls" in rose or any(_signals_loop(name) for name in rose)):
        beside = (
            "more tool calls"
            if "tool_calls" in rose
            else "more answers that repeat themselves or match another known failure"
        )
        yield f"a loop or an injection: {' and '.join(longer)} became longer, with {beside}"
    for one in evidence:
        name, _, label = one["metric"].partition("=")
        if name == "response_model" and one.get("test") == "never_seen" and label not in served:
            yield _served(label)
            break
    taken = [
        one
        for one in evidence
        if one["metric"].partition("=")[0] in ("fallback", "degradation_level") and _took_over(one)
    ]
    if taken:
        yield "a fallback has taken over from the first choice"


def _evaluator_of(metric: str) -> type[Evaluator] | None:
    """Return the evaluator whose verdicts a metric counts; None: another metric, or one from elsewhere."""
    return EVALUATORS.get(metric.split(".")[1]) if metric.startswith("evaluator.") else None


def _signals_loop(metric: str) -> bool:
    evaluator = _evaluator_of(metric)
    return evaluator is not None and evaluator.signals_loop


def _signals_provider_fault(metric: str) -> bool:
    evaluator = _evaluator_of(metric)
    return metric.startswith(("error_rate", "error_type=")) or (
        evaluator is not None and evaluator.signals_provider_fault
    )


def _rose(one: Mapping[str, Any]) -> bool:
    value, before = one.get("value"), one.get("reference")
    if value is None:
        return False
    return one.get("above") is not None or (before is not None and value > MORE * before)


def _took_over(one: Mapping[str, Any]) -> bool:
    name, _, label = one["metric"].partition("=")
    value, before = one.get("value"), one.get("reference")
    if value is None or before is None:
        return False
    return (
        bool(value < before)
        if label == {"fallback": "none", "degradation_level": "1"}[name]
        else bool(value > before)
    )


def _errors(feature: FeatureState, started_us: int, edge_us: int) -> Iterator[str]:
    """What most of the failed calls say, and whether it is every model that fails."""
    counted: dict[str, int] = {}
    models: dict[str, list[Pane]] = {}
    for key, segment in sorted(feature.segments.items()):
        for pane in panes_of([segment], started_us - BEFORE_US, min(edge_us, started_us + HOUR_US)):
            models.setdefault(key.model, []).append(pane)
            for name, n in names_in(pane, "error_type").items():
                counted[name] = counted.get(name, 0) + n
    if not counted:
        return
    name = max(sorted(counted), key=lambda one: counted[one])
    part = counted[name] / sum(counted.values())
    if part < MOSTLY:
        return
    rates = {model: found.value for model, panes in models.items()
             if model and (found := MetricReader("error_rate").add(panes).estimate(0.0)).n >= LEAST_EVENTS and found.value is not None}  # fmt: skip
    where = ""
    if len(rates) > 1:
        worst = max(rates.values())
        failing = [model for model, rate in sorted(rates.items()) if rate > worst / WORSE / 2]
        where = (
            ", with every model"
            if len(failing) == len(rates)
            else f", only with model {sanitize(' and '.join(failing), 80)}"
            if len(failing) <= 2
            else ""
        )
    said = next(
        (words for pattern, words in _PROVIDER if pattern.search(name)), "most failed calls say the same"
    )
    yield f"{said}: {share(part)} of the errors are {sanitize(name, 60)}{where}"
