"""Words of a text, and runs of words, by which two texts are compared."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from monitor.evaluators.text_scan import text_to_scan

_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_\u3040-\u30ff\u3400-\u9fff]+")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")


def words_of(text: str) -> list[str]:
    """Return the words of a text in lower case, without marks; a Chinese or Japanese character is a word.

    Of a long text, its head and its tail.

    >>> words_of("It's **Bold**, 12.5 %")
    ['it', 's', 'bold', '12', '5']
    """
    text = text_to_scan(text)
    if not text.isascii():
        text = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))
    return _WORD.findall(text.casefold())


def word_runs(words: Sequence[str], length: int) -> set[int]:
    """Return a hash of each run of so many words; of all words if there are fewer.

    >>> len(word_runs(["a", "b", "c"], 2)), len(word_runs(["a"], 2)), word_runs([], 2)
    (2, 1, set())
    """
    if not words:
        return set()
    return {hash(tuple(words[begin : begin + length])) for begin in range(max(1, len(words) - length + 1))}
