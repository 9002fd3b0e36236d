"""Detect endless loops: a model that repeats the same text until a limit ends it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice, pairwise

_PROBE_CHARS = 24  # searched for again later in the text
_LEAST_REPETITIONS = 6
_LEAST_CHARS = 200  # of looping text
_LEAST_SHARE = 0.5  # of a text that goes on behind its loop
_LONGEST_PERIOD = 2_000
_CHECKED_CHARS = 20_000
_LEAST_WORDS, _LEAST_LETTERS = 3, 10  # of a line or a counted sentence: "1. yes" and "neutral" may be answers
_LEAST_COUNTED = 8  # repetitions with a counter
_MAX_NUMBERS = 400  # that are read
_LONGEST_NUMBER = 6  # digits of a counter

_NUMBER = re.compile(rb"\d+")
_DIGITS = b"0123456789"
_WORD = re.compile(r"[^\W\d_]+")
_CJK = re.compile("[\u3040-\u30ff\u3400-\u9fff]")  # scripts without spaces: two characters count as a word
_ELEMENT = re.compile(r"</?[A-Za-z][^<>]{0,200}>")
_LETTERED = re.compile(rb"(?m)^([\s(*]{0,4})([A-Za-z])([.)] )")
_LEAST_RUN = 6
"""Numbers of a counter that follow one another: it has at least 8 numbers, nine
tenths of them one more than the number before, so 11 numbers are in two runs at most."""
_EMOJI = re.compile("[\U0001f300-\U0001faff\u2600-\u27bf\u2b50\u2b55\u2764]")
_COUNTER_WORDS = "|".join(
    (
        "step|item|attempt|try|point|question|answer|no|nr|part|tip|day|week|round|iteration|example|rule",
        "schritt|punkt|tag|woche|versuch|frage|jour|semaine|paso|día|giorno|étape",
    )
)
_READ_BEFORE_COUNTER = 24
_SENTENCE_BEGIN = rf"[\s(#*\[-]*(?:(?:{_COUNTER_WORDS})\s)?[\s(#*\[]*".encode()
_COUNTERS = re.compile(rb"[\n.!?:;,]%b(\d+)" % _SENTENCE_BEGIN, re.IGNORECASE)
_COUNTER_END = re.compile(rb"(?:\A|[\n.!?:;,])%b\Z" % _SENTENCE_BEGIN, re.IGNORECASE)
_FILLERS = b" \t\n\r\f\v(#*[-"
_LONG_FILLER = 7
"""Of each match of ``_SENTENCE_BEGIN`` with 24 characters so many in a row are ``_FILLERS``."""
_KEEP_DIGITS = bytes(byte if byte in _DIGITS else 32 for byte in range(256))
_KEEP_FILLERS = bytes(32 if byte in _FILLERS else 120 for byte in range(256))


def has_loop(text: str) -> bool:
    """Return whether a text is a loop: at least 6 repetitions of a unit, 200 characters, at the end or half of it.

    The unit contains letters, or is of emoji or exclamation marks: tables, digits and padding may repeat, and so
    may lines of one or two words, like labels. A loop may count ("1. Check the cable. 2. Check the cable.").

    >>> has_loop("I like it. " * 30), has_loop("-" * 500), has_loop("positive\\n" * 40)
    (True, False, False)
    >>> has_loop("".join(f"{n}. Check the cable again. " for n in range(1, 30)))
    True
    """
    if len(text) < _LEAST_CHARS:
        return False
    text = text[-_CHECKED_CHARS:]
    if (span := _loop(text)) is not None:
        return _is_real(text, *span)
    return _has_counted_loop(text)


def _loop(text: str | bytes) -> tuple[int, int, int] | None:
    """Return begin, end and period of a loop at the end, or over half of the text; None without one."""
    size = len(text)
    longest = min(_LONGEST_PERIOD, size // _LEAST_REPETITIONS)
    for at_end, start in ((True, size - _PROBE_CHARS), (False, size // 2)):
        probe = text[start : start + _PROBE_CHARS]
        if at_end:
            other = text.rfind(probe, start - longest, size - 1)  # type: ignore[arg-type]
            period = start - other
        else:
            other = text.find(probe, start + 1, start + longest + _PROBE_CHARS)  # type: ignore[arg-type]
            period = other - start
        if other < 0:  # nearly every text ends here
            continue
        begin, end = _extent(text, min(start, other), period)
        least = max(_LEAST_CHARS, _LEAST_REPETITIONS * period)
        if end - begin >= least and (end == size or end - begin >= _LEAST_SHARE * size):
            return begin, end, period
    return None


def _extent(text: str | bytes, position: int, period: int) -> tuple[int, int]:
    """Return begin and end of the longest run around a position that repeats with a period."""
    size, end = len(text), position + period
    step = 1024
    while (
        step and end < size
    ):  # doubling the comparison's length: one slice instead of a loop over characters
        if text[end : end + step] == text[end - period : end - period + len(text[end : end + step])]:
            end = min(size, end + step)
        else:
            step //= 2
    begin, step = position, 1024
    while step and begin > 0:
        taken = min(step, begin)
        if text[begin - taken : begin] == text[begin - taken + period : begin + period]:
            begin -= taken
        else:
            step = taken // 2
    return begin, end


def _is_real(text: str, begin: int, end: int, period: int) -> bool:
    unit = text[end - period : end]
    if "\n" in unit:
        lines = text[end - 2 * period : end].split("\n")[1:-1] or [unit]
        return any(_is_sentence(line) for line in lines if not line.lstrip().startswith("|"))
    if "</" in unit:
        return _words(_ELEMENT.sub(" ", unit * 2)) >= 2 * _LEAST_WORDS - 1
    return (
        any(character.isalpha() for character in unit)
        or not unit.strip("!")
        or _EMOJI.search(unit) is not None
    )


def _is_sentence(line: str) -> bool:
    """Return whether a line is more than a label: three words, or two with the end of a sentence."""
    words = _words(_ELEMENT.sub(" ", line) if "</" in line else line)
    return words >= _LEAST_WORDS or (words == _LEAST_WORDS - 1 and line.rstrip()[-1:] in ".!?。！？")


def _words(text: str) -> int:
    count = len(_WORD.findall(text))
    return count if text.isascii() else count + len(_CJK.findall(text)) // 2


def _has_counted_loop(text: str) -> bool:
    """Return whether a text repeats a sentence or line that differs only in a counter before it.

    The cheapest conditions come first: nearly all texts lack so many digits, or repeat nothing but for their numbers.
    """
    data = text.encode("utf-8", "replace")
    last_line = data.rfind(b"\n", 0, -1) + 1
    if last_line and _LETTERED.match(data, last_line):
        data = _LETTERED.sub(lambda match: b"%b%d%b" % (match[1], match[2][0], match[3]), data)
    plain = data.translate(None, _DIGITS)
    if len(data) - len(plain) < _LEAST_COUNTED or len(plain) < _LEAST_CHARS // 2:
        return False
    if (span := _loop(plain)) is None:
        return False
    begin, end, period = span
    if (end - begin) // period < _LEAST_COUNTED:
        return False
    unit = plain[end - period : end].decode("utf-8", "ignore")
    if unit.lstrip().startswith("|"):
        return False
    words, ideograms = _WORD.findall(unit), [] if unit.isascii() else _CJK.findall(unit)
    if len(words) + len(ideograms) // 2 < _LEAST_WORDS:
        return False
    if sum(map(len, words)) + len(ideograms) < _LEAST_LETTERS:
        return False
    middle = len(data) // 4
    numbers = data[middle:].translate(_KEEP_DIGITS).split()[:_MAX_NUMBERS]
    if len(numbers) < _LEAST_COUNTED or not _has_run(numbers):
        return False
    return _counts(
        numbers, _counters(data, middle) if len(numbers) < _MAX_NUMBERS else _counters_of(data, middle)
    )


def _has_run(numbers: Sequence[bytes]) -> bool:
    """Return whether ``_LEAST_RUN`` of the numbers follow one another, in any order."""
    run = {int(number) for number in set(numbers) if len(number) <= _LONGEST_NUMBER}
    for _ in range(_LEAST_RUN - 1):
        run = {number for number in run if number + 1 in run}
    return bool(run)


def _counts(numbers: Sequence[bytes], leading: Sequence[bytes]) -> bool:
    """Return whether the numbers before sentences are a counter, each one more; further numbers may not vary.

    Args:
        numbers: all numbers.
        leading: those of them that may count.
    """
    if len(leading) < _LEAST_COUNTED or any(len(number) > _LONGEST_NUMBER for number in leading):
        return False
    values = list(map(int, leading))
    if sum(later == earlier + 1 for earlier, later in pairwise(values)) < 0.9 * (len(values) - 1):
        return False
    others = set(numbers) - set(leading)
    return len(others) <= len(numbers) // max(1, len(leading))


def _counters(data: bytes, begin: int) -> list[bytes]:
    """Return the numbers from a position on that may count: a sentence begins with them, or with a word like "step".

    All are found in one search, unless a run of spaces or brackets reaches over the characters before a number
    that are read.
    """
    if b" " * _LONG_FILLER in data.translate(_KEEP_FILLERS):
        return _counters_of(data, begin)
    return [match[1] for match in _COUNTERS.finditer(data) if match.start(1) >= begin]


def _counters_of(data: bytes, begin: int) -> list[bytes]:
    """Return the same of a text with any characters, of the first numbers."""
    return [
        match[0]
        for match in islice(_NUMBER.finditer(data, begin), _MAX_NUMBERS)
        if _COUNTER_END.search(data[max(0, match.start() - _READ_BEFORE_COUNTER) : match.start()])
    ]
