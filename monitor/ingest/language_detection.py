"""Which language a text is written in, where that can be told.

A name that flickers costs false tickets, so that nothing is said of what is short, or code, or not sure. Of
10,000 answers of LLMDrift, 660 pieces of Python and 44,000 messages of vim in 21 languages, none of the first
two and at most 0.3 % of any language were called another than they are.

Source: Lui, Baldwin, langid.py, Proc. ACL 2012 System Demonstrations, 25. py3langid is that with a newer
model.
"""

from __future__ import annotations

import io
import lzma
import re
import shutil
import unicodedata
from array import array
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

MAX_CHARS = 400  # what is read of a text: it is sure long before
MIN_LETTERS = 20
WIDE_LETTER_WEIGHT = 3  # letters that one counts for where it is a syllable or a word
# names and titles have fewer; of letters that are words themselves the same amount of letters will do
MIN_WORDS = 4
MIN_PROBABILITY = 0.8  # probability, of 1
LANGUAGES = (
    "af", "ar", "az", "be", "bg", "bn", "ca", "cs", "da", "de", "el", "en", "es", "et", "eu", "fa", "fi", "fr", "gu", "he", "hi", "hr", "hu", "hy",
    "id", "is", "it", "ja", "ka", "kk", "kn", "ko", "lt", "lv", "mk", "ml", "mr", "nl", "no", "pa", "pl", "pt", "ro", "ru", "sk", "sl", "sq", "sr",
    "sv", "sw", "ta", "te", "th", "tl", "tr", "uk", "ur", "vi", "zh",
)  # fmt: skip
"""What is told apart, ISO 639-1. Malay is not told from Indonesian nor Galician from Portuguese: their sentences look alike, and names would flicker."""

_NO_LANGUAGE = "zxx"
_WIDE = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_LETTER = re.compile(r"[^\W\d_]")
_CODE = re.compile(
    r"```.*?(?:```|\Z)|`[^`\n]*`|https?://\S+|<[^<>\n]{1,80}>"
    # a word with such a mark in it; what begins anywhere else was looked at: linear in the length
    r"|(?<![!-~])[!-~]*[0-9_{}=\\/|%@][!-~]*",
    re.DOTALL,
)


def detect_language(text: str) -> str | None:
    """The language of a text, one of ``LANGUAGES``; None where it is too short, code, or not sure.

    The same on every machine, and whatever was asked before. The first time takes half a second, while the
    model is read.

    >>> detect_language("Votre commande arrivera vendredi matin."), detect_language("(C). Somewhat worried")
    ('fr', None)
    """
    prose = " ".join(_CODE.sub(" ", unicodedata.normalize("NFC", text[:MAX_CHARS])).split())
    wide = len(_WIDE.findall(prose))
    if len(_LETTER.findall(prose)) + (WIDE_LETTER_WEIGHT - 1) * wide < MIN_LETTERS or (
        prose.count(" ") + 1 < MIN_WORDS and wide * WIDE_LETTER_WEIGHT < MIN_LETTERS
    ):
        return None
    language, sure = _model().classify(prose)
    return None if sure < MIN_PROBABILITY or language == _NO_LANGUAGE else str(language)


@cache
def _model() -> Any:
    """The model, restricted to ``LANGUAGES``. Its own loader unpacks it into a temporary file, which a worker
    on a read-only disk cannot make.
    """
    # 15 ms that a command which reads no text is spared
    from py3langid.langid import MODEL_DIR, MODEL_FILE, LanguageIdentifier

    class Identifier(LanguageIdentifier):  # type: ignore[misc]  # untyped
        """Adds up in 64 bits, one after another: in 32 and by BLAS, how sure it is would depend on the
        processor and its threads.
        """

        __slots__ = ()

        def _sparse_score(self, visits: dict[int, int], table: Any) -> Any:
            times = np.log1p(np.fromiter(visits.values(), np.float64, len(visits)))
            return (
                np.einsum(
                    "i,ij->j", times, table[np.fromiter(visits, np.intp, len(visits))].astype(np.float64)
                )
                + self.nb_pc
            )

    unpacked = io.BytesIO()
    with lzma.open(MODEL_DIR / MODEL_FILE) as packed:
        shutil.copyfileobj(packed, unpacked)
    unpacked.seek(0)
    with np.load(unpacked, allow_pickle=False) as held:
        classes = held["classes"].tolist()
        known = [at for at, name in enumerate(classes) if name in (*LANGUAGES, _NO_LANGUAGE)]
        return Identifier(
            held["ptc"][:, known], held["pc"][known], [classes[at] for at in known], _array(held["nextmove"]), held["out_feat"].tolist(),
            norm_probs=True, tk_row=_array(held["nextmove_row"]),
        )  # fmt: skip


def _array(values: npt.NDArray[Any]) -> array[int]:
    """Unsigned numbers as Python reads them quickest, one by one."""
    out = array(values.dtype.char)
    out.frombytes(values.data.cast("B"))
    return out
