"""``python -m monitor check softfail.yaml``: every fault with its path and remedy."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from monitor.evaluators import EVALUATORS
from monitor.evaluators.suite import Suite
from monitor.quantities import fault_in
from monitor.rules.threshold import BUDGETS_S
from schemas.config import Config
from schemas.load import InvalidConfig, load


def faults_of(config: Config) -> list[str]:
    """What only the core can see: evaluators that do not exist, rules that cannot fire. One line each, path first."""
    faults = []
    for at, feature in enumerate(config.features):
        try:
            Suite.of(feature.evaluators, feature.gating, feature.interaction)
        except ValueError as error:
            faults.append(f"features[{at}]: {error}")
    known = {one.interaction for one in config.features if one.interaction}
    for at, rule in enumerate(config.rules):
        if fault := fault_in(rule.on, tuple(EVALUATORS)):
            faults.append(f"rules[{at}].on: {fault}")
        if rule.above == "budget" and not any(one in BUDGETS_S.get(rule.on.rpartition(".")[0], {}) for one in known):
            faults.append(f"rules[{at}].above: budget holds for features whose interaction is known, and none is; set features[].interaction")
    return faults


def checked(path: Path | None, *, with_secrets: bool = False) -> Config:
    """The configuration of a file (None: the defaults), read and checked whole; ``with_secrets``: whether it must be ready to deliver.

    Raises:
        InvalidConfig: with every fault that was found.
    """
    config = load(path, with_secrets=with_secrets)
    if faults := faults_of(config):
        raise InvalidConfig(faults)
    return config


def main(argv: Sequence[str]) -> int:
    """Exit code 0 if the file is well, 1 if it is not."""
    parser = argparse.ArgumentParser(prog="python -m monitor check", description="Check a configuration file and say what is wrong with it.")
    parser.add_argument("file", type=Path, help="softfail.yaml")
    options = parser.parse_args(argv)
    try:
        config = checked(options.file)
    except InvalidConfig as error:
        for fault in error.faults:
            print(fault)
        print(f"{options.file}: {len(error.faults)} fault{'s' if len(error.faults) > 1 else ''}", file=sys.stderr)
        return 1
    rules = ", ".join(rule.name for rule in config.all_rules()) or "none"
    silence = "" if config.no_data.severity is None else ", no-data"
    print(f"{options.file}: well. Rules: {rules}{silence}. Channels: {', '.join(config.channels.names()) or 'none'}.")
    return 0
