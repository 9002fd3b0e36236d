"""Redact personal data and secrets in a text before it leaves the process.

A number is replaced only with evidence: a checksum, a valid range, the separators of a phone number, or a
word like "phone" before it. So prices, dates, order ids, versions, UUIDs, timestamps and code remain. Every
pattern takes linear time: it starts only where a run of its characters starts, or it is bounded or
possessive. Secrets are in ``redact_secrets``.
"""

from __future__ import annotations

import ipaddress
import re

from softfail.redact_secrets import redact_secrets

_EMAIL = re.compile(r"(?<![\w.%+'-])[\w.%+'-]++@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}")

_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}[0-9]{2}(?:[ -]?[A-Za-z0-9]){11,30}")
_IBAN_LENGTHS = {
    country: int(length)
    for country, length in re.findall(
        r"([A-Z]{2}):([0-9]{2})",
        "AD:24 AE:23 AL:28 AT:20 AZ:28 BA:20 BE:16 BG:22 BH:22 BI:27 BR:29 BY:28 CH:21 CR:22 CY:28 CZ:24"
        " DE:22 DJ:27 DK:18 DO:28 EE:20 EG:29 ES:24 FI:18 FK:18 FO:18 FR:27 GB:22 GE:22 GI:23 GL:18 GR:27"
        " GT:28 HR:21 HU:28 IE:22 IL:23 IQ:23 IS:26 IT:27 JO:30 KW:30 KZ:20 LB:28 LC:32 LI:21 LT:20 LU:20"
        " LV:21 LY:25 MC:27 MD:24 ME:22 MK:19 MN:20 MR:27 MT:31 MU:30 NI:28 NL:18 NO:15 OM:23 PK:24 PL:28"
        " PS:29 PT:25 QA:29 RO:24 RS:22 RU:33 SA:24 SC:31 SD:18 SE:24 SI:19 SK:24 SM:27 SO:23 ST:25 SV:28"
        " TL:23 TN:24 TR:26 UA:29 VA:22 VG:24 XK:20 YE:30",
    )
}

_CARD = re.compile(r"(?<![A-Za-z0-9_])(?<![0-9][-.,])[0-9](?:[ -]?[0-9]){12,22}(?![A-Za-z0-9_])")
_CARD_ISSUERS = re.compile(  # Visa, Mastercard, American Express, Diners, Discover, JCB, UnionPay
    r"4(?:[0-9]{12}|[0-9]{15}|[0-9]{18})|5[1-5][0-9]{14}|2(?:22[1-9]|2[3-9][0-9]|[3-6][0-9]{2}|7[01][0-9]|720)[0-9]{12}|"
    r"3[47][0-9]{13}|3(?:0[0-59]|[689][0-9])[0-9]{11}|6(?:011|5[0-9]{2}|4[4-9][0-9])[0-9]{12,15}|35(?:2[89]|[3-8][0-9])[0-9]{12}|62[0-9]{14,17}"
)

_SSN = re.compile(
    r"(?<![\w-])(?<![0-9][.,])(?!000|666|9)[0-9]{3}([-"
    r" ])(?!00)[0-9]{2}\1(?!0000)[0-9]{4}(?![\w-])(?![.,][0-9])"
)
_SSN_NAMED = re.compile(  # nine digits without separators only after their name
    r"\b((?:ssn|social security(?: number| no\.?)?)(?: is)?[ :#=]{1,3})[0-9]{9}(?!\w)", re.IGNORECASE
)

_IPV4 = re.compile(r"(?<![\w.])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?!\w|\.[0-9]|-[A-Za-z])")
_IPV6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f:]{2,39}(?:(?<=:)[0-9]{1,3}(?:\.[0-9]{1,3}){3})?(?![\w:])")
# after one of these, four numbers with dots are a version or a chapter, not an address
_VERSION_BEFORE = re.compile(
    r"(?:(?<![A-Za-z])(?:versions?|release|build|firmware|driver|section|chapter|clause|figure|table|ver|v|rev)"
    r"|§|[=~<>!^]=|[\^~]|(?<!/)/|[A-Za-z]-)[\s:.=]{0,2}$",
    re.IGNORECASE,
)

_COUNTRY = r"\+[1-9][0-9]{0,2}[ .-]?(?:\(0?[0-9]{0,4}\)[ .-]?)?"
_PHONE = re.compile(
    rf"(?<![\w+]){_COUNTRY}[0-9](?:[ ./-]?[0-9]){{5,12}}(?!\w|[.,][0-9])"
    # 3-3-4 with these separators is nearly always a phone number
    r"|(?<![\w.,/+-])(?:1[ .-])?(?:\([1-9][0-9]{2}\)[ ]?|[1-9][0-9]{2}-)[0-9]{3}["
    r" .-][0-9]{4}(?!\w|[.,-][0-9])"
    # with spaces or dots only if area code and exchange are valid
    r"|(?<![\w.,/+-])(?:1[ .-])?(?![2346]00)[2-9][0-9]{2}([ .])[2-9][0-9]{2}\1[0-9]{4}(?!\w|[.,-][0-9])"
    r"|(?<![\w.,/+-])(?<![0-9] )0[1-9][0-9]{0,3}(?:[ ][0-9]{2,8}){1,4}(?![\w-]|[.,:/][0-9])"
    r"|(?<![\w.,/+-])0[1-9][0-9]{1,3}[/-][0-9]{5,8}(?![\w-]|[.,:/][0-9])"
    r"|(?<![\w.,/+-])\(0[1-9][0-9]{0,3}\)[ ]?[0-9]{2,8}(?:[ -][0-9]{2,8}){0,3}(?![\w-]|[.,:/][0-9])"
)
_PHONE_WORD = re.compile(
    r"(?<!\w)((?:tele)?phone|tel|telefon|mobile|cell|fax|whatsapp|handy)((?: ?(?:number|no|nr|#))?\.?["
    r" ]?(?:is|:|=)?[ ]?)"
    r"(\(?[0-9](?:[ ./()-]{0,2}[0-9]){6,14})(?!\w|[.,][0-9])",
    re.IGNORECASE,
)

