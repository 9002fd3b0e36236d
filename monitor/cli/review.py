"""``python -m monitor review sample | status | import``: answers that people read, and their labels."""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from monitor.backtest.event_files import UnreadableInput
from monitor.cli.atomic_output import atomic_output
from monitor.cli.command_line import report_unreadable, run_command
from monitor.cli.options import instant
from monitor.cli.review_sample import CSV_FILE, PAGE_FILE, SAMPLE_FILE, sample_answers
from monitor.cli.review_status import print_status
from monitor.protocol.messages import to_json
from monitor.review.consensus import consensus_of, events_of
from monitor.review.labels import Labels
from monitor.review.sample_file import InvalidSample, Sample, read_sample
from monitor.review.stratified_sample import STRATA
from schemas.times import utc
from softfail.sanitize import sanitize


def main(argv: Sequence[str]) -> int:
    """Run the command.

    Returns:
        Exit code: 0; 1 if a line could not be read; 2 if a file, the configuration or an option cannot be used.
    """
    parser = _parser()
    options = parser.parse_args(argv)
    work = {"sample": sample_answers, "status": _status, "import": _import}[options.action]
    return run_command(functools.partial(work, parser, options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m monitor review",
        description="Let people read answers: draw them, label them on a page, make events of the labels.",
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    _add_sample(actions)
    _add_labels(actions)
    return parser


def _add_sample(actions: Any) -> None:
    sample = actions.add_parser(
        "sample",
        help="draw answers; write a page to label them, a CSV file and the sample",
        description="Draw answers from files of events, half of them failed, and write the page on which a person"
        " labels them.",
    )
    sample.add_argument("files", nargs="+", metavar="FILE", help="NDJSON events, plain or gzip")
    sample.add_argument(
        "--question", required=True, metavar="NAME", help="in metrics human:NAME, like correct"
    )
    sample.add_argument("--ask", metavar="TEXT", help="the question as people read it (default: of its name)")
    sample.add_argument(
        "--pass", dest="passing", type=_names, metavar="LABEL,...", help="labels that pass (default: pass)"
    )
    sample.add_argument(
        "--fail", dest="failing", type=_names, metavar="LABEL,...", help="labels that fail (default: fail)"
    )
    sample.add_argument(
        "--answers", type=int, default=200, metavar="N", help="answers to draw (default: %(default)s)"
    )
    sample.add_argument(
        "--by",
        type=_names,
        default=list(STRATA),
        metavar="NAME,...",
        help=f"strata (default: {','.join(STRATA)})",
    )
    sample.add_argument(
        "--verdict",
        metavar="EVALUATOR",
        help="stratify by this evaluator or judge (default: whether the response passed)",
    )
    sample.add_argument("--config", metavar="softfail.yaml", help="with the evaluators of each feature")
    sample.add_argument("--from", dest="since", type=instant, metavar="TIME", help="from this time on")
    sample.add_argument("--to", dest="until", type=instant, metavar="TIME", help="until this time, exclusive")
    sample.add_argument("--match", metavar="SERVICE/FEATURE", help="only these features, with * and ?")
    sample.add_argument("--seed", default="", metavar="TEXT", help="another one draws other answers")
    sample.add_argument(
        "--no-redact", action="store_true", help="leave personal data and secrets in the texts"
    )
    sample.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="FOLDER",
        help=f"for {PAGE_FILE}, {CSV_FILE}, {SAMPLE_FILE}",
    )


def _add_labels(actions: Any) -> None:
    status = actions.add_parser("status", help="progress, agreement, rate, labels that are still missing")
    importing = actions.add_parser(
        "import", help="write the labels as evaluation events; then: python -m softfail publish FILE"
    )
    for action in (status, importing):
        action.add_argument("sample", metavar="SAMPLE", help=f"the {SAMPLE_FILE}")
        action.add_argument(
            "labels",
            nargs="*" if action is status else "+",
            metavar="LABELS",
            help="what the page saved, or the filled CSV file; one or more a rater",
        )
        action.add_argument(
            "--width",
            type=_share,
            metavar="W",
            help="say how many labels the rate needs for this width, like 0.05",
        )
    importing.add_argument("--time", type=instant, metavar="TIME", help="of the events (default: now)")
    importing.add_argument(
        "--output", type=Path, metavar="FILE", help="write to this file (default: standard output)"
    )


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text}: not between 0 and 1; 0.05 is 5 points")
    return value


def _read_all(options: argparse.Namespace) -> tuple[Sample, Labels]:
    try:
        sample = read_sample(_text(options.sample).splitlines())
    except InvalidSample as error:
        raise UnreadableInput(f"{options.sample}: {error}") from None
    labels = Labels(sample.question, sample.sample_id, len(sample.answers))
    for name in options.labels:
        labels.read(name, _text(name))
    for fault in labels.faults:
        print(sanitize(fault), file=sys.stderr)
    return sample, labels


def _text(name: str) -> str:
    try:
        return Path(name).read_text("utf-8")
    except OSError as error:
        raise UnreadableInput(f"{name}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise UnreadableInput(
            f"{name}: not UTF-8 ({error}); save it as UTF-8, in Excel as CSV UTF-8"
        ) from None


def _status(_: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    sample, labels = _read_all(options)
    print_status(sample, labels, options.width, sys.stdout)
    return report_unreadable(len(labels.faults))


def _import(_: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    sample, labels = _read_all(options)
    time = datetime.now(UTC) if options.time is None else utc(options.time)
    events = events_of(sample, consensus_of(sample, labels.by_answer()), time)
    if not events:
        raise UnreadableInput(
            "no answer has a verdict yet; label answers on the page, save, and give that file"
        )
    with atomic_output(options.output) as stream:
        stream.writelines(to_json(event).decode() + "\n" for event in events)
    print_status(sample, labels, options.width, sys.stderr if options.output is None else sys.stdout)
    if options.output is not None:
        print(
            f"\n{len(events):,} events in {options.output}; send them: python -m softfail publish {options.output}\n"
            "or compare a judge with them: python -m monitor judge calibrate EVENTS"
            f" {options.output} --config softfail.yaml"
        )
    return report_unreadable(len(labels.faults))
