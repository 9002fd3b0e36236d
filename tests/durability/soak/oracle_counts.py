"""Contribution of an event to the pane of its segment: "Samples and weights" of the semantics, and decision
2.
"""

from __future__ import annotations

from typing import Any

from tests.durability.soak import oracle_figures as figures
from tests.durability.soak.oracle_verdicts import LANGUAGES, Judges, by_text, format_of, verdicts

MICRO, NANO, FIXED = 1e-6, 1e-9, 2.0**-20
UNITS = {
    "input_tokens": 1.0,
    "output_tokens": 1.0,
    "cached_input_tokens": 1.0,
    "reasoning_tokens": 1.0,
    "tool_calls": 1.0,
    "input_chars": 1.0,
    "output_chars": 1.0,
    "duration_s": MICRO,
    "time_to_first_token_s": MICRO,
    "cost_usd": NANO,
}
FEEDBACK = {"edit_distance": FIXED, "rating": FIXED, "task_s": MICRO}
LENGTHS = {"input_chars": "input", "output_chars": "output"}
CATEGORIES = {
    "response_model": None,
    "provider": None,
    "finish_reason": None,
    "error_type": "none",
    "outcome": "ok",
    "guardrail": "none",
    "fallback": "none",
    "degradation_level": "1",
    "service_version": None,
}
STAGES = 16  # stage names per pane


class Pane:
    """Counts of a segment from ``start_us`` on, by the finest weight class.

    ``revision`` and ``late`` are those of its last window.
    """

    __slots__ = ("categories", "events", "late", "numbers", "rates", "revision", "start_us")

    def __init__(self, start_us: int) -> None:
        self.start_us = start_us
        self.events = self.revision = self.late = 0
        self.rates: dict[str, figures.Classes] = {}
        self.numbers: dict[tuple[str, float], dict[int, list[Any]]] = {}
        self.categories: dict[str, dict[int, dict[str, int]]] = {}

    def merge(self, other: Pane) -> None:
        """Add another segment's counts."""
        self.events += other.events
        for name, classes in other.rates.items():
            for ppm, (n, failures) in classes.items():
                add_rate(self.rates, name, ppm, n, failures)
        for number_key, counts_by_ppm in other.numbers.items():
            for ppm, (n, total, buckets) in counts_by_ppm.items():
                own_counts = self.numbers.setdefault(number_key, {}).setdefault(ppm, [0, 0, {}])
                own_counts[0] += n
                own_counts[1] += total
                for name, count in buckets.items():
                    own_counts[2][name] = own_counts[2].get(name, 0) + count
        for at_category, fine in other.categories.items():
            for ppm, counts in fine.items():
                for label, n in counts.items():
                    self.label(at_category, ppm, label, n)

    def label(self, name: str, ppm: int, label: str, n: int = 1) -> None:
        """Count a category."""
        counts_by_ppm = self.categories.setdefault(name, {}).setdefault(ppm, {})
        counts_by_ppm[label] = counts_by_ppm.get(label, 0) + n

    def value(self, name: str, ppm: int, value: int, unit: float) -> None:
        """Count one number."""
        counts_by_ppm = self.numbers.setdefault((name, unit), {}).setdefault(ppm, [0, 0, {}])
        counts_by_ppm[0] += 1
        counts_by_ppm[1] += value
        code = figures.code(value)
        counts_by_ppm[2][code] = counts_by_ppm[2].get(code, 0) + 1

    def metrics(
        self, units_by_name: dict[str, figures.Units], *, is_segment: bool
    ) -> dict[str, dict[str, Any]]:
        """Return all figures in the form of a window record; a segment has no intervals and quantiles.

        ``units_by_name``: rate -> heaviest weights at the time of writing.
        """
        out: dict[str, dict[str, Any]] = {}
        for name, fine in self.rates.items():
            classes = figures.coarse_rate(fine)
            shown = figures.rate(
                classes, figures.Z95, name in figures.SUCCESSES, units_by_name[name]
            )._asdict()
            out[name] = {
                **shown,
                "classes": [[ppm / figures.WHOLE, n, f] for ppm, (n, f) in sorted(classes.items())],
            }
            known = figures.units_of(classes, units_by_name[name])
            if not figures.has_one_weight(classes, units_by_name[name]) and known != figures.units_of(
                classes, figures.NO_UNITS
            ):
                out[name]["known_weights"] = list(known)
        for (name, unit), counts_by_ppm in self.numbers.items():
            out.update(
                {f"{name}.{reading}": shown for reading, shown in figures.number(counts_by_ppm, unit).items()}
            )
        for name, fine in self.categories.items():
            out[name] = _shares(fine)
        return _mergeable(out) if is_segment else out


