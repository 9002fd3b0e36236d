"""What others wrote, as one line."""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def clean(text: str, most: int) -> str:
    """One line without control characters, at most ``most`` characters.

    >>> clean("a\\x1b[31m\\nb", 80), clean("abcdef", 4)
    ('a [31m b', 'abc…')
    """
    line = _CONTROL.sub(" ", text)
    return line if len(line) <= most else line[: most - 1] + "…"
