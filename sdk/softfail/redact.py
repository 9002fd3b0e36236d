"""Personal data and secrets out of a text, before it leaves the process.

Numbers are replaced only when they prove themselves (checksum, valid range, separators of a phone number, a
telling word before them), so that prices, dates, order ids, versions, UUIDs, timestamps and code survive.
Every pattern is linear: it starts only where a run of its characters starts, or it is bounded, or possessive.
Secrets have their own module, ``credentials``.
"""

from __future__ import annotations

import ipaddress
import re

from softfail.redact_secrets import without_credentials

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
_CARD_KINDS = re.compile(  # Visa, Mastercard, American Express, Diners, Discover, JCB, UnionPay
    r"4(?:[0-9]{12}|[0-9]{15}|[0-9]{18})|5[1-5][0-9]{14}|2(?:22[1-9]|2[3-9][0-9]|[3-6][0-9]{2}|7[01][0-9]|720)[0-9]{12}|"
    r"3[47][0-9]{13}|3(?:0[0-59]|[689][0-9])[0-9]{11}|6(?:011|5[0-9]{2}|4[4-9][0-9])[0-9]{12,15}|35(?:2[89]|[3-8][0-9])[0-9]{12}|62[0-9]{14,17}"
)

_SSN = re.compile(
    r"(?<![\w-])(?<![0-9][.,])(?!000|666|9)[0-9]{3}([-"
    r" ])(?!00)[0-9]{2}\1(?!0000)[0-9]{4}(?![\w-])(?![.,][0-9])"
)
_SSN_NAMED = re.compile(  # bare digits only where they are named
    r"\b((?:ssn|social security(?: number| no\.?)?)(?: is)?[ :#=]{1,3})[0-9]{9}(?!\w)", re.IGNORECASE
)

_IPV4 = re.compile(r"(?<![\w.])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?!\w|\.[0-9]|-[A-Za-z])")
_IPV6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f:]{2,39}(?:(?<=:)[0-9]{1,3}(?:\.[0-9]{1,3}){3})?(?![\w:])")
# four numbers with dots after one of these are a version or a chapter, not an address
_VERSION_BEFORE = re.compile(
    r"(?:(?<![A-Za-z])(?:versions?|release|build|firmware|driver|section|chapter|clause|figure|table|ver|v|rev)"
    r"|§|[=~<>!^]=|[\^~]|(?<!/)/|[A-Za-z]-)[\s:.=]{0,2}$",
    re.IGNORECASE,
)

_COUNTRY = r"\+[1-9][0-9]{0,2}[ .-]?(?:\(0?[0-9]{0,4}\)[ .-]?)?"
_PHONE = re.compile(
    rf"(?<![\w+]){_COUNTRY}[0-9](?:[ ./-]?[0-9]){{5,12}}(?!\w|[.,][0-9])"
    # 3-3-4 is hardly anything else
    r"|(?<![\w.,/+-])(?:1[ .-])?(?:\([1-9][0-9]{2}\)[ ]?|[1-9][0-9]{2}-)[0-9]{3}["
    r" .-][0-9]{4}(?!\w|[.,-][0-9])"
    # with spaces or dots it may be: valid ones
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

_PASSES = 6  # what one replacement uncovers for another is found by the next pass; texts of people need two


def redact(text: str) -> str:
    """The text with personal data and secrets replaced by placeholders.

    Placeholders: ``<EMAIL> <PHONE> <CARD> <IBAN> <SSN> <IP> <SECRET>``. Linear in the length of the text, and
    ``redact(redact(text)) == redact(text)``.

    Args:
        text: any string, lone surrogates included.

    >>> redact("Mail ann@example.org or call +1 415 555 2671; card 4111 1111 1111 1111, order 1234567890123456, v1.2.3.4")
    'Mail <EMAIL> or call <PHONE>; card <CARD>, order 1234567890123456, v1.2.3.4'
    """
    for _ in range(_PASSES):
        redacted = _once(text)
        if redacted == text:
            break
        text = redacted
    return text


def _once(text: str) -> str:
    text = without_credentials(text)
    if "@" in text:
        text = _EMAIL.sub(_email, text)
    if not _DIGITS.search(text):
        return text
    text = _IBAN.sub(_iban, text)
    text = _CARD.sub(_card, text)
    text = _SSN.sub("<SSN>", text)
    text = _SSN_NAMED.sub(r"\1<SSN>", text)
    if "." in text:
        text = _IPV4.sub(_ipv4, text)
    if ":" in text:
        text = _IPV6.sub(_ipv6, text)
    text = _PHONE.sub(_phone, text)
    low = text.lower()
    if any(word in low for word in _PHONE_WORDS):
        text = _PHONE_WORD.sub(lambda match: f"{match[1]}{match[2]}<PHONE>", text)
    return text


_DIGITS = re.compile(r"[0-9]")


def _email(match: re.Match[str]) -> str:
    # a clone address names a server, not a person
    return match[0] if match[0].startswith("git@") else "<EMAIL>"


def _iban(match: re.Match[str]) -> str:
    found = match[0]
    length = _IBAN_LENGTHS.get(found[:2].upper(), 99)
    end = _position(found, length)
    if end is None or found[end : end + 1].isalnum():
        return found
    account = re.sub("[ -]", "", found[:end]).upper()
    number = int("".join(str(int(char, 36)) for char in account[4:] + account[:4]))
    return f"<IBAN>{found[end:]}" if number % 97 == 1 else found


def _card(match: re.Match[str]) -> str:
    """The longest beginning that is a card's number; what follows a separator may be its expiry or another
    number.
    """
    found = match[0]
    for length in range(19, 12, -1):
        end = _position(found, length)
        if end is None or found[end : end + 1].isdigit():
            continue
        digits = found[:end].replace(" ", "").replace("-", "")
        if _CARD_KINDS.fullmatch(digits) and _luhn(digits):
            return f"<CARD>{found[end:]}"
    return found


def _position(found: str, length: int) -> int | None:
    """Where the first ``length`` characters that are not separators end; None if there are fewer."""
    for position, char in enumerate(found):
        if char not in " -":
            length -= 1
            if not length:
                return position + 1
    return None


def _luhn(digits: str) -> bool:
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(doubled) + sum(int(digit) for digit in digits[-1::-2])) % 10 == 0


def _ipv4(match: re.Match[str]) -> str:
    before = match.string[max(0, match.start() - 12) : match.start()]
    if _VERSION_BEFORE.search(before):
        return match[0]
    try:
        ipaddress.IPv4Address(match[0])
    except ValueError:
        return match[0]
    return "<IP>"


def _ipv6(match: re.Match[str]) -> str:
    found = match[0]
    # `1::2` and `a::b` are slices and names in code; an address that says something has five hexadecimal
    # digits, one of them 0-9.
    if found.count(":") < 2 or sum(char != ":" for char in found) < 5 or not _DIGITS.search(found):
        return found
    bare = found[:-1] if found.endswith(":") and not found.endswith("::") else found
    try:
        ipaddress.IPv6Address(bare)
    except ValueError:
        return found
    return f"<IP>{found[len(bare) :]}"


def _phone(match: re.Match[str]) -> str:
    digits = sum(char.isdigit() for char in match[0])
    least = 8 if match[0].startswith("+") else 9
    return "<PHONE>" if least <= digits <= 15 else match[0]
