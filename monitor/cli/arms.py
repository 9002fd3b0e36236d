"""Options and input of `compare` and `gate`: which two versions of a feature, from which log."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from pydantic import ValidationError

from monitor.backtest.arm_reader import OTHER, ArmReader, Selection
from monitor.backtest.engine import bundles
from monitor.backtest.event_files import UnreadableInput
from monitor.backtest.release_looks import (
    Question,
    default_metrics,
    earlier_looks,
    look,
    present_metrics,
    question_of,
)
from monitor.cli.options import instant
from monitor.compare.arm import Arm
from monitor.compare.comparison import QUANTILES, compare_arms
from monitor.compare.inputs import input_differences
from monitor.compare.pairing import WHOLE
from monitor.protocol.messages import FileRecord, Record
from monitor.reports.releases.report import ReleaseReport
from monitor.windows.metric_definitions import unit_of
from monitor.windows.segment_keys import FeatureKey
from schemas.config.gates import ARM_FIELDS, Gate
from schemas.config.monitor_config import Config
from schemas.fields import duration_s
from softfail.evaluator_pool import EvaluatorPool
from softfail.sanitize import sanitize

SHOWN_VALUES = 8
"""Values of a label that a message lists."""


class UnusableArms(UnreadableInput):
    """Raised when the log has not both versions, or the options select none."""


def add_arm_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that select events."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="softfail.yaml with the evaluators")
    parser.add_argument("--feature", metavar="SERVICE/FEATURE", help="the feature")
    parser.add_argument(
        "--by",
        metavar="LABEL",
        help=f"what distinguishes the versions: {', '.join(ARM_FIELDS)}, or a name in dimensions"
        " (default: prompt_version)",
    )
    parser.add_argument("--a", metavar="VALUE", help="the stable version, that of before")
    parser.add_argument("--b", metavar="VALUE", help="the new version")
    parser.add_argument("--environment", metavar="NAME", help="environment (default: production)")
    parser.add_argument(
        "--within",
        metavar="LABEL",
        action="append",
        help="compare within each value of this label, so that its mix is the same; may be repeated",
    )
    parser.add_argument(
        "--pair",
        type=pair_length,
        metavar="TIME",
        help="compare within times of this length in which both versions have events: 1m (default), 5m, 1h; all:"
        " whole periods, for versions that never ran at the same time",
    )
    parser.add_argument("--from", dest="since", type=instant, metavar="TIME", help="from this time on (UTC)")
    parser.add_argument("--to", dest="until", type=instant, metavar="TIME", help="until this time, exclusive")


def pair_length(text: str) -> int:
    """Parse a cell length to microseconds; ``all`` is 0.

    Raises:
        argparse.ArgumentTypeError: it is no whole number of minutes.

    >>> pair_length("5m"), pair_length("all")
    (300000000, 0)
    """
    if text == "all":
        return WHOLE
    try:
        seconds = duration_s(text)
    except ValueError:
        seconds = 0.0
    if seconds < 60 or seconds % 60:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of minutes; write 1m, 5m, 1h or all")
    return int(seconds) * 1_000_000


def gate_of(options: argparse.Namespace, base: Gate | None) -> Gate:
    """Return the gate that the options describe, over the configured one.

    Raises:
        UnusableArms: an option is missing or wrong; the message names it.
    """
    given = {
        "feature": options.feature,
        "by": options.by,
        "stable": options.a,
        "canary": options.b,
        "environment": options.environment,
        "within": tuple(options.within) if options.within else None,
    }
    values = {} if base is None else base.model_dump(exclude_unset=True)
    values |= {name: value for name, value in given.items() if value is not None}
    values.setdefault("name", "options")
    for name, option in (("feature", "--feature SERVICE/FEATURE"), ("stable", "--a"), ("canary", "--b")):
        if values.get(name) is None:
            raise UnusableArms(f"{option.split()[0]}: is missing; give {option}")
    try:
        return Gate.model_validate(values)
    except ValueError as error:
        raise UnusableArms("\n".join(_plain_faults(error))) from None


def _plain_faults(error: ValueError) -> list[str]:
    details = error.errors() if isinstance(error, ValidationError) else []
    return [str(detail["msg"]).removeprefix("Value error, ") for detail in details] or [str(error)]


def read_arms(
    gate: Gate,
    config: Config,
    records: Iterable[Record],
    options: argparse.Namespace,
    pool: EvaluatorPool,
    *,
    may_be_empty: bool,
) -> tuple[ArmReader, Arm, Arm]:
    """Read both versions.

    Args:
        may_be_empty: whether a version without events is an answer, not a mistake.

    Raises:
        UnusableArms: the log does not have the feature, or not both versions; the message lists what it has.
    """
    service, _, name = gate.feature.partition("/")
    selection = Selection(
        FeatureKey(service, name, gate.environment),
        gate.by,
        str(gate.stable),
        str(gate.canary),
        gate.within,
        options.since,
        options.until,
    )
    reader = ArmReader(config, selection, pool.evaluate)

    def report(record: Record, error: str) -> None:
        place = f"{record.topic}:{record.offset}" if isinstance(record, FileRecord) else str(record.offset)
        print(sanitize(f"{place}: {error}"), file=sys.stderr)

    for bundle in bundles(records):
        reader.take(bundle, report)
    if fault := _fault(reader, gate, may_be_empty=may_be_empty):
        raise UnusableArms(fault)
    a, b = reader.arms()
    return reader, a, b


def _fault(reader: ArmReader, gate: Gate, *, may_be_empty: bool) -> str:
    if not reader.values:
        there = [
            name if env == "production" else f"{name} ({env})"
            for (name, env), _ in reader.features.most_common()
        ]
        return (
            f"--feature: no response of {gate.feature} in {gate.environment}"
            f"{' in these times' if reader.features else ''}; there are: {_listed(there) or 'no events at all'}"
        )
    if may_be_empty:
        return ""
    for option, value in (("--a", gate.stable), ("--b", gate.canary)):
        if not reader.values[str(value)]:
            values = [f"{name or '(none)'} ({n:,})" for name, n in _without_other(reader.values)]
            return f"{option}: no response of {gate.feature} has {gate.by} {str(value)!r}; there are: {_listed(values)}"
    return ""


def _without_other(values: Counter[str]) -> list[tuple[str, int]]:
    return [(name, n) for name, n in values.most_common() if name != OTHER]


def _listed(texts: list[str]) -> str:
    more = f" and {len(texts) - SHOWN_VALUES} more" if len(texts) > SHOWN_VALUES else ""
    return ", ".join(texts[:SHOWN_VALUES]) + more


def release_report(
    gate: Gate,
    reader: ArmReader,
    a: Arm,
    b: Arm,
    options: argparse.Namespace,
    *,
    all_metrics: bool,
) -> ReleaseReport:
    """Compare both versions, and ask the gate."""
    question = question_of(gate, reader.suite)
    if gate.metrics is None:
        question = question._replace(
            metrics=present_metrics(question.metrics, a, b) or default_metrics(reader.suite)[:2]
        )
    if options.pair is not None:
        question = question._replace(length_us=options.pair)
    end_us = options.until if options.until is not None else reader.last_us + 1
    comparison = compare_arms(
        a,
        b,
        length_us=question.length_us,
        quantiles=QUANTILES,
        unit=unit_of,
        only=(lambda metric: True) if all_metrics else _wanted(question),
    )
    inputs = input_differences(comparison, prompt_changes=question.prompt_changes, split=question.split)
    looks = earlier_looks(a, b, question, end_us) or [look(a, b, question, end_us)]
    return ReleaseReport(reader.selection.feature, gate.by, gate.within, comparison, inputs, tuple(looks))


def _wanted(question: Question) -> Callable[[str], bool]:
    names = {metric.metric for metric in question.metrics}
    return lambda metric: metric in names or metric == "error_rate"
