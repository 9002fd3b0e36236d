"""Redact one-time codes: verification codes, one-time passwords, PINs."""

from __future__ import annotations

import re

_CODE = re.compile("[0-9]{3}(?:[ -]?[0-9]{3}(?![0-9])|[0-9]{1,5})(?![0-9A-Za-z_.,:/-]*[0-9A-Za-z_])")
_CODE_TAILS = (
    "is",
    "code",
    "otp",
    "pin",
    "passcode",
    "g-",
    "password",
    "ist",
    "lautet",
    "est",
    "es",
    "è",
    "é",
    "kod",
    "код",
    "codice",
    "código",
    "验证码",
    "验证码是",
    "验证码为",
    "認証コード",
    "認証コードは",
    "인증번호",
    "인증번호는",
    "인증번호",
)
_CODE_BEFORE = re.compile(
    r"(?:(?:verification|security|confirmation|login|log-in|sign-in|one[- ]time|access|authentication|auth|2fa"
    r"|otp|mfa|sms|passcode|pin)"
    r"[ _-](?:code|passcode|pin|password)|\byour code|\b(?:dein|ihr|ihren|votre|ton|tu|su|seu|uw|je|twój|ваш"
    r"|il tuo|il suo)(?: [a-zà-ÿ]{2,20}){0,2} ?(?:code|código|codice|kod|код)"
    r"|(?:bestätigungs|sicherheits|zugangs|einmal|freischalt|verificatie|toegangs)code|验证码|驗證碼|認証コード|確認コード|인증번호"
    r"|\botp|\bpasscode|\bpin)(?:[ \"']{0,2}(?:[:=：]|is|ist"
    r"|lautet|est|es|è|é|是|为|為|は|는)[ \"']{0,2}|[ ])(?:g-)?\Z"
)
_CODE_AFTER = re.compile(
    r" (?:is|ist) (?:your|the|ihr|dein) (?:[A-Za-z-]{1,20} ){0,3}(?:code|otp|pin|passcode)\b"
    r"|(?: as your code)? to (?:log ?in|sign ?in|verify|confirm your)\b",
    re.IGNORECASE,
)
# substrings of the texts that have one-time codes; searching for them is faster than the pattern
_CODES = (
    "code",
    "otp",
    "pin",
    "log in",
    "ign in",
    "kod",
    "код",
    "codice",
    "código",
    "验证码",
    "驗證碼",
    "コード",
    "인증번호",
)
_ASCII_CODES = tuple(part for part in _CODES if part.isascii())


def redact_codes(text: str, lower: str) -> str:
    """Replace codes that are sent to a person by ``<SECRET>``.

    Args:
        text: any text.
        lower: the text in lower case, in which names of codes are searched.

    >>> redact_codes("Your code is 123456", "your code is 123456")
    'Your code is <SECRET>'
    """
    for part in _ASCII_CODES if lower.isascii() else _CODES:
        if part in lower:
            return _CODE.sub(_replace_code, text)
    return text


def _replace_code(match: re.Match[str]) -> str:
    """Replace a code that is sent to a person: beside "verification code", "one-time password", "PIN"."""
    before = match.string[max(0, match.start() - 40) : match.start()].lower()
    named = before.rstrip(" :=\"'").endswith(_CODE_TAILS) and _CODE_BEFORE.search(before)
    if not named and not _CODE_AFTER.match(match.string, match.end()):
        return match[0]
    return "<SECRET>"
