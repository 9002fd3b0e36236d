"""Readings of rules at an edge, and the states of incidents from pending over firing to resolved: "Rules" and
"Incidents" of the semantics, decision 5.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any

from tests.durability.soak import oracle_figures as figures
from tests.durability.soak.oracle_windows import Series

WEEK_S = 604_800
LADDER_S = (300, 1800, 7200, 21_600, 86_400, 259_200, 432_000, WEEK_S)
BUDGET_Z = 4.8
HOUR_US = 3_600_000_000
FINE_US = 2 * HOUR_US  # older panes are hours, so windows extend outwards to full hours
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}


def seconds(duration: float | str) -> float:
    """Convert a duration of the settings to seconds.

    >>> seconds("5m"), seconds(2)
    (300.0, 2.0)
    """
    if isinstance(duration, int | float):
        return float(duration)
    unit = duration.lstrip("0123456789. ")
    return round(float(duration.removesuffix(unit)) * _UNIT_S[unit], 6)


@dataclass(frozen=True)
class Rule:
    """Rule of the settings. The oracle reads rates only."""

    name: str
    on: str
    above: float | None
    below: float | None
    clear: float | None
    level: str
    match: str
    environments: tuple[str, ...] | None
    window_s: float
    for_s: float
    keep_s: float
    min_events: int
    z: float
    severity: str
    page_newborn: bool


def rules_of(settings: dict[str, Any]) -> list[Rule]:
    """Return the rules of the settings.

    Raises:
        ValueError: a default rule, a no_data rule, or a rule on a number, which the oracle does not
            implement.
    """
    if settings.get("default_rules", True) or settings.get("no_data", {}).get("severity", "critical"):
        raise ValueError(
            "the oracle knows written rules only: set default_rules false and no_data.severity null"
        )
    return [_rule(setting) for setting in settings.get("rules", ())]


def _rule(raw: dict[str, Any]) -> Rule:
    if not raw["on"].endswith("_rate"):
        raise ValueError(f"rule {raw['name']}: the oracle reads rates only, not {raw['on']}")
    confidence = raw.get("confidence")
    return Rule(
        raw["name"],
        raw["on"],
        raw.get("above"),
        raw.get("below"),
        raw.get("clear"),
        raw.get("level", "both"),
        raw.get("match", "*"),
        raw.get("environments"),
        seconds(raw.get("window", 300)),
        seconds(raw.get("for", 0)),
        seconds(raw.get("keep_firing_for", 120)),
        raw.get("min_events", 50),
        BUDGET_Z if confidence is None else NormalDist().inv_cdf(confidence),
        raw.get("severity", "error"),
        raw.get("page_newborn", True),
    )


def reading(
    rule: Rule,
    series: Series,
    edge_us: int,
    rolled_us: int,
    cleared_us: int | None,
    units: figures.Units,
    born_us: int,
    firing: float | None,
) -> tuple[str, dict[str, Any]]:
    """Return ``breach``, ``good``, ``between`` or ``unknown``, with the evidence.

    Args:
        rolled_us: earlier panes are rolled up into hours.
        cleared_us: the edge at which the last incident of this rule and series ended. No window begins before
            the window that cleared it.
        units: heaviest weights of the series.
        born_us: first pane of the feature.
        firing: the value of the incident that fires.
    """
    oldest_us = None if cleared_us is None else cleared_us - round(rule.window_s * 1e6)
    if oldest_us is not None and edge_us - oldest_us > FINE_US:
        oldest_us = -(-oldest_us // HOUR_US) * HOUR_US
    shown, counted, read, back = figures.NOTHING, 0, "unknown", None
    for window_s in (rule.window_s, *(step for step in LADDER_S if step > rule.window_s)):
        start_us = edge_us - round(window_s * 1e6)
        start_us = start_us if oldest_us is None else max(oldest_us, start_us)
        if start_us < rolled_us:
            start_us = start_us // HOUR_US * HOUR_US
        classes = series.sum(rule.on, window_s, start_us, edge_us)
        # a longer window without more events gives the same reading
        if (more := sum(n for n, _ in classes.values())) > counted:
            counted = more
            z = rule.z
            if window_s > 86_400 and z == BUDGET_Z:  # fewer looks, one for each event
                looks = len(LADDER_S) * max(1, math.ceil(counted * 86_400 / window_s))
                side = NormalDist().cdf(-z) * 1440 / min(1440, looks)
                z = -NormalDist().inv_cdf(side)
            shown = figures.decided(figures.coarse_rate(classes), z, rule.on in figures.SUCCESSES, units)
            read = _state(rule, shown, classes)
        state = read
        if state == "breach" or shown.n >= rule.min_events - 1e-6:
            break
        if back is None and state == "good" and firing is not None and _odds(rule, shown, classes, firing):
            back = _evidence(rule, shown, classes, window_s, units)
        if window_s < WEEK_S or born_us > edge_us - round(WEEK_S * 1e6):
            state = "unknown"
    evidence = _evidence(rule, shown, classes, window_s, units)
    if back is not None and evidence["window_s"] > 7200:
        return "good", back
    return state, evidence


def _evidence(
    rule: Rule, shown: figures.Shown, classes: figures.Classes, window_s: float, units: figures.Units
) -> dict[str, Any]:
    numbers = {
        name: None if value is None else float(f"{value:.6g}") for name, value in shown._asdict().items()
    }
    evidence = {"metric": rule.on, **numbers, "above": rule.above, "below": rule.below, "window_s": window_s}
    return evidence | _sample(rule, figures.coarse_rate(classes), window_s, units)


def _clearing(rule: Rule, classes: figures.Classes) -> float:
    share = figures.without_heaviest(figures.coarse_rate(classes))
    return 1 - share if rule.on in figures.SUCCESSES else share


def _state(rule: Rule, shown: figures.Shown, classes: figures.Classes) -> str:
    if shown.value is None or shown.low is None or shown.high is None:
        return "unknown"
    clearing = _clearing(rule, classes)
    if rule.above is not None:
        if shown.low > rule.above:
            return "breach"
        clear = rule.above if rule.clear is None else rule.clear
        return "good" if max(shown.value, clearing) <= clear else "between"
    assert rule.below is not None
    if shown.high < rule.below:
        return "breach"
    clear = rule.below if rule.clear is None else rule.clear
    return "good" if min(shown.value, clearing) >= clear else "between"


def _odds(rule: Rule, shown: figures.Shown, classes: figures.Classes, firing: float) -> bool:
    """Return whether the odds for the threshold, against the value that fires, are 1,000 to 1."""
    limit = rule.above if rule.above is not None else rule.below
    assert limit is not None
    bad = [_clearing(rule, classes), limit if rule.clear is None else rule.clear, firing]
    share, usual, raised = bad if rule.above is not None else (1 - value for value in bad)
    usual, raised = max(usual, 1e-6), min(raised, 1 - 0.5 / (shown.n + 1))
    if raised <= usual:
        return False
    each = share * math.log(usual / raised) + (1 - share) * math.log((1 - usual) / (1 - raised))
    return shown.n * each >= math.log(1000)


def _sample(
    rule: Rule, classes: figures.Classes, window_s: float, units: figures.Units
) -> dict[str, dict[str, float]]:
    """Describe a sample of several weights for the evidence."""
    if not classes or (len(classes) == 1 and len(set(figures.units_of(classes, units))) == 1):
        return {}
    failed = sum(f * figures.WHOLE / ppm for ppm, (_, f) in classes.items())
    calls = sum(n * figures.WHOLE / ppm for ppm, (n, _) in classes.items())
    shown = figures.rate(classes, figures.Z95, rule.on in figures.SUCCESSES, units)
    assert shown.low is not None
    assert shown.high is not None
    figures_by_name = {
        "failed": failed,
        "calls_per_minute": calls * 60 / window_s,
        "low": shown.low,
        "high": shown.high,
    }
    return {"weighted_sample": {name: float(f"{value:.6g}") for name, value in figures_by_name.items()}}


@dataclass
class Incident:
    """Breach of a rule on a series."""

    name: str
    rule: str
    severity: str
    since_us: int
    edge_us: int
    state: str = "pending"
    last: str = ""
    breached_us: int = 0
    good_us: int = 0
    evidence: dict[str, Any] = field(default_factory=dict)

    def step(
        self, rule: Rule, state: str, evidence: dict[str, Any], edge_us: int, keep_us: int
    ) -> tuple[str, str] | None:
        """Return the new state and its reason if it changes at this edge.

        ``keep_us``: the minimum time without a breach.
        """
        passed_us, self.edge_us = edge_us - self.edge_us, edge_us
        if state == "unknown":
            return None
        before, self.last = self.last, state
        if state == "breach":
            self.evidence, self.good_us, self.breached_us = evidence, 0, self.breached_us + passed_us
            if self.state == "pending" and self.breached_us >= rule.for_s * 1e6:
                self.state = "firing"
                return "firing", "breached" + (
                    f" for {_spoken(self.breached_us)}" if self.breached_us else ""
                )
            return None
        self.breached_us = 0
        if self.state == "pending":
            return "resolved", "did not last"
        self.good_us = 0 if state != "good" else self.good_us + (passed_us if before == "good" else 0)
        if state == "good" and self.good_us >= max(rule.keep_s * 1e6, keep_us):
            self.evidence = evidence
            return "resolved", f"well for {_spoken(self.good_us)}" if self.good_us else "well again"
        return None


def opened(rule: Rule, feature: tuple[str, str, str], plain: Any, edge_us: int, severity: str) -> Incident:
    """Open an incident. Its id is derived from rule, segment and opening edge, as in the product."""
    return Incident(digest((rule.name, feature, plain, edge_us)), rule.name, severity, edge_us, edge_us)


def digest(identity: tuple[Any, ...]) -> str:
    """Return sixteen hexadecimal digits of the hash of a value's text."""
    return hashlib.blake2b(repr(identity).encode(), digest_size=8).hexdigest()


def _spoken(microseconds: int) -> str:
    whole = round(microseconds / 1e6)
    for size, unit in ((3600, "h"), (60, "min")):
        if whole and whole % size == 0:
            return f"{whole // size} {unit}"
    return f"{whole} s"
