"""Choose the plots of a feature: fixed panels, the metrics of its rules, and metrics with a finding."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from monitor.evaluators import EVALUATORS
from monitor.rules.threshold_resolution import ThresholdResolver
from monitor.windows.metric_definitions import SUCCESS_RATES
from schemas.config.monitor_config import Config

EVENTS = "events"
MOST = 12  # plots a feature; more plots than that are hard to read

_TITLES = {
    EVENTS: "Events a minute",
    "pass_rate": "Pass rate",
    "error_rate": "Error rate",
    "output_tokens": "Output tokens",
    "input_tokens": "Input tokens",
    "duration_s": "Duration",
    "time_to_first_token_s": "Time to first token",
    "cost_usd": "Cost of a call",
    "output_chars": "Output characters",
    "feedback.acceptance_rate": "Accepted",
    "feedback.regeneration_rate": "Regenerated",
}


class Panel(NamedTuple):
    """One plot. ``readings`` are those of a number (p50, mean, ...); rates and events have none.

    ``always``: whether it is shown without a finding on its metric.
    """

    name: str
    readings: tuple[str, ...] = ()
    always: bool = True

    @property
    def title(self) -> str:
        """Title of the plot.

        >>> Panel("evaluator.refusal.fail_rate").title, Panel("duration_s", ("p50", "p90")).title
        ('Failed: refusal', 'Duration p50, p90')
        """
        title = _TITLES.get(self.name)
        if title is None and self.name.startswith("evaluator.") and self.name.endswith(".fail_rate"):
            title = f"Failed: {self.name[10:-10]}"
        return " ".join(filter(None, (title or self.name, ", ".join(self.readings))))


class Limit(NamedTuple):
    """The threshold of a rule on a panel. ``reading`` is empty for a rate."""

    rule: str
    reading: str
    above: float | None
    below: float | None


FIXED = (
    Panel(EVENTS),
    Panel("pass_rate"),
    Panel("error_rate"),
    Panel("output_tokens", ("p50", "p90")),
    Panel("duration_s", ("p50", "p90")),
)


ON_FINDING = (
    # failures of the evaluator `error` are plotted as the error rate
    *(Panel(f"evaluator.{name}.fail_rate", always=False) for name in EVALUATORS if name != "error"),
    *(
        Panel(name, ("p50", "p90"), always=False)
        for name in ("input_tokens", "time_to_first_token_s", "cost_usd", "output_chars")
    ),
)
"""Panels of metrics that baseline and drift rules may report without being configured."""


def split(metric: str) -> tuple[str, str]:
    """Split a metric into name and reading; a rate has no reading.

    >>> split("duration_s.p90"), split("evaluator.refusal.fail_rate")
    (('duration_s', 'p90'), ('evaluator.refusal.fail_rate', ''))
    """
    if metric.endswith("_rate"):
        return metric, ""
    name, _, reading = metric.rpartition(".")
    return name, reading


def panels_of(metrics: Iterable[str]) -> tuple[Panel, ...]:
    """Return the panels of a report: fixed, of the given metrics (together at most ``MOST``), on a finding.

    >>> [panel.title for panel in panels_of(["duration_s.p99", "evaluator.empty.fail_rate"]) if panel.always][4:]
    ['Duration p50, p90, p99', 'Failed: empty']
    """
    panels = {panel.name: panel for panel in FIXED}
    for metric in metrics:
        name, reading = split(metric)
        if not name or name == EVENTS:
            continue
        panel = panels.get(name)
        if panel is None:
            panels[name] = Panel(name, (reading,) if reading else ())
        elif reading and reading not in panel.readings:
            panels[name] = panel._replace(readings=(*panel.readings, reading))
    shown = dict(list(panels.items())[:MOST])
    return (*shown.values(), *(panel for panel in ON_FINDING if panel.name not in shown))


def metrics_of(configs: Sequence[Config]) -> list[str]:
    """List the metrics on which these configurations set a threshold."""
    rules = [rule.on for config in configs for rule in config.all_rules() if "*" not in rule.on]
    return list(
        dict.fromkeys([*rules, *(objective.on for config in configs for objective in config.objectives)])
    )


def limits_of(config: Config, service: str, feature: str, environment: str) -> dict[str, list[Limit]]:
    """Return the thresholds that apply to a feature, by panel name."""
    limits: dict[str, list[Limit]] = {}
    thresholds = ThresholdResolver(config)
    for rule in config.all_rules():
        if not fnmatchcase(f"{service}/{feature}", rule.match) or environment not in (
            rule.environments or (environment,)
        ):
            continue
        name, reading = split(rule.on)
        # a learnt baseline is not constant, so it is not drawn
        if (threshold := thresholds.resolve(rule, service, feature)) is not None:
            above = threshold.value if threshold.side == "above" else None
            below = threshold.value if threshold.side == "below" else None
            limits.setdefault(name, []).append(Limit(rule.name, reading, above, below))
    for objective in config.objectives:
        if fnmatchcase(f"{service}/{feature}", objective.match) and environment in (
            objective.environments or (environment,)
        ):
            succeeds = objective.on in SUCCESS_RATES
            limits.setdefault(objective.on, []).append(
                Limit(
                    objective.name,
                    "",
                    None if succeeds else 1 - objective.target,
                    objective.target if succeeds else None,
                )
            )
    return limits
