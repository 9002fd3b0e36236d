"""Detect empty and invisible answers."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

from monitor.evaluators.interface import Evaluator
from monitor.evaluators.verdict import PASSED, SKIPPED_CANCELLED, SKIPPED_ERROR, Verdict, failed, skipped
from monitor.normal_form.finish_reason import Finish, called_tools, finish_of
from monitor.normal_form.token_counts import visible_tokens

# White space, control and invisible characters: soft hyphen, zero width, direction marks, word joiner, BOM, Hangul
# fillers, Braille blank, variation selectors, tags.
_INVISIBLE = re.compile(
    "[\\s\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]*"
)
_NO_CONTENT = re.compile(  # an empty code block, a line break or an empty element of HTML
    r"\s*(?:(?:```|~~~)[\w-]{0,12}\s*(?:```|~~~)|(?:<br\s?/?>|&nbsp;|&#160;|\s)+|<(\w{1,12})>\s*</\1>)\s*",
    re.IGNORECASE,
)
_LONGEST_BLANK = 80
_VISIBLE = frozenset(map(chr, range(0x21, 0x7F))) - {"`", "~", "<", "&"}
"""Characters that begin no blank text; nearly every answer begins with one of them."""
_UNKNOWN = skipped("neither output text nor its size")
_EMPTY = failed("the output is empty")
_BLANK = failed("the output has nothing visible")


class EmptyEvaluator(Evaluator):
    """Fails when the output is empty or invisible, or has only thoughts, and no tool was called. A call that
    was cancelled is skipped.

    Without text it uses ``output_chars``, else ``output_tokens`` minus ``reasoning_tokens``, which are not
    among them if they are more, or if the provider (Google, xAI) counts them beside. With a size,
    every event has a verdict and weighs by its ``sample_probability`` alone. Without a size, only events with
    text have a verdict.
    """

    name = "empty"
    version = "2"
    sizes = ("output_chars", "output_tokens")
    labels = ("error_type",)
    failure_text = "answers were empty"
    failing_example = {"output": ""}
    next_step = (
        "Look at why answers finish (finish_reason), and at how the service processes them; roll back the"
        " last deployment."
    )

    def depends_only_on_labels(self, event: Any) -> bool:
        """Return whether the call failed; otherwise text and sizes decide, which are no labels."""
        return bool(event.error_type)

    def suspects(self, events: Sequence[Any]) -> Sequence[int]:
        """Return those whose output does not begin with a visible character."""
        return [
            index
            for index, event in enumerate(events)
            if not (output := event.output) or output[0] not in _VISIBLE
        ]

    def __call__(self, event: Any, hits: Collection[str]) -> Verdict:
        """Fail if a user would see nothing."""
        if event.error_type:
            return SKIPPED_ERROR
        output = event.output
        if output:
            if output[0] in _VISIBLE or not _is_blank(output):
                return PASSED
            return _without_answer(event, _BLANK)
        if output is None:
            size = event.output_chars
            if size is None:
                size = visible_tokens(event)
                if size is None:
                    return _UNKNOWN
            if size > 0:
                return PASSED
        return _without_answer(event, _EMPTY)


def _without_answer(event: Any, verdict: Verdict) -> Verdict:
    """Return the verdict on a response without an answer."""
    if called_tools(event):
        return PASSED
    return SKIPPED_CANCELLED if finish_of(event.finish_reason) is Finish.CANCELLED else verdict


def _is_blank(output: str) -> bool:
    return _INVISIBLE.fullmatch(output) is not None or (
        len(output) <= _LONGEST_BLANK and _NO_CONTENT.fullmatch(output) is not None
    )
