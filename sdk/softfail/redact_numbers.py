"""Find bank accounts, payment cards and social security numbers in a text.

A number counts only with evidence: a checksum, an issuer's range, separators, or its name before it. All
functions work on a text in which ``plain_characters`` has replaced Unicode spaces, dashes and digits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from softfail.redact_digit_runs import Run, is_word

_IBAN_LENGTHS = {
    country: int(length)
    for country, length in re.findall(
        r"([A-Z]{2}):([0-9]{2})",
        "AD:24 AE:23 AL:28 AT:20 AZ:28 BA:20 BE:16 BG:22 BH:22 BI:27 BR:29 BY:28 CH:21 CR:22 CY:28 CZ:24"
        " DE:22 DJ:27 DK:18 DO:28 EE:20 EG:29 ES:24 FI:18 FK:18 FO:18 FR:27 GB:22 GE:22 GI:23 GL:18 GR:27"
        " GT:28 HN:28 HR:21 HU:28 IE:22 IL:23 IQ:23 IS:26 IT:27 JO:30 KW:30 KZ:20 LB:28 LC:32 LI:21 LT:20 LU:20"
        " LV:21 LY:25 MC:27 MD:24 ME:22 MK:19 MN:20 MR:27 MT:31 MU:30 NI:28 NL:18 NO:15 OM:23 PK:24 PL:28"
        " PS:29 PT:25 QA:29 RO:24 RS:22 RU:33 SA:24 SC:31 SD:18 SE:24 SI:19 SK:24 SM:27 SO:23 ST:25 SV:28"
        " TL:23 TN:24 TR:26 UA:29 VA:22 VG:24 XK:20 YE:30",
    )
}
"""Characters of an IBAN by country. Source: the IBAN registry of SWIFT (ISO 13616)."""

_SHAPES = bytes(
    {"a": 97, "0": 48, "_": 95}.get("a" if char.isalpha() else "0" if char.isdigit() else char, 46)
    for char in map(chr, range(128))
) + bytes([46] * 128)
"""Byte -> ``a`` for a letter, ``0`` for a digit, ``_``, else a dot."""
_IBAN_SHAPE = b".aa00"
_SPACED_IBAN_SHAPE = b".aa.00"
"""A space stands behind the country, which then has capital letters: "DE 89 3704 ..."."""
_IBAN_REST = re.compile(r"(?:[ .\-\0]{0,3}[A-Za-z0-9]){11,30}")
_IBAN_BEFORE = re.compile(r"\biban(?:[\s:=#.\"']|is|no|number|code)*\Z")
_UUID = re.compile("[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_GROUPS_OF_A_UUID = (0, 9, 14, 19, 24)
_SEPARATORS = " .-/()\0"

DIGITS_OF_AN_SSN = 9
LEAST_OF_A_CARD = 12

_CARD_ISSUERS = re.compile(
    "4(?:[0-9]{12}|[0-9]{15}|[0-9]{18})"  # Visa
    "|(?:5[1-5][0-9]{2}|2(?:22[1-9]|2[3-9][0-9]|[3-6][0-9]{2}|7[01][0-9]|720))[0-9]{12}"  # Mastercard
    "|3[47][0-9]{13}|3(?:0[0-59]|[689][0-9])[0-9]{11,16}|35(?:2[89]|[3-8][0-9])[0-9]{12,15}"  # Amex, Diners, JCB
    "|6(?:011|4[4-9][0-9]|5[0-9]{2})[0-9]{12,15}|62[0-9]{14,17}|8[12][0-9]{14,17}"  # Discover, UnionPay
    "|220[0-4][0-9]{12,15}|(?:60|65|81|82|508)[0-9]{13,14}|9792[0-9]{12}"  # Mir, RuPay, Troy
    "|(?:2131|1800)[0-9]{11}|5019[0-9]{12}"  # JCB of 15 digits, Dankort
)
_MAESTRO = re.compile("(?:0604|5[0678]|6[0-9])[0-9]{10,17}")
_CARD_SHAPES = re.compile("4-4-4(?:-4(?:-[123])?)?|4-6-5|4-6-4|4-4-4-[12]|4-4-5|8-8|6-13|6-10|4-12|1[2-9]")
_CARD_BEFORE = re.compile(
    r"(?:card|credit|debit|visa|mastercard|amex|american express|maestro|discover|diners|jcb|unionpay|karten?|carte"
    r"|tarjeta|cart[aã]o|carta|\bcc|\bpan|kaart|карт[аыу]|カード|卡号|카드)[^\n;!?]{0,28}\Z",
)
_HEX_ROW = re.compile(r"(?<![^\s])(?=[0-9a-f]*[0-9])[0-9a-f]{4} \Z")
_CARD_NAMED = re.compile(
    r"(?:card|\bcc|visa|mastercard|amex|karte|carte|tarjeta|cart[aã]o)"
    r"[\s_-]{0,2}(?:number|num|no|nr|nummer|#)?\.?[\s\"':=#]{0,5}(?:is|was)?[\s\"':]{0,3}\Z",
)
_NO_CARD_BEFORE = re.compile(
    r"\b(?:ean|gtin|upc|isbn|issn|imei|sku|barcode|order|invoice|tracking|serial|transaction|reference|id|ref|ticket|block|timestamp"
    r"|offset|build|version|commit)(?:[\s:=#.\"'_-]|number|no|nr|code|is|id|13)*\Z"
)
_SSN_BEFORE = re.compile(
    r"(?:(?<![a-z])ssn|social[\s_-]?security|socialsecurity)[a-z#.\s_]{0,14}[\s\"'`:=#\\(>]{0,8}(?:is|was|:)?[\s\"'`:]{0,4}\Z",
)


class Span(NamedTuple):
    """A part of a text and the placeholder that replaces it."""

    start: int
    end: int
    placeholder: str


def ibans(plain: str) -> Iterator[Span]:
    """Yield the international bank account numbers of a text: the length of the country, and the checksum or the
    word IBAN before it.
    """
    done = 0
    for start, digits in _iban_starts(plain):
        length = _IBAN_LENGTHS.get(plain[start : start + 2].upper())
        if length is None or start < done:
            continue
        rest = _IBAN_REST.match(plain, digits + 2)
        if rest is None:
            continue
        end = _end_of(plain, start, rest.end(), length)
        if end is None or is_word(plain[end : end + 1]) or _is_in_uuid(plain, start, end):
            continue
        account = "".join([char for char in plain[start:end] if char not in _SEPARATORS]).upper()
        named = _IBAN_BEFORE.search(plain[max(0, start - 24) : start].lower())
        if named or int("".join([str(int(char, 36)) for char in account[4:] + account[:4]])) % 97 == 1:
            done = end
            yield Span(start, end, "<IBAN>")


def _iban_starts(plain: str) -> list[tuple[int, int]]:
    """Return where two letters begin a word, and the two digits behind them, in order."""
    shapes = b"." + plain.encode("ascii", "replace").translate(_SHAPES)
    starts, start = [], -1
    while (start := shapes.find(_IBAN_SHAPE, start + 1)) >= 0:
        starts.append((start, start + 2))
    if (start := shapes.find(_SPACED_IBAN_SHAPE)) < 0:
        return starts
    while start >= 0:
        if plain[start + 2] == " " and plain[start : start + 2].isupper():
            starts.append((start, start + 3))
        start = shapes.find(_SPACED_IBAN_SHAPE, start + 1)
    return sorted(starts)


def _is_in_uuid(plain: str, start: int, end: int) -> bool:
    """Return whether a part of a text is a part of a UUID that begins with one of its groups."""
    return "-" in plain[start:end] and any(
        start >= before and _UUID.match(plain, start - before) for before in _GROUPS_OF_A_UUID
    )


def card(run: Run) -> Span | None:
    """Return the card in a run of digits, or None.

    A number of an issuer's range and length with Luhn's check digit is a card, unless its name says otherwise
    or it stands in a row of numbers. Lengths that are common elsewhere need a word like "card" before them.
    """
    if len(run.all_digits) < LEAST_OF_A_CARD or not _stands_alone(run):
        return None
    windows = list(_card_windows(run))
    if not windows:
        return None
    before = run.before(40)
    named = bool(_CARD_BEFORE.search(before))
    if not named and (
        _is_signed(run) or len(run.groups) > 6 or _NO_CARD_BEFORE.search(before) or _HEX_ROW.search(before)
    ):
        return None
    for first, last in windows:
        digits = run.digits(first, last)
        valid = luhn(digits)
        if (
            (valid and _CARD_ISSUERS.fullmatch(digits) and (named or len(digits) > 13))
            or (valid and named and (_MAESTRO.fullmatch(digits) or len(digits) > 12))
            or (first == 0 and len(digits) > 12 and _CARD_NAMED.search(before))
        ):
            start = run.start if first == 0 and run.text[run.start] == "(" else run.groups[first][0]
            return Span(start, run.groups[last - 1][1], "<CARD>")
    return None


def _is_signed(run: Run) -> bool:
    """Return whether a run is a number with a sign before it: ``x = -4392004289850878275``."""
    start = run.groups[0][0]
    return run.text[start - 1 : start] == "-" and run.text[start - 2 : start - 1] in (
        "",
        " ",
        "=",
        "(",
        ",",
        ":",
        "[",
    )


def _card_windows(run: Run) -> Iterator[tuple[int, int]]:
    """Yield (first group, group after the last) of 12 to 19 digits that are grouped as on a card."""
    for first in range(min(len(run.groups), 3)):
        if first and run.text[run.groups[first][0] - 1] != " ":  # the digits of a fraction
            continue
        size = 0
        for last in range(first, min(len(run.groups), first + 6)):
            size += run.groups[last][1] - run.groups[last][0]
            if size > 19:
                break
            if (
                size >= 12
                and _CARD_SHAPES.fullmatch(run.shape(first, last + 1))
                and len(set(run.digits(first, last + 1))) > 1
            ):
                yield first, last + 1


def ssn(run: Run) -> Span | None:
    """Return the US social security number of a run, or None: 3-2-4 with dashes, or nine digits after its name."""
    if len(run.all_digits) != DIGITS_OF_AN_SSN or len(run.groups) > 5:
        return None
    first, second = run.first, run.end
    digits = run.all_digits
    after = run.text[second : second + 2]
    if (
        run.text[first - 1 : first] in ("-", "+")
        or is_word(after[:1])
        or (after[:1] == "-" and is_word(after[1:]))
    ):
        return None
    if _SSN_BEFORE.search(run.before(48)):
        return Span(first, second, "<SSN>")
    if (
        run.shape() != "3-2-4"
        or run.separators() != ["-", "-"]
        or (after[:1] in (".", ",") and after[1:].isdigit())
    ):
        return None
    if digits[:3] in ("000", "666") or digits[0] == "9" or digits[3:5] == "00" or digits[5:] == "0000":
        return None
    return (
        Span(first, second, "<SSN>") if run.text[max(0, first - 1) : first] not in (".", ",", "/") else None
    )


def luhn(digits: str) -> bool:
    """Return whether the last digit is Luhn's check digit of the others.

    >>> luhn("4111111111111111"), luhn("4111111111111112")
    (True, False)

    Source: ISO/IEC 7812-1, annex B.
    """
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (doubled + sum(int(digit) for digit in digits[-1::-2])) % 10 == 0


def _stands_alone(run: Run) -> bool:
    """Return whether no letter, sign or fraction touches a run, so that it is no part of an identifier."""
    if run.text[run.start] == "+":
        return False
    before, after = run.text[max(0, run.start - 2) : run.start], run.text[run.end : run.end + 2]
    if before[-1:] in ("-", ".", ",", "/") and (before[:1].isalnum() or before[:1] == "_"):
        return False
    return not (
        is_word(after[:1])
        or (after[:1] in ("-", ".", ",") and after[1:] and is_word(after[1:]) and after[:1] != ",")
    )


def _end_of(text: str, start: int, stop: int, length: int) -> int | None:
    """Return the end of the first ``length`` characters after ``start``, not counting separators."""
    for position in range(start, stop):
        if text[position] not in _SEPARATORS:
            length -= 1
            if not length:
                return position + 1
    return None
