"""Cheap checks come before the patterns of redaction; on generated texts both must have the same result."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from types import ModuleType

import pytest

from softfail import redact, redact_addresses, redact_phones, redact_secrets, redact_vendors
from tests.softfail.redact_tables import CARDS, IBANS, KEPT, OTHERS, PHONES, SECRETS
from tests.tiers import by_profile

_WORDS = (
    *(
        "password",
        "secret",
        "token",
        "api_key",
        "session id",
        "phone",
        "tel",
        "order",
        "code",
        "card",
        "version",
    ),
    *(
        "python",
        "host",
        "ip",
        "user",
        "at",
        "is",
        "=",
        ":",
        "->",
        ",",
        ";",
        "(",
        ")",
        "/",
        "-",
        "+",
        "@",
        '"',
        "\n",
    ),
    *(
        "\t",
        "\u2011",
        "%20",
        "eyJ",
        "sk-",
        "curl -u x:",
        "é",
        "пароль",
        "==",
        "v",
        "grew by",
        "a-",
        "_prod",
        "_1",
    ),
)


def _number(rng: random.Random) -> str:
    match rng.randrange(6):
        case 0:
            return "".join(rng.choice("0123456789") for _ in range(rng.choice((3, 7, 9, 10, 12, 16, 19))))
        case 1:
            return f"+{rng.choice((1, 44, 49, 33, 351))} {rng.randrange(10**9)}"
        case 2:
            return ".".join(str(rng.randrange(300)) for _ in range(4))
        case 3:
            return rng.choice("-/. ").join(str(rng.randrange(10 ** rng.choice((2, 3, 4)))) for _ in range(4))
        case 4:
            return f"{rng.getrandbits(128):032x}"
        case _:
            return f"{rng.random() * 100}"


def _texts(count: int) -> Iterator[str]:
    """Yield rows of words, numbers and the examples of the tables, with and without spaces between them."""
    rng = random.Random(3)
    examples = json.loads(json.dumps([CARDS, IBANS, KEPT, OTHERS, PHONES, SECRETS]))
    samples = list(_strings(examples))
    for _ in range(count):
        pieces = [
            rng.choice(samples) if rng.random() < 0.2 else rng.choice((_number(rng), rng.choice(_WORDS)))
            for _ in range(rng.randint(2, 14))
        ]
        yield rng.choice(("", " ", " ")).join(pieces)


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    else:
        assert isinstance(value, list | dict)
        for part in value.values() if isinstance(value, dict) else value:
            yield from _strings(part)


def _true(*values: object) -> bool:
    return True


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (redact_vendors, "_may_be_format"),
        (redact_vendors, "has_webhook_part"),
        (redact_secrets, "may_end_name"),
        (redact_secrets, "has_name_stem"),
        (redact_secrets, "has_webhook_part"),
        (redact_secrets, "has_format_part"),
    ],
)
def test_a_check_before_the_patterns_changes_no_result(
    module: ModuleType, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = list(_texts(by_profile(1500, 30_000)))
    results = [redact(text) for text in texts]
    monkeypatch.setattr(module, name, _true)
    assert [redact(text) for text in texts] == results


def test_separators_that_stand_behind_no_name_change_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(4)
    names = (
        *(
            "password",
            "token_1",
            "db-password-prod",
            "KEY__v2",
            "item_5",
            "my secret is",
            "apiKey",
            "assign",
            "count",
        ),
        *("session id ", "'pwd'", "cache_key", "max_tokens", "x-api-key_old", "-1", "_prod", "private key"),
    )
    values = (
        "Hunter2xyz9",
        "a1b2c3d4" * 4,
        "'s3cr3t word'",
        "4096",
        "None",
        "${TOKEN}",
        "Ab1Cd2Ef3Gh4Ij5Kl6Mn7",
    )
    separators = (":", "=", "==", ": ", " = ", "=>", "%3A", "%3d", " is ", '": "', "=:", ":=")
    texts = [
        " ".join(
            f"{rng.choice(names)}{rng.choice(separators)}{rng.choice(values)}"
            for _ in range(rng.randint(1, 4))
        )
        for _ in range(by_profile(4000, 60_000))
    ]
    results = [redact(text) for text in texts]
    monkeypatch.setattr(redact_secrets, "_SEPARATOR_BEHIND_NAME", redact_secrets._SEPARATOR_OF_ALL)
    assert [redact(text) for text in texts] == results
    assert sum("<SECRET>" in text for text in results) > 1000


@pytest.mark.parametrize(
    ("module", "name", "pattern"),
    [
        (redact_phones, "_is_named_otherwise", "_NO_PHONE_BEFORE"),
        (redact_phones, "_is_amount", "_AMOUNT_BEFORE"),
        (redact_addresses, "_is_version", "_VERSION_BEFORE"),
    ],
)
def test_the_last_letters_before_a_number_decide_only_that_no_pattern_matches(
    module: ModuleType, name: str, pattern: str
) -> None:
    check, expression = getattr(module, name), getattr(module, pattern)
    hits = 0
    for text in _texts(by_profile(4000, 60_000)):
        before = text[-24:].lower()
        assert check(before) == bool(expression.search(before)), before
        hits += check(before)
    assert hits > 20


def test_a_second_pass_that_is_left_out_would_change_nothing() -> None:
    for text in _texts(by_profile(2000, 60_000)):
        redacted = redact(text)
        assert redact(redacted) == redacted
