from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softfail.sanitize import escape_hidden, sanitize, sanitize_json

ZERO_WIDTH = [0x200B, 0x2060, 0xFEFF, 0x00AD, 0x034F, 0x115F, 0x3164, 0xE0041, 0xE0101]
VISIBLE_FORMATS = "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
"""Format characters with a glyph: number signs of Arabic, Syriac and Kaithi."""

ANY = st.text(st.characters(), max_size=60)  # of any category, lone surrogates included
HARD = st.text(
    st.sampled_from(
        "ab1#\u0628\u0915👩❤☠\u200b\u200c\u200d\u200e\u202e\u2060\ufe0e\ufe0f\u20e3\x1b\n\r\t\x85\u2028\ud800…"
    ),
    max_size=30,
)
TEXTS = st.one_of(ANY, HARD)
JOINERS = {"\u200c", "\u200d"}


def hidden(char: str) -> bool:
    """Whether no reader may get the character, wherever it stands."""
    category = unicodedata.category(char)
    return (
        category in ("Cc", "Cs", "Zl", "Zp")
        or ord(char) in ZERO_WIDTH
        or (
            category == "Cf"
            and char not in JOINERS
            and char not in VISIBLE_FORMATS
            and not _is_egyptian(char)
        )
    )


def _is_egyptian(char: str) -> bool:  # controls that place one hieroglyph above another
    return 0x13430 <= ord(char) <= 0x1345F


def test_every_hidden_unicode_character_is_removed():
    for code in range(sys.maxunicode + 1):
        if hidden(char := chr(code)):
            for text in (char, f"a{char}b", f"\u0628{char}\u0628", f"👩{char}👩"):
                assert not set(filter(hidden, sanitize(text))), f"U+{code:04X}"


def test_every_other_character_is_kept():
    characters = [
        chr(code)
        for code in range(sys.maxunicode + 1)
        if unicodedata.category(chr(code))[0] in "LNPSZ"
        and not hidden(chr(code))
        and code not in (0xFFA0, 0x1160)
    ]
    assert sanitize("".join(characters)) == "".join(characters)


@given(TEXTS, st.booleans())
def test_no_hidden_character_remains_except_permitted_line_feeds_and_tabs(text, lines):
    shown = sanitize(text, lines=lines)
    assert {char for char in shown if hidden(char)} <= (set("\n\t") if lines else set())
    shown.encode("utf-8")


@given(TEXTS, st.one_of(st.none(), st.integers(1, 20)), st.booleans())
def test_sanitizing_is_idempotent_and_respects_the_length(text, most, lines):
    shown = sanitize(text, most, lines=lines)
    assert sanitize(shown, most, lines=lines) == shown
    assert most is None or len(shown) <= most


@given(TEXTS)
def test_joiners_and_selectors_remain_only_where_they_have_a_meaning(text):
    shown = f" {sanitize(text)} "
    for nth, char in enumerate(shown):
        if char in JOINERS:
            assert not shown[nth - 1].isascii()
            assert not shown[nth + 1].isascii()
            assert not JOINERS & {shown[nth - 1], shown[nth + 1]}
        if char in "\ufe0e\ufe0f":
            assert shown[nth - 1] in "👩❤☠" or shown[nth + 1] == "\u20e3" or not shown[nth - 1].isascii()


@given(st.text(st.characters(codec="ascii", min_codepoint=32, max_codepoint=126)))
def test_plain_text_is_unchanged(text):
    assert sanitize(text) == text
    assert escape_hidden(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", " [31mred [0m"),
        ("one\r\ntwo\tthree\u2028four", "one two three four"),
        ("bot\u202e/tnega\u202c", "bot/tnega"),
        ("sup\u200bport\ufeff-b\u2060ot", "support-bot"),
        ("admin\u200d", "admin"),
        ("lone \ud83d and \udc69", "lone \ufffd and \ufffd"),
        ("می\u200cخواهم", "می\u200cخواهم"),  # Persian: without the joiner another word
        ("क्\u200dष", "क्\u200dष"),  # Hindi: the half form
        ("👩\u200d❤\ufe0f\u200d👨 1\ufe0f\u20e3 ☎\ufe0e", "👩\u200d❤\ufe0f\u200d👨 1\ufe0f\u20e3 ☎\ufe0e"),
        ("a\ufe0fb 🏴\U000e0067\U000e007f", "ab 🏴"),
    ],
)
def test_visible_text_is_unchanged(text, shown):
    assert sanitize(text) == shown


def test_truncation_leaves_no_half_of_an_emoji_before_the_ellipsis():
    assert sanitize("👩\u200d👩\u200d👧", 3) == "👩…"
    assert sanitize("❤\ufe0f❤\ufe0f", 3) == "❤…"


def test_line_breaks_are_kept_if_requested():
    assert sanitize("a\r\nb\rc\x85d\u2029e\tf\x07", lines=True) == "a\nb\nc\nd\ne\tf "


@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.floats(allow_nan=False), TEXTS),
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
        max_leaves=8,
    )
)
def test_every_string_of_a_json_value_is_sanitized_and_nothing_else(value):
    def strings(value):
        if isinstance(value, str):
            return [value]
        if isinstance(value, dict):
            return [text for pair in value.items() for item in pair for text in strings(item)]
        return [text for item in value for text in strings(item)] if isinstance(value, list) else []

    shown = sanitize_json(value)
    assert not {char for text in strings(shown) for char in text if hidden(char)}
    assert sanitize_json(shown) == shown
    assert type(shown) is type(value)


@given(TEXTS)
def test_escaped_text_is_printable_and_names_the_removed_character(text):
    shown = escape_hidden(text)
    assert shown.isprintable()
    assert not set(filter(hidden, shown))
    if "\\" not in text:
        assert shown.encode("ascii", "backslashreplace").decode("unicode_escape") == text
