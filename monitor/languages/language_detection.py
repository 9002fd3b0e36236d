"""Detect the language of a text, if it is certain.

A language that flickers costs false tickets, so short or uncertain text and code have none.

CLD2 is asked first, because it takes a tenth of the time. Its own word that it is sure is not enough: of 55,000
messages of programs in 28 languages of Latin script 6 % got another language. So its answer counts only with
a score of 1,000, for 97 % of the text, and for no language that has a close relative. Of these messages 0.06 %
then got another language, and 0.2 % another one than by py3langid alone (0.14 % of short ones, 0.03 % of
others). It decides 96 % of 9,500 answers and questions of LLMDrift, all rightly, and 25 to 35 % of the
messages. py3langid decides the rest.

Source: CLD2, https://github.com/CLD2Owners/cld2; Lui, Baldwin, langid.py, Proc. ACL 2012 System Demonstrations,
25. py3langid is the same with a newer model.
"""

from __future__ import annotations

import io
import lzma
import re
import shutil
import unicodedata
from array import array
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pycld2

from monitor.languages.text_script import SCRIPT_LANGUAGES, main_script

MAX_CHARS = 400
"""Characters of a text that are read: the language is certain long before."""
MIN_LETTERS = 20
MIN_WORDS = 4
"""Names and titles have fewer. Other scripts than Latin need no words."""
MIN_SCRIPT_LETTERS = 7
"""Letters that suffice in a script that tells the language, or all but a few."""
MIN_PROBABILITY = 0.8
MIN_SCRIPT_PROBABILITY = 0.5
"""The same among the few languages of one script."""
VERSION = 2
"""Raised when texts get other languages. References of languages that another version counted end."""
_MIN_CLD2_SCORE = 1000
_MIN_CLD2_PERCENT = 97
_CLOSE = frozenset({"af", "az", "cs", "da", "hr", "id", "nl", "no", "sk", "sl", "sr"})
"""Languages that CLD2 takes for one another, or for one that is not in ``LANGUAGES`` (Galician, Malay)."""
_PRIOR = {"ru": 5.0}
"""How much more frequent a language is than others of its script: decides on texts of two or three words."""
LANGUAGES = (
    *("af", "ar", "az", "be", "bg", "bn", "ca", "cs", "da", "de", "el", "en", "es", "et", "eu"),
    *("fa", "fi", "fr", "gu", "he", "hi", "hr", "hu", "hy", "id", "is", "it", "ja", "ka", "kk"),
    *("kn", "ko", "lt", "lv", "mk", "ml", "mr", "nl", "no", "pa", "pl", "pt", "ro", "ru", "sk"),
    *("sl", "sq", "sr", "sv", "sw", "ta", "te", "th", "tl", "tr", "uk", "ur", "vi", "zh"),
)
"""Languages that are distinguished, ISO 639-1.

Malay is not distinguished from Indonesian, nor Galician from Portuguese: their sentences look alike, so the
language would flicker.
"""

_CERTAIN = frozenset(LANGUAGES) - _CLOSE
_NO_LANGUAGE = "zxx"
_CODE = re.compile(
    r"```.*?(?:```|\Z)|`[^`\n]*`|https?://\S+|<[^<>\n]{1,80}>"
    # a word with one of these characters; only starts of words match, so it is linear in the length
    r"|(?<![!-~])[!-~]*[0-9_{}=\\/|%@][!-~]*",
    re.DOTALL,
)

_CODE_CHARACTER = re.compile(r"[0-9_{}=\\/|%@`<]")
"""A text without any of these has nothing that ``_CODE`` matches; searching for one is ten times as fast."""


def detect_language(text: str) -> str | None:
    """Return the language of a text, one of ``LANGUAGES``; None if it is too short, code, or not certain.

    Most scripts other than Latin have one language, so a few letters suffice; of the others the model chooses
    among few.

    It is the same on every machine, whatever was detected before. The first call takes half a second, to read
    the model.

    >>> detect_language("Votre commande arrivera vendredi matin."), detect_language("(C). Somewhat worried")
    ('fr', None)
    """
    prose = unicodedata.normalize("NFC", text[:MAX_CHARS])
    if _CODE_CHARACTER.search(prose) is not None:
        prose = _CODE.sub(" ", prose)
    prose = " ".join(prose.split())
    script, letters = main_script(prose)
    if script:
        return _of_script(prose, SCRIPT_LANGUAGES[script]) if letters >= MIN_SCRIPT_LETTERS else None
    if letters < MIN_LETTERS or prose.count(" ") + 1 < MIN_WORDS:
        return None
    if (certain := _by_cld2(prose)) is not None:
        return certain
    language, probability = _model().classify(prose)
    return None if probability < MIN_PROBABILITY or language == _NO_LANGUAGE else str(language)


def _by_cld2(prose: str) -> str | None:
    """Return the language of a text in Latin letters if CLD2 is certain beyond doubt."""
    try:
        is_reliable, _, ((_, language, percent, score), *_) = pycld2.detect(
            prose.encode(errors="ignore"), isPlainText=True
        )
    except pycld2.error:  # control characters
        return None
    is_certain = is_reliable and percent >= _MIN_CLD2_PERCENT and score >= _MIN_CLD2_SCORE
    return str(language) if is_certain and language in _CERTAIN else None


def _of_script(prose: str, languages: Sequence[str]) -> str | None:
    """Return the most likely of the languages of a script; None if it is not likely enough."""
    if len(languages) == 1:
        return languages[0]
    ranked = [
        (float(p) * _PRIOR.get(name, 1.0), str(name)) for name, p in _model().rank(prose) if name in languages
    ]
    total, (most, language) = sum(p for p, _ in ranked), max(ranked)
    return language if total > 0 and most >= MIN_SCRIPT_PROBABILITY * total else None


@cache
def _model() -> Any:
    """Load the model, restricted to ``LANGUAGES``.

    The loader of py3langid unpacks it into a temporary file, which a worker on a read-only disk cannot make.
    """
    # Imported here: a command that reads no text saves 15 ms.
    from py3langid.langid import MODEL_DIR, MODEL_FILE, LanguageIdentifier

    class Identifier(LanguageIdentifier):  # type: ignore[misc]  # untyped
        """Adds in 64 bits and in a fixed order.

        In 32 bits and by BLAS the probability would depend on the processor and its threads.
        """

        __slots__ = ()

        def _sparse_score(self, visits: dict[int, int], table: Any) -> Any:
            weights = np.log1p(np.fromiter(visits.values(), np.float64, len(visits)))
            rows = table[np.fromiter(visits, np.intp, len(visits))].astype(np.float64)
            return np.einsum("i,ij->j", weights, rows) + self.nb_pc

    unpacked = io.BytesIO()
    with lzma.open(MODEL_DIR / MODEL_FILE) as packed:
        shutil.copyfileobj(packed, unpacked)
    unpacked.seek(0)
    with np.load(unpacked, allow_pickle=False) as model:
        classes = model["classes"].tolist()
        wanted = [index for index, name in enumerate(classes) if name in (*LANGUAGES, _NO_LANGUAGE)]
        return Identifier(
            model["ptc"][:, wanted],
            model["pc"][wanted],
            [classes[index] for index in wanted],
            _array(model["nextmove"]),
            model["out_feat"].tolist(),
            norm_probs=True,
            tk_row=_array(model["nextmove_row"]),
        )


def _array(values: npt.NDArray[Any]) -> array[int]:
    """Return unsigned integers in the type that Python indexes fastest."""
    out = array(values.dtype.char)
    out.frombytes(values.data.cast("B"))
    return out