def _mergeable(metrics: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Leave out what windows of segments do not have."""
    return {
        name: {
            field: value
            for field, value in metric.items()
            if field not in ("low", "high") and (field != "value" or "counts" not in metric)
        }
        for name, metric in metrics.items()
        if name.rpartition(".")[2] not in figures.QUANTILES
    }


def _shares(fine: dict[int, dict[str, int]]) -> dict[str, Any]:
    """Return the weighted counts of labels, and Kish's number of events. The corpus has fewer labels than the
    limit.
    """
    coarse = {ppm: [ppm] for ppm in fine} if len(fine) <= 8 else figures.coarse_enough(fine)
    counts: dict[str, float] = {}
    total = squares = 0.0
    for ppm, these in coarse.items():
        weight = figures.WHOLE / ppm
        for item in these:
            for label, n in fine[item].items():
                counts[label] = counts.get(label, 0.0) + n * weight
                total += n * weight
                squares += n * weight**2
    return {"value": None, "n": total**2 / squares, "low": None, "high": None, "counts": counts}


def add_rate(rates: dict[str, figures.Classes], name: str, ppm: int, n: int, failures: int) -> None:
    """Count n events and their failures."""
    counts_by_ppm = rates.setdefault(name, {}).setdefault(ppm, [0, 0])
    counts_by_ppm[0] += n
    counts_by_ppm[1] += failures


Rates = list[tuple[str, int, int]]  # metric, ppm, failures (0 or 1)


def count(event: dict[str, Any], pane: Pane, judges: Judges, *, reads_texts: bool) -> Rates:
    """Count an event into its pane; return the rates that it contributes to, for the sums over windows.

    ``reads_texts``: it is one of the responses whose language and format are counted.
    """
    p = figures.grid(event["sample_probability"])
    if event["kind"] == "response":
        outcomes = _response(event, pane, judges, p)
        if reads_texts:
            _texts(event, pane)
    elif event["kind"] == "feedback":
        outcomes = _feedback(event, pane, p)
    else:
        outcomes = _evaluation(event, pane, p)
    for name, ppm, failures in outcomes:
        add_rate(pane.rates, name, ppm, 1, failures)
    return outcomes


def _response(event: dict[str, Any], pane: Pane, judges: Judges, p: int) -> Rates:
    q = event["content_probability"]
    pq = figures.grid(event["sample_probability"] * q)
    pane.events += 1
    judged = verdicts(event, judges)
    outcomes = [("error_rate", p, int(bool(event.get("error_type"))))]
    outcomes += [
        (f"evaluator.{name}.fail_rate", pq if by_text(name, event) else p, int(failed))
        for name, failed in judged.items()
    ]
    failures = {name for name, failed in judged.items() if failed and name in judges.gating}
    if judges.gating & judged.keys():
        if any(not by_text(name, event) for name in failures):
            outcomes.append(("pass_rate", p, 1))
        elif "output" in event:
            outcomes.append(("pass_rate", pq, int(bool(failures))))
        elif q == 1:
            outcomes.append(("pass_rate", p, 0))
    for name, unit in UNITS.items():
        if name in event:
            pane.value(name, p, round(event[name] / unit), unit)
        elif name in LENGTHS and LENGTHS[name] in event:
            pane.value(name, pq, len(event[LENGTHS[name]]), unit)
    for name, absent in CATEGORIES.items():
        label = str(event.get(name) or "")
        if label and label != absent:
            pane.label(name, p, label[:128])
    for stage, seconds in event.get("stages_s", {}).items():
        number_key = (f"stage.{_plain(stage)}_s", MICRO)
        if number_key in pane.numbers or sum(name.startswith("stage.") for name, _ in pane.numbers) < STAGES:
            pane.value(number_key[0], p, round(seconds / MICRO), MICRO)
    return outcomes


def _texts(event: dict[str, Any], pane: Pane) -> None:
    if "output" in event and (form := format_of(event)):
        pane.label("output_format", figures.WHOLE, form)
    for text in ("input", "output"):
        if (language := LANGUAGES[event[text]] if text in event else None) is not None:
            pane.label(f"{text}_language", figures.WHOLE, language)


def _feedback(event: dict[str, Any], pane: Pane, p: int) -> Rates:
    for name, unit in FEEDBACK.items():
        if name in event:
            pane.value(f"feedback.{name}", p, round(event[name] / unit), unit)
    outcomes = [("feedback.acceptance_rate", p, int(not event["accepted"]))] if "accepted" in event else []
    return outcomes + (
        [("feedback.regeneration_rate", p, int(event["regenerated"]))] if "regenerated" in event else []
    )


def _evaluation(event: dict[str, Any], pane: Pane, p: int) -> Rates:
    name = _plain(event["evaluator"])
    if "score" in event:
        pane.value(f"evaluator.{name}.score", p, round(event["score"] / FIXED), FIXED)
    return [(f"evaluator.{name}.fail_rate", p, int(not event["passed"]))] if "passed" in event else []


def _plain(name: str) -> str:
    return "".join(char if char.isalnum() or char in "_-" else "_" for char in name)
