"""Detect answers that refuse, or that only say why there is no answer."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from math import inf
from typing import Any

from monitor.evaluators.interface import Evaluator
from monitor.evaluators.re2_patterns import Expression
from monitor.evaluators.refusal.clause_meaning import (
    NO_MEANING,
    REFUSAL_PATTERNS,
    TRIGGER_PATTERNS,
    ClauseMeaning,
    classify_clause,
)
from monitor.evaluators.refusal.clauses import Clause, clauses
from monitor.evaluators.text_scan import text_to_scan
from monitor.evaluators.verdict import PASSED, SKIPPED_ERROR, SKIPPED_NO_TEXT, Verdict, failed

# How many characters of answer outweigh a refusal. A direct refusal ("I can't help with that") needs much
# more than a withheld answer: "I don't have opinions, but ..." is an answer as soon as one follows.
_BEFORE_DIRECT, _BEFORE_WITHHELD = 160, 40
_AFTER_DIRECT, _AFTER_CONTRAST, _AFTER_WITHHELD = 700, 20, 250
_CONTRASTING_ANSWER = 40  # "I can't do it here, but you can do it under Settings > Orders"

# Models repeat the same refusals, so the results for short texts are cached.
_CACHE_SIZE, _CACHED_CHARS = 4096, 200

_REWORDING_TASK = Expression(
    r"(?i)\b(?:translat|paraphras|rewrit|rephras|proofread|übersetz|tradu|traduz|vertaal)|翻译|翻譯|翻訳"
)
_FAILED = {kind: failed(f"refusal: {kind}") for kind in (*REFUSAL_PATTERNS, "option")}
_SURVEY_OPTION = Expression(  # the answer to a survey: "(D). Refused"
    r"(?i)^\s*\(?[A-Z]\)?[.:)]*\s*(?:refused|refuse to answer|declined? to answer)[.\s]*$"
)
_SUBJECT_LINE = Expression(r"(?i)\A\s*subject: ")
_SIGNATURE = Expression(
    r"(?im)^(?:best|kind|warm|yours|sincerely|regards|cheers|love|best wishes|many thanks"
    r"|thanks)(?: \w+){0,3},?\s*\n+\s*(?:\[[^\]\n]+\]|[A-Z]\w+(?: [A-Z]\w+)?)\s*\z"
)
_SUPPORT_SIGNATURE = Expression(r"(?i)(?:support|team|assistant|service|bot|care|desk|\bAI)\s*\]?\s*\z")
_LIST_ITEM = Expression(r"(?m)^\s*(?:\d+[.)]|[-*•])\s")
_BLANK = " \t\n\f\r"


class RefusalEvaluator(Evaluator):
    """Fails when the answer refuses, or only says why there is no answer ("This is subjective and depends on
    the individual").

    A refusal counts at the beginning of an answer, after courtesies. It does not count within a long answer,
    a quotation, code, a drafted letter or a dialogue. An answer that follows it ("I'm not a doctor, but ...")
    outweighs it. Coverage is best in English; German, French, Spanish, Italian, Portuguese, Dutch, Chinese
    and Japanese: the usual forms; Korean, Russian and Polish: a few forms.
    """

    name = "refusal"
    labels = ("error_type",)
    version = "1"
    reads_text = True
    failure_text = "answers refused"
    failing_example = {"output": "I'm sorry, but I can't help with that."}
    next_step = (
        "Read the refusals; compare prompt versions, roll back a new one; else ask whether the "
        "provider's policy changed."
    )
    patterns: Mapping[str, str] = {  # type: ignore[misc]
        **TRIGGER_PATTERNS,
        "option": "(?i)\\brefused?\\b|\\bdeclined?\\b",
    }

    def depends_only_on_labels(self, event: Any) -> bool:
        """Return True: a text in which no pattern occurs does not refuse."""
        return True

    def __call__(self, event: Any, hits: Collection[str]) -> Verdict:
        """Fail with the kind of refusal as reason; the reason does not quote the text."""
        if event.error_type:
            return SKIPPED_ERROR
        if not event.output:
            return SKIPPED_NO_TEXT
        if not hits:
            return PASSED
        kind = refusal(text_to_scan(event.output))
        if kind is None or _is_rewording_task(event.input):
            return PASSED
        return _FAILED[kind]


def refusal(text: str) -> str | None:
    """Return the kind of refusal of a text without lone surrogates; None if it is no refusal.

    >>> refusal("I'm sorry, but I can't help with that.")
    'cannot_help'
    >>> refusal("I'm sorry for the delay, your order ships on Tuesday.") is None
    True
    """
    return _cached_kind(text) if len(text) <= _CACHED_CHARS else _kind(text)


def _kind(text: str) -> str | None:
    if _SURVEY_OPTION.search(text.encode()):
        return "option"
    if _is_letter(text):
        return None
    before = 0
    clauses_left = _classified_clauses(text)
    for clause, meaning in clauses_left:
        if meaning.introduces_text:
            return None
        if meaning.refusal is None:
            before += 0 if meaning.is_courtesy else len(clause.text)
        elif meaning.is_direct or before <= _BEFORE_WITHHELD:
            return None if _answers(clause, meaning, clauses_left, text) else meaning.refusal
        if before > _BEFORE_DIRECT:
            return None
    return None


_cached_kind = lru_cache(_CACHE_SIZE)(_kind)


def _is_letter(text: str) -> bool:
    """Return whether a text is a letter drafted for the user to send."""
    drafted = (":" in text and _SUBJECT_LINE.search(text.encode()) is not None) or (
        "\n" in text and _SIGNATURE.occurs(_last_lines(text))
    )
    return drafted and not _SUPPORT_SIGNATURE.occurs(text)


def _last_lines(text: str) -> str:
    """Return the last two lines of a text that are not blank."""
    end = text.rstrip(_BLANK).rfind("\n")
    return text[text[: max(end, 0)].rstrip(_BLANK).rfind("\n") + 1 :]


def _classified_clauses(text: str) -> Iterator[tuple[Clause, ClauseMeaning]]:
    for clause in clauses(text):
        yield clause, NO_MEANING if clause.is_dialogue else classify_clause(clause.text)


def _answers(
    clause: Clause, meaning: ClauseMeaning, rest: Iterable[tuple[Clause, ClauseMeaning]], text: str
) -> bool:
    """Return whether an answer follows a refusal. Reads only as many clauses as it needs."""
    answer, contrasted = 0, meaning.is_concession
    if meaning.is_concession and not meaning.is_courtesy:  # "While I can't ..., X": one clause has both
        answer = len(clause.text.rpartition(", ")[2])
    after_contrast, alone = (_AFTER_DIRECT, inf) if meaning.is_direct else (_AFTER_CONTRAST, _AFTER_WITHHELD)
    for number, (following, its_meaning) in enumerate(rest):
        if answer >= (after_contrast if contrasted else alone):
            return True
        if its_meaning.refusal is not None or its_meaning.is_courtesy:
            continue
        contrasted = contrasted or following.is_contrast or its_meaning.is_contrast
        is_long = len(following.text) >= _CONTRASTING_ANSWER
        if meaning.is_direct and number == 0 and following.is_contrast and is_long:
            return True
        answer += len(following.text)
    if answer >= (after_contrast if contrasted else alone):
        return True
    return (
        meaning.is_direct and answer >= _AFTER_DIRECT and sum(1 for _ in _LIST_ITEM.spans(text.encode())) > 2
    )


def _is_rewording_task(prompt: str | None) -> bool:
    """Return whether the input asks to reword or translate a refusal; the answer is then no refusal."""
    return (
        prompt is not None
        and _REWORDING_TASK.occurs(head := text_to_scan(prompt))
        and classify_clause(head.replace("’", "'")).refusal is not None
    )
