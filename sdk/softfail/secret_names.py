"""Find the name of a secret before its value."""

from __future__ import annotations

import re

PASSWORD_NAMES = (
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "pwd",
    "passwort",
    "kennwort",
    "contraseña",
    "contrasena",
    "motdepasse",
    "senha",
    "wachtwoord",
    "hasło",
    "lösenord",
    "şifre",
    "пароль",
    "密码",
    "密碼",
    "パスワード",
    "비밀번호",
    "cvv",
    "cvc",
    "cvv2",
)
"""Ends of the names of passwords, without spaces, dashes and underscores. Any value of these is a secret."""

KEY_NAMES = (
    "secret",
    "token",
    "credential",
    "credentials",
    "apikey",
    "accesskey",
    "secretkey",
    "privatekey",
    "signingkey",
    "encryptionkey",
    "accountkey",
    "sharedkey",
    "masterkey",
    "clientkey",
    "licensekey",
    "authkey",
    "appkey",
    "webhookkey",
    "sharedaccesskey",
    "storagekey",
    "subscriptionkey",
    "connectionstring",
    "sig",
    "signature",
    "jwt",
    "authcode",
    "sessionid",
    "sessionkey",
    "accesskeyid",
    "secretaccesskey",
    "keysecret",
    "secretkeybase",
    "secretid",
    "authorization",
    "setcookie",
    "cliauth",
    "clave",
    "pass",
)
"""Ends of the names of keys and tokens. A value of these is a secret if it looks like one."""

NAME_STEMS = (
    *(
        "pass",
        "pwd",
        "kennwort",
        "contras",
        "senha",
        "wachtwoord",
        "hasło",
        "lösenord",
        "şifre",
        "пароль",
        "密码",
        "密碼",
    ),
    *(
        "パスワード",
        "비밀번호",
        "cvv",
        "cvc",
        "secret",
        "token",
        "credential",
        "key",
        "string",
        "sig",
        "jwt",
        "auth",
        "session",
    ),
    "cookie",
    "clave",
)
"""A part of each name above, also where it is written with separators; searched first, because that is fast."""

_NO_NAME_BEFORE_KEY = frozenset(
    re.findall(
        "[a-z0-9]+",
        "cache primary foreign sort partition idempotency lookup row public hash s3 storage dedup"
        " deduplication routing message map object dict json sorted unique composite natural surrogate hot"
        " config bucket grouping group join index sha sha1 sha256 md5 etag checksum commit digest page"
        " next cursor continuation pagination csrf eos bos pad mask unk start end stop cls sep special",
    )
)

_SUFFIX_WORDS = re.findall(
    "[a-z]+",
    "prod production dev test staging stage live main new old value val plain default backup primary"
    " secondary eu us ci",
)
_SUFFIX = re.compile(f"[0-9]{{1,4}}|v[0-9]{{1,2}}|{'|'.join(_SUFFIX_WORDS)}")

_ENDS = frozenset(name[-3:] for name in (*PASSWORD_NAMES, *KEY_NAMES, "key"))

_VERBS = (" is", " was", " ist", " est", " es", " lautet")

_RESOURCE_NAME = re.compile(r"\b[au]rn:[^\s\"'<>]{1,190}\Z")


_ASCII_STEMS = tuple(stem for stem in NAME_STEMS if stem.isascii())
_LAST_OF_VERBS = frozenset({" is", "was", "ist", "est", " es", "tet"})
_MOST_SUFFIX = len("_production")


def _behind_name() -> str:
    """Return a pattern that holds behind a separator if ``name_before`` may find a name before it.

    A separator is one character, the text is ASCII in lower case.
    """
    ends = "|".join(sorted({end for end in _ENDS if end.isascii() and len(end) == 3} | _LAST_OF_VERBS))
    forms = {1: "[0-9]", 2: "[0-9]{2}|v[0-9]", 3: "[0-9]{3}|v[0-9]{2}", 4: "[0-9]{4}"}
    for word in _SUFFIX_WORDS:
        forms[len(word)] = f"{forms[len(word)]}|{word}" if len(word) in forms else word
    suffixes = "".join(
        rf"|(?<=[_-](?:{form}).)(?<=(?:{ends}|..[ _-])[_-].{{{length + 1}}})"
        for length, form in forms.items()
    )
    return rf"(?:(?<![^\W_].)|(?<=(?:{ends}).){suffixes})"


