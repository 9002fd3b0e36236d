"""Take an answer out of what wraps it: a code fence, JSON, HTML, a Markdown quotation, a wrong encoding."""

from __future__ import annotations

import html
import json
import re

from monitor.evaluators.re2_patterns import Expression

# UTF-8 that was read as Windows-1252 or Latin-1
_GARBLED = r"â€|[\x{C2}-\x{F4}][\x{80}-\x{BF}]|[åæçèéãìíë][œŠžŒŽšŸ†‡ˆ‰‹•™›€]|Ð[^\s]Ð"
ENCODED_PATTERN = (
    r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]{2,8});|\\u[0-9a-fA-F]{4}|\\'|[A-Za-z]`[a-z]|<br|</(?:span|font)>|"
    + _GARBLED
)
"""Pattern of encoded characters, behind which patterns for raw text see no refusal."""

_READ_CHARS = 8_000  # a refusal is at the beginning
_ENTITY = Expression(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]{2,8});")
_MOJIBAKE = Expression(_GARBLED)
_BACKTICK = re.compile(r"(?<=[A-Za-z])`(?=(?:m|t|s|d|ll|ve|re)\b)")
_LABELLED = Expression(
    r"(?i)\A\s*(?:answer|response|output|assistant|message|text|result|reply|content|final answer)\s*[:=]\s*(?:\"[^\"]+\"|'.+')\s*\z"
)
_LABELLED_FENCE = Expression(
    r"(?i)\A\s*(?:answer|response|output|result):\s*\n(?:```|~~~)(?:text|txt|markdown|md)?[ \t]*\n"
)
_LINE_BREAK = re.compile(r"<br\s?/?>", re.IGNORECASE)
_REPR = re.compile(
    r"\s*(?:\w{1,40}\()?(?:content|text)=(?:\"((?:[^\"\\]|\\.)*)\"|'((?:[^'\\]|\\.)*)')"
)  # AIMessage(...)
_TABLE = Expression(r"(?m)^[ \t]*\|[^\n]*\|[^\n]*\|[^\n]*(?:\n|\z)")
_AS_LATIN_1 = {ord(bytes([byte]).decode("cp1252", "replace")): byte for byte in range(0x80, 0xA0)}
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_EMPHASIS = Expression(r"\A\s*_[^_]+_\s*\z")
_FENCE = Expression(
    r"(?is)\A\s*(?:```|~~~)[ \t]*(?:json5?|text|txt|plain(?:text)?|markdown|md|html|xml|yaml)?[ \t]*\n"
)
_FENCE_END = Expression(r"\n?[ \t]*(?:```|~~~)\s*\z")
_LEAD_IN = Expression(r"\A[^\n{\[]{0,100}:\s*(?:```(?:json)?\s*)?[{\[]")
_JSON_KEY = Expression(r"(?:^|[{,\[])\s*[\"']?[\w .-]{1,40}[\"']?\s*:\s*[\"']|^\s*\[\s*[\"']")
_ALL_QUOTED = Expression(r"\A(?:[ \t]*>[^\n]*(?:\n|\z))+\s*\z")
_QUOTE_MARK = Expression(r"(?m)^[ \t]*>[ \t]?")
_QUOTING_KEYS = frozenset(
    {
        "quote",
        "quotes",
        "transcript",
        "original",
        "input",
        "source",
        "source_text",
        "prompt",
        "question",
        "query",
        "customer_message",
        "user_message",
        "example",
        "examples",
        "dialogue",
        "messages",
        "lyrics",
        "utterance",
        "utterances",
        "user",
        "user_input",
        "customer",
        "review",
        "feedback",
        "complaint",
        "ticket",
        "subject",
        "snippet",
        "excerpt",
        "evidence",
        "citation",
        "citations",
        "instruction",
        "instructions",
    }
)


_THOUGHT_KEYS = frozenset(
    {
        "thinking",
        "thought",
        "thoughts",
        "reasoning",
        "reasoning_content",
        "analysis",
        "chain_of_thought",
        "scratchpad",
    }
)
"""Keys of thoughts, which are no answer where another key has one."""


