"""Which plots a feature gets: events, pass and error rate, output tokens, duration, and whatever else its
rules look at.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from monitor.evaluators import EVALUATORS
from monitor.rules.threshold import BUDGETS_S
from monitor.windows.metric_definitions import SUCCESS_RATES
from schemas.config.monitor_config import Config

EVENTS = "events"
MOST = 12  # plots a feature; a configuration with more metrics than that is not read off plots

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
    """One plot. ``readings`` of a number (p50, mean, ...); none for rates and events. ``always`` False: only
    where something was found about it.
    """

    name: str
    readings: tuple[str, ...] = ()
    always: bool = True

    @property
    def title(self) -> str:
        """What stands over it.

        >>> Panel("evaluator.refusal.fail_rate").title, Panel("duration_s", ("p50", "p90")).title
        ('Failed: refusal', 'Duration p50, p90')
        """
        title = _TITLES.get(self.name)
        if title is None and self.name.startswith("evaluator.") and self.name.endswith(".fail_rate"):
            title = f"Failed: {self.name[10:-10]}"
        return " ".join(filter(None, (title or self.name, ", ".join(self.readings))))


class Limit(NamedTuple):
    """A threshold that a rule holds a panel to. ``reading`` empty: of a rate."""

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
    # whose failures are the error rate
    *(Panel(f"evaluator.{name}.fail_rate", always=False) for name in EVALUATORS if name != "error"),
    *(
        Panel(name, ("p50", "p90"), always=False)
        for name in ("input_tokens", "time_to_first_token_s", "cost_usd", "output_chars")
    ),
)
"""What rules on baselines and on drift may tell of without naming it in the configuration."""


def split(metric: str) -> tuple[str, str]:
    """Name and reading of a metric; a rate has no reading.

    >>> split("duration_s.p90"), split("evaluator.refusal.fail_rate")
    (('duration_s', 'p90'), ('evaluator.refusal.fail_rate', ''))
    """
    if metric.endswith("_rate"):
        return metric, ""
    name, _, reading = metric.rpartition(".")
    return name, reading


def panels_of(metrics: Iterable[str]) -> tuple[Panel, ...]:
    """The plots that show these metrics, beside the fixed ones (together at most ``MOST``), and those that
    are shown on a finding.

    >>> [panel.title for panel in panels_of(["duration_s.p99", "evaluator.empty.fail_rate"]) if panel.always][4:]
    ['Duration p50, p90, p99', 'Failed: empty']
    """
    panels = {panel.name: panel for panel in FIXED}
    for metric in metrics:
        name, reading = split(metric)
        if not name or name == EVENTS:
            continue
        known = panels.get(name)
        if known is None:
            panels[name] = Panel(name, (reading,) if reading else ())
        elif reading and reading not in known.readings:
            panels[name] = known._replace(readings=(*known.readings, reading))
    shown = dict(list(panels.items())[:MOST])
    return (*shown.values(), *(panel for panel in ON_FINDING if panel.name not in shown))


def metrics_of(configs: Sequence[Config]) -> list[str]:
    """All metrics that thresholds of these configurations are set on."""
    rules = [rule.on for config in configs for rule in config.all_rules() if "*" not in rule.on]
    return list(
        dict.fromkeys([*rules, *(objective.on for config in configs for objective in config.objectives)])
    )


def limits_of(config: Config, service: str, feature: str, environment: str) -> dict[str, list[Limit]]:
    """The thresholds that hold for a feature, by panel name."""
    limits: dict[str, list[Limit]] = {}
    for rule in config.all_rules():
        if not fnmatchcase(f"{service}/{feature}", rule.match) or environment not in (
            rule.environments or (environment,)
        ):
            continue
        name, reading = split(rule.on)
        above: Any = (
            rule.above
            if rule.above != "budget"
            else BUDGETS_S.get(name, {}).get(config.feature(service, feature).interaction or "")
        )
        # the learnt baseline is no line
        above, below = (one if isinstance(one, int | float) else None for one in (above, rule.below))
        if above is not None or below is not None:
            limits.setdefault(name, []).append(Limit(rule.name, reading, above, below))
    for one in config.objectives:
        if fnmatchcase(f"{service}/{feature}", one.match) and environment in (
            one.environments or (environment,)
        ):
            succeeds = one.on in SUCCESS_RATES
            limits.setdefault(one.on, []).append(
                Limit(one.name, "", None if succeeds else 1 - one.target, one.target if succeeds else None)
            )
    return limits
