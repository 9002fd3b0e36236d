"""Find e-mail addresses and IP addresses in a text."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from softfail.redact_numbers import Span

_AT = re.compile(r"@|%40|\\u0040|&#(?:64|x40);")
_PLAIN_AT = re.compile("@")
_LOCAL_CHARS = re.compile(r"[\w.%+'-]*")
_DOMAIN = re.compile(r"(?:[\w-]{1,63}\.){1,8}([^\W\d_]{2,24}|xn--[A-Za-z0-9-]{2,40})(?![\w])")
_MOST_LOCAL = 128
# ends of file names and systemd units after an @: icon@2x.png, getty@tty1.service
_NO_DOMAIN = frozenset(
    re.findall(
        "[a-z]+",
        "png jpg jpeg gif svg webp service socket timer target mount slice scope device swap js ts css"
        " html json yml yaml txt",
    )
)

_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}(?!\w|\.[0-9]|[-+~][0-9A-Za-z])")
_NO_ADDRESS_BEHIND = frozenset("._0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_LEAST_NO_VERSION = 32  # a greater number hardly begins a version
_IPV4_HINT = re.compile(r"\.[0-9]{1,3}(?=\.[0-9]{1,3}\.[0-9])")
_HEX = "[0-9A-Fa-f]"
_IPV6_HINT = re.compile(f":(?::|{_HEX}{{1,4}}(?::{_HEX}{{1,4}}){{3}}:)")
_IPV6 = re.compile(r"(?:[0-9A-Fa-f:]{1,38}:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9A-Fa-f:]{2,39})(?![\w:])")
# after one of these, four numbers with dots are a version or a chapter, not an address
_VERSION_BEFORE = re.compile(
    r"(?:(?<![A-Za-z])(?:versions?|release|build|firmware|driver|section|chapter|clause|figure|table|ver|v|rev|upgrade[d]?|update[d]?"
    r"|python|java|jdk|windows|linux|kernel|assembly|oid|sdk|runtime)"
    r"|§|[=~<>!^]=|[\^~]|(?<!/)/|[A-Za-z]-)[\s:.=\"']{0,2}$",
    re.IGNORECASE,
)
_VERSION_ENDS = frozenset(re.findall("[a-z]+", "on ns se ld re er ed de te le va dk ws ux el ly id me"))
"""Last two letters of the words above."""
_VERSION_SIGNS = frozenset("§~^/-")
_BETWEEN = " \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\u2028\u2029:=.\"'"
_ADDRESS_BEFORE = re.compile(
    r"(?:(?<!<)\bip|addr|host|server|client|peer|dns|resolver|gateway|remote|source|src|dst|dest|ping|connect|proxy|visitor"
    r"|ssh|listen|bind)[^\n]{0,14}\Z|(?:://|@)\Z",
    re.IGNORECASE,
)
_RESERVED_IN = frozenset((0, 10, 100, 127, 169, 172, 192, 198, 203, *range(224, 256)))
"""First numbers of networks that are, or contain, private, reserved and multicast addresses."""
_IPV6_CHARS = frozenset("0123456789ABCDEFabcdef:")
_OBJECT_IDENTIFIERS = frozenset({(1, 2), (1, 3), (2, 5)})
_HAS_DIGIT = re.compile("[0-9]")


def emails(plain: str) -> Iterator[Span]:
    """Yield the e-mail addresses of a text. ``git@host`` is a clone address, not the address of a person."""
    done = 0
    is_plain = "%" not in plain and "\\" not in plain and "&#" not in plain
    reverse = plain[::-1]
    for match in (_PLAIN_AT if is_plain else _AT).finditer(plain):
        sign = match.start()
        domain = _DOMAIN.match(plain, match.end())
        if domain is None or domain[1].lower() in _NO_DOMAIN:
            continue
        start = _local_start(plain, reverse, sign, done)
        if start == sign or plain[start:sign] == "git":
            continue
        done = domain.end()
        yield Span(start, done, "<EMAIL>")


def _local_start(plain: str, reverse: str, sign: int, least: int) -> int:
    """Return where the part before an @ begins; ``reverse``: the text from its end to its beginning."""
    chars = sign - least
    end = len(plain) - sign  # of the part in the reversed text
    local = _LOCAL_CHARS.match(reverse, end, end + (chars if chars < _MOST_LOCAL else _MOST_LOCAL))
    start = sign - (local.end() - end if local else 0)
    if "%" in plain:
        encoded = max(
            plain.rfind("%3D", start, sign), plain.rfind("%3A", start, sign), plain.rfind("%22", start, sign)
        )
        if encoded >= 0:
            start = encoded + 3
    while start < sign and plain[start] in "'%":
        start += 1
    return start


def ip_addresses(plain: str, all_ips: bool) -> Iterator[Span]:
    """Yield the IP addresses of a text.

    Args:
        plain: any text.
        all_ips: yield addresses that are not of the public internet, too: private, loopback, documentation,
            multicast and unspecified ones, and masks.
    """
    spans: list[Span] = []
    if plain.count(".") >= 3:
        spans += [
            Span(start, end, "<IP>") for start, end in _ipv4(plain) if _is_ipv4(plain, start, end, all_ips)
        ]
    if "::" in plain or plain.count(":") >= 7:
        spans += _ipv6(plain, all_ips)
        spans.sort()
    yield from spans


def _ipv4(plain: str) -> Iterator[tuple[int, int]]:
    """Yield begin and end of four numbers from 0 to 255 with dots between them.

    The search is for a dot, because digits are more frequent.
    """
    done = 0
    for hint in _IPV4_HINT.finditer(plain):
        dot = start = hint.start()
        while start > done and dot - start < 4 and "0" <= plain[start - 1] <= "9":
            start -= 1
        if start < dot and dot - start < 4 and (match := _IPV4.match(plain, start)):
            done = match.end()
            yield start, done


def _ipv6(plain: str, all_ips: bool) -> Iterator[Span]:
    done = 0
    for hint in _IPV6_HINT.finditer(plain):
        start = hint.start()
        while start > done and hint.start() - start < 40 and plain[start - 1] in _IPV6_CHARS:
            start -= 1
        if start < done or (start and (plain[start - 1] in "._" or plain[start - 1].isalnum())):
            continue
        match = _IPV6.match(plain, start)
        length = _ipv6_length(match[0], all_ips) if match else 0
        if length:
            done = start + length
            yield Span(start, done, "<IP>")


def _is_ipv4(plain: str, start: int, end: int, all_ips: bool) -> bool:
    """Return whether four numbers are an address, by what stands before them and by the networks of addresses."""
    before = plain[start - 14 if start > 14 else 0 : start]
    last = before[-1:]
    if last in _NO_ADDRESS_BEHIND or _is_version(before):
        return False
    if all_ips:
        return True
    address = plain[start:end]
    first = int(address[: address.index(".")])
    if first in _RESERVED_IN and not _is_public(address):
        return False
    if first >= _LEAST_NO_VERSION:
        return True
    parts = list(map(int, address.split(".")))
    small = max(parts) < _LEAST_NO_VERSION or (first < 10 and max(parts) < 100)
    if small or tuple(parts[:2]) in _OBJECT_IDENTIFIERS:  # may be a version; one address in 500 is such
        after = plain[end : end + 2]
        before = plain[max(0, start - 24) : start]
        return bool(_ADDRESS_BEFORE.search(before)) or (after[:1] in (":", "/") and after[1:].isdigit())
    return True


def _is_version(before: str) -> bool:
    """Return whether four numbers with dots are a version, by what stands before them."""
    last = before.rstrip(_BETWEEN)[-2:].lower()
    may_be = (
        last in _VERSION_ENDS
        or last[-1:] in _VERSION_SIGNS
        or last[-1:] == "v"
        or "=" in before[-4:]
        or not last.isascii()
    )
    return may_be and _VERSION_BEFORE.search(before) is not None


def _is_public(text: str) -> bool:
    address = ipaddress.IPv4Address(text)
    return address.is_global and not address.is_multicast


def _ipv6_length(text: str, all_ips: bool) -> int:
    """Return the length of the address at the start of a text, 0 if it is none."""
    # `1::2` and `a::b` are slices and names in code. So an address must have five hexadecimal digits, one of
    # them 0-9.
    short = text in ("::1", "::") and all_ips
    if not short and (text.count(":") < 2 or len(text) - text.count(":") < 5 or not _HAS_DIGIT.search(text)):
        return 0
    address = text[:-1] if text.endswith(":") and not text.endswith("::") else text
    try:
        parsed = ipaddress.IPv6Address(address)
    except ValueError:
        return 0
    if not all_ips:
        mapped = parsed.ipv4_mapped or parsed
        if not mapped.is_global or mapped.is_multicast:
            return 0
    return len(address)
