"""Redact keys, tokens and passwords: those with a known format, and values after names like ``password``."""

from __future__ import annotations

import re

_PEM = re.compile(
    r"-----BEGIN[ A-Z0-9]{0,40}PRIVATE KEY[ A-Z]{0,12}-----"
    r"(?:(?:Proc-Type|DEK-Info|Version|Comment|Charset):[^\n\\]{0,200}|[A-Za-z0-9+/=\s\\])*+(?:-----END["
    r" A-Z0-9]{0,60}-----)?"
)
_PEM_END = re.compile(r"-----END[ A-Z0-9]{0,40}PRIVATE KEY[ A-Z]{0,12}-----")
_PEM_BODY = re.compile(r"[A-Za-z0-9+/=\s\\]{0,8192}")

_URL_LOGIN = re.compile(r"(?<=://)[^\s/@:<>]{0,64}:[^\s/@<>]{1,128}@")

_KNOWN_FORMAT = re.compile(
    r"(?<![A-Za-z0-9_-])(?:"
    r"(?:AKIA|ASIA|AGPA|AIDA|AROA|ANPA|ANVA|AIPA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Za-z0-9])"  # AWS
    r"|sk-(?=[A-Za-z_-]{0,200}[0-9])[A-Za-z0-9_-]{16,}"  # OpenAI, Anthropic and others
    r"|[srp]k_(?:live|test)_[A-Za-z0-9]{16,}"  # Stripe
    r"|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{20,}"
    r"|xox[a-z]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{10,}"  # Slack
    r"|AIza[A-Za-z0-9_-]{35}|ya29\.[A-Za-z0-9_-]{20,}"  # Google
    r"|hf_[A-Za-z0-9]{20,}|npm_[A-Za-z0-9]{30,}|pypi-[A-Za-z0-9_-]{40,}|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"
    r"|eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*)?"  # JWT
    r")"
)

# substrings that occur in every match of _KNOWN_FORMAT; checked first, because that is fast
_PREFIXES = (
    "AKIA",
    "ASIA",
    "AGPA",
    "AIDA",
    "AROA",
    "ANPA",
    "ANVA",
    "AIPA",
    "ABIA",
    "ACCA",
    "sk-",
    "sk_",
    "rk_",
    "pk_",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "xox",
    "xapp-",
    "AIza",
    "ya29.",
    "hf_",
    "npm_",
    "pypi-",
    "SG.",
    "eyJ",
)
# substrings that occur in every match of the patterns below
_WORDS = (
    "pass",
    "pwd",
    "secret",
    "token",
    "credential",
    "key",
    "connection",
    "kennwort",
    "contrase",
    "authorization",
    "bearer",
    "basic",
)

_SCHEME = re.compile(
    r"(?<![A-Za-z0-9_])(bearer|basic)([ \t]{1,4})([A-Za-z0-9._~+/=-]{8,4096})", re.IGNORECASE
)
_HEADER = re.compile(
    r"(?<![A-Za-z0-9_])((?:proxy-)?authorization[\"']?[ \t]?[:=][ \t]{0,4}[\"']?(?:[A-Za-z]{1,12}["
    r" \t]{1,4})?+)([^\s\"'<>,;]{6,4096})",
    re.IGNORECASE,
)

_SCHEMES = re.compile(r"(?:bearer|basic|token|digest|negotiate|apikey)[ \t]+$", re.IGNORECASE)

