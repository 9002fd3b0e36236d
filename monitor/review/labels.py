"""Labels that people gave, as the page saves them or a spreadsheet has them."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from monitor.review.question import CANNOT_TELL, Question
from softfail.sanitize import sanitize

CSV_FIELDS = ("answer", "label", "note", "rater", "input", "context", "output")
"""Columns of the spreadsheet; people fill in label, note and rater."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_MOST_NOTE_CHARS = 2_000
_MOST_RATER_CHARS = 80
_ANY_RATER = "unnamed"


class Label(NamedTuple):
    """A label of a person on an answer. ``answer``: its number in the sample, from 1 on."""

    answer: int
    rater: str
    label: str
    note: str = ""


class Labels:
    """All labels on the answers of a sample: the last one of each rater on each answer counts.

    Args:
        question: which labels exist.
        sample_id: labels on another sample are faults.
        answers: number of answers in the sample.

    Attributes:
        faults: lines that are no labels, with place and reason.
    """

    def __init__(self, question: Question, sample_id: str, answers: int) -> None:
        self._question, self._sample_id, self._answers = question, sample_id, answers
        self._labels: dict[tuple[int, str], Label] = {}
        self.faults: list[str] = []

    def read(self, name: str, text: str) -> None:
        """Add the labels of a file: lines of JSON, or a CSV file with a header.

        Args:
            name: of the file, for faults; also names the rater where the file does not.
            text: its content.
        """
        text = text.removeprefix("\ufeff")
        rows = _json_lines(text) if text.lstrip()[:1] == "{" else _csv_rows(text)
        for number, row in rows:
            if isinstance(row, str):
                self.faults.append(f"{name}:{number}: {row}")
            elif (fault := self._add(row, name)) is not None:
                self.faults.append(f"{name}:{number}: {fault}")

    def by_answer(self) -> Mapping[int, Sequence[Label]]:
        """Return the verdicts on each answer, without ``CANNOT_TELL``; answers without any are left out."""
        out: dict[int, list[Label]] = {}
        for (answer, _), label in sorted(self._labels.items()):
            if label.label != CANNOT_TELL:
                out.setdefault(answer, []).append(label)
        return out

    def raters(self) -> Mapping[str, tuple[int, int]]:
        """Return rater -> answers with a verdict, and answers of which the rater could not tell."""
        verdicts: Counter[str] = Counter()
        unsure: Counter[str] = Counter()
        for (_, rater), label in self._labels.items():
            (unsure if label.label == CANNOT_TELL else verdicts)[rater] += 1
        return {rater: (verdicts[rater], unsure[rater]) for rater in sorted({*verdicts, *unsure})}

    def _add(self, row: Mapping[str, Any], name: str) -> str | None:
        """Add a label; return the fault of the row, if it has any."""
        sample = row.get("sample")
        if sample not in (None, "", self._sample_id):
            return f"sample is {sanitize(str(sample), 40)!r}, not {self._sample_id!r}; import it with its own sample"
        text = str(row.get("label") or "").strip()
        if not text:
            return None  # a row of the spreadsheet that nobody filled in
        try:
            answer = int(row.get("answer") or 0)
        except (TypeError, ValueError, OverflowError):
            answer = 0
        if not 1 <= answer <= self._answers:
            return f"answer is {str(row.get('answer'))!r:.40}; the sample has 1 to {self._answers}"
        label = next(
            (known for known in (*self._question.labels, CANNOT_TELL) if known.casefold() == text.casefold()),
            None,
        )
        if label is None:
            valid = ", ".join((*self._question.labels, CANNOT_TELL))
            return f"label {sanitize(text, 40)!r} is unknown; there are {valid}"
        rater = sanitize(str(row.get("rater") or "").strip() or _rater_of(name), _MOST_RATER_CHARS)
        note = sanitize(str(row.get("note") or ""), _MOST_NOTE_CHARS, lines=True).removeprefix("'")
        self._labels[answer, rater] = Label(answer, rater, label, note)
        return None


def _rater_of(name: str) -> str:
    """Return the name of a file without folder and suffix, for labels without a rater."""
    return name.rpartition("/")[2].partition(".")[0] or _ANY_RATER


def _json_lines(text: str) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield number, f"not JSON: {error}"
            continue
        if not isinstance(row, dict):
            yield number, "not a JSON object"
        elif row.get("record") == "review_label":
            yield number, row
        else:
            yield number, "not a label; give the file that the page saved"


def _csv_rows(text: str) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)  # spreadsheets of some languages write semicolons
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    names = reader.fieldnames or ()
    missing = [name for name in ("answer", "label") if name not in names]
    if missing:
        yield 1, f"no column {' and no column '.join(missing)}; fill in the CSV file of the sample"
        return
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        yield reader.line_num, f"not CSV: {error}"


def csv_text(rows: Iterable[Mapping[str, str]]) -> str:
    """Return the spreadsheet for labels. A text that a spreadsheet would run as a formula begins with an apostrophe.

    Args:
        rows: values by ``CSV_FIELDS``; missing ones are empty.

    Source: OWASP, "CSV Injection".
    """
    out = io.StringIO()
    writer = csv.DictWriter(out, CSV_FIELDS, restval="")
    writer.writeheader()
    for row in rows:
        writer.writerow(
            {name: f"'{value}" if value.startswith(_FORMULA) else value for name, value in row.items()}
        )
    return out.getvalue()
