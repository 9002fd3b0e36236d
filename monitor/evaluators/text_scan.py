"""Select the parts of an output that evaluators scan, and remove code from them."""

from __future__ import annotations

from monitor.evaluators.re2_patterns import Expression

# refusals, leaks and errors are at the beginning or the end of an answer
HEAD_CHARS = 16_384
TAIL_CHARS = 4_096
WHOLE_CHARS = HEAD_CHARS + TAIL_CHARS

_CODE = Expression(r"(?s)```.*?(?:```|$)|~~~.*?(?:~~~|$)|`[^`\n]+`|<(?:code|pre)>.*?(?:</(?:code|pre)>|$)")
_REASONING = Expression(r"(?s)<(?:think|thinking|reasoning)>.*?</(?:think|thinking|reasoning)>")


def text_to_scan(output: str) -> str:
    """Return the text to scan: the whole output, or head and tail of a long output, joined by a line break.

    >>> len(text_to_scan("x" * 100_000))
    20481
    """
    text = output if len(output) <= WHOLE_CHARS else f"{output[:HEAD_CHARS]}\n{output[-TAIL_CHARS:]}"
    # RE2 accepts no lone surrogates
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def without_code(data: bytes) -> bytes:
    """Replace code fences, inline code and blocks of reasoning in UTF-8 text by line breaks.

    >>> without_code(b"Use `sorry`.")
    b'Use \\n.'
    """
    if b"<" in data:
        data = _REASONING.without(data, b"\n")
    elif b"`" not in data and b"~~~" not in data:
        return data
    return _CODE.without(data, b"\n")
