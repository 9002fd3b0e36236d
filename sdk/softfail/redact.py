"""Redact personal data and secrets in a text before it leaves the process.

A number is replaced only with evidence: a checksum, a valid range, the separators of a phone number, or a
word like "phone" beside it. So prices, dates, order ids, versions, UUIDs, timestamps and code remain. Every
pattern takes linear time: it starts only where a run of its characters starts, or it is bounded or
possessive. Docs: ``docs/producer.md``, "Redaction".
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from softfail.redact_addresses import emails, ip_addresses
from softfail.redact_digit_runs import runs
from softfail.redact_numbers import (
    DIGITS_OF_AN_SSN,
    LEAST_OF_A_CARD,
    Span,
    card,
    ibans,
    ssn,
)
from softfail.redact_phones import MOST_OF_A_PHONE, phone
from softfail.redact_secrets import redact_secrets
from softfail.secret_names import has_name_stem

# One replacement can expose a match for another pattern, which the next pass finds. Natural texts need two.
_MAX_PASSES = 6

_BEGINNINGS = frozenset(" \t\n\r\"'`=([<{>|;")
_BEFORE_NUMBERS = frozenset(("", " ", "\t", "\n", "\r", "("))
_DIGIT = re.compile("[0-9]")
_UNUSUAL = re.compile(
    "[\u00a0\u1680\u2000-\u200b\u202f\u205f\u2060\u3000\ufeff\u00ad\u2010-\u2015\u2212\ufe58\ufe63\uff0d"
    "\uff10-\uff19\uff0b\uff08\uff09\uff0e\uff0f\uff20\u0660-\u0669\u06f0-\u06f9\u0966-\u096f\u30fc\u2024\u00b7]"
)
_ENCODED = re.compile("%(?:20|2[bBdD89]|40|3[aA])")
_PLAIN = {
    **dict.fromkeys("\u00a0\u1680\u200b\u202f\u205f\u2060\u3000\ufeff", " "),
    **{chr(code): " " for code in range(0x2000, 0x200B)},
    **dict.fromkeys("\u00ad\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d\u30fc", "-"),
    **{chr(zero + digit): str(digit) for zero in (0xFF10, 0x660, 0x6F0, 0x966) for digit in range(10)},
    **{
        "\uff0b": "+",
        "\uff08": "(",
        "\uff09": ")",
        "\uff0e": ".",
        "\u2024": ".",
        "\u00b7": ".",
        "\uff0f": "/",
        "\uff20": "@",
    },
}
_DECODED = {  # NUL stands beside the character, so that the length stays and three spaces are no encoded space
    "%20": "\0 \0",
    "%2b": "\0+\0",
    "%2d": "\0-\0",
    "%28": "\0(\0",
    "%29": "\0)\0",
    "%40": "%40",
    "%3a": "\0:\0",
}


def redact(text: str, *, all_ips: bool = False) -> str:
    """Replace personal data and secrets by placeholders.

    Placeholders: ``<EMAIL> <PHONE> <CARD> <IBAN> <SSN> <IP> <SECRET>``. Linear in the length of the text, and
    ``redact(redact(text)) == redact(text)``.

    Args:
        text: any string, lone surrogates included.
        all_ips: replace private, loopback and documentation addresses, too. By default only addresses of the
            public internet are personal data.

    >>> redact("Mail ann@example.org or call +1 415 555 2671")
    'Mail <EMAIL> or call <PHONE>'
    >>> redact("card 4111 1111 1111 1111, order 1234567890123456, v1.2.3.4")
    'card <CARD>, order 1234567890123456, v1.2.3.4'
    >>> redact("from 10.0.0.7 to 82.165.11.207"), redact("from 10.0.0.7", all_ips=True)
    ('from 10.0.0.7 to <IP>', 'from <IP>')
    """
    for _ in range(_MAX_PASSES):
        text, may_expose = _redact_once(text, all_ips)
        if not may_expose:
            break
    return text


def _redact_once(text: str, all_ips: bool) -> tuple[str, bool]:
    """Redact once; also return whether a replacement may have exposed a match for an earlier pattern.

    An e-mail or IP address that begins a word exposes nothing: neither is part of what is looked for before it,
    and what is looked for behind it sees its placeholder.
    """
    given, text = text, redact_secrets(text)
    may_expose = text != given
    plain = plain_characters(text)
    if "@" in plain or "%40" in plain or "u0040" in plain or "&#" in plain:
        matches = list(emails(plain))
        may_expose = may_expose or _follow_words(plain, matches)
        text = _replace(text, matches)
        plain = plain_characters(text)
    if not _DIGIT.search(plain):
        if all_ips and "::" in plain:
            text, may_expose = _replace(text, ip_addresses(plain, all_ips)), True
        return text, may_expose
    redacted = _replace(text, ibans(plain))
    if redacted is not text:
        text, plain, may_expose = redacted, plain_characters(redacted), True
    matches = list(ip_addresses(plain, all_ips))
    if matches:
        may_expose = may_expose or _follow_words(plain, matches)
        text = _replace(text, matches)
        plain = plain_characters(text)
    matches, has_other = _numbers(plain)
    if not matches:
        return text, may_expose
    may_expose = (
        may_expose
        or has_other
        or has_name_stem(plain.lower())
        or not all(_stands_apart(plain, span) for span in matches)
    )
    return _replace(text, matches), may_expose


def _stands_apart(plain: str, span: Span) -> bool:
    """Return whether the placeholder of a number changes no word: white space stands around it, or a bracket before
    it and a punctuation mark behind it.
    """
    before, after = plain[span.start - 1 : span.start] if span.start else "", plain[span.end : span.end + 2]
    return before in _BEFORE_NUMBERS and (
        not after or after[0].isspace() or (after[0] in ".,;:!?)" and (len(after) == 1 or after[1].isspace()))
    )


def _follow_words(plain: str, spans: list[Span]) -> bool:
    """Return whether a span follows another word without a space, so that its placeholder changes that word."""
    return any(span.start and plain[span.start - 1] not in _BEGINNINGS for span in spans)


def _numbers(plain: str) -> tuple[list[Span], bool]:
    """Return the cards, social security numbers and phone numbers of a text, and whether it has other long numbers,
    which a placeholder before them may turn into one of these.
    """
    spans: list[Span] = []
    has_other = False
    for run in runs(plain):
        if run is None:
            has_other = True
            continue
        size = len(run.all_digits)
        span = card(run) if size >= LEAST_OF_A_CARD else ssn(run) if size == DIGITS_OF_AN_SSN else None
        if span is None and size <= MOST_OF_A_PHONE:
            span = phone(run)
        if span is None:
            has_other = True
        else:
            has_other = has_other or span.start > run.first or span.end < run.end
            spans.append(span)
    return spans, has_other


def plain_characters(text: str) -> str:
    """Return a text of the same length with plain digits, spaces, dashes and signs for those of Unicode.

    Percent-encoded spaces, signs and brackets are decoded in place.

    >>> plain_characters("+1\u2011415\u00a0555"), plain_characters("tel=%2B1415")
    ('+1-415 555', 'tel=\\x00+\\x001415')
    """
    if not text.isascii():
        text = _UNUSUAL.sub(lambda match: _PLAIN[match[0]], text)
    if "%" in text:
        text = _ENCODED.sub(lambda match: _DECODED[match[0].lower()], text)
    return text


def _replace(text: str, spans: Iterable[Span]) -> str:
    """Replace spans of a text by their placeholders. Spans are in order and do not overlap."""
    pieces: list[str] = []
    position = 0
    for span in spans:
        if span.start < position:
            continue
        pieces += [text[position : span.start], span.placeholder]
        position = span.end
    return "".join([*pieces, text[position:]]) if pieces else text