_PHONE_WORDS = ("phone", "tel", "mobile", "cell", "fax", "whatsapp", "handy")

# One replacement can expose a match for another pattern, which the next pass finds. Natural texts need two.
_MAX_PASSES = 6


def redact(text: str) -> str:
    """Replace personal data and secrets by placeholders.

    Placeholders: ``<EMAIL> <PHONE> <CARD> <IBAN> <SSN> <IP> <SECRET>``. Linear in the length of the text, and
    ``redact(redact(text)) == redact(text)``.

    Args:
        text: any string, lone surrogates included.

    >>> redact("Mail ann@example.org or call +1 415 555 2671")
    'Mail <EMAIL> or call <PHONE>'
    >>> redact("card 4111 1111 1111 1111, order 1234567890123456, v1.2.3.4")
    'card <CARD>, order 1234567890123456, v1.2.3.4'
    """
    for _ in range(_MAX_PASSES):
        redacted = _redact_once(text)
        if redacted == text:
            break
        text = redacted
    return text


def _redact_once(text: str) -> str:
    text = redact_secrets(text)
    if "@" in text:
        text = _EMAIL.sub(_replace_email, text)
    if not _DIGITS.search(text):
        return text
    text = _IBAN.sub(_replace_iban, text)
    text = _CARD.sub(_replace_card, text)
    text = _SSN.sub("<SSN>", text)
    text = _SSN_NAMED.sub(r"\1<SSN>", text)
    if "." in text:
        text = _IPV4.sub(_replace_ipv4, text)
    if ":" in text:
        text = _IPV6.sub(_replace_ipv6, text)
    text = _PHONE.sub(_replace_phone, text)
    lower = text.lower()
    if any(word in lower for word in _PHONE_WORDS):
        text = _PHONE_WORD.sub(lambda match: f"{match[1]}{match[2]}<PHONE>", text)
    return text


_DIGITS = re.compile(r"[0-9]")


def _replace_email(match: re.Match[str]) -> str:
    # git@host is a clone address, not the address of a person
    return match[0] if match[0].startswith("git@") else "<EMAIL>"


def _replace_iban(match: re.Match[str]) -> str:
    text = match[0]
    length = _IBAN_LENGTHS.get(text[:2].upper(), 99)
    end = _end_of(text, length)
    if end is None or text[end : end + 1].isalnum():
        return text
    account = re.sub("[ -]", "", text[:end]).upper()
    number = int("".join(str(int(char, 36)) for char in account[4:] + account[:4]))
    return f"<IBAN>{text[end:]}" if number % 97 == 1 else text


def _replace_card(match: re.Match[str]) -> str:
    """Replace the longest prefix that is a card number. An expiry date or another number may follow it."""
    text = match[0]
    for length in range(19, 12, -1):
        end = _end_of(text, length)
        if end is None or text[end : end + 1].isdigit():
            continue
        digits = text[:end].replace(" ", "").replace("-", "")
        if _CARD_ISSUERS.fullmatch(digits) and _luhn(digits):
            return f"<CARD>{text[end:]}"
    return text


def _end_of(text: str, length: int) -> int | None:
    """Return the end of the first ``length`` characters, not counting separators; None if there are fewer."""
    for position, char in enumerate(text):
        if char not in " -":
            length -= 1
            if not length:
                return position + 1
    return None


def _luhn(digits: str) -> bool:
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(doubled) + sum(int(digit) for digit in digits[-1::-2])) % 10 == 0


def _replace_ipv4(match: re.Match[str]) -> str:
    before = match.string[max(0, match.start() - 12) : match.start()]
    if _VERSION_BEFORE.search(before):
        return match[0]
    try:
        ipaddress.IPv4Address(match[0])
    except ValueError:
        return match[0]
    return "<IP>"


def _replace_ipv6(match: re.Match[str]) -> str:
    text = match[0]
    # `1::2` and `a::b` are slices and names in code. So an address must have five hexadecimal digits, one of
    # them 0-9.
    if text.count(":") < 2 or sum(char != ":" for char in text) < 5 or not _DIGITS.search(text):
        return text
    address = text[:-1] if text.endswith(":") and not text.endswith("::") else text
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        return text
    return f"<IP>{text[len(address) :]}"


def _replace_phone(match: re.Match[str]) -> str:
    digits = sum(char.isdigit() for char in match[0])
    min_digits = 8 if match[0].startswith("+") else 9
    return "<PHONE>" if min_digits <= digits <= 15 else match[0]
