"""Find the script of a text: most scripts have one language, so a few letters say which."""

from __future__ import annotations

import re
import string

WIDE_LETTER_WEIGHT = 3
"""Letters that a letter counts for in scripts where it is a syllable or a word."""
MIN_KANA_SHARE = 0.1
"""Japanese has Kana between its Han characters; Chinese has next to none."""

_RANGES = {
    "greek": "\u0370-\u03ff\u1f00-\u1fff",
    "cyrillic": "\u0400-\u052f",
    "armenian": "\u0531-\u0587",
    "hebrew": "\u0590-\u05ff",
    "arabic": "\u0600-\u06ff\u0750-\u077f\ufb50-\ufdff\ufe70-\ufefc",
    "devanagari": "\u0900-\u097f",
    "bengali": "\u0980-\u09ff",
    "gurmukhi": "\u0a00-\u0a7f",
    "gujarati": "\u0a80-\u0aff",
    "tamil": "\u0b80-\u0bff",
    "telugu": "\u0c00-\u0c7f",
    "kannada": "\u0c80-\u0cff",
    "malayalam": "\u0d00-\u0d7f",
    "georgian": "\u10a0-\u10ff\u1c90-\u1cbf",
    "thai": "\u0e00-\u0e7f",
    "hangul": "\u1100-\u11ff\uac00-\ud7af",
    "kana": "\u3041-\u30ff",
    "han": "\u3400-\u4dbf\u4e00-\u9fff",
}
_WIDE = frozenset({"thai", "hangul", "kana", "han"})
_NAMES = tuple(_RANGES)
_RUN = re.compile("|".join(f"([{letters}]+)" for letters in _RANGES.values()))
_LETTER = re.compile(r"[^\W\d_]")
_ASCII_LETTERS = string.ascii_letters.encode()

SCRIPT_LANGUAGES = {
    **{"greek": ("el",), "armenian": ("hy",), "hebrew": ("he",), "bengali": ("bn",), "gurmukhi": ("pa",)},
    **{"gujarati": ("gu",), "tamil": ("ta",), "telugu": ("te",), "kannada": ("kn",), "malayalam": ("ml",)},
    **{"georgian": ("ka",), "thai": ("th",), "hangul": ("ko",), "kana": ("ja",), "han": ("zh",)},
    "cyrillic": ("be", "bg", "kk", "mk", "ru", "sr", "uk"),
    "arabic": ("ar", "fa", "ur"),
    "devanagari": ("hi", "mr"),
}
"""Languages of each script that are distinguished, ISO 639-1."""


def main_script(text: str) -> tuple[str, int]:
    """Return the script of over half of the letters, and the letters of it; Latin and others have the name "".

    Letters of scripts that write syllables or words count ``WIDE_LETTER_WEIGHT`` times.

    >>> main_script("Ваш заказ iPhone"), main_script("Your order"), main_script("ご注文は")
    (('cyrillic', 8), ('', 9), ('kana', 12))
    """
    if text.isascii():
        return "", len(text) - len(text.encode().translate(None, _ASCII_LETTERS))
    letters = len(_LETTER.findall(text))
    counts: dict[str, int] = {}
    for run in _RUN.finditer(text):
        name = _NAMES[(run.lastindex or 1) - 1]
        n = len(_LETTER.findall(run[0]))
        weight = WIDE_LETTER_WEIGHT if name in _WIDE else 1
        counts[name] = counts.get(name, 0) + weight * n
        letters += (weight - 1) * n
    kana, han = counts.get("kana", 0), counts.get("han", 0)
    if kana and kana >= MIN_KANA_SHARE * (kana + han):
        counts |= {"kana": kana + han, "han": 0}
    elif kana:
        counts |= {"han": kana + han, "kana": 0}
    name = max(counts, key=lambda name: counts[name], default="")
    return (name, counts[name]) if name and 2 * counts[name] > letters else ("", letters)
