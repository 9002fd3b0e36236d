from __future__ import annotations

import random

import pytest

from monitor.evaluators import EVALUATORS
from monitor.evaluators.re2_patterns import _search_set, search_set
from monitor.evaluators.refusal import clause_meaning
from monitor.evaluators.refusal.languages import LANGUAGES
from monitor.evaluators.required_literals import required_literals
from tests.tiers import by_profile

TRIGGERS = tuple(dict.fromkeys(pattern for kind in EVALUATORS.values() for pattern in kind.patterns.values()))
CLAUSES = tuple(
    f"(?i){pattern}" for pattern in (*clause_meaning.REFUSAL_PATTERNS.values(), *clause_meaning._MARKERS)
)


def _texts(count: int) -> list[str]:
    """Return examples of all evaluators and languages, whole, joined, and with changed letters and spaces."""
    rng = random.Random(1)
    examples = [text for language in LANGUAGES.values() for text in (*language.refused, *language.answered)]
    examples += [text for kind in EVALUATORS.values() if (text := (kind.failing_example or {}).get("output"))]
    words = " ".join(examples).split()
    texts = list(examples)
    for _ in range(count):
        match rng.randrange(4):
            case 0:
                texts.append(" ".join(rng.choice(words) for _ in range(rng.randint(2, 40))))
            case 1:
                changes = ((" ", "\n"), (" ", "\xa0"), (" ", " **"), ("'", "’"), ("a", "A"), ("k", "\u212a"))
                texts.append(rng.choice(examples).replace(*rng.choice(changes)))
            case 2:
                texts.append(
                    rng.choice((str.upper, str.lower, str.title, str.swapcase))(rng.choice(examples))
                )
            case _:
                letters = list(rng.choice(examples))
                for _ in range(rng.randint(1, 3)):
                    letters.insert(
                        rng.randrange(len(letters) + 1), rng.choice("'’*_ \n.,-\"`<>{}[]|&;\\I\xa0é你\ufffd")
                    )
                texts.append("".join(letters))
    return texts


@pytest.mark.parametrize("patterns", [TRIGGERS, CLAUSES], ids=["of raw text", "of a clause"])
def test_a_search_for_literals_first_finds_the_same_patterns(patterns: tuple[str, ...]) -> None:
    search, search_all = search_set(patterns), _search_set(patterns)
    for text in _texts(by_profile(1500, 20_000)):
        data = text.encode()
        assert sorted(search(data) or ()) == sorted(search_all(data) or ()), text


def test_nearly_every_pattern_has_literals_that_it_requires() -> None:
    assert [pattern for pattern in TRIGGERS if required_literals(pattern) is None] == []


@pytest.mark.parametrize(
    ("pattern", "literals"),
    [
        ("(?i)abc+d", {"ab"}),
        ("(?:abc|xyz)?def", {"def", "abcdef", "xyzdef"}),
        (r"\w+ly helping", {"ly helping"}),
        (r"als\s+\w", {r"als\s"}),
        ("(?:abc)*", None),
        (r"abc|\d+", None),
        (r"[^.]*abcd[^.]*", {"abcd"}),
        ("(?:abcd){2,3}", {"abcd"}),
    ],
)
def test_literals_of_a_pattern(pattern: str, literals: set[str] | None) -> None:
    found = required_literals(pattern)
    assert found == (None if literals is None else _shortest(literals))


def test_a_boundary_beside_a_letter_is_a_character_that_is_not_of_a_word() -> None:
    assert required_literals(r"Za|\bfoo") == {"Za", "[^0-9A-Za-z_]foo"}
    assert required_literals(r"\bask\b") == {"[^0-9A-Za-z_]ask"}  # (?i)k also takes the Kelvin sign
    assert required_literals(r"\bask\b", ascii_only=True) == {"[^0-9A-Za-z_]ask[^0-9A-Za-z_]"}


def _shortest(literals: set[str]) -> set[str]:
    return {text for text in literals if not any(other != text and other in text for other in literals)}


def test_in_ascii_texts_a_pattern_of_another_script_requires_what_never_occurs() -> None:
    assert required_literals("(?i)не могу|не буду", ascii_only=True) == frozenset()
    assert required_literals("(?i)не могу") == {"не могу"}
