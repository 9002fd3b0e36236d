"""Docstrings as text of a document."""

from __future__ import annotations

import inspect
import re


def as_markdown(text: str) -> str:
    """Turn a docstring into Markdown: paragraphs on one line, code in single backticks."""
    return unwrap(text).replace("``", "`")


def unwrap(text: str) -> str:
    """Join the lines of each paragraph of a docstring; lists, indented lines and examples stay as they are.

    >>> unwrap("One line\\nand its end.\\n\\n>>> 1 + 1\\n2")
    'One line and its end.\\n\\n>>> 1 + 1\\n2'
    """
    paragraphs = re.split(r"\n[ \t]*\n", inspect.cleandoc(text))
    return "\n\n".join(
        paragraph
        if re.search(r"^(>>>|[-*] |[ \t]|\w+:$)", paragraph, re.MULTILINE)
        else " ".join(paragraph.split("\n"))
        for paragraph in paragraphs
    )
