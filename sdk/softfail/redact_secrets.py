"""Keys, tokens and passwords in a text: those whose form gives them away, and those that a telling name
precedes.
"""

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

_KNOWN = re.compile(
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
_OF_A_NAME = re.compile(
    r"(?:key|token|secret|password|passwd|pwd|passphrase|credentials?|env)$|^[a-z_]\w*(?:\.[a-z_]\w*)+$|[$%]"
)

# What stands after "password:" in prose, types and forms, and is none.
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


def without_credentials(text: str) -> str:
    """The text with private keys, tokens, authorization headers, logins in URLs and named secrets replaced by
    ``<SECRET>``.

    >>> without_credentials("api_key=abc123def456 Authorization: Bearer abc.def.ghi max_tokens: 4096 token: str")
    'api_key=<SECRET> Authorization: Bearer <SECRET> max_tokens: 4096 token: str'
    """
    if "PRIVATE KEY" in text:
        text = _without_pem(text)
    if "://" in text:
        text = _URL_LOGIN.sub("<SECRET>@", text)
    if any(prefix in text for prefix in _PREFIXES):
        text = _KNOWN.sub("<SECRET>", text)
    low = text.lower()  # a look for the word is a hundred times cheaper than the pattern
    if not any(word in low for word in _WORDS):
        return text
    text = _HEADER.sub(
        lambda match: (
            f"{match[1]}<SECRET>" if _looks_random(match[2]) or _SCHEMES.search(match[1]) else match[0]
        ),
        text,
    )
    text = _SCHEME.sub(_scheme, text)
    text = _QUOTED.sub(_quoted, text)
    text = _NAMED.sub(_named, text)
    return _KEYED.sub(_keyed, text)


def _without_pem(text: str) -> str:
    text = _PEM.sub("<SECRET>", text)
    pieces, at = [], 0
    for end in _PEM_END.finditer(text):  # the tail of a text that was cut inside a key
        body = _PEM_BODY.match(text[max(at, end.start() - 8192) : end.start()][::-1])
        pieces += [text[at : end.start() - (body.end() if body else 0)], "<SECRET>"]
        at = end.end()
    return "".join([*pieces, text[at:]])


def _looks_random(value: str) -> bool:
    """A digit beside a letter, or capitals inside: no word of a sentence."""
    beside = re.search(r"[0-9=+/~]", value) and re.search("[A-Za-z]", value)
    return len(value) >= 20 or bool(beside or _CAPITALS_INSIDE.search(value))


def _scheme(match: re.Match[str]) -> str:
    """``Bearer`` and a token, but not "basic understanding"."""
    token = match[3].rstrip(".")
    basic = match[1].lower() == "basic"
    if (
        not _looks_random(token)
        or (basic and not _BASE64.fullmatch(token))
        or (token.isalpha() and token.islower())
    ):
        return match[0]
    return f"{match[1]}{match[2]}<SECRET>{match[3][len(token) :]}"


def _quoted(match: re.Match[str]) -> str:
    words = match[3].lower().split()
    if not words or words[0] in _NO_SECRET or len(words) > 6:
        return match[0]
    return f"{match[1]}{match[2]}<SECRET>{match[2]}"


def _named(match: re.Match[str]) -> str:
    name, between, quote, found = match.groups()
    value = found.rstrip(".:!?*|")
    following = match.string[match.end() : match.end() + 1]
    if not quote and following and following in "([{":  # a call or a lookup in code
        return match[0]
    if not value or not _is_secret(bool(_PASSWORD.search(name)), value, between, bool(quote)):
        return match[0]
    return f"{name}{between}{quote}<SECRET>{found[len(value) :]}"


def _is_secret(password: bool, value: str, between: str, quoted: bool) -> bool:
    low = value.lower()
    digit = any(char.isdigit() for char in value)
    if low in _NO_SECRET or (not quoted and not digit and _OF_A_NAME.search(low)):
        # `password=password`, `api_key=settings.api_key`, `${SECRET}`: a name for the secret, not the secret
        return False
    prose = " is" in between.lower()
    if password:
        return digit or not prose
    if len(value) < 6 or not any(char.isalpha() for char in value):
        return value.isdigit() and len(value) >= 16
    mixed = bool(_CAPITALS_INSIDE.search(value))
    return (
        digit or mixed or (not prose and len(value) >= 8 and (quoted or "=" in between or len(value) >= 16))
    )


def _keyed(match: re.Match[str]) -> str:
    """A bare ``key`` names a secret only beside 32 random characters that are no UUID (cache keys, object
    keys and slugs survive).
    """
    value = match[2]
    random = _HEX.fullmatch(value) or (
        re.search("[0-9]", value) and re.search("[a-z]", value) and re.search("[A-Z]", value)
    )
    return f"{match[1]}<SECRET>" if random else match[0]
