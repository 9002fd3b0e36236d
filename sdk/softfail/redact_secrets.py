"""Redact secrets: private keys, logins in addresses, known formats, and values after names like ``password``."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

from softfail.redact_codes import redact_codes
from softfail.redact_vendors import has_format_part, has_webhook_part, redact_formats
from softfail.secret_names import BEHIND_NAME, PASSWORD_NAMES, has_name_stem, may_end_name, name_before
from softfail.secret_values import is_random, is_secret

_LEAST_WORD = 16  # no known format is shorter
_LEAST_RANDOM = 20
_LONG_VALUE = 256
_UUID = re.compile("[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

_PEM = re.compile(
    r"-----BEGIN[ A-Z0-9]{0,40}PRIVATE KEY[ A-Z]{0,12}-----"
    r"(?:(?:Proc-Type|DEK-Info|Version|Comment|Charset|Hash):[^\n\\]{0,200}|[A-Za-z0-9+/=\s\\])*+(?:-----END["
    r" A-Z0-9]{0,60}-----)?"
)
_PEM_END = re.compile(r"-----END[ A-Z0-9]{0,40}PRIVATE KEY[ A-Z]{0,12}-----")
_PEM_BODY = re.compile(r"[A-Za-z0-9+/=\s\\]{0,8192}")

_LOGIN = re.compile(
    r"://(?:([^\s/:@<>\"'?#]{0,64}):([^\s/<>\"'@]{1,200}(?:@[^\s/<>\"'@:]{0,64}(?=@))?)"
    r"|([0-9a-f]{32}))@(?=[\w\[${%-])"
)
_PLACEHOLDER = re.compile(
    r"[$%{\[(<*.]|pserver:|(?:your|my|the|db)?[_-]?(?:passw(?:or)?d?|pw|pwd|secret|token|pass|key|credentials?"
    r"|x{2,})\d?(?:here)?\Z|x{3,}|\*+|\.\.+",
    re.IGNORECASE,
)

_VALUE = re.compile(
    r"[ \t]{0,4}(?:\\?[\"'`]\]?[ \t]{0,3}(?::|=>|=)[ \t]{0,4})?(?:"
    r"(?P<escaped>\\[\"'])(?P<inner>[^\"'\\\n]{1,400})(?=\\[\"'])"
    r"|(?P<quote>[\"'`])(?P<quoted>(?:[^\"'`\\\n]|\\.|(?!(?P=quote))[\"'`]){1,400})(?=(?P=quote)|\Z|\n)"
    r"|(?P<bare>(?:[^\s\"'`<>,;&|\\]|[,;&](?=[^\s\"'`<>,;&|\\])(?![\w.-]{1,40}[ ]?[=:]))++))"
)
_HEADER = re.compile(
    r"authorization[\"']?[ \t]?[:=][ \t]{0,4}[\"']?([A-Za-z]{1,12}[ \t]{1,4})?([^\s\"'<>,;]{6,4096})",
    re.IGNORECASE,
)
_SCHEME = re.compile(r"(?<![A-Za-z0-9_])(bearer|basic)[ \t]{1,4}([A-Za-z0-9._~+/=|-]{8,4096})", re.IGNORECASE)
_SCHEMES = frozenset(
    {"bearer", "basic", "token", "digest", "negotiate", "apikey", "bot", "ssws", "key", "splunk"}
)
_COMMANDS = {
    "docker login": re.compile(r"docker login\b[^\n|;&]{0,200}?\s-p[ ]([^\s'\"]{4,200})"),
    "--": re.compile(
        r"--(?:password|passwd|pass|token|secret|api-?key|auth-?token|access-?token|client-secret"
        r"|secret-key)[ ]['\"]?([^\s'\"]{4,200})"
    ),
    "mysql": re.compile(r"mysql(?:dump|admin)?\b[^\n|;&]{0,200}?\s-p([^\s'\"-][^\s'\"]{3,200})"),
    "mariadb": re.compile(r"mariadb\b[^\n|;&]{0,200}?\s-p([^\s'\"-][^\s'\"]{3,200})"),
    "sshpass": re.compile(r"sshpass[ ]-p[ ]?['\"]?([^\s'\"]{4,200})"),
    "redis-cli": re.compile(r"redis-cli\b[^\n|;&]{0,100}?\s-a[ ]([^\s'\"]{4,200})"),
    "curl": re.compile(r"curl\b[^\n|;]{0,200}?\s(?:-u|--user)[ ]['\"]?[^\s:'\"]{1,64}:([^\s'\"]{4,200})"),
}

_ELEMENT = re.compile(
    r"<[\w.:-]{0,60}(?:password|passwd|pwd|secret|token|api_?-?key)(?:\s[^<>]{0,100})?>([^<>\"]{3,400})(?=</)",
    re.IGNORECASE,
)
_CONFIG_KEY = re.compile(
    r"key=\"[\w.:-]{0,60}(?:password|passwd|pwd|secret|token|apikey)\"\s{1,4}value=\"([^\"<>]{3,400})(?=\")",
    re.IGNORECASE,
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
    if "://" in text and "@" in text:
        text = _LOGIN.sub(_replace_login, text)
    lower = text.lower()
    has_name = has_name_stem(lower)
    redacted = _redact_long_words(text, lower if has_name else None)
    if redacted is not text:
        text, lower = redacted, redacted.lower()
        has_name = has_name_stem(lower)
    if len(lower) != len(text):  # a few letters grow
        lower = text
    if "uthorization" in text or "AUTHORIZATION" in text:
        text = _HEADER.sub(_replace_header, text)
    if "earer " in lower or "basic " in lower:
        text = _SCHEME.sub(_replace_after_scheme, text)
    if has_name:
        text = _redact_named(text)
    if "</" in text or "/>" in text:
        text = _CONFIG_KEY.sub(_replace_command, _ELEMENT.sub(_replace_command, text))
    text = redact_codes(text, lower)
    if "-" in text:
        for word, command in _COMMANDS.items():
            if word in text:
                text = command.sub(_replace_command, text)
    return text


def _redact_pem(text: str) -> str:
    text = _PEM.sub("<SECRET>", text)
    pieces, position = [], 0
    for end_line in _PEM_END.finditer(text):  # the tail of a text that was cut inside a key
        before_reversed = text[max(position, end_line.start() - 8192) : end_line.start()][::-1]
        body = _PEM_BODY.match(before_reversed)
        pieces += [text[position : end_line.start() - (body.end() if body else 0)], "<SECRET>"]
        position = end_line.end()
    return "".join([*pieces, text[position:]])


def _redact_long_words(text: str, lower: str | None) -> str:
    """Replace known formats in long words, and random words after "token" and the like.

    ``lower``: the text in lower case; None if it has no name of a secret.
    """
    words = [word for word in text.split() if len(word) >= _LEAST_WORD]
    if not words:
        return text
    may_be_webhook = has_webhook_part(text)
    may_be_format = may_be_webhook or has_format_part(text)
    if not may_be_format and lower is None:
        return text
    pieces: list[str] = []
    position = search_from = located = 0
    has_names = False if lower is None else None
    for number, word in enumerate(words):
        redacted = redact_formats(word, may_be_webhook) if may_be_format else word
        is_known = redacted is not word and redacted != word
        if not is_known:
            if has_names is False or len(word) < _LEAST_RANDOM:
                continue
            if not (is_random(word) or _UUID.fullmatch(word)):
                continue
            if has_names is None:
                has_names = _may_name(lower or "")
            if not has_names:
                continue
            redacted = "<SECRET>"
        for skipped in words[located:number]:
            search_from = text.find(skipped, search_from) + len(skipped)
        start = text.find(word, search_from)
        search_from, located = start + len(word), number + 1
        if not is_known and not name_before(text, start, spaced=True):
            continue
        pieces += [text[position:start], redacted]
        position = search_from
    return "".join([*pieces, text[position:]]) if pieces else text


def _may_name(lower: str) -> bool:
    """Return whether a text has the name of a token, key or password; faster than a look before each word."""
    return any(name in lower for name in (*PASSWORD_NAMES, "token", "secret", "credential", "key"))


def _redact_named(text: str) -> str:
    """Replace the values after the names of secrets: after = and :, after a quoted key, after "is"."""
    lower = text.lower()
    if len(lower) != len(text):  # a few letters grow
        lower = ""
    pieces: list[str] = []
    position = 0
    for match in _assignments(text, lower):
        separator = match.start()
        if separator < position or (lower and not may_end_name(lower, separator)):
            continue
        name = name_before(text, separator)
        if not name:
            continue
        value = _VALUE.match(text, match.end())
        if value is None:
            continue
        group = value.lastgroup if value.lastgroup in ("inner", "bare") else "quoted"
        start, end = value.span(group)
        kept = is_secret(
            name, value[group], text[match.start() : match.end()], group != "bare", text[end : end + 1]
        )
        if not kept:
            if end - start > _LONG_VALUE:  # read once, so that the time stays linear
                position = _skip(pieces, text, position, end)
            continue
        end = start + kept
        pieces += [text[position:start], "<SECRET>"]
        position = end
    return "".join([*pieces, text[position:]]) if pieces else text


_SEPARATOR_BEHIND_NAME = re.compile(rf"[:=%]{BEHIND_NAME}(?:(?<=%)3[AaDd]|(?<!%)(?:=|>|:)*)")
_SEPARATOR_OF_ALL = re.compile("[:=%\uff1aは是为為는은](?:(?<=%)3[AaDd]|(?<!%)(?:=|>|:)*)")
_VERB = re.compile(" (?:is|was|ist|est|es|lautet)(?=[ :])")


def _skip(pieces: list[str], text: str, position: int, end: int) -> int:
    pieces.append(text[position:end])
    return end


def _assignments(text: str, lower: str) -> Iterator[re.Match[str]]:
    """Yield what may stand between a name and its value, in order; in ASCII texts only behind the end of a name."""
    is_plain = lower != "" and lower.isascii()
    separators = (_SEPARATOR_BEHIND_NAME if is_plain else _SEPARATOR_OF_ALL).finditer(lower or text)
    if any(verb in text for verb in (" is ", " was ", " ist ", " es ", " est ", " lautet ")):
        return iter(sorted([*separators, *_VERB.finditer(text)], key=_start))
    return separators


def _start(match: re.Match[str]) -> int:
    return match.start()


def _replace_login(match: re.Match[str]) -> str:
    if match[2] and _PLACEHOLDER.match(match[2]):
        return match[0]
    return "://<SECRET>@"


def _replace_header(match: re.Match[str]) -> str:
    scheme, value = (match[1] or "").strip().lower(), match[2]
    if scheme and scheme not in _SCHEMES:
        return match[0]
    if not (is_random(value, least=6) or (scheme and not _PLACEHOLDER.match(value) and value != "<SECRET>")):
        return match[0]
    return match[0][: match.start(2) - match.start()] + "<SECRET>"


def _replace_after_scheme(match: re.Match[str]) -> str:
    """Replace the token after ``Bearer`` or ``Basic``, but leave "basic understanding"."""
    token = match[2].rstrip(".")
    if match[1].lower() == "basic":
        if not _is_login(token):
            return match[0]
    elif not is_random(token, least=8) and not (len(token) >= 20 and "." in token):
        return match[0]
    return match[0][: match.start(2) - match.start()] + "<SECRET>" + match[2][len(token) :]


def _is_login(token: str) -> bool:
    """Return whether a text is ``user:password`` in base64, as in a Basic header (RFC 7617)."""
    try:
        return b":" in base64.b64decode(token + "=" * (-len(token) % 4), validate=True)
    except (binascii.Error, ValueError):
        return False


def _replace_group(match: re.Match[str]) -> str:
    return match[0][: match.start(1) - match.start()] + "<SECRET>" + match[0][match.end(1) - match.start() :]


def _replace_command(match: re.Match[str]) -> str:
    if _PLACEHOLDER.match(match[1]) or match[1].startswith(("-", "<")) or match[1].isupper():
        return match[0]
    return _replace_group(match)
