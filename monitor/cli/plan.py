"""``python -m monitor plan``: the events and days that a comparison of two versions needs."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from monitor.backtest.arm_reader import ArmReader, Selection
from monitor.backtest.engine import bundles
from monitor.backtest.event_files import Files, UnreadableInput
from monitor.cli.command_line import run_command
from monitor.compare.design_effect import design_effect
from monitor.compare.plan import Plan, plan_rates, session_inflation
from monitor.config_check import load_checked_config
from monitor.windows.segment_keys import FeatureKey
from softfail.evaluator_pool import EvaluatorPool
from softfail.sanitize import sanitize

DAY_US = 86_400_000_000


def main(argv: Sequence[str]) -> int:
    """Run the command.

    Returns:
        Exit code: 0; 2 if an option or a file cannot be used.
    """
    parser = _parser()
    options = parser.parse_args(argv)
    if options.files and not options.feature:
        parser.error("--feature: is missing; name the feature in the files, as SERVICE/FEATURE")
    if not options.files and options.baseline is None:
        parser.error("--baseline: is missing; give it, or files of past events and --feature")
    if options.calls_a_day is not None and options.calls_a_day <= 0:
        parser.error(f"--calls-a-day: {options.calls_a_day:g} is no number of calls; give one above 0")

    def work() -> int:
        baseline, calls_a_day, inflation = options.baseline, options.calls_a_day, 1.0
        if options.files:
            with EvaluatorPool() as pool:
                measured = _measured(options, pool)
            baseline = measured[0] if baseline is None else baseline
            calls_a_day = measured[1] if calls_a_day is None else calls_a_day
            inflation = measured[2]
        try:
            if options.session is not None:
                inflation = session_inflation(options.session, options.rho)
            plan = plan_rates(
                baseline,
                options.detect,
                share=options.share,
                alpha=options.alpha,
                inflation=inflation,
                calls_a_day=calls_a_day,
            )
        except ValueError as error:
            raise UnreadableInput(f"--{error}") from None
        if options.format == "json":
            print(json.dumps({"baseline": baseline, "detect": options.detect, **plan._asdict()}, indent=2))
        else:
            for line in lines(plan, baseline, options.detect, options.share):
                print(line)
        return 0

    return run_command(work)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m monitor plan",
        description="Say how many calls and days a comparison needs. Files of past events give baseline, calls a day and"
        " the likeness of the calls of a session.",
    )
    parser.add_argument("files", nargs="*", metavar="FILE", help="past NDJSON events, plain or gzip")
    parser.add_argument("--feature", metavar="SERVICE/FEATURE", help="the feature in the files")
    parser.add_argument("--metric", default="pass_rate", metavar="RATE", help="default: pass_rate")
    parser.add_argument("--config", type=Path, metavar="FILE", help="softfail.yaml with the evaluators")
    parser.add_argument("--baseline", type=float, metavar="SHARE", help="share of good calls, like 0.95")
    parser.add_argument(
        "--detect", type=float, required=True, metavar="SHARE", help="the fall to see: 0.02 is two points"
    )
    parser.add_argument("--share", type=float, default=0.5, help="of the calls for the new version (0.5)")
    parser.add_argument("--alpha", type=float, default=0.05, help="probability of a false alarm (0.05)")
    parser.add_argument("--calls-a-day", type=float, metavar="N", help="of the feature")
    parser.add_argument("--session", type=float, metavar="CALLS", help="calls of a session")
    parser.add_argument("--rho", type=float, default=0.1, help="correlation of the calls of a session (0.1)")
    parser.add_argument("--format", choices=("table", "json"), default="table")
    return parser


def lines(plan: Plan, baseline: float, detect: float, share: float) -> list[str]:
    """Return the plan in sentences."""
    days = "" if plan.days is None else f", about {plan.days:.1f} days"
    return [
        f"To see a fall from {baseline * 100:.4g} to {(baseline - detect) * 100:.4g} % in 80 % of such comparisons:",
        f"  {plan.new_calls:,} calls of the new version, {plan.all_calls:,} of both at a share of"
        f" {share * 100:.3g} %{days}",
        f"  {plan.sequential:,} independent ones, looked at any time ({plan.fixed:,} if looked at once, at a planned end)",
        f"  one independent call is worth {plan.inflation:.2g} calls, because calls of a session are alike"
        if plan.inflation > 1
        else "  each call counts as independent; give --session CALLS, or files with session_id",
    ]


def _measured(options: argparse.Namespace, pool: EvaluatorPool) -> tuple[float, float, float]:
    """Return the share of good calls, calls a day and the design effect of the past.

    Raises:
        UnreadableInput: the files do not have the feature or the metric.
    """
    service, slash, name = options.feature.partition("/")
    if not slash:
        raise UnreadableInput(f"--feature: {options.feature!r} names no feature; write service/feature")
    config = load_checked_config(options.config, describe=pool.describe)
    everything = FeatureKey(service, name, "production")
    reader = ArmReader(config, Selection(everything, "", "", "(no second version)"), pool.evaluate)
    for bundle in bundles(Files(options.files).records()):
        reader.take(
            bundle, lambda record, error: print(sanitize(f"{record.offset}: {error}"), file=sys.stderr)
        )
    arm, _ = reader.arms()
    found = [counts.rates[options.metric] for counts in arm.cells.values() if options.metric in counts.rates]
    pairs = [rate.weighted_counts() for rate in found]
    failed, total = sum(f for f, _ in pairs), sum(n for _, n in pairs)
    if not total:
        raise UnreadableInput(
            f"--feature, --metric: these files have no {options.metric} of {options.feature}"
        )
    if not 0 < failed < total:
        raise UnreadableInput(
            f"--metric: {options.metric} of {options.feature} is {0 if failed else 100} % good in these files, so"
            " nothing is known of its failures; give --baseline"
        )
    groups = [counts.rates[options.metric] for counts in arm.session_groups if options.metric in counts.rates]
    days = max(1.0, (arm.last_us - arm.first_us) / DAY_US)
    return 1 - failed / total, total / days, design_effect(groups)
