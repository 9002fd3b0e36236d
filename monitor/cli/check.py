"""``python -m monitor check softfail.yaml``: print every fault with its path and remedy, and what the file
names that does not exist here: variables, and with ``--against`` features and environments.
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from monitor.backtest.event_files import UnreadableInput
from monitor.cli.seen_features import (
    NotAnswered,
    Seen,
    SeenByWorker,
    SeenInFiles,
    any_matches,
    is_address,
)
from monitor.config_check import judge_evaluators, load_checked_config, user_evaluators
from monitor.evaluators import EVALUATORS
from monitor.protocol.service import SERVICE
from schemas.config.load import InvalidConfig, unset_variables
from schemas.config.monitor_config import Config
from softfail.evaluator_pool import EvaluatorPool
from softfail.sanitize import sanitize

_EVALUATOR = re.compile(r"evaluator\.([^.]+)\.")
FAULTY = 1
WRONG_ARGUMENTS = 2


def unmatched(config: Config, seen: Seen) -> list[str]:
    """List the patterns of a configuration that match nothing that was seen, a line each.

    Args:
        config: valid, or the valid part of one.
        seen: features and environments.
    """
    names, faults = seen.names(), list[str]()
    if not names:
        return [f"{seen.where}: has no feature yet, so no pattern was compared"]
    for path, pattern in _patterns(config):
        if pattern.startswith(f"{SERVICE}/") or seen.has(pattern):
            continue
        close = difflib.get_close_matches(pattern, names, 1, 0.75)
        listed = ", ".join(sorted(names)[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        hint = f"did you mean {close[0]!r}?" if close else f"seen are: {listed}"
        faults.append(f"{path}: {pattern!r} matches no feature seen in {seen.where}; {hint}")
    environments = seen.environments()
    for path, patterns in _environments(config):
        if not any_matches(patterns, environments):
            faults.append(
                f"{path}: {', '.join(map(repr, patterns))} matches no environment seen in {seen.where};"
                f" seen are: {', '.join(sorted(environments))}"
            )
    return faults


def foreign_evaluators(config: Config) -> Iterator[tuple[str, str]]:
    """Yield path and name of each evaluator that a rule names and that no worker has.

    Such verdicts come in evaluation events, so only their names in events can tell whether one exists.
    """
    own = {*EVALUATORS, *user_evaluators(config), *judge_evaluators(config)}
    for path, entry in _entries(config):
        metrics = getattr(entry, "on", None) or ()
        for metric in (metrics,) if isinstance(metrics, str) else metrics:
            if (named := _EVALUATOR.match(metric)) and named[1] not in own:
                yield f"{path}.on", named[1]


def _evaluator_lines(config: Config, seen: Seen | None) -> tuple[list[str], list[str]]:
    """Return faults and notes about evaluators that softfail does not have."""
    faults, notes = list[str](), list[str]()
    for path, name in foreign_evaluators(config):
        close = difflib.get_close_matches(name, (*EVALUATORS, *user_evaluators(config)), 1, 0.75)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        if seen is not None and seen.evaluators is not None:
            if name not in seen.evaluators:
                faults.append(
                    f"{path}: softfail has no evaluator {name!r}, and no evaluation event in {seen.where} names it"
                    f"{hint}"
                )
        elif not close:  # such a name is a fault by itself
            notes.append(
                f"{path}: softfail has no evaluator {name!r}; the rule reads evaluation events of that name"
            )
    return faults, notes


def _entries(config: Config) -> Iterator[tuple[str, Any]]:
    for section in ("features", "routes", "silences", "rules", "objectives", "drift"):
        for index, entry in enumerate(getattr(config, section) or ()):
            yield f"{section}[{index}]", entry


def _patterns(config: Config) -> Iterator[tuple[str, str]]:
    for path, entry in _entries(config):
        if entry.match != "*":
            yield f"{path}.match", entry.match


def _environments(config: Config) -> Iterator[tuple[str, tuple[str, ...]]]:
    for path, entry in _entries(config):
        if getattr(entry, "environments", None):
            yield f"{path}.environments", tuple(entry.environments)
        if getattr(entry, "environment", "*") != "*":
            yield f"{path}.environment", (entry.environment,)


def _seen(sources: Sequence[str]) -> Seen:
    """Read what was seen.

    Raises:
        NotAnswered: a worker does not answer.
        UnreadableInput: a file cannot be read.
    """
    if is_address(sources[0]):
        return SeenByWorker(sources[0], os.environ.get("SOFTFAIL_HTTP__TOKEN", ""))
    return SeenInFiles.read(sources)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m monitor check",
        description=(
            "Check a configuration file: print every fault, and each variable that is not set here. With"
            " --against, also each pattern that matches nothing seen."
        ),
    )
    parser.add_argument("file", type=Path, help="softfail.yaml")
    parser.add_argument(
        "--against",
        nargs="+",
        metavar="URL|FILE",
        help="the page of a running worker (http://host:6066; SOFTFAIL_HTTP__TOKEN is its token), or files of events",
    )
    return parser


def main(argv: Sequence[str]) -> int:
    """Run the command; return 0 if the file has no fault, 1 if it has, 2 if ``--against`` cannot be read."""
    parser = _parser()
    options = parser.parse_args(argv)
    sources: list[str] = options.against or []
    if len(sources) > 1 and any(map(is_address, sources)):
        parser.error("--against: give one address, or files")
    faults: list[str] = []
    config: Config | None = None
    try:
        with EvaluatorPool() as pool:
            config = load_checked_config(options.file, describe=pool.describe)
    except InvalidConfig as error:
        faults += error.faults
        readable = error.valid_part
    else:
        readable = config
    notes: list[str] = []
    if readable is not None:
        try:
            seen = _seen(sources) if sources else None
            faults += unmatched(readable, seen) if seen is not None else []
        except (NotAnswered, UnreadableInput) as error:
            print(sanitize(f"--against: {error}"), file=sys.stderr)
            return WRONG_ARGUMENTS
        more, notes = _evaluator_lines(readable, seen)
        faults += more
        notes += _unset_lines(options.file, faults)
    for note in notes:
        print(sanitize(f"note: {note}"))
    for fault in dict.fromkeys(faults):
        print(sanitize(fault, lines=True))
    if faults or config is None:
        number = len(dict.fromkeys(faults))
        print(f"{options.file}: {number} fault{'s' if number > 1 else ''}", file=sys.stderr)
        return FAULTY
    _print_summary(options.file, config)
    return 0


def _unset_lines(path: Path, faults: Sequence[str]) -> list[str]:
    """Name the variables that are not set here. A worker needs them; whoever only checks a file does not."""
    return [
        f"{place}: the variable {name} is not set here; a worker needs it"
        for place, name in unset_variables(path)
        if not any(fault.startswith(f"{place}: ") for fault in faults)
    ]


def _print_summary(path: Path, config: Config) -> None:
    named = (*config.all_rules(), *config.all_burning(), *config.all_drift())
    rules = ", ".join(rule.name for rule in named) or "none"
    silence = "" if config.no_data.severity is None else ", no-data"
    channels = ", ".join(config.channels.names()) or "none"
    print(f"{path}: valid. Rules: {rules}{silence}. Channels: {channels}.")