def unwrapped(text: str) -> str:
    """Return the answer without its wrapping; a text without any unchanged.

    Of JSON, return the sentences among its values, one a line; values of keys that quote others ("input",
    "transcript") are left out.

    >>> unwrapped("I&#39;m sorry."), unwrapped('{"answer": "I am sorry."}')
    ("I'm sorry.", 'I am sorry.')
    """
    head = text[:_READ_CHARS]
    if "&" in head and _ENTITY.occurs(head):
        head = text = _printable(html.unescape(html.unescape(head)))
    if not head.isascii() and _MOJIBAKE.occurs(head):
        head = text = _repaired(head)
    if "\\'" in head:
        head = text = head.replace("\\'", "'")
    if "`" in head:
        head = text = _BACKTICK.sub("'", text)[:_READ_CHARS] if _BACKTICK.search(head) else text
    if "\n|" in head or head.startswith("|"):
        head = text = _TABLE.without(head.encode(), b"\n").decode()
    start = head.lstrip()[:1]
    if start in ("`", "~") and (span := _FENCE.search(head.encode())):
        text = _without_end(head.encode()[span[1] :].decode(), _FENCE_END)
        start = text.lstrip()[:1]
    elif start == ">" and _ALL_QUOTED.search(head.encode()):
        return _QUOTE_MARK.without(head.encode(), b"").decode()
    elif start == "_" and _EMPHASIS.search(head.encode()):
        return head.strip().strip("_")
    if start in ("{", "[") or (start == '"' and "\\" in head):
        return _json_strings(text)
    if start not in ("{", "[", '"') and "\\u" in head:
        head = text = _printable(_ESCAPE.sub(lambda code: chr(int(code[1], 16)), head))
    if "<br" in head or "<BR" in head:
        head = text = _LINE_BREAK.sub(" ", text)[:_READ_CHARS]
    if "(content=" in head or head.startswith(("content=", "text=")):
        match = _REPR.match(head)
        return (match[1] or match[2] or "") if match else text
    if "\n```" in head[:40] and (span := _LABELLED_FENCE.search(head.encode())):
        return _without_end(head.encode()[span[1] :].decode(), _FENCE_END)
    if (":" in head or "=" in head) and _LABELLED.search(head.encode()):
        return head.strip().split(":" if ":" in head else "=", 1)[1].strip()[1:-1]
    if head[:4].lower() == "json" and head[4:].lstrip()[:1] in ("{", "["):
        return _json_strings(text[4:])
    if ("{" in head or "[" in head) and (span := _LEAD_IN.search(head[:200].encode())):
        return _json_strings(_without_end(text.encode()[span[1] - 1 :].decode(), _FENCE_END))
    return text


def _printable(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _repaired(text: str) -> str:
    """Decode UTF-8 that was read as Windows-1252; only the punctuation if the text is a mixture."""
    try:
        return text.translate(_AS_LATIN_1).encode("latin-1").decode()
    except UnicodeError:
        if "Ð" in text:
            return text.encode("cp1252", "ignore").decode("utf-8", "ignore")
        for wrong, right in (("â€™", "'"), ("â€˜", "'"), ("â€œ", '"'), ("â€\x9d", '"'), ("â€“", "–")):
            text = text.replace(wrong, right)
        return text


def _without_end(text: str, expression: Expression) -> str:
    span = expression.search(data := text.encode())
    return data[: span[0]].decode() if span else text


def _json_strings(text: str) -> str:
    """Return the sentences of a JSON object or list, one a line; any other text unchanged."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        # JSON that was cut off, or with text behind it, or in the notation of Python
        text = _printable(_ESCAPE.sub(lambda code: chr(int(code[1], 16)), text[:_READ_CHARS]))
        data = text.encode()
        return _JSON_KEY.without(data, b"\n").decode() if _JSON_KEY.search(data) else text
    strings: list[str] = []
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            nested = _nested(item)
            if nested is None:
                strings.append(item)
            else:
                stack.append(nested)
        elif isinstance(item, dict):
            kept = [key for key in item if key.lower() not in _QUOTING_KEYS]
            answering = [key for key in kept if key.lower() not in _THOUGHT_KEYS]
            if any(item[key] for key in answering):
                kept = answering
            stack += [item[key] for key in reversed(kept)]
        elif isinstance(item, list):
            stack += reversed(item)
    # JSON escapes can contain lone surrogates
    return _printable(
        "\n".join(
            string
            for string in strings
            if len(string.split()) > 2 or (len(string) > 5 and not string.isascii())
        )
    )


def _nested(text: str) -> object:
    """Return the JSON object or list that a string holds; None if it holds none."""
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, (dict, list)) else None
