"""``python -m monitor evaluate``: print the verdicts on every response in files of events."""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from monitor.cli.command_line import run_command
from monitor.evaluators.suite import Suite, suite_for
from monitor.evaluators.user_evaluator import has_user_evaluators, requests_of
from monitor.evaluators.verdict import State, Verdict
from monitor.normal_form.response import normal_form
from schemas.event_decoder import InvalidEvent, read_event
from softfail.bounded_lines import bounded_lines, too_long
from softfail.evaluator_pool import EvaluatorPool
from softfail.evaluator_process import EvaluatorSpec
from softfail.field_repair import LeftOut
from softfail.sanitize import sanitize

BATCH = 500  # responses that the evaluators of users get together


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        Exit code: 0; 1 if a line or file could not be read; 2 if the configuration has faults.
    """
    parser = argparse.ArgumentParser(
        prog="python -m monitor evaluate",
        description="Evaluate the responses in files of events, one JSON object a line.",
    )
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="NDJSON events, plain or gzip; - is standard input"
    )
    parser.add_argument(
        "--config",
        metavar="softfail.yaml",
        help="softfail.yaml with the evaluators of each feature (default: the default evaluators)",
    )
    parser.add_argument(
        "--format",
        choices=("ndjson", "table"),
        default="ndjson",
        help="one JSON object an event, or a table with a summary",
    )
    options = parser.parse_args(argv)

    def work() -> int:
        with EvaluatorPool(cuts_off=False) as pool:
            return _run(options.files, load_config(options.config, pool), options.format, pool)

    return run_command(work, interrupted="interrupted")


def load_config(path: str | None, pool: EvaluatorPool) -> Any:
    """Read and check a configuration; None: there is none."""
    if path is None:
        return None
    from monitor.config_check import load_checked_config  # imported late: only needed with --config

    return load_checked_config(Path(path), describe=pool.describe)


def _run(files: Sequence[str], config: Any, form: str, pool: EvaluatorPool) -> int:
    reader = _Reader(files)
    printer = _Table() if form == "table" else _Lines()
    for event, suite, verdicts in judge_events(reader.responses(), config, pool):
        printer.add(event, suite, verdicts)
    printer.end()
    sys.stdout.flush()
    if reader.others:
        counts = ", ".join(f"{count} {kind}" for kind, count in sorted(reader.others.items()))
        print(f"skipped, because only responses are judged: {counts}", file=sys.stderr)
    if reader.left_out:
        counts = ", ".join(f"{field} {reason} {n}" for (field, reason), n in sorted(reader.left_out.items()))
        print(f"odd optional fields, left out or cut: {counts}", file=sys.stderr)
    return 1 if reader.faults else 0


def judge_events(
    events: Iterator[Any], config: Any, pool: EvaluatorPool
) -> Iterator[tuple[Any, Suite, Sequence[Verdict]]]:
    """Yield each response with its suite and its verdicts; those of users' evaluators are made in batches."""
    suites: dict[tuple[str, str], Suite] = {}
    size = BATCH if config is not None and has_user_evaluators(config) else 1
    while batch := list(islice(events, size)):
        requests: list[tuple[EvaluatorSpec, bytes]] = []
        for event in batch:
            key = event.service, event.feature
            if (suite := suites.get(key)) is None:
                suite = suites[key] = suite_for(config, *key)
            if suite.users:
                requests += requests_of(suite.users, normal_form(event))
        given = pool.evaluate(requests) if requests else {}
        for event in batch:
            suite = suites[event.service, event.feature]
            for evaluator in suite.users:
                evaluator.verdicts = given
            yield event, suite, suite.judge(event)


class _Reader:
    """Reads the responses of files; counts events of other kinds, reports unreadable lines."""

    def __init__(self, files: Sequence[str]) -> None:
        self.files, self.faults, self.others = files, 0, Counter[str]()
        self.left_out = Counter[LeftOut]()

    def responses(self) -> Iterator[Any]:
        """Yield the responses in order; print each unreadable line to standard error."""
        for name in self.files:
            number = 0
            try:
                with _opened(name) as file:
                    for number, line in enumerate(bounded_lines(file), 1):
                        if not line.strip():
                            continue
                        try:
                            if fault := too_long(line):
                                raise InvalidEvent(fault)
                            event, left_out = read_event(line)
                        except InvalidEvent as error:
                            self._report(f"{name}:{number}: {error}")
                            continue
                        self.left_out.update(left_out)
                        if event.kind == "response":
                            yield event
                        else:
                            self.others[event.kind] += 1
            except (OSError, EOFError, zlib.error) as error:
                # EOFError, zlib.error: a truncated or damaged gzip file
                self._report(
                    f"{name}{f':{number + 1}' if number else ''}: {getattr(error, 'strerror', None) or error}"
                )

    def _report(self, message: str) -> None:
        self.faults += 1
        print(sanitize(message), file=sys.stderr)


def _opened(name: str) -> BinaryIO:
    if name == "-":
        return sys.stdin.buffer
    return gzip.open(name, "rb") if name.endswith(".gz") else Path(name).open("rb")  # type: ignore[return-value]  # GzipFile is binary IO


def report(event: Any, suite: Suite, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Return the output for an event: its id, and by evaluator ``passed``, ``score``, ``reason``, ``state``."""
    return {
        "event_id": event.event_id,
        "verdicts": {
            name: {
                "passed": verdict.passed,
                "score": verdict.score,
                "reason": verdict.reason,
                "state": State(verdict.state).name.lower(),
            }
            for name, verdict in zip(suite.names, verdicts, strict=True)
        },
    }


class _Lines:
    def add(self, event: Any, suite: Suite, verdicts: Sequence[Verdict]) -> None:
        print(json.dumps(report(event, suite, verdicts)))

    def end(self) -> None:
        pass


class _Table:
    """Prints a line for each event, then the number of verdicts of each evaluator."""

    def __init__(self) -> None:
        self._seen = self._passed = self.judge_events = 0
        self._counts: dict[str, Counter[State]] = {}

    def add(self, event: Any, suite: Suite, verdicts: Sequence[Verdict]) -> None:
        states = [verdict.state for verdict, gates in zip(verdicts, suite.gating, strict=True) if gates]
        self._seen += 1
        self.judge_events += State.PASSED in states or State.FAILED in states
        self._passed += State.FAILED not in states and State.PASSED in states
        problems = []
        for name, verdict in zip(suite.names, verdicts, strict=True):
            self._counts.setdefault(name, Counter())[verdict.state] += 1
            if verdict.state in (State.FAILED, State.ERROR):
                problems.append(f"{name} {State(verdict.state).name.lower()} ({verdict.reason})")
        print(f"{sanitize(event.event_id):<36} {sanitize('; '.join(problems)) if problems else 'ok'}")

    def end(self) -> None:
        print(
            f"\n{'evaluator':<16} {'passed':>8} {'failed':>8} {'skipped':>8} {'error':>8} {'fail rate':>10}"
        )
        for name, counts in self._counts.items():
            decided = counts[State.PASSED] + counts[State.FAILED]
            rate = f"{counts[State.FAILED] / decided:.2%}" if decided else "-"
            print(f"{name:<16} " + " ".join(f"{counts[state]:>8}" for state in State) + f" {rate:>10}")
        rate = f"{self._passed / self.judge_events:.2%}" if self.judge_events else "-"
        print(f"\n{self._seen} responses, pass rate {rate}")
