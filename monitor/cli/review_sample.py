"""Draw the answers that people label: ``python -m monitor review sample``."""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from monitor.backtest.event_files import EventFilter, Files, UnreadableInput
from monitor.cli.atomic_output import atomic_output
from monitor.cli.command_line import report_unreadable
from monitor.cli.evaluate import judge_events, load_config
from monitor.evaluators import EVALUATORS
from monitor.protocol.service import SERVICE
from monitor.review.answer import answer_of
from monitor.review.consensus import common_factor
from monitor.review.label_page import render
from monitor.review.labels import csv_text
from monitor.review.question import InvalidQuestion, make_question
from monitor.review.sample_file import Sample, numbered
from monitor.review.stratified_sample import STRATA, StratifiedSample
from monitor.review.stratum import stratum_of
from schemas.config.judges import UNCALIBRATED
from schemas.event_decoder import InvalidEvent, read_event
from softfail.evaluator_pool import EvaluatorPool
from softfail.redact import redact
from softfail.sanitize import sanitize

LEAST_ANSWERS, MOST_ANSWERS = 1, 1_000
SAMPLE_FILE, CSV_FILE, PAGE_FILE = "sample.jsonl", "labels.csv", "review.html"


def sample_answers(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """Draw answers as the options of ``review sample`` say, and write the sample, the CSV file and the page.

    Returns:
        Exit code: 0; 1 if a line could not be read.

    Raises:
        UnreadableInput: a file cannot be read, or there is nothing to draw.
    """
    if not LEAST_ANSWERS <= options.answers <= MOST_ANSWERS:
        parser.error(f"--answers: {options.answers} is not {LEAST_ANSWERS} to {MOST_ANSWERS:,}")
    if unknown := [name for name in options.by if name not in STRATA]:
        parser.error(f"--by: {unknown[0]!r} is unknown; there are {', '.join(STRATA)}")
    if options.match is not None and "/" not in options.match:
        parser.error(f"--match: write service/feature, like support-bot/*, not {options.match!r}")
    if "-" in options.files:
        parser.error("standard input cannot be sampled, because it may be read twice; give a file")
    try:
        question = make_question(options.question, options.ask, options.passing, options.failing)
    except InvalidQuestion as error:
        parser.error(str(error))
    outside = _verdicts_in_files(options) if options.verdict and options.verdict not in EVALUATORS else None
    events = _Events(options)
    drawn = StratifiedSample(options.answers, options.by, options.seed)
    cleaned = None if options.no_redact else redact
    with EvaluatorPool(cuts_off=False) as pool:
        for event, suite, verdicts in judge_events(events.answers(), load_config(options.config, pool), pool):
            stratum = stratum_of(event, suite, verdicts, options.verdict, outside)
            if stratum is not None:
                drawn.offer(
                    f"{event.service}/{event.feature} {event.event_id}",
                    stratum,
                    functools.partial(answer_of, event, stratum, cleaned),
                )
    sample = Sample(question, drawn.by, options.verdict or "", tuple(drawn.draw()))
    if not sample.answers:
        raise UnreadableInput(_nothing_drawn(options, events))
    _write(sample, options.output)
    _print_sample(sample, drawn, options)
    return report_unreadable(events.unreadable)


def _nothing_drawn(options: argparse.Namespace, events: _Events) -> str:
    if options.verdict and events.seen:
        return f"--verdict: {options.verdict} judged none of the {events.seen:,} answers in these files"
    return "no response with an output text in these files; look at --from, --to and --match, or at text sampling"


class _Events:
    """Reads the responses of files that people can read: those with an output, and no call of softfail's own."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.unreadable = self.seen = 0
        self._options = options

    def answers(self) -> Iterator[Any]:
        """Yield the responses."""
        for event in self.all():
            if (
                event.kind == "response"
                and event.output
                and event.output.strip()
                and not event.error_type
                and event.service != SERVICE
            ):
                self.seen += 1
                yield event

    def all(self) -> Iterator[Any]:
        """Yield all events; print each line that cannot be read."""
        options = self._options
        records = Files(options.files).records()
        for record in EventFilter(options.since, options.until, options.match).select(records):
            try:
                event, _ = read_event(record.value or b"")
            except InvalidEvent as error:
                self.unreadable += 1
                print(sanitize(f"{record.topic}:{record.offset}: {error}"), file=sys.stderr)
                continue
            yield event


def _verdicts_in_files(options: argparse.Namespace) -> dict[tuple[str, str, str], bool]:
    """Return the last verdict of an evaluator outside of softfail on each response, from evaluation events.

    Verdicts of a judge count under its name also while it is uncalibrated.
    """
    names = (options.verdict, options.verdict + UNCALIBRATED)
    reader = argparse.Namespace(files=options.files, since=None, until=None, match=options.match)
    return {
        (event.service, event.feature, event.response_id): event.passed
        for event in _Events(reader).all()
        if event.kind == "evaluation" and event.evaluator in names and event.passed is not None
    }


def _write(sample: Sample, folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnreadableInput(f"--output: {folder}: {error.strerror or error}") from None
    with atomic_output(folder / SAMPLE_FILE) as stream:
        stream.writelines(sample.lines())
    with atomic_output(folder / CSV_FILE) as stream:
        rows = (
            {"answer": str(number), "input": answer.input, "context": answer.context, "output": answer.output}
            for number, answer in numbered(sample.answers)
        )
        stream.write(csv_text(rows))
    with atomic_output(folder / PAGE_FILE) as stream:
        stream.write(render(sample))


def _print_sample(sample: Sample, drawn: StratifiedSample, options: argparse.Namespace) -> None:
    failed = sum(answer.stratum.get("verdict") == "failed" for answer in sample.answers)
    print(
        f"{len(sample.answers):,} of {drawn.seen:,} answers, {failed:,} of them failed, in {options.output}/:"
    )
    print(f"  {PAGE_FILE}    open it in a browser, label by keyboard, press s to save")
    print(f"  {CSV_FILE}     or fill in this spreadsheet")
    print(f"  {SAMPLE_FILE}   `review status` and `review import` need it, with the labels")
    if given_up := [name for name in STRATA if name in options.by and name not in drawn.by]:
        print(f"not stratified by {' and '.join(given_up)}: too many values for {options.answers} answers")
    factor, beyond = common_factor(sample)
    if factor > 1 and beyond:
        print(f"{beyond} answers stand for over 10,000 times as many calls as others; their weight is cut")
