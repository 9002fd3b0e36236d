"""Make text of others safe to show: the only place that knows which characters no reader may receive.

Labels, model outputs, error messages and records come from whoever can write to the events topic. A terminal
obeys control sequences, a bidirectional override reverses what stands after it, and characters without width
make two labels look alike. Why some joiners stay: docs/decisions/0025-one-sanitizer.md.
"""

from __future__ import annotations

import re
from typing import Any

_SURROGATE = re.compile("[\ud800-\udfff]")
_INVISIBLE = re.compile(
    "["
    "\u00ad\u034f\u180b-\u180f"  # soft hyphen, grapheme joiner, Mongolian selectors and vowel separator
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # bidirectional marks, embeddings, overrides, isolates
    "\u115f\u1160\u3164\uffa0\u17b4\u17b5"  # fillers and vowels without a glyph
    "\u200b\u2060-\u2065\u206a-\u206f\ufeff"  # zero-width space, word joiner, invisible operators, BOM
    "\ufe00-\ufe0d\ufff0-\ufffb"  # variation selectors but those of emoji, annotations
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"  # shorthand, music, tags, selectors
    "]"
)
_EMOJI = "\u203c-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff"
_STRAY_SELECTOR = re.compile(
    f"(?<![\u00a9\u00ae{_EMOJI}])[\ufe0e\ufe0f](?!\u20e3)|(?<![#*0-9\u00a9\u00ae{_EMOJI}])[\ufe0e\ufe0f]"
)
_JOINED = f"\u0600-\u18af\ua8e0-\ua8ff\ufb50-\ufdff\ufe0f\ufe70-\ufefc\U00010a00-\U00011fff{_EMOJI}"
_STRAY_JOINER = re.compile(f"[\u200c\u200d](?![{_JOINED}])|(?<![{_JOINED}])[\u200c\u200d]")
_CUT_OFF = "\u200c\u200d\ufe0e\ufe0f"  # what a cut leaves without the character it belongs to

_BREAK = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_CONTROL_IN_LINES = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f]+")
_HIDDEN = re.compile(f"{_INVISIBLE.pattern}|[{_CUT_OFF}]")  # beside those that str.isprintable() knows


def sanitize(text: str, most: int | None = None, *, lines: bool = False) -> str:
    """Return a text as a terminal, a page or a log line may show it.

    A run of control characters becomes one space. Bidirectional controls and characters without width are
    removed; joiners stay inside an emoji and between letters of scripts that need them. A lone surrogate
    becomes U+FFFD.

    Args:
        text: any string, lone surrogates included.
        most: how many characters the result may have, at least 1; what is cut off shows as ``…``.
        lines: keep line feeds and tabs, and turn other line breaks into line feeds. By default they are
            control characters like any other, so that the result is one line.

    >>> sanitize("a\\x1b[31m\\nb", 80), sanitize("abcdef", 4)
    ('a [31m b', 'abc…')
    >>> sanitize("user\\u202egnp.exe \\u200b"), sanitize("one\\r\\ntwo\\x07", lines=True)
    ('usergnp.exe ', 'one\\ntwo ')

    Source: Unicode Standard Annex #9 (bidirectional controls) and #44 (Default_Ignorable_Code_Point).
    """
    if not text.isascii():
        text = _SURROGATE.sub("\ufffd", _INVISIBLE.sub("", text))
        text = _STRAY_JOINER.sub("", _STRAY_SELECTOR.sub("", text))
    text = _CONTROL_IN_LINES.sub(" ", _BREAK.sub("\n", text)) if lines else _CONTROL.sub(" ", text)
    return text if most is None or len(text) <= most else text[: most - 1].rstrip(_CUT_OFF) + "…"


def sanitize_json(value: Any, *, lines: bool = False) -> Any:
    """Return a JSON value with every string in it sanitized, names of fields included.

    >>> sanitize_json({"a\\u200b": ["b\\x00c", 1.5, None]})
    {'a': ['b c', 1.5, None]}
    """
    if isinstance(value, str):
        return sanitize(value, lines=lines)
    if isinstance(value, dict):
        return {
            sanitize(name) if isinstance(name, str) else name: sanitize_json(item, lines=lines)
            for name, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [sanitize_json(item, lines=lines) for item in value]
    return value


def escape_hidden(text: str) -> str:
    """Return the text with a backslash escape for each character that a reader cannot see or distinguish.

    For text that somebody must know exactly or type again: a state key, the beginning of a dead letter. What
    `sanitize` would remove is escaped, and so are spaces other than the plain one.

    >>> print(escape_hidden("a\\x1b[2Jb\\n\\u202e"))
    a\\x1b[2Jb\\n\\u202e
    """
    return "".join(
        char if char.isprintable() and not _HIDDEN.match(char) else char.encode("unicode_escape").decode()
        for char in text
    )
