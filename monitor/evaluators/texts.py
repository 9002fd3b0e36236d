"""How evaluators read an output: what of it is scanned, and what of that is the model's own prose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import re2

HEAD_CHARS = 16_384  # refusals, leaks and errors stand at the ends of an answer; what lies between costs time and tells nothing
TAIL_CHARS = 4_096
WHOLE_CHARS = HEAD_CHARS + TAIL_CHARS
_AUTOMATON_BYTES = 64 << 20  # at RE2's default of 8 MiB it is thrown away and built again all the time: 140 µs a text instead of 4

_CODE = re2.compile(r"(?s)```.*?(?:```|$)|~~~.*?(?:~~~|$)|`[^`\n]+`|<(?:code|pre)>.*?(?:</(?:code|pre)>|$)")
_THOUGHTS = re2.compile(r"(?s)<(?:think|thinking|reasoning)>.*?</(?:think|thinking|reasoning)>")


def scanned(output: str) -> str:
    """What evaluators see of an output: all of it, or of a long one the head and the tail, joined by a line break.

    >>> len(scanned("x" * 100_000))
    20481
    """
    text = output if len(output) <= WHOLE_CHARS else f"{output[:HEAD_CHARS]}\n{output[-TAIL_CHARS:]}"
    return text if text.isascii() else text.encode("utf-8", "replace").decode()  # RE2 takes no lone surrogates


def without_code(text: str) -> str:
    """Without code fences, inline code and a reasoning model's thoughts; line breaks take their place.

    >>> without_code("Use `sorry`.")
    'Use \\n.'
    """
    return str(_CODE.sub("\n", _THOUGHTS.sub("\n", text)))


@lru_cache(maxsize=64)  # features share one automaton, and what it has learnt of texts
def search_set(patterns: tuple[str, ...]) -> Callable[[str], Sequence[int] | None]:
    """A function from a text to the numbers of the patterns that occur in it, in no order; None or empty when none does.

    Raises:
        ValueError: a pattern is not RE2.
    """
    options = re2.Options()
    options.max_mem = _AUTOMATON_BYTES
    options.log_errors = False
    found = re2.Set.SearchSet(options)
    for pattern in patterns:
        try:
            found.Add(pattern)
        except re2.error as error:
            raise ValueError(f"pattern {pattern!r:.80}: {error}") from None
    found.Compile()
    match: Callable[[str], Sequence[int] | None] = found.Match
    return match
