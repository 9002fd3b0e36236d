"""The script of a text, and what it says of the language."""

from __future__ import annotations

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.languages import language_detection, text_script
from monitor.languages.language_detection import LANGUAGES, detect_language
from monitor.languages.text_script import SCRIPT_LANGUAGES, main_script

SHORT = {
    "ru": ("Да, конечно.", "Заказ отправлен", "Нет, это невозможно"),
    "uk": ("Так, звичайно, її вже відправлено.",),
    "el": ("Ναι, φυσικά.", "Η παραγγελία"),
    "he": ("כן, בהחלט", "ההזמנה נשלחה"),
    "hi": ("हाँ, ज़रूर, आपका ऑर्डर भेजा गया है",),
    "th": ("ได้ครับ",),
    "ko": ("네, 물론입니다",),
    "ja": ("はい、そうです", "発送済みです", "iPhone 15のケースをご注文"),
    "zh": ("当然可以", "已發貨"),
    "ka": ("დიახ, რა თქმა უნდა",),
    "hy": ("Այո, իհարկե",),
    "ta": ("ஆம், நிச்சயமாக",),
}
TOO_SHORT = ("Да", "はい", "Ναι", "네", "αβγ", "π ≈ 3.14159", "Ω", "Σ x² = 5")


@pytest.mark.parametrize(("language", "text"), [(name, text) for name in SHORT for text in SHORT[name]])
def test_a_few_letters_of_another_script_identify_the_language(language: str, text: str) -> None:
    assert detect_language(text) == language


@pytest.mark.parametrize("text", TOO_SHORT)
def test_single_words_and_formulas_have_no_language(text: str) -> None:
    assert detect_language(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "Your order of two Москва mugs was shipped on Tuesday and arrives on Friday.",
        "The Greek letters α, β and γ are used for angles in this text.",
        "東京 is the capital of Japan, and the largest city of the country.",
    ],
)
def test_a_few_foreign_words_do_not_change_the_language(text: str) -> None:
    assert detect_language(text) == "en"


@pytest.mark.parametrize("script", [name for name, several in SCRIPT_LANGUAGES.items() if len(several) == 1])
def test_a_script_of_a_single_language_needs_no_model(script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language_detection, "_model", None)
    language = SCRIPT_LANGUAGES[script][0]
    first = text_script._RANGES[script].partition("-")[0]
    letters = "".join(char for offset in range(120) if (char := chr(ord(first) + offset)).isalpha())
    assert detect_language(letters[:20]) == language


@given(st.text())
def test_any_text_has_a_supported_script_or_none(text: str) -> None:
    name, letters = main_script(text)
    assert name in ("", *SCRIPT_LANGUAGES)
    assert letters >= 0


def test_every_language_of_a_script_is_distinguished() -> None:
    assert {language for several in SCRIPT_LANGUAGES.values() for language in several} <= set(LANGUAGES)


def test_the_doctest_passes() -> None:
    assert doctest.testmod(text_script) == (0, 1)
