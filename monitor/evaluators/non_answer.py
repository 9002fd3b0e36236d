"""Detect answers that hedge or deflect and say nothing: by their words, none of which is about anything."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from monitor.evaluators.interface import Evaluator
from monitor.evaluators.verdict import PASSED, SKIPPED_ERROR, SKIPPED_NO_TEXT, Verdict, failed

MOST_CHARS = 1_200
"""A longer answer says something."""
_SENTENCE_END = re.compile(r"[.!?…]+(?=\s|$)|\n+")
_WORD = re.compile(r"[\w'-]+")


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text))


_GRAMMAR = _words(
    """
    a an the i you we they it he she this that these those there here my your our their its me us them
    who which what when where how why if so as than then and or but also just even only very really
    quite more most many much some any each every no not all several various few other others another
    one ones such same own to of in on at by for from with without about into over under up out off be
    is are was were been being am do does did doing done have has had having can could may might must
    shall should will would let's let get gets getting go going give gives given giving make makes take
    takes need needs want wants like likes look looks looking see seeing seen find finding found use
    using i'm i'd i'll i've you're you'd you'll you've we're we'd we'll we've it's it'll that's there's
    isn't aren't wasn't weren't don't doesn't didn't can't cannot couldn't wouldn't won't shouldn't
    haven't hasn't hadn't what's
    """
)
_COURTESIES = _words(
    """
    someone somebody anyone everyone everyone's everybody probably perhaps maybe possibly entirely fully generally
    usually often sometimes typically either neither relevant result results reason reasons judge assess judged
    thank thanks please sorry kindly apologize apologise apologies apology appreciate hello hi hey
    welcome great good excellent interesting nice morning evening day afternoon dear regards best hope
    hopefully helps help helping helpful happy glad value valued feedback patience inconvenience concern
    concerns understand understanding reaching writing asking time moment well hmm ok okay certainly
    course absolutely of unfortunately afraid honestly however ultimately wish though question questions
    know
    """
)
_EMPTY = _words(
    """
    depend depends depending vary varies varying varied differ differs different difference factor
    factors circumstance circumstances situation situations case cases individual specific particular
    particularly personal preference preferences need people opinion opinions view views answer answers
    answering simple easy single clear clear-cut definite definitive definitively right universal
    straightforward complex complicated matter topic subject thing things hard difficult tough
    impossible say says saying tell tells know knows knowing predict determine determined confirm sure
    certain certainty unsure uncertain information info detail details data context knowledge available
    currently present enough sufficient insufficient exact exactly accurate up-to-date latest further
    additional able unable access anything nothing something consider considered considering
    consideration assist assistance
    """
)
_DEFLECTIONS = _words(
    """
    contact contacting consult consulting reach touch refer referring visit visiting check checking
    speak speaking talk talking ask call seek turn recommend recommended suggest suggested advise
    advised advice advisable provide provided providing share clarify clarification rephrase specify
    elaborate explain mean means expand try again later back log support team service services customer
    care desk agent agents human representative representatives member colleague colleagues professional
    professionals expert experts specialist specialists lawyer attorney doctor physician advisor adviser
    consultant qualified licensed manufacturer provider vendor administrator local branch office website
    site page official documentation manual user guide faq faqs help center centre resources online
    directly request account department
    """
)
_MARKS = _words(
    """
    judge assess depend depends depending vary varies differ differs different factors hard difficult tough
    impossible say tell determine sure certain unsure uncertain definitive clear-cut simple information
    details data access answer know complex complicated contact contacting consult consulting reach
    touch refer visit check speak speaking talk talking ask seek recommend suggest clarify clarification
    rephrase specify elaborate provide agent representative member back find anything nothing see
    """
)
_VOCABULARY = _GRAMMAR | _COURTESIES | _EMPTY | _DEFLECTIONS


class NonAnswerEvaluator(Evaluator):
    """Fails when an answer hedges ("It depends on many factors.") or deflects ("Please contact support."), and says nothing.

    All its words are of some four hundred that are about nothing. One other word, a number or "yes" makes it pass. A question
    back ("Could you give more details?") says nothing, too. Refusals have their own evaluator. English only; informative, and
    runs only where configured.

    On 240 labelled examples: precision 1.00, recall 1.00. On 42 others, before any correction: 0.80 and
    0.20; after corrections on these, on 24 more: 1.00 and 0.33. So a rise means something, a low rate
    does not.
    """

    name = "non_answer"
    gating = False
    opt_in = True
    reads_text = True
    failure_text = "answers said nothing"
    failing_example = {
        "output": "Great question! It depends on many factors. Please contact our support team."
    }

    def identity(self) -> dict[str, Any]:
        """Include the words."""
        return {**super().identity(), "words": [sorted(_VOCABULARY), sorted(_MARKS)]}

    def __call__(self, event: Any, hits: Collection[str]) -> Verdict:
        """Fail if at least one sentence hedges or deflects, and none has another word."""
        if event.error_type:
            return SKIPPED_ERROR
        if not event.output:
            return SKIPPED_NO_TEXT
        if len(event.output) > MOST_CHARS:
            return PASSED
        empty = 0
        for sentence in _SENTENCE_END.split(event.output.replace("’", "'").casefold()):
            words = set(_WORD.findall(sentence))
            if not words <= _VOCABULARY:
                return PASSED
            empty += not words.isdisjoint(_MARKS)
        return failed("every sentence hedges, deflects or is a courtesy", float(empty)) if empty else PASSED