BEHIND_NAME = _behind_name()
_BEFORE_SUFFIX = frozenset(("", " ", "_", "-"))


def has_name_stem(lower: str) -> bool:
    """Return whether a text in lower case may have the name of a secret."""
    for stem in _ASCII_STEMS if lower.isascii() else NAME_STEMS:  # noqa: SIM110  # any() takes twice as long
        if stem in lower:
            return True
    return False


def may_end_name(lower: str, end: int) -> bool:
    """Return whether the name of a secret may end at a position; faster than ``name_before``.

    Args:
        lower: a text in lower case.
        end: position of the separator.
    """
    last = lower[end - 3 : end]
    if last in _ENDS or last[-2:] in _ENDS or last in _LAST_OF_VERBS or not last or not last[-1].isalnum():
        return True
    least = max(0, end - _MOST_SUFFIX)
    suffix = max(lower.rfind("_", least, end), lower.rfind("-", least, end))
    if suffix < 0:
        return False
    base = lower[max(0, suffix - 3) : suffix]
    return base in _ENDS or base[-1:] in _BEFORE_SUFFIX


def name_before(text: str, end: int, *, spaced: bool = False) -> str:
    """Return the name of a secret that ends at a position, as one of the tables has it; "" if there is none.

    Args:
        text: any text.
        end: position of the separator.
        spaced: whether only a space separates the name from the value. Then ``key`` alone is no name.
    """
    before = text[end - 40 if end > 40 else 0 : end].rstrip(" \t\"'`]\\*_").lower()
    suffix = 0
    if before[-3:] not in _ENDS and before.endswith(_VERBS):  # "password is: ..."
        before = before.rpartition(" ")[0]
    if before[-3:] not in _ENDS and before[-2:] not in _ENDS:  # 密码 has two characters
        suffix = max(before.rfind("_"), before.rfind("-")) + 1
        base = before[: suffix - 1].rstrip(" _-")[-3:]
        if not suffix or base not in _ENDS or not _SUFFIX.fullmatch(before, suffix):
            return ""  # else password_1, DB_PASSWORD_PROD
    name = before[-32:].replace("_", "").replace("-", "").replace(" ", "")
    key_name = table_name(name)
    if not key_name and suffix:
        key_name = table_name(before[: suffix - 1].replace("_", "").replace("-", "").replace(" ", ""))
    if (not key_name and before[-3:] != "key") or _RESOURCE_NAME.search(text, max(0, end - 200), end):
        return ""
    if spaced:
        return (
            key_name
            if key_name in ("token", "secret", "password", "apikey", "credential", "authtoken")
            else ""
        )
    if key_name == "pass" and not before.endswith("_pass") and text[end - 4 : end] == "PASS":
        return ""  # PASS: test-1
    if key_name in ("sig", "pass", "signature") and before[-len(key_name) - 1 : -len(key_name)].isalnum():
        return ""  # assign=, bypass=
    if key_name in ("token", "signature", ""):
        words = re.findall("[a-z0-9]+", before)
        if key_name and len(words) > 1 and words[-2] in _NO_NAME_BEFORE_KEY:
            return ""
        if (
            not key_name
            and words
            and words[-1] == "key"
            and not (len(words) > 1 and words[-2] in _NO_NAME_BEFORE_KEY)
        ):
            return "key"
    return key_name


def table_name(name: str) -> str:
    """Return the entry of the tables that a name without separators ends with; "" if there is none."""
    if name.endswith(PASSWORD_NAMES):
        return "password"
    if name.endswith(KEY_NAMES):
        for known in ("apikey", "token", "secret", "signature", "sig", "pass", "credential"):
            if name.endswith(known):
                return known
        return "secretkey"
    return ""
