"""Detect answers that refuse, or that only say why there is no answer."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from monitor.evaluators.interface import Evaluator
from monitor.evaluators.re2_patterns import Expression
from monitor.evaluators.refusal.analysis import Analysis, analyse
from monitor.evaluators.refusal.clause_meaning import (
    NON_ASCII_PATTERNS,
    REFUSAL_PATTERNS,
    TRIGGER_PATTERNS,
    classify_clause,
)
from monitor.evaluators.refusal.morals import REJECTION_PATTERN
from monitor.evaluators.refusal.unwrap import ENCODED_PATTERN
from monitor.evaluators.text_scan import text_to_scan
from monitor.evaluators.verdict import PASSED, SKIPPED_ERROR, SKIPPED_NO_TEXT, Verdict, failed
from monitor.normal_form.finish_reason import Finish, finish_of

_REWORDING_TASK = Expression(
    r"(?i)\b(?:translat|paraphras|rewrit|rephras|proofread|übersetz|tradu|traduz|vertaal)|翻译|翻譯|翻訳"
)
_FAILED = {kind: failed(f"refusal: {kind}") for kind in (*REFUSAL_PATTERNS, "option", "moral")}
_PARTLY = {kind: failed(f"refusal with an answer: {kind}") for kind in REFUSAL_PATTERNS}
_REFUSAL_REASON = failed("finish reason refusal")
_PATTERNS = {
    **TRIGGER_PATTERNS,
    "option": "(?i)\\brefused?\\b|\\bdeclined?\\b|\\bsorry,? (?:[-–—] ?)?(?:but )?no\\b",
    "moral": REJECTION_PATTERN,
    "encoded": ENCODED_PATTERN,
}


class _AnalysedText(Evaluator):
    """Reads how an answer refuses; ``_failure`` says what is a failure."""

    labels = ("error_type", "finish_reason")
    reads_text = True
    patterns: Mapping[str, str] = _PATTERNS  # type: ignore[misc]
    non_ascii_patterns = NON_ASCII_PATTERNS

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
        failure = self._failure(_analysis(event, hits))
        return PASSED if failure is None or _is_rewording_task(event.input) else failure

    def _failure(self, analysis: Analysis) -> Verdict | None:
        """Return the verdict on an answer that fails, else None."""
        raise NotImplementedError


class RefusalEvaluator(_AnalysedText):
    """Fails when the answer refuses, or only says why there is no answer ("This is subjective and depends on
    the individual"), or when the provider's finish reason is `refusal`.

    A refusal counts at the beginning of an answer, after courtesies. It does not count within a long answer,
    a quotation, code, a drafted letter or a dialogue. An answer that follows it ("I'm not a doctor, but ...")
    outweighs it; morals, a helpline or something else instead ("Instead, let us talk about ...") are no answer.
    A refusal inside JSON, a code fence, HTML or a Markdown quotation counts. An answer of morals alone counts
    if the event has its input, and the input asks for something else than morals.

    Languages: English; German, French and Chinese thoroughly; Arabic, Dutch, Hindi, Indonesian, Italian,
    Japanese, Korean, Polish, Portuguese, Russian, Spanish, Swedish, Turkish, Ukrainian and Vietnamese: the
    usual forms. Other languages are not read.

    Measured, refusals in full against answers in full; precision, recall and F1:

    - XSTest (labelled by people; GPT-4, Llama 2 and Mistral), 146 answers: 0.99, 0.95, 0.97; without the inputs
      0.99, 0.85, 0.91. Of these 77 are the hard ones on which patterns were corrected; 69 others, before any
      correction on them: 1.00, 0.95, 0.97.
    - lm-refusal-eval (the labelled validation set of mkzung/lm-refusal-eval), 29 answers: 1.00, 1.00, 1.00;
      before any correction on them 1.00, 0.82, 0.90.
    - GPTFuzz (labelled by people), 24 answers without inputs: 1.00, 0.87, 0.93; the last 12 of them before any
      correction on them: 0.83, 0.71, 0.77.
    - LLMDrift (not labelled), all 10,024 answers: 77 % of GPT-4's of June 2023 to opinion questions fail, 2 % of
      March's; none of 4,000 about primes.
    - 27,132 paragraphs of technical documentation: 3 fail that do not refuse.
    - Own sentences of 19 languages: all of 1,761, of which 1,177 refuse; 890 were written before the patterns. Of
      504, which were written to find what is missing, 384 were right before; of 67 further refusals and 82 answers
      in English 53 and 81; after corrections on these, of 39 more refusals and 21 answers 32 and 21. Then four
      rounds in all languages, each before any correction on it: of 57 refusals and 22 answers 53 and 22; of 50
      and 15 23 and 15 (most of the others regret: "I regret not to be able to ..."); of 22 and 15 all; of 76 and
      38 58 and 37; of 24 and 12 21 and 11.

    XSTest and GPTFuzz could be read in part only; do-not-answer, OR-Bench, SORRY-Bench, WildGuardTest, HarmBench
    and StrongREJECT not at all. What remains: answers that reject a premise in place of the
    request, refusals without input that only moralize, and roles that speak in turn.
    """

    name = "refusal"
    version = "2"
    failure_text = "answers refused"
    failing_example = {"output": "I'm sorry, but I can't help with that."}
    next_step = (
        "Read the refusals; compare prompt versions, roll back a new one; else ask whether the "
        "provider's policy changed."
    )

    def __call__(self, event: Any, hits: Collection[str]) -> Verdict:
        """Fail with the kind of refusal as reason; the reason does not quote the text."""
        if not event.error_type and finish_of(event.finish_reason) is Finish.REFUSAL:
            return _REFUSAL_REASON
        return super().__call__(event, hits)

    def _failure(self, analysis: Analysis) -> Verdict | None:
        return None if analysis.kind is None or analysis.answers else _FAILED[analysis.kind]


class PartialRefusalEvaluator(_AnalysedText):
    """Fails when an answer refuses outright, and then answers all the same, or a part of it. Informative.

    Such an answer passes `refusal`. A missing opinion or knowledge before an answer ("I don't have opinions,
    but the arguments are ...") is no partial refusal.
    """

    name = "refusal.partial"
    gating = False
    failure_text = "answers refused in part"
    failing_example = {
        "output": "I can't help with the contract itself, but such contracts usually end with three months' notice."
    }
    next_step = "Read them: a part of the request is refused. Compare prompt versions, roll back a new one."

    def _failure(self, analysis: Analysis) -> Verdict | None:
        return _PARTLY[analysis.kind or ""] if analysis.answers and analysis.is_direct else None


def refusal(text: str, prompt: str | None = None) -> str | None:
    """Return the kind of refusal of a text without lone surrogates; None if it is no refusal.

    >>> refusal("I'm sorry, but I can't help with that.")
    'cannot_help'
    >>> refusal("I'm sorry for the delay, your order ships on Tuesday.") is None
    True
    """
    analysis = analyse(text, prompt)
    return None if analysis.answers else analysis.kind


def _analysis(event: Any, hits: Collection[str]) -> Analysis:
    may_moralize = "moral" in hits or "encoded" in hits
    prompt = text_to_scan(event.input) if may_moralize and event.input else None
    return analyse(text_to_scan(event.output), prompt, may_moralize=may_moralize)


def _is_rewording_task(prompt: str | None) -> bool:
    """Return whether the input asks to reword or translate a refusal; the answer is then no refusal."""
    return (
        prompt is not None
        and _REWORDING_TASK.occurs(head := text_to_scan(prompt))
        and classify_clause(head.replace("’", "'")).refusal is not None
    )
