"""``python -m monitor golden run``: ask a target all cases of a set, judge, and compare with a baseline."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from monitor.backtest.event_files import UnreadableInput
from monitor.cli.golden.judges import RunJudge, make_judge
from monitor.cli.golden.outputs import check_output_options, write_report
from monitor.cli.golden.run_file import RunFile, open_run_file
from monitor.cli.golden.run_options import add_comparison_options, add_run_options
from monitor.cli.golden.runner import Limits, Runner
from monitor.cli.golden.set_files import load_run, load_set
from monitor.cli.golden.targets import InvalidTarget, Target, make_target, parse_headers
from monitor.evaluators.suite import Suite
from monitor.golden.case_set import CaseSet, case_digest, set_digest
from monitor.golden.case_verdict import (
    Grades,
    evaluator_digest,
    judge_answer,
    response_event,
    rubrics_of,
    suite_of,
)
from monitor.golden.comparison import Comparison, compare
from monitor.golden.gate import Outcome, decide
from monitor.golden.report import GoldenReport, case_results
from monitor.golden.run_record import OUTPUT_CHARS, AnswerRecord, Run, RunHeader, mismatch
from monitor.wording.number_format import counted
from schemas.config.monitor_config import Config
from schemas.golden import GoldenCase
from softfail.evaluator_pool import EvaluatorPool
from softfail.redact import redact

EVERY_S = 5.0  # between two lines of progress that is no terminal


def add_parser(commands: Any) -> None:
    """Add the command and its options."""
    parser = commands.add_parser(
        "run",
        help="ask a target all cases, and say whether it is worse than the baseline",
        description=(
            "Ask a target all cases of a set, judge its answers with the evaluators of production and the checks of"
            " the case, and compare with a baseline. Exit code: 0 no worse, 1 worse, 3 cannot tell, 2 wrong usage."
        ),
    )
    add_run_options(parser)
    add_comparison_options(parser)
    parser.set_defaults(work=run_set)


def run_set(options: argparse.Namespace) -> int:
    """Run the set; return the exit code.

    Raises:
        UnreadableInput: a file or an option cannot be used.
    """
    check_output_options(options)
    cases = load_set(options.set)
    if not cases.active:
        raise UnreadableInput(f"{options.set}: has no active case; confirm candidates with golden confirm")
    path = Path(options.run or Path(options.set).with_suffix(".run.ndjson").name)
    if options.baseline and path.resolve() == Path(options.baseline).resolve():
        raise UnreadableInput("--run and --baseline are the same file; give another --run")
    with contextlib.ExitStack() as stack:
        pool = stack.enter_context(EvaluatorPool(cuts_off=False))
        try:
            target = make_target(options.target, parse_headers(options.header, os.environ))
        except InvalidTarget as error:
            raise UnreadableInput(str(error)) from None
        config = _load_config(options.config, pool)
        judge = make_judge(options.judge, config, options.configured_judge) if options.judge else None
        if judge is not None:
            stack.callback(judge.close)
        suites = _suites(cases, config)
        header = _header(options, cases, suites, target, judge)
        baseline, history = load_earlier(options, header)  # refused before anything is asked
        run_file = open_run_file(path, header, resumes=options.resume, fresh=options.fresh)
        stack.callback(run_file.close)
        stack.enter_context(contextlib.redirect_stdout(sys.stderr))  # functions of users may print
        unfinished = _ask(options, cases, suites, target, judge, run_file, pool)
    report = make_report(options, cases, run_file.run, baseline, history, unfinished)
    write_report(report, options)
    if unfinished:
        print(f"{path} has what was asked; continue with --resume", file=sys.stderr)
    elif not options.baseline and report.decision.outcome is not Outcome.CANNOT_TELL:
        print(
            f"the run is in {path}; compare later runs with --baseline {path} and another --run",
            file=sys.stderr,
        )
    return report.decision.outcome.value


def _load_config(path: str | None, pool: EvaluatorPool) -> Config | None:
    if path is None:
        return None
    from monitor.config_check import load_checked_config  # imported late: only needed with --config

    return load_checked_config(Path(path), describe=pool.describe)


def _suites(cases: CaseSet, config: Config | None) -> dict[str, Suite]:
    cache: dict[str, Suite] = {}
    suites = {}
    for case in cases.active:
        key = repr(case.evaluators if case.evaluators is not None else case.feature)
        if key not in cache:
            cache[key] = suite_of(case, config)
        suites[case.id] = cache[key]
    return suites


def _header(
    options: argparse.Namespace,
    cases: CaseSet,
    suites: Mapping[str, Suite],
    target: Target,
    judge: RunJudge | None,
) -> RunHeader:
    if not judge and (count := sum(bool(rubrics_of(case.checks)) for case in cases.active)):
        print(
            f"{counted(count, 'case')} with rubrics, which are not decided without --judge", file=sys.stderr
        )
    return RunHeader(
        set_name=Path(options.set).stem,
        set_digest=set_digest(cases.active),
        evaluator_digest=evaluator_digest(
            cases.active,
            suites,
            judge.identity if judge else "",
            grades_all=judge is not None and judge.grades_all,
        ),
        repeat=options.repeat,
        target=target.name,
        judge=judge.name if judge else "",
        started=_now(),
        cases={case.id: case_digest(case) for case in cases.active},
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def load_earlier(options: argparse.Namespace, header: RunHeader) -> tuple[Run | None, list[Run]]:
    """Read the baseline and the history; refuse those of another set or of other evaluators.

    Raises:
        UnreadableInput: the message names the file.
    """
    baseline = load_run(options.baseline, "--baseline") if options.baseline else None
    history = [load_run(path, "--history") for path in options.history]
    for option, path, run in (
        *([("--baseline", options.baseline, baseline)] if baseline else []),
        *(("--history", path, run) for path, run in zip(options.history, history, strict=True)),
    ):
        if fault := mismatch(header, run.header, path):
            raise UnreadableInput(f"{option}: {fault}")
    if baseline and not baseline.is_complete:
        raise UnreadableInput(
            f"--baseline: {options.baseline} is unfinished ({baseline.count} answers of"
            f" {len(header.cases)} cases); finish it with --resume"
        )
    return baseline, history


def _ask(
    options: argparse.Namespace,
    cases: CaseSet,
    suites: Mapping[str, Suite],
    target: Target,
    judge: RunJudge | None,
    run_file: RunFile,
    pool: EvaluatorPool,
) -> str:
    run = run_file.run
    if run.count:
        print(f"{run_file.path} has {counted(run.count, 'answer')}", file=sys.stderr)
    if run.is_complete:
        return ""
    limits = Limits(
        options.repeat,
        options.concurrency,
        options.retries,
        options.timeout,
        options.max_cost,
        options.max_time,
        judge.grade_s if judge else 0.0,
    )

    def ask_judge(case: GoldenCase, reply: Mapping[str, Any]) -> Grades:
        return judge.grade(case, reply, options.timeout) if judge else Grades()

    def judge_reply(
        case: GoldenCase, reply: Mapping[str, Any], seconds: float, grades: Grades
    ) -> AnswerRecord:
        event = response_event(case, {"duration_s": round(seconds, 6), **reply}, _now())
        verdict = judge_answer(case, suites[case.id], event, grades, pool)
        return AnswerRecord(
            case=case.id,
            number=0,
            passed=verdict.passed,
            failed=verdict.failed,
            undecided=verdict.undecided,
            output=redact((event.output or "")[: 2 * OUTPUT_CHARS])[:OUTPUT_CHARS],
            duration_s=round(seconds, 3),
            cost_usd=event.cost_usd,
            judge_cost_usd=grades.cost_usd,
        )

    with _progress(len(cases.active) * options.repeat, run) as progress:
        stopped = Runner(target, run, judge_reply, ask_judge, run_file.keep, limits, progress).ask(
            cases.active
        )
    if not stopped:
        run_file.end(_now())
    return stopped


@contextlib.contextmanager
def _progress(total: int, run: Run) -> Iterator[Callable[[int], None]]:
    """Show how far a run is, on standard error: a bar on a terminal, else a line every few seconds."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("golden run"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[state]}"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(file=sys.stderr), transient=True) as bar:
            task = bar.add_task("run", total=total, state="")

            def show_bar(wanted: int) -> None:
                bar.update(task, completed=run.count, total=run.count + wanted, state=_state(run))

            yield show_bar
        return
    shown_s = time.monotonic()

    def show_line(wanted: int) -> None:
        nonlocal shown_s
        if time.monotonic() - shown_s >= EVERY_S:
            shown_s = time.monotonic()
            print(f"{run.count} of {run.count + wanted} answers, {_state(run)}", file=sys.stderr, flush=True)

    yield show_line


