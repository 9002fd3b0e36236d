"""The patterns of one language, with examples.

Patterns are RE2 for one clause of plain text (straight apostrophes, single spaces), matched
case-insensitively. In RE2 ``\\b`` and ``\\w`` know ASCII only: a pattern uses ``\\pL`` for letters, and no
``\\b`` beside a letter outside ASCII.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """Refusals of one language.

    Attributes:
        refusals: pattern of a refusal.
        withheld: pattern of a clause that withholds an answer, as for lack of an opinion or of access; an
            answer may follow.
        idioms: pattern of what looks like a refusal and is none; it is removed first. May be empty.
        refused: examples of answers that refuse.
        answered: examples of answers that look like a refusal.
    """

    refusals: str
    withheld: str
    idioms: str = ""
    refused: tuple[str, ...]
    answered: tuple[str, ...]


GAP = r"[^.!?\n]*"
"""The rest of a clause, in scripts with Latin punctuation."""

GAP_CJK = r"[^。！？\n]*"
"""The rest of a clause, in Chinese and Japanese."""
