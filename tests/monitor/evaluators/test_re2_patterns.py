from __future__ import annotations

import re2
from hypothesis import given
from hypothesis import strategies as st

from monitor.evaluators.re2_patterns import Expression, matcher, search_set

PATTERNS = [r"(?m)^a+$", r"\bé", r"[.!]+(?:\s|$)", "aé", r"\s+\z"]
texts = st.text("aé .!\n", max_size=40)


class Public:
    """A compiled pattern of an RE2 version that has only the documented interface."""

    def __init__(self, pattern):
        self.search = re2.compile(pattern).search


@given(st.sampled_from(PATTERNS), texts)
def test_an_expression_finds_and_replaces_like_the_wrapper(pattern, text):
    expression, data = Expression(pattern), text.encode()
    assert [data[start:end].decode() for start, end in expression.spans(data)] == [
        match[0] for match in re2.finditer(pattern, text)
    ]
    assert expression.without(data, b"-").decode() == re2.sub(pattern, "-", text)
    assert (
        expression.occurs(text)
        == (re2.search(pattern, text) is not None)
        == (expression.search(data) is not None)
    )


@given(st.sampled_from(PATTERNS), texts, st.integers(0, 3))
def test_a_version_of_re2_without_private_members_gives_the_same_results(pattern, text, start):
    data = text.encode()
    start = min(start, len(data))
    assert matcher(Public(pattern))(data, start) == matcher(re2.compile(pattern))(data, start)


@given(st.lists(st.sampled_from(PATTERNS), min_size=1, unique=True), texts)
def test_a_set_names_the_matching_patterns(patterns, text):
    matches = search_set(tuple(patterns))(text.encode())
    assert sorted(matches or ()) == [
        number for number, pattern in enumerate(patterns) if re2.search(pattern, text)
    ]