def _state(run: Run) -> str:
    parts = [f"{run.failed} failed"]
    if run.missing:
        parts.append(f"{run.missing} without an answer")
    if run.cost_usd:
        parts.append(f"${run.cost_usd:.2f}")
    return ", ".join(parts)


def make_report(
    options: argparse.Namespace,
    cases: CaseSet,
    run: Run,
    baseline: Run | None,
    history: Sequence[Run],
    unfinished: str = "",
) -> GoldenReport:
    """Compare, decide and report."""
    comparison: Comparison | None = None
    answers = {case.id: run.answers().get(case.id, []) for case in cases.active}
    if baseline is not None:
        tags: dict[str, set[str]] = {}
        for case in cases.active:
            for tag in case.tags:
                tags.setdefault(tag, set()).add(case.id)
        repeat = min(run.header.repeat, baseline.header.repeat)
        comparison = compare(
            baseline.answers(), answers, repeat, tags, [earlier.answers() for earlier in history]
        )
    must_pass = [case.id for case in cases.active if case.must_pass]
    decision = decide(comparison, answers, must_pass, unfinished=unfinished, margin=options.margin)
    results = case_results(cases.active, cases.lines, run, comparison)
    return GoldenReport(Path(options.set).stem, options.set, run, decision, comparison, results)
