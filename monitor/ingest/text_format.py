"""Classify the format of an answer: prose, a list, code, JSON, ...

A program that reads answers breaks where their format changes, although each answer is still right: code that
begins to come in a Markdown fence cannot be run.

Source: Chen, Zaharia, Zou, How is ChatGPT's behavior changing over time? arXiv:2307.09009, section 3.5.
"""

from __future__ import annotations

import json
import re

from monitor.normal_form.reasoning import answer_of

MAX_CHARS = 4_000
"""Characters whose lines are read; fences and the ends of JSON are searched in the whole text."""
MAX_LINES = 40
MAX_LINE_CHARS = 200
MAX_JSON_CHARS = 8_000
"""Characters up to which JSON is parsed; longer texts are JSON by their first and last characters."""
MIN_LIST_ITEMS = 2
LIST_SHARE = 1 / 3
CODE_SHARE = 0.5
"""Shares of the lines that are items of a list, or statements."""

FORMATS = ("empty", "json", "code_fence", "table", "code", "headings", "list", "prose")
"""All formats, in the order in which they are tried: a text has the first that applies."""

_VISIBLE = re.compile(
    "[^\\s\x00\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe0e\ufe0f\ufeff\uffa0]"
)
_FENCE = re.compile(r"(?:^|\n)[ \t>]*(?:```|~~~)")
_JSON_BEGIN = re.compile(
    r"""\{\s*(?:["'}]|$)|\[[\s\[]*(?:[{"'\]]|-?\d+(?:\.\d+)?\s*[,\]]|(?:true|false|null)\s*[,\]]|$)"""
)
_TABLE_RULE = re.compile(r"\|?[ \t]*:?-{2,}:?[ \t]*(?:\|[ \t]*:?-{2,}:?[ \t]*)*\|?$")
_ITEM = re.compile(r"(?:[-*+•‣◦–]|\(?\d{1,3}[.)]|[a-z][.)])[ \t]+\S")
_HEADING = re.compile(r"#{1,6}[ \t]+\S")
_COMMENT = re.compile(r"#(?!include)|//|--|/\*|\*/|\*[ \t]|<!--")
_STATEMENT = re.compile(
    r"""(?x)
    (?:async\ )?(?:def|fn|func|function\*?)\s*[\w.]*\s*[(<]    # def add(a, b):
    | (?:async\ )?(?:if|elif|for|while|with|except|class|match|case)\b.*:$
    | (?:else|try|finally)\s*[:{]$
    | from\s+[\w.]+\s+import\s
    | import\s+(?:["'{*]|[\w.]+(?:\s+as\s+\w+)?(?:,\s*[\w.]+)*;?$|.*\sfrom\s+["'])
    | (?:return|yield|raise|throw|await|del|assert|echo|print)\b(?:(?=.*[()\[\]{}"'=+*/<>;_]).*|(?:\s\w+)?;?$)
    | (?:const|let|var|val|int|float|double|char|bool|string|void|auto)\s+\w+(?:\s*:\s*[\w<>\[\]]+)?\s*[=;(\[]
    | [\w.\[\]"'$*]+(?:\s*,\s*[\w.\[\]]+)*(?:\s*:\s*[\w\[\].]+)?\s*(?:[-+*/|&%:])?=\s*[^=\s].*   # a, b = 1, 2
    | [\w.$]+\(.*\)[;,:]?(?:\s*\{)?$                           # print(row)
    | </?[a-zA-Z][\w:.-]*(?:\s[^<>]*)?/?>                      # <li class="a">
    | <[!?][a-zA-Z]
    | @[\w.]+(?:\(.*\))?$                                      # @property
    | \#(?:include|define|!)
    | \$\ \w                                                   # $ ls
    | .*[;{]$
    | [\]})]+[;,]?(?:\s*else.*)?$
    """
)
_SQL = re.compile(
    r"(?:SELECT|select)\b.*(?:\b(?:FROM|from)\b.*[^.!?:]$|,$|SELECT$|\*$)"
    r"|(?:SELECT|INSERT INTO|UPDATE|DELETE FROM|CREATE|ALTER|DROP)\b|WITH \w+ AS"
)
_decode = json.JSONDecoder(strict=False).raw_decode


def text_format(text: str) -> str:
    """Return the format of an answer, one of ``FORMATS``.

    Thoughts are left out. The time is bounded but for searches of single characters.

    >>> text_format("Paris is the capital of France."), text_format("def add(a, b):\\n    return a + b")
    ('prose', 'code')
    >>> text_format("```python\\nprint(1)\\n```"), text_format('{"total": 3}'), text_format("- tea\\n- milk")
    ('code_fence', 'json', 'list')
    """
    text = answer_of(text)
    visible = _VISIBLE.search(text)
    if visible is None:
        return "empty"
    text = text[visible.start() :].rstrip()
    if text[0] in "{[" and _is_json(text):
        return "json"
    if ("```" in text or "~~~" in text) and _FENCE.search(text):
        return "code_fence"
    cut = text[:MAX_CHARS].split("\n", MAX_LINES)[:MAX_LINES]
    return _of_lines([line[:MAX_LINE_CHARS].strip() for line in cut if not line.isspace() and line])


def _of_lines(lines: list[str]) -> str:
    """Return the format of a text by its lines, stripped and not empty."""
    if any("-" in line and "|" in line and _TABLE_RULE.match(line) for line in lines[1:]):
        return "table"
    if _is_code(lines):
        return "code"
    if any(line[0] == "#" and _HEADING.match(line) for line in lines):
        return "headings"
    items = sum(_ITEM.match(line) is not None for line in lines)
    return "list" if items >= MIN_LIST_ITEMS and items >= LIST_SHARE * len(lines) else "prose"


def _is_code(lines: list[str]) -> bool:
    """Return whether at least ``CODE_SHARE`` of the lines are statements; comments count as neither."""
    if _SQL.match(lines[0]):
        return True
    statements = comments = 0
    for line in lines:
        if _COMMENT.match(line):
            comments += 1
        elif _ITEM.match(line) is None and _STATEMENT.match(line):
            statements += 1
    return statements > 0 and statements >= CODE_SHARE * (len(lines) - comments)


def _is_json(text: str) -> bool:
    """Return whether a text is a JSON object or array, or one that is broken or cut short.

    An object that prose follows is none.
    """
    if not _JSON_BEGIN.match(text):
        return False
    if len(text) > MAX_JSON_CHARS:
        return text[-1] in "}]"
    try:
        _, end = _decode(text)
    except (ValueError, RecursionError):
        return True
    # several objects, one a line, are JSON too
    return end == len(text) or text[end:].lstrip()[0] in "{["
