"""Check all of a configuration: what its models check, and what only the core knows."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from monitor.evaluators import EVALUATORS
from monitor.evaluators.configured import parse_setting
from monitor.evaluators.suite import Suite, with_defaults
from monitor.evaluators.user_evaluator import Describe, UserSetting
from monitor.references.pinned import pin_fault
from monitor.rules.threshold_resolution import latency_budget_s
from monitor.windows.metric_definitions import SUCCESS_RATES, drift_metric_fault, metric_fault
from schemas.config.features import Feature
from schemas.config.load import InvalidConfig, load
from schemas.config.monitor_config import Config
from schemas.config.rules import GATING, BudgetThreshold
from softfail.evaluator_process import EvaluatorSpec


def faults_of(config: Config) -> list[str]:
    """List the faults that only the core can find: unknown evaluators, rules that cannot fire.

    One line a fault; it begins with the path of the key. Empty if there is none.
    """
    faults = []
    names = (*EVALUATORS, *user_evaluators(config), *judge_evaluators(config))
    faults += [
        f"judges[{index}].name: {judge.name!r} is an evaluator of workers, and verdicts of both would be mixed; take"
        " another name"
        for index, judge in enumerate(config.judges)
        if judge.name in (*EVALUATORS, *user_evaluators(config))
    ]
    for index, feature in enumerate(config.features):
        faults += [f"features[{index}]: {fault}" for fault in _suite_faults(feature)]
    for index, rule in enumerate(config.rules):
        if rule.on != GATING and (fault := metric_fault(rule.on, names)):
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
        if fault := metric_fault(objective.on, names):
            faults.append(f"objectives[{index}].on: {fault}")
    for index, gate in enumerate(config.gates):
        faults += [
            f"gates[{index}].metrics[{number}].metric: {fault}"
            for number, metric in enumerate(gate.metrics or ())
            if (fault := metric_fault(metric.metric, names))
        ]
    for index, drift in enumerate(config.drift):
        faults += [
            f"drift[{index}].on: {fault}"
            for name in drift.on or ()
            if (fault := drift_metric_fault(name, names))
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
    for evaluators in (*((setting,) for setting in with_defaults(feature.evaluators or ())), None):
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


def judge_evaluators(config: Config) -> list[str]:
    """Return the names under which verdicts of judges are counted."""
    return [name for judge in config.judges for name in (judge.name, judge.uncalibrated_name)]


def user_evaluators(config: Config) -> list[str]:
    """Return the names of the evaluators of users that are valid."""
    return list(user_evaluator_names(config).values())


def user_evaluator_names(config: Config) -> dict[EvaluatorSpec, str]:
    """Return the name of each evaluator of a user by what its process needs; the first, if it has several."""
    names: dict[EvaluatorSpec, str] = {}
    for feature in config.features:
        for value in feature.evaluators or ():
            with contextlib.suppress(ValueError):
                if isinstance(setting := parse_setting(value), UserSetting):
                    names.setdefault(setting.spec, setting.name)
    return names


def with_user_evaluators(
    config: Config,
    folder: Path,
    describe: Describe,
    start: Callable[[Sequence[EvaluatorSpec]], None] = lambda specs: None,
) -> tuple[Config, list[str]]:
    """Return a configuration with what its evaluators of users state about themselves, and their faults.

    An evaluator with a fault has no description: each of its evaluations is an error.

    Args:
        config: evaluators with other faults are left as they are.
        folder: searched for their modules, before all others.
        describe: imports an evaluator elsewhere, and states what it is.
        start: begins to import them, all at a time.
    """
    faults: list[str] = []
    start([replace(spec, paths=(str(folder.resolve()),)) for spec in user_evaluator_names(config)])
    features = []
    for index, feature in enumerate(config.features):
        evaluators: list[Any] = []
        for number, value in enumerate(feature.evaluators or ()):
            setting = None
            with contextlib.suppress(ValueError):  # a fault that ``faults_of`` finds
                setting = parse_setting(value)
            if not isinstance(setting, UserSetting):
                evaluators.append(value)
                continue
            setting = setting.beside(folder)
            try:
                setting = setting.described(describe)
            except ValueError as error:
                faults.append(f"features[{index}].evaluators[{number}].use: {error}")
            evaluators.append(setting)
        features.append(
            feature
            if feature.evaluators is None
            else feature.model_copy(update={"evaluators": tuple(evaluators)})
        )
    return config.model_copy(update={"features": tuple(features)}), list(dict.fromkeys(faults))


def _has_budget(feature: Feature, quantity: str) -> bool:
    try:
        return latency_budget_s(feature, quantity) is not None
    except ValueError:  # reported as a fault of the feature
        return True


def load_checked_config(
    path: Path | None,
    *,
    with_secrets: bool = False,
    with_pins: bool = True,
    describe: Describe | None = None,
) -> Config:
    """Read a configuration and check all of it.

    Args:
        path: the file; None: the defaults.
        with_secrets: whether the keys of all channels must be present.
        with_pins: whether the files under `pinned` must be present.
        describe: imports an evaluator of a user elsewhere, and states what it is; None: they are not imported,
            so each of their evaluations is an error.

    Raises:
        InvalidConfig: with all faults.
    """
    faults: list[str] = []
    try:
        config = load(path, with_secrets=with_secrets, with_pins=with_pins)
    except InvalidConfig as error:
        if error.valid_part is None:
            raise
        config, faults = error.valid_part, list(error.faults)
    faults += faults_of(config)
    if describe is not None:
        config, more = with_user_evaluators(config, folder_of(path), describe)
        faults += more
    if faults:
        raise InvalidConfig(list(dict.fromkeys(faults)), config)
    return config


def folder_of(path: Path | None) -> Path:
    """Return the folder whose modules a configuration names; without a file the current one."""
    return Path() if path is None else path.parent
