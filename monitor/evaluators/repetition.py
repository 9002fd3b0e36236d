"""Detect endless loops: a model that repeats the same text until a limit ends it."""

from __future__ import annotations

_TAIL_CHARS = 24  # the end of the text, which is searched for earlier in the text
_LEAST_REPETITIONS = 6
_LEAST_CHARS = 200  # of looping text
_LONGEST_PERIOD = 2_000
_CHECKED_CHARS = 20_000


def ends_in_loop(text: str) -> bool:
    """Return whether a text ends in at least 6 exact repetitions of a unit, with at least 200 characters.

    The unit must contain a letter, or consist of exclamation marks (printed after numerical faults): lines,
    tables, digits and padding may repeat. The last repetition may be incomplete.

    >>> ends_in_loop("I like it. " * 30), ends_in_loop("-" * 500)
    (True, False)
    """
    size = len(text)
    if size < _LEAST_CHARS:
        return False
    tail = text[-_TAIL_CHARS:]
    longest = min(_LONGEST_PERIOD, size // _LEAST_REPETITIONS)
    # nearly every text ends here
    if text.find(tail, size - _TAIL_CHARS - longest) == size - _TAIL_CHARS:
        return False
    text = text[-_CHECKED_CHARS:]
    period = len(text) - _TAIL_CHARS - text.rfind(tail, 0, len(text) - 1)
    least = max(_LEAST_CHARS, _LEAST_REPETITIONS * period)
    loop = text[-least:]
    if len(loop) < least or not loop.startswith(loop[period:]):
        return False
    unit = text[-period:]
    return any(character.isalpha() for character in unit) or not unit.strip("!")
