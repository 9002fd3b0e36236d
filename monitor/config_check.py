"""Check all of a configuration: what its models check, and what only the core knows."""

from __future__ import annotations

from pathlib import Path

from monitor.evaluators import EVALUATORS
from monitor.evaluators.suite import Suite
from monitor.references.pinned import pin_fault
from monitor.rules.threshold_resolution import latency_budget_s
from monitor.windows.metric_definitions import SUCCESS_RATES, drift_metric_fault, metric_fault
from schemas.config.features import Feature
from schemas.config.load import InvalidConfig, load
from schemas.config.monitor_config import Config
from schemas.config.rules import GATING, BudgetThreshold


def faults_of(config: Config) -> list[str]:
    """List the faults that only the core can find: unknown evaluators, rules that cannot fire.

    One line a fault; it begins with the path of the key. Empty if there is none.
    """
    faults = []
    for index, feature in enumerate(config.features):
        faults += [f"features[{index}]: {fault}" for fault in _suite_faults(feature)]
    for index, rule in enumerate(config.rules):
        if rule.on != GATING and (fault := metric_fault(rule.on, tuple(EVALUATORS))):
            faults.append(f"rules[{index}].on: {fault}")
        if rule.is_learnt and (rule.on in SUCCESS_RATES) != (rule.below == "baseline"):
            good = "below" if rule.on in SUCCESS_RATES else "above"
            faults.append(
                f"rules[{index}]: {rule.on} gets worse by going {good} its baseline; write {good}: baseline"
            )
        threshold = rule.threshold
        if isinstance(threshold, BudgetThreshold) and not any(
            _has_budget(feature, threshold.quantity) for feature in config.features
        ):
            faults.append(
                f"rules[{index}].above: budget holds for features whose interaction is known, and none is;"
                " set features[].interaction"
            )
    for index, objective in enumerate(config.objectives):
        if fault := metric_fault(objective.on, tuple(EVALUATORS)):
            faults.append(f"objectives[{index}].on: {fault}")
    for index, drift in enumerate(config.drift):
        faults += [
            f"drift[{index}].on: {fault}"
            for name in drift.on or ()
            if (fault := drift_metric_fault(name, tuple(EVALUATORS)))
        ]
    faults += [
        f"pinned.{name}.file: {reference.file} {fault}"
        for name, reference in config.pinned.items()
        if reference.pin is not None and (fault := pin_fault(reference.pin))
    ]
    return faults


def _suite_faults(feature: Feature) -> list[str]:
    """List the faults of a feature's evaluators, each that cannot be made; else those of all together."""
    faults: list[str] = []
    for evaluators in (*((setting,) for setting in feature.evaluators or ()), None):
        if evaluators is None and faults:
            break
        try:
            if evaluators is None:
                Suite.from_settings(feature.evaluators, feature.gating, feature.interaction)
            else:
                Suite.from_settings(evaluators, {}, feature.interaction)
        except ValueError as error:
            faults.append(str(error))
    return faults


def _has_budget(feature: Feature, quantity: str) -> bool:
    try:
        return latency_budget_s(feature, quantity) is not None
    except ValueError:  # reported as a fault of the feature
        return True


def load_checked_config(path: Path | None, *, with_secrets: bool = False, with_pins: bool = True) -> Config:
    """Read a configuration and check all of it.

    Args:
        path: the file; None: the defaults.
        with_secrets: whether the keys of all channels must be present.
        with_pins: whether the files under `pinned` must be present.

    Raises:
        InvalidConfig: with all faults.
    """
    try:
        config = load(path, with_secrets=with_secrets, with_pins=with_pins)
    except InvalidConfig as error:
        more = faults_of(error.valid_part) if error.valid_part is not None else []
        faults = list(dict.fromkeys((*error.faults, *more)))
        raise InvalidConfig(faults, error.valid_part) from None
    if faults := faults_of(config):
        raise InvalidConfig(faults, config)
    return config
