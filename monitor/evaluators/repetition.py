"""Is the model caught in a loop, saying the same thing until a limit ends it?"""

from __future__ import annotations

_TAIL_CHARS = 24  # what is looked for again; a loop's last turn is among its own repetitions
_LEAST_TURNS = 6
_LEAST_CHARS = 200  # of looping text
_LONGEST_TURN = 2_000
_SEEN_CHARS = 20_000


def loops(text: str) -> bool:
    """Whether a text ends in at least 6 exact repetitions of one turn, 200 characters or more together.

    The turn must hold letters, or be an exclamation mark (what broken numerics print): rules, tables, digits
    and padding may repeat. The last turn may be incomplete, for a limit ends most loops.

    >>> loops("I like it. " * 30), loops("-" * 500)
    (True, False)
    """
    size = len(text)
    if size < _LEAST_CHARS:
        return False
    tail = text[-_TAIL_CHARS:]
    longest = min(_LONGEST_TURN, size // _LEAST_TURNS)
    # the quick way out of nearly every text
    if text.find(tail, size - _TAIL_CHARS - longest) == size - _TAIL_CHARS:
        return False
    text = text[-_SEEN_CHARS:]
    period = len(text) - _TAIL_CHARS - text.rfind(tail, 0, len(text) - 1)
    least = max(_LEAST_CHARS, _LEAST_TURNS * period)
    loop = text[-least:]
    if len(loop) < least or not loop.startswith(loop[period:]):
        return False
    turn = text[-period:]
    return any(mark.isalpha() for mark in turn) or not turn.strip("!")
