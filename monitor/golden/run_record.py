"""The file of a run: a header, an answer a line as it comes, and an end; and how it is read again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from monitor.golden.comparison import Answers
from monitor.wording.number_format import counted

FORMAT = 1
OUTPUT_CHARS = 4_000


class RunHeader(msgspec.Struct, frozen=True, kw_only=True, tag="golden_run", tag_field="record"):
    """What was run. ``cases``: case id -> digest. ``target``, ``judge``: as given, without secrets."""

    format: int = FORMAT
    set_name: str
    set_digest: str
    evaluator_digest: str
    repeat: int
    target: str
    judge: str = ""
    started: str
    cases: dict[str, str]


class AnswerRecord(msgspec.Struct, frozen=True, kw_only=True, tag="golden_answer", tag_field="record"):
    """The verdict on an answer.

    ``passed``: None if there was no answer, or no verdict. ``number``: 1 for the first answer of the case.
    ``output``: redacted and cut. ``error``: why there was no answer.
    """

    case: str
    number: int
    passed: bool | None
    failed: dict[str, str] = {}
    undecided: dict[str, str] = {}
    output: str = ""
    error: str = ""
    attempts: int = 1
    duration_s: float = 0.0
    cost_usd: float | None = None
    judge_cost_usd: float = 0.0


class RunEnd(msgspec.Struct, frozen=True, kw_only=True, tag="golden_end", tag_field="record"):
    """The run asked all that it wanted."""

    ended: str


Line = RunHeader | AnswerRecord | RunEnd


class Run:
    """A run as far as its file goes.

    Attributes:
        count: number of answers with a verdict.
        failed, missing: of the records, those that failed, and those without a verdict.
        cost_usd: what all answers and their grades cost, as far as target and judge stated it.
    """

    def __init__(self, header: RunHeader) -> None:
        self.header = header
        self.records: dict[str, list[AnswerRecord]] = {}
        self.is_complete = False
        self.count = self.failed = self.missing = 0
        self.cost_usd = 0.0

    def add(self, line: AnswerRecord | RunEnd) -> None:
        """Add a line. An answer that came after a failed attempt at the same answer takes its place."""
        if isinstance(line, RunEnd):
            self.is_complete = True
            return
        records = self.records.setdefault(line.case, [])
        self._tally(records, -1)
        records[:] = [record for record in records if record.number != line.number]
        records.append(line)
        records.sort(key=lambda record: record.number)
        self._tally(records, 1)

    def _tally(self, records: Sequence[AnswerRecord], sign: int) -> None:
        self.count += sign * len(passed_of(records))
        self.failed += sign * sum(record.passed is False for record in records)
        self.missing += sign * sum(record.passed is None for record in records)
        self.cost_usd += sign * sum((record.cost_usd or 0.0) + record.judge_cost_usd for record in records)

    def answers(self) -> Answers:
        """Return the verdicts of each case in the order of its answers, up to the first that is missing."""
        return {case: passed_of(records) for case, records in self.records.items()}


def passed_of(records: Sequence[AnswerRecord]) -> list[bool]:
    """Return whether the answers of a case passed, up to the first without a verdict."""
    passed: list[bool] = []
    for record in records:
        if record.passed is None or record.number != len(passed) + 1:
            break
        passed.append(record.passed)
    return passed


_DECODER = msgspec.json.Decoder(Line)


def encode_line(line: Line) -> bytes:
    """Return a line of the file with its end."""
    return msgspec.json.encode(line) + b"\n"


def read_run(lines: Iterable[bytes]) -> tuple[Run, int]:
    """Read a run; return it, and how many bytes of complete lines it has.

    A last line without its end is a write that was interrupted: it is left out.

    Raises:
        ValueError: it is not the file of a run; the message names line and remedy.
    """
    run: Run | None = None
    size = 0
    for number, raw in enumerate(lines, 1):
        if not raw.endswith(b"\n"):
            break
        try:
            line = _DECODER.decode(raw)
        except msgspec.MsgspecError as error:
            raise ValueError(
                f"line {number}: not a line of a run ({error}); give a file that golden run wrote"
            ) from None
        if run is None:
            if not isinstance(line, RunHeader):
                raise ValueError("line 1: not the header of a run; give a file that golden run wrote")
            if line.format != FORMAT:
                raise ValueError(
                    f"line 1: format {line.format}; this release reads {FORMAT}; run the set again"
                )
            run = Run(line)
        elif isinstance(line, RunHeader):
            raise ValueError(
                f"line {number}: a second header; the file is two runs joined; run the set again"
            )
        else:
            run.add(line)
        size += len(raw)
    if run is None:
        raise ValueError("the file is empty; run the set again")
    return run, size


def mismatch(header: RunHeader, other: RunHeader, name: str) -> str:
    """Return why a run cannot be compared with, or continued as, another one; empty if it can.

    Args:
        header: of this run.
        other: of the baseline, or of the run to continue.
        name: of the other one, for the message.
    """
    if other.set_digest != header.set_digest:
        return (
            f"{name} is of another set (digest {other.set_digest}, this set has {header.set_digest}):"
            f" {_difference(header.cases, other.cases)}; run the set again on the target of {name}"
        )
    if other.evaluator_digest != header.evaluator_digest:
        return (
            f"{name} was judged by other evaluators (digest {other.evaluator_digest}, these have"
            f" {header.evaluator_digest}); run the set again on the target of {name}"
        )
    return ""


def _difference(here: Mapping[str, str], there: Mapping[str, str]) -> str:
    parts = []
    for what, ids in (
        ("added", [case for case in here if case not in there]),
        ("removed", [case for case in there if case not in here]),
        ("changed", [case for case in here if case in there and here[case] != there[case]]),
    ):
        if ids:
            shown = ", ".join(ids[:3]) + (", ..." if len(ids) > 3 else "")
            parts.append(f"{counted(len(ids), 'case')} {what} ({shown})")
    return ", ".join(parts) or "the same cases"
