"""Checks that compare the text of an answer."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import re2

from monitor.evaluators.json_answer import decode_json
from monitor.evaluators.verdict import PASSED, State, Verdict, failed
from schemas.golden import Check

MAX_DISTANCE_WORK = 4_000_000
DEFAULT_DISTANCE, DEFAULT_ROUGE = 5.0, 0.75
_WORD = re.compile(r"\w+")
_QUOTED_CHARS = 60


def quoted(text: str) -> str:
    """Return the start of an expected text, quoted.

    >>> quoted("Paris")
    "'Paris'"
    """
    return repr(text if len(text) <= _QUOTED_CHARS else text[: _QUOTED_CHARS - 1] + "…")


def check_equals(check: Check, text: str) -> Verdict:
    """Compare with a text, or with a JSON value if ``value`` is an object or a list."""
    if isinstance(check.value, str):
        return PASSED if text == check.value else failed(f"is not {quoted(check.value)}")
    verdict, value = decode_json(text)
    if verdict.state is not State.PASSED:
        return failed(verdict.reason)
    return PASSED if value == check.value else failed("is another JSON value")


def check_contains(check: Check, text: str) -> Verdict:
    """Search one text."""
    return PASSED if check.value in text else failed(f"does not contain {quoted(check.value)}")


def check_icontains(check: Check, text: str) -> Verdict:
    """Search one text, upper and lower case alike."""
    found = check.value.lower() in text.lower()
    return PASSED if found else failed(f"does not contain {quoted(check.value)}")


def _contains_any(fold: Callable[[str], str]) -> Callable[[Check, str], Verdict]:
    def check_any(check: Check, text: str) -> Verdict:
        folded = fold(text)
        if any(fold(value) in folded for value in check.value):
            return PASSED
        return failed(f"contains none of {', '.join(map(quoted, check.value[:5]))}")

    return check_any


def _contains_all(fold: Callable[[str], str]) -> Callable[[Check, str], Verdict]:
    def check_all(check: Check, text: str) -> Verdict:
        folded = fold(text)
        missing = [value for value in check.value if fold(value) not in folded]
        return failed(f"does not contain {', '.join(map(quoted, missing[:5]))}") if missing else PASSED

    return check_all


check_contains_any, check_icontains_any = _contains_any(str), _contains_any(str.lower)
check_contains_all, check_icontains_all = _contains_all(str), _contains_all(str.lower)


def check_starts_with(check: Check, text: str) -> Verdict:
    """Compare the beginning."""
    return PASSED if text.startswith(check.value) else failed(f"does not start with {quoted(check.value)}")


def check_ends_with(check: Check, text: str) -> Verdict:
    """Compare the end."""
    return PASSED if text.endswith(check.value) else failed(f"does not end with {quoted(check.value)}")


def check_regex(check: Check, text: str) -> Verdict:
    """Search an RE2 expression, which takes linear time."""
    found = expression(check.value).search(text) is not None
    return PASSED if found else failed(f"does not match {quoted(check.value)}")


@lru_cache(1024)
def expression(pattern: str) -> Any:
    """Compile an RE2 expression.

    Raises:
        ValueError: RE2 cannot read it.
    """
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        message = error.args[0] if error.args else error
        raise ValueError(message.decode() if isinstance(message, bytes) else str(message)) from None


def check_levenshtein(check: Check, text: str) -> Verdict:
    """Compare the edit distance in characters with ``threshold`` (5 without one)."""
    most = int(DEFAULT_DISTANCE if check.threshold is None else check.threshold)
    distance = edit_distance(text, check.value, most)
    if distance is None:
        return Verdict(State.ERROR, "too long to compare; lower the threshold")
    if distance <= most:
        return PASSED
    return failed(f"differs from {quoted(check.value)} in more than {most} characters")


def edit_distance(first: str, second: str, most: int) -> int | None:
    """Return the edit distance, or ``most + 1`` if it is more than ``most``; None if it takes too long.

    Source: Ukkonen, Algorithms for approximate string matching (1985), the band of width 2 · most + 1.

    >>> edit_distance("kitten", "sitting", 5), edit_distance("kitten", "sitting", 2)
    (3, 3)
    """
    if abs(len(first) - len(second)) > most:
        return most + 1
    if min(len(first), len(second)) * (2 * most + 1) > MAX_DISTANCE_WORK:
        return 0 if first == second else None
    beyond = most + 1
    row = [min(column, beyond) for column in range(len(second) + 1)]
    for index, mark in enumerate(first, 1):
        low, high = max(1, index - most), min(len(second), index + most)
        previous, row[low - 1] = row[low - 1], min(index if low == 1 else beyond, beyond)
        for column in range(low, high + 1):
            above = row[column] if column < index + most else beyond
            row[column], previous = (
                min(previous + (mark != second[column - 1]), above + 1, row[column - 1] + 1, beyond),
                above,
            )
    return row[len(second)]


def check_rouge_1(check: Check, text: str) -> Verdict:
    """Compare the F1 of common words with ``threshold`` (0.75 without one).

    Source: Lin, ROUGE (2004), ROUGE-1.
    """
    least = DEFAULT_ROUGE if check.threshold is None else check.threshold
    answer, expected = (Counter(_WORD.findall(part.lower())) for part in (text, check.value))
    common, total = (answer & expected).total(), answer.total() + expected.total()
    score = 2 * common / total if total else 1.0
    if score >= least:
        return Verdict(State.PASSED, "", score)
    return failed(f"ROUGE-1 of {score:.2f} is below {least:g}", score)


def count_check(count: Callable[[str], int], unit: str) -> Callable[[Check, str], Verdict]:
    """Make a check of a number: ``value`` is the number, or ``{"min": ..., "max": ...}``."""

    def check_count(check: Check, text: str) -> Verdict:
        number, limits = count(text), check.value
        if not isinstance(limits, dict):
            limits = {"min": limits, "max": limits}
        if number < (least := limits.get("min", 0)):
            return failed(f"has {number} {unit}, fewer than {least:g}")
        if (most := limits.get("max")) is not None and number > most:
            return failed(f"has {number} {unit}, more than {most:g}")
        return PASSED

    return check_count


def fault_of_count(value: Any) -> str:
    """Return why a value is no limit of a count; empty if it is one."""
    limits = value if isinstance(value, dict) else {"min": value}
    right = limits and set(limits) <= {"min", "max"}
    if right and all(isinstance(n, int | float) and not isinstance(n, bool) for n in limits.values()):
        return ""
    return 'write a number, or {"min": 1, "max": 100}'
