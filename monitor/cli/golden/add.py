"""``python -m monitor golden add | confirm``: failures of production become candidates, and people confirm them."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from monitor.backtest.event_files import UnreadableInput
from monitor.cli.golden.set_files import case_lines, load_set
from monitor.evaluators.suite import suite_for
from monitor.evaluators.verdict import State
from monitor.golden.candidates import Failure, failure_of_sample, make_candidates
from monitor.golden.case_verdict import text_of
from monitor.ingest.failure_samples import sample
from monitor.wording.number_format import counted
from schemas.event_decoder import InvalidEvent, read_event
from schemas.golden import GoldenCase
from softfail.sanitize import sanitize

ReadTopic = Callable[[Path | None, str | None], Iterable[bytes]]
"""(softfail.yaml, topic) -> values of its records; None: the default."""


def add_parsers(commands: Any) -> None:
    """Add both commands and their options."""
    parser = commands.add_parser(
        "add",
        help="make candidates of failing responses: samples of softfail.samples, or events",
        description=(
            "Make candidates of failing responses in NDJSON: records of the topic softfail.samples, or events, which"
            " the default evaluators judge. Similar failures become one candidate. Texts are redacted."
        ),
    )
    parser.add_argument(
        "files",
        nargs="*",
        metavar="FILE",
        help="NDJSON; - is standard input. Without files, python -m agents golden reads the topic of samples",
    )
    parser.add_argument(
        "--config", type=Path, metavar="softfail.yaml", help="where Kafka is, if there is no FILE"
    )
    parser.add_argument(
        "--topic", metavar="NAME", help="topic of samples, if there is no FILE (default: PREFIX.samples)"
    )
    parser.add_argument("--to", required=True, metavar="SET", help="the set; candidates are appended")
    parser.add_argument("--most", type=int, default=50, metavar="N", help="at most so many candidates, the most frequent first (default: 50)")  # fmt: skip
    parser.add_argument(
        "--must-pass", action="store_true", help="confirm them at once: active cases that must pass"
    )
    parser.set_defaults(work=add_failures)
    parser = commands.add_parser(
        "confirm",
        help="make candidates active",
        description="Make candidates of a set active. Read them first: golden list SET --candidates.",
    )
    parser.add_argument("set", metavar="SET", help="NDJSON file of cases; it is rewritten")
    parser.add_argument("ids", nargs="*", metavar="ID", help="ids of candidates")
    parser.add_argument("--all", action="store_true", help="all candidates")
    parser.add_argument(
        "--must-pass", action="store_true", help="a failure of one of them alone makes the gate red"
    )
    parser.set_defaults(work=confirm)


def add_failures(options: argparse.Namespace) -> int:
    """Append candidates to a set; return 0, or 1 if a line could not be read.

    Raises:
        UnreadableInput: a file cannot be read, or the set cannot be written.
    """
    if not options.files and options.read_topic is None:
        raise UnreadableInput(
            "add: give a FILE, or read the topic of samples with: python -m agents golden add"
        )
    if options.files and (options.topic or options.config):
        raise UnreadableInput("add: give files, or --config and --topic, not both")
    path = Path(options.to)
    known = load_set(options.to).cases if path.exists() else ()
    reader = _Failures(_sources(options))
    names = ("standard input" if name == "-" else Path(name).name for name in options.files)
    source = (", ".join(names) or options.topic or "topic of samples")[:400]
    made = make_candidates(reader.read(), known, source, active=options.must_pass)
    left_out = len(made) - len(made[: options.most])
    made = made[: options.most]
    _append(path, made)
    for case in made:
        failures = f"{counted(case.origin.similar, 'failure')} ({', '.join(case.origin.failed)})"
        print(f"{sanitize(case.id, 60)}: {sanitize(failures)}: {sanitize(text_of(case.input), 80)}")
    word = "case" if options.must_pass else "candidate"
    must = " must pass now" if options.must_pass else ""
    print(
        f"{path}: {counted(len(made), word)} of {counted(reader.count, 'failure')}{must}",
        file=sys.stderr,
    )
    if left_out:
        print(f"{left_out} rarer ones were left out; raise --most", file=sys.stderr)
    if reader.without_input:
        print(
            f"{counted(reader.without_input, 'failure')} without an input, which no case can ask",
            file=sys.stderr,
        )
    if made and not options.must_pass:
        print(f"read them, then: python -m monitor golden confirm {path} --all --must-pass", file=sys.stderr)
    return 1 if reader.faults else 0


def _sources(options: argparse.Namespace) -> Iterator[tuple[str, Iterable[bytes]]]:
    """Yield the name and the lines of each file, or of the topic."""
    if not options.files:
        yield options.topic or "samples", options.read_topic(options.config, options.topic)
    for name in options.files:
        try:
            with sys.stdin.buffer if name == "-" else Path(name).open("rb") as lines:
                yield name, lines
        except OSError as error:
            raise UnreadableInput(f"{name}: cannot be read: {error.strerror}") from None


class _Failures:
    """Reads failures of samples and events; reports lines that are neither."""

    def __init__(self, sources: Iterable[tuple[str, Iterable[bytes]]]) -> None:
        self._sources = sources
        self.count = self.without_input = self.faults = 0

    def read(self) -> Iterator[Failure]:
        """Yield the failures in the order of the sources."""
        for name, lines in self._sources:
            yield from self._of_lines(name, lines)

    def _of_lines(self, name: str, lines: Iterable[bytes]) -> Iterator[Failure]:
        suites: dict[tuple[str, str], Any] = {}
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                tree = _sample_of(line, suites)
            except (ValueError, RecursionError) as error:
                self.faults += 1
                print(sanitize(f"{name}:{number}: {error}"), file=sys.stderr)
                continue
            if tree is None:
                continue
            self.count += 1
            failure = failure_of_sample(tree)
            if failure is None:
                self.without_input += 1
            else:
                yield failure


def _sample_of(line: bytes, suites: dict[tuple[str, str], Any]) -> dict[str, Any] | None:
    """Return the sample of a line; None for an event that does not fail.

    Raises:
        ValueError: it is neither a sample nor an event.
    """
    try:
        tree = json.loads(line)
    except ValueError as error:
        raise ValueError(f"not JSON: {error}") from None
    if isinstance(tree, dict) and tree.get("record") == "sample":
        if not isinstance(tree.get("failed"), dict):
            raise ValueError("failed: is no object of evaluator and reason; give records of softfail.samples")
        return tree
    try:
        event, _ = read_event(line)
    except InvalidEvent as error:
        raise ValueError(f"neither a sample nor an event: {error}") from None
    if event.kind != "response":
        return None
    suite = suites.setdefault((event.service, event.feature), suite_for(None, event.service, event.feature))
    failed = [
        (index, verdict)
        for index, verdict in enumerate(suite.judge(event))
        if verdict.state is State.FAILED and suite.gating[index]
    ]
    if not failed:
        return None
    record = sample(event, failed, suite, 0, 0)
    return {name: getattr(record, name) for name in (*Failure._fields,)}


def _append(path: Path, cases: Sequence[GoldenCase]) -> None:
    if not cases:
        return
    try:
        ends = not path.exists() or not path.stat().st_size or path.read_bytes()[-1:] == b"\n"
        with path.open("a", encoding="utf-8") as file:
            file.write(("" if ends else "\n") + "".join(case_lines(cases)))
    except OSError as error:
        raise UnreadableInput(f"--to {path}: cannot be written: {error.strerror}") from None


def confirm(options: argparse.Namespace) -> int:
    """Make candidates active; return 0.

    Raises:
        UnreadableInput: the set cannot be used, or an id is no candidate of it.
    """
    cases = load_set(options.set).cases
    candidates = {case.id for case in cases if case.status == "candidate"}
    if bool(options.ids) == options.all:
        raise UnreadableInput("confirm: give ids of candidates, or --all")
    chosen = candidates if options.all else set(options.ids)
    if unknown := sorted(chosen - candidates):
        raise UnreadableInput(f"{options.set}: {unknown[0]!r} is no candidate; see golden list --candidates")
    path = Path(options.set)
    changed = {"status": "active", **({"must_pass": True} if options.must_pass else {})}
    # Only the lines of the chosen cases are written anew: the others stay as people wrote them.
    lines = path.read_text("utf-8").splitlines(keepends=True)
    by_id = {case.id: case for case in cases}
    for index, line in enumerate(lines):
        if line.strip() and (case := by_id[json.loads(line)["id"]]).id in chosen:
            lines[index] = case_lines([case.model_copy(update=changed)])[0]
    temporary = path.with_name(path.name + ".part")
    temporary.write_text("".join(lines), "utf-8")
    os.replace(temporary, path)
    print(
        f"{path}: {counted(len(chosen), 'case')} more to run; make a new baseline, because earlier ones are of another set",
        file=sys.stderr,
    )
    return 0
