"""How evaluators read an output: what of it is scanned, and what of that is the model's own prose."""

from __future__ import annotations

from monitor.evaluators.re2_patterns import Expression

# refusals, leaks and errors stand at the ends of an answer; what lies between costs time and tells nothing
HEAD_CHARS = 16_384
TAIL_CHARS = 4_096
WHOLE_CHARS = HEAD_CHARS + TAIL_CHARS

_CODE = Expression(r"(?s)```.*?(?:```|$)|~~~.*?(?:~~~|$)|`[^`\n]+`|<(?:code|pre)>.*?(?:</(?:code|pre)>|$)")
_THOUGHTS = Expression(r"(?s)<(?:think|thinking|reasoning)>.*?</(?:think|thinking|reasoning)>")


def scanned(output: str) -> str:
    """What evaluators see of an output: all of it, or of a long one the head and the tail, joined by a line
    break.

    >>> len(scanned("x" * 100_000))
    20481
    """
    text = output if len(output) <= WHOLE_CHARS else f"{output[:HEAD_CHARS]}\n{output[-TAIL_CHARS:]}"
    # RE2 takes no lone surrogates
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def without_code(data: bytes) -> bytes:
    """UTF-8 without code fences, inline code and a reasoning model's thoughts; line breaks take their place.

    >>> without_code(b"Use `sorry`.")
    b'Use \\n.'
    """
    if b"<" in data:
        data = _THOUGHTS.without(data, b"\n")
    elif b"`" not in data and b"~~~" not in data:
        return data
    return _CODE.without(data, b"\n")
