"""Detect endless loops: a model that repeats the same text until a limit ends it."""

from __future__ import annotations

import re
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

_NUMBER = re.compile(rb"\d+")
_DIGITS = "0123456789"
_WORD = re.compile(r"[^\W\d_]+")
_CJK = re.compile("[\u3040-\u30ff\u3400-\u9fff]")  # scripts without spaces: two characters count as a word
_ELEMENT = re.compile(r"</?[A-Za-z][^<>]{0,200}>")
_LETTER_COUNTER = r"(?m)^([\s(*]{0,4})([A-Za-z])([.)] )"
_LETTERED = re.compile(_LETTER_COUNTER.encode())
_LETTERED_LINE = re.compile(_LETTER_COUNTER, re.ASCII)
_LEAST_DIGITS = 6
"""Different digits of a counter: 8 of its numbers or more, nine tenths of them one more than the number before, so
at least 6 follow one another."""
_EMOJI = re.compile("[\U0001f300-\U0001faff\u2600-\u27bf\u2b50\u2b55\u2764]")
_COUNTER_WORDS = (
    *(
        b"step",
        b"item",
        b"attempt",
        b"try",
        b"point",
        b"question",
        b"answer",
        b"no",
        b"nr",
        b"part",
        b"tip",
        b"day",
    ),
    *(
        b"week",
        b"round",
        b"iteration",
        b"example",
        b"rule",
        b"schritt",
        b"punkt",
        b"tag",
        b"woche",
        b"versuch",
    ),
    *(b"frage", b"jour", b"semaine", b"paso", "día".encode(), b"giorno", "étape".encode()),
)
_FILLERS = b" \t\r\f\v(#*["
_ENDS_BEFORE_COUNTER = (b"\n", b".", b"!", b"?", b":", b";", b",", b"-", *_COUNTER_WORDS)
_COUNTER = re.compile(
    rb"(?:\A|[\n.!?:;,])[\s(#*\[-]*(?:(?:%b)\s)?[\s(#*\[]*\Z" % b"|".join(_COUNTER_WORDS), re.IGNORECASE
)


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
    """Return whether a text repeats a sentence or line that differs only in a counter before it."""
    last_line = text.rfind("\n", 0, -1) + 1
    if sum(map(text.__contains__, _DIGITS)) < _LEAST_DIGITS and not (
        last_line and _LETTERED_LINE.match(text, last_line)
    ):
        return False  # nearly every text without numbers ends here
    data = text.encode("utf-8", "replace")
    last_line = data.rfind(b"\n", 0, -1) + 1
    if last_line and _LETTERED.match(data, last_line):
        data = _LETTERED.sub(lambda match: b"%b%d%b" % (match[1], match[2][0], match[3]), data)
    plain = data.translate(None, _DIGITS.encode())
    if len(plain) == len(data) or len(plain) < _LEAST_CHARS // 2:
        return False
    span = _loop(plain)
    if span is None:
        return False
    begin, end, period = span
    unit = plain[end - period : end].decode("utf-8", "ignore")
    letters = sum(map(len, _WORD.findall(unit))) + len(_CJK.findall(unit))
    repetitions = (end - begin) // period
    if _words(unit) < _LEAST_WORDS or letters < _LEAST_LETTERS or repetitions < _LEAST_COUNTED:
        return False
    if unit.lstrip().startswith("|"):
        return False
    return _counts(data)


def _counts(data: bytes) -> bool:
    """Return whether the numbers in the middle of a text are a counter before its sentences, each one more."""
    middle = len(data) // 4
    distinct = {
        int(number) for number in set(_NUMBER.findall(data, middle)[:_MAX_NUMBERS]) if len(number) <= 6
    }
    if sum(number + 1 in distinct for number in distinct) < _LEAST_DIGITS - 1:
        return False
    numbers = list(islice(_NUMBER.finditer(data, middle), _MAX_NUMBERS))
    leading = [match for match in numbers if _is_counter(data[max(0, match.start() - 24) : match.start()])]
    if len(leading) < _LEAST_COUNTED or any(len(match[0]) > 6 for match in leading):
        return False
    values = [int(match[0]) for match in leading]
    if sum(later == earlier + 1 for earlier, later in pairwise(values)) < 0.9 * (len(values) - 1):
        return False
    others = {match[0] for match in numbers} - {match[0] for match in leading}
    return len(others) <= len(numbers) // max(1, len(leading))  # further numbers do not vary


def _is_counter(before: bytes) -> bool:
    """Return whether a number counts, by the bytes before it: a sentence begins with it, or with a word like "step"."""
    end = before.rstrip(_FILLERS).lower()
    return (not end or end.endswith(_ENDS_BEFORE_COUNTER)) and _COUNTER.search(before) is not None
