"""``python -m monitor check softfail.yaml``: print every fault with its path and remedy."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
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
from softfail.sanitize import sanitize


def faults_of(config: Config) -> list[str]:
    """List the faults that only the core can find: unknown evaluators, rules that cannot fire.

    One line a fault; it begins with the path of the key. Empty if there is none.
    """
    faults = []
    for index, feature in enumerate(config.features):
        try:
            Suite.of(feature.evaluators, feature.gating, feature.interaction)
        except ValueError as error:
            faults.append(f"features[{index}]: {error}")
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
    config = load(path, with_secrets=with_secrets, with_pins=with_pins)
    if faults := faults_of(config):
        raise InvalidConfig(faults)
    return config


def main(argv: Sequence[str]) -> int:
    """Run the command; return exit code 0 if the file has no fault, else 1."""
    parser = argparse.ArgumentParser(
        prog="python -m monitor check",
        description="Check a configuration file and print its faults.",
    )
    parser.add_argument("file", type=Path, help="softfail.yaml")
    options = parser.parse_args(argv)
    try:
        config = load_checked_config(options.file)
    except InvalidConfig as error:
        for fault in error.faults:
            print(sanitize(fault, lines=True))
        print(
            f"{options.file}: {len(error.faults)} fault{'s' if len(error.faults) > 1 else ''}",
            file=sys.stderr,
        )
        return 1
    rules = (
        ", ".join(rule.name for rule in (*config.all_rules(), *config.all_burning(), *config.all_drift()))
        or "none"
    )
    silence = "" if config.no_data.severity is None else ", no-data"
    print(
        f"{options.file}: valid. Rules: {rules}{silence}. Channels:"
        f" {', '.join(config.channels.names()) or 'none'}."
    )
    return 0
