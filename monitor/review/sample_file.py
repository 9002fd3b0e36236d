"""The file of a sample: its question, then one answer a line."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from monitor.review.answer import Answer
from monitor.review.question import InvalidQuestion, Question

_VERSION = 1


class InvalidSample(ValueError):
    """Raised when a file is not that of a sample. The message names the line and the remedy."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Drawn answers, in the order in which people read them.

    Attributes:
        question: about each answer.
        by: dimensions by which the sample is stratified.
        verdict: the evaluator whose verdicts stratify; empty: whether the response passed.
        answers: drawn answers.
    """

    question: Question
    by: tuple[str, ...]
    verdict: str
    answers: tuple[Answer, ...]

    @property
    def sample_id(self) -> str:
        """Digest of question and answers."""
        digest = hashlib.sha256(f"{self.question.name} {self.question.version}".encode())
        for answer in self.answers:
            digest.update(f"\n{answer.response_id}".encode("utf-8", "surrogatepass"))
        return digest.hexdigest()[:12]

    def lines(self) -> Iterator[str]:
        """Yield the lines of the file."""
        question = self.question
        head: dict[str, Any] = {
            "record": "review_sample",
            "version": _VERSION,
            "sample": self.sample_id,
            "question": question.name,
            "text": question.text,
            "passing": question.passing,
            "failing": question.failing,
            "by": self.by,
            "verdict": self.verdict,
        }
        for record in (head, *(answer.record() for answer in self.answers)):
            yield json.dumps(record) + "\n"


def read_sample(lines: Iterable[str]) -> Sample:
    """Read the file of a sample.

    Raises:
        InvalidSample: it is not one.
    """
    head: dict[str, Any] | None = None
    answers: list[Answer] = []
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
            if head is None:
                head = _head(record)
            else:
                answers.append(Answer.from_record(record))
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise InvalidSample(
                f"line {number} is not from `review sample` ({type(error).__name__}: {error}); give its"
                " sample.jsonl, unchanged"
            ) from None
    if head is None:
        raise InvalidSample("empty; give the sample.jsonl of `review sample`")
    try:
        question = Question(head["question"], head["text"], tuple(head["passing"]), tuple(head["failing"]))
    except InvalidQuestion as error:
        raise InvalidSample(f"line 1: {error}") from None
    sample = Sample(question, tuple(head["by"]), head["verdict"], tuple(answers))
    if sample.sample_id != head["sample"]:
        raise InvalidSample(
            "the file was changed or cut off after it was drawn; draw it again, or copy it again"
        )
    return sample


def _head(record: dict[str, Any]) -> dict[str, Any]:
    if record["record"] != "review_sample" or record["version"] != _VERSION:
        raise ValueError(f"record {record['record']!r:.40}, version {record['version']!r:.40}")
    return {
        name: record[name] for name in ("sample", "question", "text", "passing", "failing", "by", "verdict")
    }


def numbered(answers: Sequence[Answer]) -> Iterator[tuple[int, Answer]]:
    """Yield each answer with its number, by which labels name it."""
    return enumerate(answers, 1)