_PASSWORD_NAME = r"pass(?:word|wd|phrase|code)|pwd|mot de passe|passwort|kennwort|contraseña"
_NAME = (
    rf"{_PASSWORD_NAME}|secret|token|credentials?|apikey|connection[_ -]?string|"
    r"(?:api|access|auth|secret|private|signing|encryption|account|shared|master|client|license)[_"
    r" -]?(?:key|token|secret)"
)
_BETWEEN = r"\\?[\"'`]?\]?[ \t]{0,3}(?:=>|:=|[:=]|[ \t]is(?=[ \t]))[ \t]{0,3}"
_NAMED = re.compile(
    rf"((?:{_NAME})(?:[_-][A-Za-z0-9]{{1,8}})?)({_BETWEEN})(\\?[\"'`]?)([^\s\"'`,;&<>(){{}}\[\]\\]{{3,4096}})",
    re.IGNORECASE,
)
_QUOTED = re.compile(
    rf"((?:{_PASSWORD_NAME}|secret)[\"'`]?[ \t]{{0,3}}[:=][ \t]{{0,3}})([\"'`])([^\"'`\n<>]{{4,200}})\2",
    re.IGNORECASE,
)
_PASSWORD = re.compile(_PASSWORD_NAME, re.IGNORECASE)
_KEYED = re.compile(
    r"(?<![A-Za-z])(key\\?[\"'`]?[ \t]{0,3}[:=]["
    r" \t]{0,3}\\?[\"'`]?)([A-Za-z0-9+/=_-]{32,4096})(?![A-Za-z0-9])",
    re.IGNORECASE,
)
_CAPITALS_INSIDE = re.compile("[a-z][A-Z]|[A-Z]{2}[a-z]")
_BASE64 = re.compile("(?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_HEX = re.compile(r"[0-9a-fA-F]{32,}")
_LIKE_IDENTIFIER = re.compile(
    r"(?:key|token|secret|password|passwd|pwd|passphrase|credentials?|env)$|^[a-z_]\w*(?:\.[a-z_]\w*)+$|[$%]"
)

# Words that follow "password:" in prose, type annotations and forms, and are not secrets.
_NO_SECRET = frozenset(
    re.findall(
        "[a-z]+",
        "a all allowed an and any are as at be been before bool boolean bytes can cannot changed char dict"
        " does each empty enter expired false field float for forgot forgotten from had has have hidden how"
        " if in incorrect input int integer invalid is it its list long may minimum missing must need needs"
        " never new nil none not null number object of ok on one only option optional or our please policy"
        " protected redacted required reset rules sent set should str string strong text that the their then"
        " they this to too true type undefined unknown used valid value was we weak were what when which will"
        " wrong yes you your ",
    )
)


def redact_secrets(text: str) -> str:
    """Replace private keys, tokens, authorization headers, logins in URLs and named secrets by ``<SECRET>``.

    >>> redact_secrets("api_key=abc123def456 Authorization: Bearer abc.def.ghi")
    'api_key=<SECRET> Authorization: Bearer <SECRET>'
    >>> redact_secrets("max_tokens: 4096 token: str")
    'max_tokens: 4096 token: str'
    """
    if "PRIVATE KEY" in text:
        text = _redact_pem(text)
    if "://" in text:
        text = _URL_LOGIN.sub("<SECRET>@", text)
    if any(prefix in text for prefix in _PREFIXES):
        text = _KNOWN_FORMAT.sub("<SECRET>", text)
    lower = text.lower()  # searching for the words is a hundred times faster than the patterns
    if not any(word in lower for word in _WORDS):
        return text
    text = _HEADER.sub(
        lambda match: (
            f"{match[1]}<SECRET>" if _looks_random(match[2]) or _SCHEMES.search(match[1]) else match[0]
        ),
        text,
    )
    text = _SCHEME.sub(_replace_after_scheme, text)
    text = _QUOTED.sub(_replace_quoted, text)
    text = _NAMED.sub(_replace_named, text)
    return _KEYED.sub(_replace_keyed, text)


def _redact_pem(text: str) -> str:
    text = _PEM.sub("<SECRET>", text)
    pieces, position = [], 0
    for end_line in _PEM_END.finditer(text):  # the tail of a text that was cut inside a key
        before_reversed = text[max(position, end_line.start() - 8192) : end_line.start()][::-1]
        body = _PEM_BODY.match(before_reversed)
        pieces += [text[position : end_line.start() - (body.end() if body else 0)], "<SECRET>"]
        position = end_line.end()
    return "".join([*pieces, text[position:]])


def _looks_random(value: str) -> bool:
    """Return whether a value is no word of a sentence: digits with letters, inner capitals, or long."""
    mixed = re.search(r"[0-9=+/~]", value) and re.search("[A-Za-z]", value)
    return len(value) >= 20 or bool(mixed or _CAPITALS_INSIDE.search(value))


def _replace_after_scheme(match: re.Match[str]) -> str:
    """Replace the token after ``Bearer`` or ``Basic``, but leave "basic understanding"."""
    token = match[3].rstrip(".")
    is_basic = match[1].lower() == "basic"
    if (
        not _looks_random(token)
        or (is_basic and not _BASE64.fullmatch(token))
        or (token.isalpha() and token.islower())
    ):
        return match[0]
    return f"{match[1]}{match[2]}<SECRET>{match[3][len(token) :]}"


def _replace_quoted(match: re.Match[str]) -> str:
    words = match[3].lower().split()
    if not words or words[0] in _NO_SECRET or len(words) > 6:
        return match[0]
    return f"{match[1]}{match[2]}<SECRET>{match[2]}"


def _replace_named(match: re.Match[str]) -> str:
    name, between, quote, candidate = match.groups()
    value = candidate.rstrip(".:!?*|")
    following = match.string[match.end() : match.end() + 1]
    if not quote and following and following in "([{":  # a call or a lookup in code
        return match[0]
    if not value or not _is_secret(bool(_PASSWORD.search(name)), value, between, bool(quote)):
        return match[0]
    return f"{name}{between}{quote}<SECRET>{candidate[len(value) :]}"


def _is_secret(is_password: bool, value: str, between: str, quoted: bool) -> bool:
    lower = value.lower()
    has_digit = any(char.isdigit() for char in value)
    if lower in _NO_SECRET or (not quoted and not has_digit and _LIKE_IDENTIFIER.search(lower)):
        # `password=password`, `api_key=settings.api_key`, `${SECRET}`: a reference to a secret
        return False
    in_prose = " is" in between.lower()
    if is_password:
        return has_digit or not in_prose
    if len(value) < 6 or not any(char.isalpha() for char in value):
        return value.isdigit() and len(value) >= 16
    if has_digit or _CAPITALS_INSIDE.search(value):
        return True
    return not in_prose and len(value) >= 8 and (quoted or "=" in between or len(value) >= 16)


def _replace_keyed(match: re.Match[str]) -> str:
    """Replace the value after a bare ``key`` if it is 32 or more random characters and not a UUID.

    Cache keys, object keys and slugs remain.
    """
    value = match[2]
    is_random = _HEX.fullmatch(value) or (
        re.search("[0-9]", value) and re.search("[a-z]", value) and re.search("[A-Z]", value)
    )
    return f"{match[1]}<SECRET>" if is_random else match[0]
