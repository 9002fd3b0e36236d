"""Does the model refuse, or answer with anything but an answer?"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from math import inf
from typing import Any

from monitor.evaluators.interface import Evaluator
from monitor.evaluators.re2_patterns import Expression
from monitor.evaluators.refusal.clause_meaning import KINDS, NOTHING, TRIGGERS, Said, said
from monitor.evaluators.refusal.clauses import Clause, clauses
from monitor.evaluators.text_scan import scanned
from monitor.evaluators.verdict import PASSED, SKIPPED_ERROR, SKIPPED_NO_TEXT, Verdict, failed

# How much answer, in characters, outweighs a refusal. An outright one ("I can't help with that") stays one
# beside much moralising; "I don't have opinions, but ..." is an answer as soon as one follows.
_BEFORE_OUTRIGHT, _BEFORE_WITHHELD = 160, 40
_AFTER_OUTRIGHT, _AFTER_TURNED, _AFTER_WITHHELD = 700, 20, 250
_ANSWERS_AFTER_ALL = 40  # "I can't do it here, but you can do it under Settings > Orders"

# Refusals come in the same words again and again: what was found in the last ones is remembered.
_REMEMBERED, _REMEMBERED_CHARS = 4096, 200

_INPUT_QUOTES = Expression(
    r"(?i)\b(?:translat|paraphras|rewrit|rephras|proofread|übersetz|tradu|traduz|vertaal)|翻译|翻譯|翻訳"
)
_FAILED = {kind: failed(f"refusal: {kind}") for kind in (*KINDS, "option")}
_WHOLE_OPTION = Expression(  # a survey's "(D). Refused"
    r"(?i)^\s*\(?[A-Z]\)?[.:)]*\s*(?:refused|refuse to answer|declined? to answer)[.\s]*$"
)
_SUBJECT = Expression(r"(?i)\A\s*subject: ")
_SIGNED = Expression(
    r"(?im)^(?:best|kind|warm|yours|sincerely|regards|cheers|love|best wishes|many thanks"
    r"|thanks)(?: \w+){0,3},?\s*\n+\s*(?:\[[^\]\n]+\]|[A-Z]\w+(?: [A-Z]\w+)?)\s*\z"
)
_SUPPORT = Expression(r"(?i)(?:support|team|assistant|service|bot|care|desk|\bAI)\s*\]?\s*\z")
_NUMBERED = Expression(r"(?m)^\s*(?:\d+[.)]|[-*•])\s")
_BLANK = " \t\n\f\r"


class RefusalEvaluator(Evaluator):
    """Fails when the answer refuses, or says only why there is none ("This is subjective and depends on the
    individual").

    A refusal counts where the answer begins, after any apology or thanks; in a long answer, a quotation,
    code, a drafted letter or another speaker's line it does not. An answer that follows it ("I'm not a
    doctor, but ...") outweighs it. English is covered well; German, French, Spanish, Italian, Portuguese,
    Dutch, Chinese and Japanese for the usual forms; Korean, Russian and Polish for a few.
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
        **TRIGGERS,
        "option": "(?i)\\brefused?\\b|\\bdeclined?\\b",
    }

    def depends_only_on_labels(self, event: Any) -> bool:
        """Always: without a pattern in it, no text refuses."""
        return True

    def __call__(self, event: Any, hits: Collection[str]) -> Verdict:
        """Failed with the kind of refusal as reason; the text itself is not repeated."""
        if event.error_type:
            return SKIPPED_ERROR
        if not event.output:
            return SKIPPED_NO_TEXT
        if not hits:
            return PASSED
        kind = refusal(scanned(event.output))
        if kind is None or _repeats_input(event.input):
            return PASSED
        return _FAILED[kind]


def refusal(text: str) -> str | None:
    """The kind of refusal that a text without lone surrogates is, or None.

    >>> refusal("I'm sorry, but I can't help with that.")
    'cannot_help'
    >>> refusal("I'm sorry for the delay, your order ships on Tuesday.") is None
    True
    """
    return _remembered_kind(text) if len(text) <= _REMEMBERED_CHARS else _kind(text)


def _kind(text: str) -> str | None:
    if _WHOLE_OPTION.search(text.encode()):
        return "option"
    if _is_letter(text):
        return None
    before = 0
    waiting = _read(text)
    for clause, means in waiting:
        if means.delivers:
            return None
        if means.kind is None:
            before += 0 if means.polite else len(clause.text)
        elif means.outright or before <= _BEFORE_WITHHELD:
            return None if _answers(clause, means, waiting, text) else means.kind
        if before > _BEFORE_OUTRIGHT:
            return None
    return None


_remembered_kind = lru_cache(_REMEMBERED)(_kind)


def _is_letter(text: str) -> bool:
    """Whether it is drafted for somebody else to send."""
    drafted = (":" in text and _SUBJECT.search(text.encode()) is not None) or (
        "\n" in text and _SIGNED.occurs(_last_lines(text))
    )
    return drafted and not _SUPPORT.occurs(text)


def _last_lines(text: str) -> str:
    """From the last line but one on, blank ones aside."""
    end = text.rstrip(_BLANK).rfind("\n")
    return text[text[: max(end, 0)].rstrip(_BLANK).rfind("\n") + 1 :]


def _read(text: str) -> Iterator[tuple[Clause, Said]]:
    for clause in clauses(text):
        yield clause, NOTHING if clause.spoken else said(clause.text)


def _answers(clause: Clause, means: Said, rest: Iterable[tuple[Clause, Said]], text: str) -> bool:
    """Whether what follows a refusal is an answer all the same. It reads on only until that is certain."""
    answer, turned = 0, means.hedges
    if means.hedges and not means.polite:  # "While I can't ..., X": the turn is inside the clause
        answer = len(clause.text.rpartition(", ")[2])
    after_turn, alone = (_AFTER_OUTRIGHT, inf) if means.outright else (_AFTER_TURNED, _AFTER_WITHHELD)
    for number, (part, of_part) in enumerate(rest):
        if answer >= (after_turn if turned else alone):
            return True
        if of_part.kind is not None or of_part.polite:
            continue
        turned = turned or part.turns or of_part.turns
        if means.outright and number == 0 and part.turns and len(part.text) >= _ANSWERS_AFTER_ALL:
            return True
        answer += len(part.text)
    if answer >= (after_turn if turned else alone):
        return True
    return means.outright and answer >= _AFTER_OUTRIGHT and sum(1 for _ in _NUMBERED.spans(text.encode())) > 2


def _repeats_input(given: str | None) -> bool:
    """Whether the input asks to reword or translate a refusal, which is then no refusal."""
    return (
        given is not None
        and _INPUT_QUOTES.occurs(head := scanned(given))
        and said(head.replace("’", "'")).kind is not None
    )
