"""What moved: one statistic now against its reference, as a rule tells it."""

from __future__ import annotations

from typing import Any, NamedTuple

from monitor.references.reference import Reference
from monitor.stats.category_counts import MAX_NAMES, CategoryCounts
from monitor.stats.sampling_weights import MILLION
from monitor.windows.metric_definitions import CATEGORIES, QUANTILES
from monitor.windows.pane import MetricReader, Pane

Z = 1.959963984540054  # what people are shown
_READINGS = ("p50", "p90", "p99", "mean")


class Finding(NamedTuple):
    """A statistic that differs from its reference. ``test`` says so with ``p_value``; ``effect`` is how much,
    in the test's own measure.

    ``window_s``: over what; ``n``, ``m``: effective events now and in the reference.
    """

    statistic: str
    test: str
    p_value: float
    effect: float
    window_s: float
    n: float
    m: float

    def told(self, current: Pane, reference: Reference) -> dict[str, Any]:
        """From what to what, in the reading that moved most."""
        name, then = self.statistic, reference.pane
        shown = _number(name, current, then) or _category(name, current, then) or _rate(name, current, then)
        rounded = {
            name: float(f"{value:.6g}") if isinstance(value, float) else value
            for name, value in shown.items()
        }
        return {
            **rounded, "test": self.test, "p_value": float(f"{self.p_value:.3g}"), "effect": float(f"{self.effect:.3g}"), "window_s": self.window_s,
        }  # fmt: skip


def calls(pane: Pane) -> dict[int, int]:
    """Responses of a pane by probability, parts per million: each counts in the error rate."""
    rate = pane.rates.get("error_rate")
    return {} if rate is None else {ppm: n for ppm, (n, _) in rate.classes.items()}


def shares(name: str, absent: str | None, pane: Pane) -> tuple[dict[str, float], float]:
    """Weight of each category, with what is not counted because it says nothing, and the effective events; {}
    and 0 where nothing is.
    """
    held = pane.categories.get(name) or CategoryCounts()
    if absent is None:
        return held.weighted_counts(), held.effective_n
    if (plain := _of_one_class(held, pane)) is not None:
        return _with_absent(*plain, absent)
    every = CategoryCounts()
    # calls have more probabilities: theirs may be coarser
    every.level = pane.rates["error_rate"].level if "error_rate" in pane.rates else 0
    every.merge(held)
    counted = {ppm: sum(names.values()) for ppm, names in every.classes.items()}
    for ppm, n in calls(pane).items():
        if n > counted.get(ppm, 0):
            every.add(ppm, {absent: n - counted.get(ppm, 0)})
    return every.weighted_counts(), every.effective_n


def _of_one_class(held: CategoryCounts, pane: Pane) -> tuple[dict[str, int], int] | None:
    """Names and calls where every one of either has probability 1, which is usual; None where not, or where
    there may be too many names.
    """
    rate = pane.rates.get("error_rate")
    classes = {} if rate is None else rate.classes
    if (
        held.level
        or held.classes.keys() - {MILLION}
        or classes.keys() - {MILLION}
        or (rate is not None and rate.level)
    ):
        return None
    names = held.classes.get(MILLION, {})
    return None if len(names) >= MAX_NAMES else (names, classes[MILLION][0] if classes else 0)


def _with_absent(names: dict[str, int], every: int, absent: str) -> tuple[dict[str, float], float]:
    counted = sum(names.values())
    if every > counted:
        names, counted = names | {absent: names.get(absent, 0) + every - counted}, every
    n = counted * 1.0
    return {name: names[name] * 1.0 for name in sorted(names)}, n**2 / n if n else 0.0


def _number(name: str, current: Pane, reference: Pane) -> dict[str, Any] | None:
    if name not in current.numbers or name not in reference.numbers:
        return None
    best: tuple[float, dict[str, Any]] | None = None
    for reading in _READINGS:
        q = QUANTILES.get(reading, 0.5)
        metric = f"{name}.{reading}"
        now, then = (
            MetricReader(metric).add([current]).estimate(Z),
            MetricReader(metric).add([reference]).estimate(Z),
        )
        if now.value is None or then.value is None or min(now.n, then.n) * min(q, 1 - q) < 5:
            continue
        scale = max(abs(now.value), abs(then.value))
        moved = abs(now.value - then.value) / scale if scale else 0.0
        told = {"metric": metric, **now._asdict(), "reference": then.value, "reference_n": then.n}
        if best is None or moved > 1.25 * best[0]:  # the median unless another moved clearly more
            best = moved, told
    return best[1] if best else None


def _category(name: str, current: Pane, reference: Pane) -> dict[str, Any] | None:
    absent = next((one.absent for one in CATEGORIES if one.name == name), None)
    (now, n), (then, m) = shares(name, absent, current), shares(name, absent, reference)
    if not now or not then:
        return None
    totals = sum(now.values()), sum(then.values())
    moved = {
        label: now.get(label, 0.0) / totals[0] - then.get(label, 0.0) / totals[1] for label in {*now, *then}
    }
    label = max(sorted(moved), key=lambda one: (round(abs(moved[one]), 9), moved[one]))
    return {
        "metric": f"{name}={label}", "value": now.get(label, 0.0) / totals[0], "n": n, "low": None, "high": None,
        "reference": then.get(label, 0.0) / totals[1], "reference_n": m,
    }  # fmt: skip


def _rate(name: str, current: Pane, reference: Pane) -> dict[str, Any]:
    now, then = (
        MetricReader(name).add([current]).estimate(Z),
        MetricReader(name).add([reference]).estimate(Z),
    )
    return {"metric": name, **now._asdict(), "reference": then.value, "reference_n": then.n}
