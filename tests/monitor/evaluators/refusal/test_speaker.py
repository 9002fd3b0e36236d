from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.evaluators.refusal.clauses import _SENTENCE_END, _sentences, _split
from monitor.evaluators.refusal.evaluator import refusal
from monitor.evaluators.refusal.speaker import author_text, independent_prefix
from tests.tiers import examples

pieces = st.sampled_from(
    [
        "I can't help with that. ",
        "Sorry, but no. ",
        "It is fine",
        "and so on; ",
        ".",
        "!) ",
        "\n",
        "\n\n- ",
        "\n* ",
        " > ",
        "\n> quoted\n",
        "```",
        "`a b`",
        "`",
        "~~~",
        '"',
        "“yes, no”",
        "'I won't', ",
        "(",
        " '",
        "’",
        "**",
        "__",
        "# ",
        "<p>",
        "<think>",
        "</think>",
        "  ",
        "\t",
        "\u00a0",
        "Bob: ",
        "A) ",
        "。",
        "，但",
        "「はい」",
        "{",
        "[1]",
        "A longer sentence that says something of its own, with several words in it. " * 3,
    ]
)
plain = st.sampled_from(
    [
        "I can't help with that. ",
        "Sorry, but no! ",
        "It is fine",
        "and so on; ",
        "... ",
        ".",
        "?) ",
        "\n",
        " ",
        "，但",
        "。",
    ]
)
long_texts = st.builds(
    lambda first, then: "".join(first + then),
    st.lists(plain, max_size=60) | st.lists(plain, min_size=60, max_size=90),
    st.lists(pieces, min_size=20, max_size=90),
)


@settings(max_examples=examples(3))
@given(long_texts)
def test_splitting_the_prefix_of_a_long_text_gives_the_same_sentences(text):
    assert list(_sentences(text)) == list(_split(author_text(text), _SENTENCE_END, keep=True))


@pytest.mark.parametrize("lead", ['"', "“", "'", " \n«"])
def test_a_text_that_may_be_a_single_quotation_has_no_independent_prefix(lead):
    assert independent_prefix(lead + "word " * 500) == ""


def test_only_a_long_text_has_an_independent_prefix():
    assert independent_prefix("word " * 20) == ""
    assert independent_prefix("word " * 500).startswith("word word")
    assert independent_prefix("One **bold** line.\n" + "word " * 500) == "One **bold** line.\n"
    assert independent_prefix("One `line` <b>with</b> a tag.\n" + "word " * 500) == ""


def test_an_escaped_lone_surrogate_in_json_raises_nothing():
    assert refusal('["I cannot help with \\ud800 that, sorry."]') == "cannot_help"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("I can`t help", "I can't help"),
        ("I can’t help", "I can't help"),
        ("“I can´t\u00a0help”", "I can't help"),
        ("a \u00a0b\tc  d", "a b c d"),
        ("He said “never”, and `x` is 3.", "He said , and \n is 3."),
        ("## Title\n- **one**\n> quoted\n", "Title\none\n\n"),
    ],
)
def test_author_text_has_no_quotations_code_or_markup(text, words):
    assert author_text(text).decode() == words
