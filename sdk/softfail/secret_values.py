"""Decide whether a value is a secret, by the name before it and by the form of the value."""

from __future__ import annotations

import re

from softfail.secret_names import table_name

_COLOUR = re.compile("#[0-9a-f]{3,8}")

_DIGIT = re.compile(r"\d")
_LETTER = re.compile(r"[^\W\d_]")

_CLOSING = {")": "(", "]": "[", "}": "{"}
_CAPITALS_INSIDE = re.compile("[a-z][A-Z]|[A-Z]{2}[a-z]")
_HEX = re.compile("[0-9a-fA-F]{32,}")
_RANDOM_CHARS = re.compile(r"[A-Za-z0-9+/=_.~%|:@#!$^*-]+")
_REFERENCE = re.compile(
    r"(?:key|token|secret|password|passwd|pwd|passphrase|credentials?|env|auth|value|name|param|arg|str|path|file)s?$"
    r"|^[a-z_]\w*(?:(?:\.|->|::)[a-z_]\w*)+$|^[$%{\[(]|\$\{|\{\{|^\.|\.\.\.|^\*+$|^[xX]{3,}$|^[_-]+$|^https?:|^/|^[a-z]+\($"
)
_CODE = re.compile(r"[A-Za-z_][\w.]*[(\[{]|[(\[{]|lambda\b|[A-Za-z_]\w*::")

# Words that follow "password:" in prose, type annotations and forms, and are not secrets.
_NO_SECRET = frozenset(
    re.findall(
        "[a-z]+",
        "a all allowed an and any are as at authentication available be been before bool boolean bytes by"
        " can cannot changed char configured dict disabled does each either empty enabled enter expected"
        " expired expires false field file float for forgot forgotten from generated given had has have"
        " hidden hint how if in incorrect input int integer invalid is it its known like list long may"
        " minimum missing mismatch more must need needs never new nil no none not null number object of"
        " off ok on one only option optional or our passed please policy prompt protected provided read"
        " recommended redacted required reset rules same see sent set should size specified specifies"
        " stored str string strong such text that the their then these they this those to too true type"
        " undefined unique unknown unset use used user uses using valid value varchar via was we weak were"
        " what when where whether which will with without wrong yes you your",
    )
)


_LEAST_RANDOM, _LEAST_HEX = 20, 32
_RULE = re.compile("[0-9]{1,3}[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
"""Begin of a rule for passwords, which are no secret: 8文字以上, 8자 이상, 8到16位."""
_BEFORE_STOP = re.compile("[!-~]{4,}(?=[\u3001\u3002\uff01\uff0c\uff1b\uff1f])")
"""A value up to Chinese or Japanese punctuation."""


def is_random(value: str, least: int = _LEAST_RANDOM) -> bool:
    """Return whether a value is no word of a sentence or path: letters mixed with digits, or inner capitals."""
    if least >= _LEAST_RANDOM and not _is_mixed(value):
        return len(value) >= _LEAST_HEX and _HEX.fullmatch(value) is not None
    if (
        len(value) < least
        or not _RANDOM_CHARS.fullmatch(value)
        or ("/" in value and value.count("/") > len(value) // 16 + 1)
    ):
        return False
    digits = _DIGIT.search(value) is not None
    letters = _LETTER.search(value) is not None
    if least < _LEAST_RANDOM:
        return (digits and letters) or bool(_CAPITALS_INSIDE.search(value)) or (len(value) >= 20 and letters)
    if _HEX.fullmatch(value):
        return True
    return digits and letters and "://" not in value and value.count(".") <= 2 and value.count("-") <= 4


def _is_mixed(value: str) -> bool:
    """Return whether a value has small and capital letters."""
    return not value.islower() and value.lower() != value != value.upper()


def is_secret(name: str, value: str, between: str, quoted: bool, following: str) -> int:
    """Return how many characters of a value are the secret; 0 if the value is none.

    Args:
        name: of ``name_before``.
        value: what stands after the separator.
        between: the separator.
        quoted: whether the value stands in quotes.
        following: the character after the value.
    """
    if not quoted:
        if _RULE.match(value):
            return 0
        if (head := _BEFORE_STOP.match(value)) is not None:
            value = head[0]
        ends = ".:!?*|,;" if between.strip().isalpha() else ".:,;|"  # a password may end with "!"
        value = value.rstrip(ends)
        for _ in range(4):  # closing brackets of the sentence or the code around the value
            if value[-1:] in _CLOSING and value.count(_CLOSING[value[-1]]) < value.count(value[-1]):
                value = value[:-1].rstrip(ends)
    if not value or value == "SECRET" or "<SECRET" in value or following == "<" or value.startswith("<"):
        return 0
    return len(value) if _is_value(name, value, between, quoted) else 0


def _is_value(name: str, value: str, between: str, quoted: bool) -> bool:
    lower = value.lower()
    digit = any(char.isdigit() for char in value)
    words = lower.split()
    if not words or words[0].strip(".,:;!") in _NO_SECRET or len(words) > 6:
        return False
    if not quoted and (
        (_CODE.match(value) and not value.startswith(("(", "[", "{"))) or _CODE.fullmatch(value)
    ):
        return False
    if (
        _REFERENCE.search(lower)
        and not (digit and quoted)
        and not (digit and not re.match(r"[$%{\[(/.]|https?:", lower))
    ):
        return False  # `password=password`, `api_key=settings.api_key`, `${SECRET}`: a reference to a secret
    if (
        not digit
        and "_" in value
        and value.isidentifier()
        and (lower == value or (value.isupper() and not quoted))
        and (not quoted or between == ":")
    ):
        return False  # `password = auth_from_netrc`, :token:`bracket_open`
    if _COLOUR.fullmatch(lower) or (table_name(lower.replace("_", "").replace("-", "")) and not digit):
        return False  # `token: "access_token"`
    if not quoted and not digit and ":" in value:
        return False  # `name:password:GID:users`: the format of a line
    prose = between.strip().isalpha()
    if name == "password":
        return len(value) >= 3 and (digit or (not prose and (quoted or "=" in between or len(value) >= 6)))
    if name == "key":
        return (
            len(value) >= 32
            and " " not in value
            and (
                bool(_HEX.fullmatch(value))
                or (digit and lower != value != value.upper() and bool(_RANDOM_CHARS.fullmatch(value)))
            )
        )
    if " " in value and name != "secret":
        return False
    if name in ("sig", "signature"):
        return len(value) >= 16 and digit
    if len(value) < (6 if quoted else 8) or not any(char.isalpha() for char in value):
        return value.isdigit() and len(value) >= 16
    if name == "pass" and not quoted and not (digit and lower != value != value.upper()):
        return False  # `pass: test-12` is a result
    if digit or _CAPITALS_INSIDE.search(value):
        return True
    if "==" in between or not value.isalpha():  # a comparison, words with dashes
        return False
    return not prose and len(value) >= (8 if quoted else 16) and name != "pass"
