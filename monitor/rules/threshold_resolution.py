"""The number behind a rule's threshold: written in the rule, or the latency budget of the feature."""

from __future__ import annotations

from monitor.evaluators.configured import EvaluatorSetting, parse_setting
from monitor.evaluators.latency import LatencyEvaluator, LatencyParameters
from schemas.config.features import Feature
from schemas.config.monitor_config import Config
from schemas.config.rules import BaselineThreshold, BudgetThreshold, FixedThreshold, Rule


class ThresholdResolver:
    """Resolves the thresholds of rules feature by feature."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._resolved: dict[tuple[str, str, str], FixedThreshold | None] = {}

    def resolve(self, rule: Rule, service: str, feature: str) -> FixedThreshold | None:
        """Return the number that a rule compares with on a feature; None where there is none: a learnt
        baseline, or a budget on a feature without an interaction.
        """
        match rule.threshold:
            case FixedThreshold() as threshold:
                return threshold
            case BaselineThreshold():
                return None
            case BudgetThreshold(quantity):
                key = rule.name, service, feature
                if key not in self._resolved:
                    budget_s = latency_budget_s(self._config.feature(service, feature), quantity)
                    self._resolved[key] = None if budget_s is None else FixedThreshold("above", budget_s)
                return self._resolved[key]


def latency_budget_s(settings: Feature, quantity: str) -> float | None:
    """Return the latency budget of a feature, seconds; None where its interaction has none.

    Args:
        settings: of the feature; the parameters of its `latency` evaluator, else the defaults, are its
            budgets.
        quantity: ``duration_s`` or ``time_to_first_token_s``.

    Raises:
        ValueError: the parameters of its `latency` evaluator are not valid.

    >>> settings = Feature.model_validate({"interaction": "sync", "evaluators": [{"latency": {"sync_s": 3}}]})
    >>> latency_budget_s(settings, "duration_s"), latency_budget_s(settings, "time_to_first_token_s")
    (3.0, None)
    """
    parameters = LatencyParameters()
    for value in settings.evaluators or ():
        if value == LatencyEvaluator.name or (isinstance(value, dict) and LatencyEvaluator.name in value):
            parsed = parse_setting(value)
            assert isinstance(parsed, EvaluatorSetting)
            assert isinstance(parsed.parameters, LatencyParameters)
            parameters = parsed.parameters
    return parameters.budget_s(quantity, settings.interaction)
