"""Find which patterns of all evaluators occur in an output, in one pass."""

from __future__ import annotations

from collections.abc import Sequence

from monitor.evaluators.interface import Evaluator
from monitor.evaluators.re2_patterns import search_set
from monitor.evaluators.text_scan import WHOLE_CHARS, text_to_scan


class PatternMatcher:
    """One RE2 set for the patterns of all evaluators, and a smaller one for ASCII texts.

    Evaluators may share a pattern; it is matched once.
    """

    def __init__(self, evaluators: Sequence[Evaluator]) -> None:
        owners: dict[str, list[tuple[int, str]]] = {}
        beyond_ascii = set()
        for index, evaluator in enumerate(evaluators):
            for name, pattern in evaluator.patterns.items():
                owners.setdefault(pattern, []).append((index, name))
                if name in evaluator.non_ascii_patterns:
                    beyond_ascii.add(pattern)
        ascii_patterns = tuple(pattern for pattern in owners if pattern not in beyond_ascii)
        self._owners = tuple(owners.values())
        self._ascii_owners = tuple(owners[pattern] for pattern in ascii_patterns)
        self._match = search_set(tuple(owners)) if owners else _no_match
        self._ascii_match = search_set(ascii_patterns) if ascii_patterns else _no_match

    def __call__(self, output: str) -> dict[int, list[str]] | None:
        """Return evaluator index -> names of its patterns that occur in the parts of an output that are scanned.

        None if none occurs.
        """
        try:
            return self._hits(output if len(output) <= WHOLE_CHARS else text_to_scan(output))
        except UnicodeEncodeError:  # a lone surrogate, which JSON can carry
            return self._hits(text_to_scan(output))

    def _hits(self, text: str) -> dict[int, list[str]] | None:
        if text.isascii():
            numbers, owners = self._ascii_match(text.encode()), self._ascii_owners
        else:
            numbers, owners = self._match(text.encode()), self._owners
        if not numbers:
            return None
        hits: dict[int, list[str]] = {}
        for number in numbers:
            for index, name in owners[number]:
                hits.setdefault(index, []).append(name)
        return hits


def _no_match(data: bytes) -> None:
    return None
