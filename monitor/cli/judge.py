"""``python -m monitor judge calibrate FILES``: compare a judge with people, and write its calibration file."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from monitor.backtest.event_files import Files, UnreadableInput
from monitor.cli.atomic_output import atomic_output
from monitor.cli.command_line import INVALID, report_unreadable, run_command
from monitor.config_check import load_checked_config
from monitor.judging.calibration import Comparison, calibration_of, compare
from monitor.judging.trust import evidence_of, trust_of
from monitor.stats.judge_agreement import Agreement, Matrix, Share, agreement_of
from schemas.config.judges import Judge
from schemas.event_decoder import InvalidEvent, decode
from schemas.times import microseconds, rfc3339, utc
from softfail.sanitize import sanitize

UNCALIBRATED = 1


class _Evaluations:
    """Evaluation events of NDJSON files. ``unreadable``: lines that could not be read."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._source, self.unreadable = Files(paths), 0

    def __iter__(self) -> Iterator[tuple[Any, int]]:
        for record in self._source.records():
            try:
                event = decode(record.value or b"")
            except InvalidEvent as error:
                self.unreadable += 1
                if self.unreadable <= 5:
                    print(sanitize(f"{record.topic}:{record.offset}: {error}"), file=sys.stderr)
            else:
                yield event, microseconds(event.time)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m monitor judge",
        description="Compare the verdicts of a judge with labels of people.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, dest="command")
    calibrate = commands.add_parser(
        "calibrate",
        help="print the agreement, and write the calibration file of a judge",
        description="Read evaluation events of a judge and of people (evaluator human:QUESTION), joined on response_id."
        " Print confusion, sensitivity, specificity, agreement and Cohen's kappa with 95 %% intervals, and whether the"
        " judge may page. If the files have all verdicts of the judge, labels may be chosen by verdict (half of the"
        " failures, half of the others); otherwise they must be a random sample.",
    )
    calibrate.add_argument(
        "files", nargs="+", metavar="LABELS", help="NDJSON files of events; - is standard input"
    )
    calibrate.add_argument(
        "--config", type=Path, required=True, metavar="FILE", help="softfail.yaml with the judge"
    )
    calibrate.add_argument("--judge", metavar="NAME", help="which judge, if there are several")
    calibrate.add_argument("--output", type=Path, metavar="FILE", help="where to write the calibration file")
    return parser


def main(argv: Sequence[str]) -> int:
    """Run the command; return 0 if the judge is calibrated, 1 if not, 2 if something cannot be read."""
    options = _parser().parse_args(argv)
    return run_command(lambda: _calibrate(options))


def _calibrate(options: argparse.Namespace) -> int:
    config = load_checked_config(options.config, with_pins=False)
    judge = _judge_of(config.judges, options.judge)
    evaluations = _Evaluations(options.files)
    comparison = compare(judge, evaluations)
    code = report_unreadable(evaluations.unreadable)
    if not comparison.labels.n:
        print(
            f"no answer has both a verdict of {judge.name} and a label {judge.label_evaluator!r}"
            f" ({comparison.unmatched} labels without a verdict); give files with both",
            file=sys.stderr,
        )
        return INVALID
    agreement = agreement_of(comparison.labels, comparison.judged)
    for line in report(judge, comparison, agreement):
        print(sanitize(line))
    calibration = calibration_of(judge, comparison, utc(comparison.last_us))
    if options.output is not None:
        with atomic_output(options.output) as stream:
            stream.write(json.dumps(calibration.model_dump(mode="json"), indent=2) + "\n")
        print(f"written: {options.output}; name it in the configuration: calibration: {options.output.name}")
    judge = judge.model_copy(update={"calibration": calibration})
    now_us = microseconds(datetime.now(UTC))
    evidence = evidence_of(judge, comparison.identity, Matrix(), 0)
    trust = trust_of(judge, comparison.identity, evidence, now_us)
    for reason in trust.reasons:
        print(sanitize(f"uncalibrated: {reason}"))
    if trust.calibrated:
        print(f"calibrated: its verdicts may page until 90 days after {rfc3339(comparison.last_us)}")
    return code or (0 if trust.calibrated else UNCALIBRATED)


def report(judge: Judge, comparison: Comparison, agreement: Agreement) -> Iterator[str]:
    """Yield the lines of the report."""
    a, b, c, d = comparison.labels
    sampled = "chosen by verdict" if comparison.judged[0] else "taken as a random sample"
    yield f"judge {judge.name}, identity {comparison.identity}: {comparison.labels.n} labels, {sampled}"
    yield f"  judged failed: {a} labelled failed, {b} passed; judged passed: {c} failed, {d} passed"
    yield f"  sensitivity  {_share(agreement.sensitivity)}  of the bad answers are judged failed"
    yield f"  specificity  {_share(agreement.specificity)}  of the good answers are judged passed"
    yield f"  agreement    {_share(agreement.agreement)}  (bar: {judge.bar:.0%})"
    yield f"  failure rate {_share(agreement.failure_rate)}  corrected for the judge's errors"
    error = (
        "" if math.isnan(agreement.kappa_error) else f" ± {agreement.kappa_error:.2f} (one standard error)"
    )
    yield f"  Cohen's kappa {_number(agreement.kappa)}{error}"
    for feature, (labels, judged) in sorted(comparison.by_feature.items()):
        shown = agreement_of(labels, judged)
        yield (
            f"  {feature}: {labels.n} labels; sensitivity {_share(shown.sensitivity)}, specificity"
            f" {_share(shown.specificity)}, kappa {_number(shown.kappa)}"
        )
    if comparison.unmatched:
        yield f"  {comparison.unmatched} labelled answers have no verdict of this judge"
    for version, n in sorted(comparison.others.items()):
        yield f"  {n} labels are of verdicts of another identity, {version or 'unknown'}; they do not count"


def _share(share: Share) -> str:
    value = "unknown" if math.isnan(share.value) else f"{share.value:.1%}"
    return f"{value} ({share.low:.1%} to {share.high:.1%})"


def _number(value: float) -> str:
    return "unknown" if math.isnan(value) else f"{value:.2f}"


def _judge_of(judges: Sequence[Judge], name: str | None) -> Judge:
    names = ", ".join(judge.name for judge in judges) or "none"
    if name is None and len(judges) == 1:
        return judges[0]
    for judge in judges:
        if judge.name == name:
            return judge
    raise UnreadableInput(
        f"--judge: {'is needed' if name is None else repr(name) + ' is not configured'}; configured are: {names}"
    )
