"""Find runs of digits in a text: what may be a card, a social security number or a phone number."""

from __future__ import annotations

import re
from collections.abc import Iterator

_PLACEHOLDER = re.compile("<(?:PHONE|CARD|SSN|IBAN|SECRET|IP|EMAIL)>")
# seven or more digits, which are counted after the match: a repeated group takes several times as long
_RUN = re.compile(r"[0-9](?<![0-9].)(?=[0-9 .\-/()\0]{6})[0-9]*+(?:[ .\-/()\0]{1,7}[0-9]++)*+")
_RUN_WITHOUT_SLASH = re.compile(
    r"[0-9](?<![0-9].)(?=[0-9 .\-/()\0]{6})[0-9]*+(?:(?! / )[ .\-/()\0]{1,7}?(?<! /)(?=[0-9])[0-9]++)*+"
)
_LEAST_DIGITS = 7
_MOST_CHARS_OF_A_NUMBER = 20
_SIGNS = frozenset("+(\0")
_MOST_SIGNS = 6
_WORD_CHARS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_DATE = re.compile(
    r"(?:19|20)[0-9]{2}([-/. ]?)(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12][0-9]|3[01])(?![0-9])"
    r"|(?:0?[1-9]|[12][0-9]|3[01])([-/.])(?:0?[1-9]|[12][0-9]|3[01])\2(?:19|20)[0-9]{2}(?![0-9])"
)
_MOST_DIGITS_OF_A_PHONE = 12  # behind a country code and a dot
_GROUP = re.compile("[0-9]+")
_BETWEEN = re.compile("[^0-9]+")
_NO_SEPARATORS = dict.fromkeys(map(ord, " .-/()\0"))
_FRACTION = re.compile(r"[0-9]+\.[^0-9]*[0-9]{13,}")


class Run:
    """Seven or more digits with at most seven separators between two of them.

    Attributes:
        text: the whole text.
        start: of the run, signs and brackets before the first digit included.
        first: position of the first digit.
        end: after the last digit.
        all_digits: all digits, without separators.
    """

    __slots__ = ("_groups", "_separators", "all_digits", "end", "first", "start", "text")

    def __init__(self, text: str, start: int, first: int, end: int, all_digits: str) -> None:
        self.text = text
        self.start = start
        self.first = first
        self.end = end
        self.all_digits = all_digits
        self._groups: list[tuple[int, int]] | None = None
        self._separators: list[str] | None = None

    @property
    def groups(self) -> list[tuple[int, int]]:
        """(start, end) of each group of digits."""
        groups = self._groups
        if groups is None:
            groups = self._groups = [
                group.span() for group in _GROUP.finditer(self.text, self.first, self.end)
            ]
        return groups

    def digits(self, first: int = 0, last: int | None = None) -> str:
        """Return the digits of some groups, without separators."""
        return "".join([self.text[start:end] for start, end in self.groups[first:last]])

    def shape(self, first: int = 0, last: int | None = None) -> str:
        """Return the sizes of some groups, like ``3-3-4``."""
        return "-".join([str(end - start) for start, end in self.groups[first:last]])

    def separators(self) -> list[str]:
        """Return what stands between the groups."""
        separators = self._separators
        if separators is None:
            separators = _BETWEEN.findall(self.text, self.first, self.end)
            if "\0" in self.text:
                separators = [separator.replace("\0", "") for separator in separators]
            self._separators = separators
        return separators

    def before(self, chars: int) -> str:
        """Return the characters before the run in lower case. A placeholder there is no name of this number."""
        before = self.text[max(0, self.start - chars) : self.start]
        return (_PLACEHOLDER.sub("<>", before) if ">" in before else before).lower()


def runs(plain: str) -> Iterator[Run | None]:
    """Yield the runs of digits of a text that may be a card, a social security number or a phone number.

    None stands for a run that is none of them whatever its digits are.
    """
    for match in _matches(plain):
        digits = match[0]
        if len(digits) < _LEAST_DIGITS:
            continue
        first, end = match.span()
        start = first
        before = plain[start - 1] if start else " "
        if before in _WORD_CHARS or _DATE.match(plain, first):
            yield None
            continue
        if not digits.isdigit():
            if len(digits) > _MOST_DIGITS_OF_A_PHONE and _FRACTION.fullmatch(digits):
                yield None
                continue
            digits = digits.translate(_NO_SEPARATORS)
        if len(digits) < _LEAST_DIGITS:
            continue
        while before in _SIGNS and first - start < _MOST_SIGNS:
            start -= 1
            before = plain[start - 1] if start else " "
        if before in _WORD_CHARS:
            yield None
            continue
        if plain[end : end + 1] == "-" and (after := plain[end + 1 : end + 2]) != "_" and is_word(after):
            yield None  # a part of an identifier
            continue
        yield Run(plain, start, first, end, digits)


def _matches(plain: str) -> Iterator[re.Match[str]]:
    """Yield the rows of digits; two numbers with `` / `` between them, each too long for a group, are two rows."""
    for match in _RUN.finditer(plain):
        if " / " in match[0] and len(match[0]) > _MOST_CHARS_OF_A_NUMBER:
            yield from _RUN_WITHOUT_SLASH.finditer(plain, match.start(), match.end())
        else:
            yield match


def is_word(char: str) -> bool:
    """Return whether a character is an ASCII letter, a digit or an underscore; False for no character."""
    return char in _WORD_CHARS
