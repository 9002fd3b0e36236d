from __future__ import annotations

import ipaddress
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from softfail import redact, secret_names
from tests.softfail.redact_tables import CARDS, IBANS, OTHERS, PHONES, SECRETS
from tests.softfail.redact_tables import KEPT as REMAINING
from tests.tiers import examples

REPLACED = [
    ("write to ann.o'neil+tag@mail.example.co.uk please", "write to <EMAIL> please"),
    ("Müller: jörg@münchen.de", "Müller: <EMAIL>"),
    ("call +1 415 555 2671", "call <PHONE>"),
    ("call (415) 555-2671.", "call <PHONE>."),
    ("call 415-555-2671, 415.555.2671", "call <PHONE>, <PHONE>"),
    ("+442079460958 or 020 7946 0958", "<PHONE> or <PHONE>"),
    ("+49 (0)30 1234567", "<PHONE>"),
    ("phone: 4155552671", "phone: <PHONE>"),
    ("Call 1-800-555-0199 now", "Call <PHONE> now"),
    ("card 4111 1111 1111 1111 exp 12/27", "card <CARD> exp 12/27"),
    ("4111111111111111", "<CARD>"),
    ("378282246310005 and 5555-5555-5555-4444", "<CARD> and <CARD>"),
    ("4111 1111 1111 1111 123", "<CARD> 123"),
    ("DE89 3704 0044 0532 0130 00", "<IBAN>"),
    ("gb82west12345698765432", "<IBAN>"),
    ("FR14 2004 1010 0505 0001 3M02 606 BIC XYZ", "<IBAN> BIC XYZ"),
    ("IBAN: DE 89 3704 0044 0532 0130 00", "IBAN: <IBAN>"),
    ("to GB 29 NWBK 6016 1331 9268 19, or DE89370400440532013000", "to <IBAN>, or <IBAN>"),
    ("BE\xa068 5390 0754 7034", "<IBAN>"),
    ("SSN 123-45-6789.", "SSN <SSN>."),
    ("from 81.2.69.142:8080", "from <IP>:8080"),
    ("server 175.16.199.10 answers", "server <IP> answers"),
    ("ssn: 123456789", "ssn: <SSN>"),
    ("call 0171-1234567 or 030/901820", "call <PHONE> or <PHONE>"),
    ("81.2.69.0/24", "<IP>/24"),
    ("http://93.184.216.34/x", "http://<IP>/x"),
    ("[2001:4860:4860::8844]:443", "[<IP>]:443"),
    ("2a02:26f0::1ff:fe23:4567:890a.", "<IP>."),
    ("AKIAIOSFODNN7EXAMPLE", "<SECRET>"),
    ("sk-proj-abcdefghijklmnopqrstuvwx1234", "<SECRET>"),
    ("sk-ant-api03-abcdefghijklmnop-qrstuv_wx", "<SECRET>"),
    ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "<SECRET>"),
    ("xoxb-123456789012-abcdefABCDEF", "<SECRET>"),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abcDEF123_-x", "<SECRET>"),
    ("Authorization: Bearer abcdef123456", "Authorization: Bearer <SECRET>"),
    ("Authorization: Basic dXNlcjpwYXNz", "Authorization: Basic <SECRET>"),
    ("-H 'authorization: token abcdefghij'", "-H 'authorization: token <SECRET>'"),
    ("api_key=abcdef123456", "api_key=<SECRET>"),
    ("X-API-Key: 12345abcdef", "X-API-Key: <SECRET>"),
    ("password: hunter2", "password: <SECRET>"),
    ("my password is Tr0ub4dor&3", "my password is <SECRET>"),
    (
        '{"password": "hunter2", "client_secret":"abcDEFghi"}',
        '{"password": "<SECRET>", "client_secret":"<SECRET>"}',
    ),
    (r"{\"password\": \"hunter2\"}", r"{\"password\": \"<SECRET>\"}"),
    ('password = "correct horse battery staple"', 'password = "<SECRET>"'),
    ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "aws_secret_access_key = <SECRET>"),
    ("key: 9f86d081884c7d659a2feaa0c55ad015", "key: <SECRET>"),
    ("postgres://app:pw12@db/x", "postgres://<SECRET>@db/x"),
    (
        (
            "a\n-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMIIEabc+/=\nXX\n-----END RSA"
            " PRIVATE KEY-----\nb"
        ),
        "a\n<SECRET>\nb",
    ),
    ("see: -----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk", "see: <SECRET>"),
    ("abcMIIEx\nyz==\n-----END PRIVATE KEY----- then", "<SECRET> then"),
]

KEPT = [
    "driver 1.2.3.4",
    "ticket 123456789",
    "01/02/2026",
    "12/2026",
    "0.171-1234567",
    "2026-03-02T09:00:00.123456Z",
    "12:34:56",
    "03/02/2026",
    "01-02-2026",
    "2026 03 02 09 00",
    "1/2/2023 10:30",
    "1700000000",
    "1700000000000",
    "1700000000000000000",
    "$1,234,567.89",
    "10 000 000",
    "1 234 567 890",
    "3.14159265358979",
    "order 1234567890123456",
    "order 4111111111111112",
    "ORD-2024-000123456",
    "ISBN 978-3-16-148410-0",
    "zip 94105-1234",
    "v1.2.3.4",
    "version 1.2.3.4",
    "Chrome/120.0.0.0",
    "pkg==1.2.3.4",
    "Section 1.2.3.4",
    "999.1.1.1",
    "lodash@4.17.21",
    "550e8400-e29b-41d4-a716-446655440000",
    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "commit 1a2b3c4d",
    "max_tokens: 4096",
    "total_tokens: 12345",
    "token: str",
    "password: required",
    "password = getpass.getpass()",
    "secret = None",
    "api_key=os.environ['X']",
    "self.password = password",
    "key: user:1234:profile",
    "the token is invalid",
    "password: ${DB_PASSWORD}",
    "basic understanding of things",
    "bearer of good news",
    "Basic 2024-2025 plan",
    "std::vector<int> x[1::2] a::b",
    "@app.route('/x')",
    "git@github.com:a/b",
    "row 12 of 345 with 6789",
    "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16",
    "call me in 2024",
    "200 300 4000",
    "000-45-6789",
    "666-45-6789",
    "900-45-6789",
    "123-00-6789",
    "DE88 3704 0044 0532 0130 00",
    "<EMAIL> and password: <SECRET>",
]


@pytest.mark.parametrize(("text", "redacted"), REPLACED)
def test_personal_data_and_secrets_are_replaced(text: str, redacted: str) -> None:
    assert redact(text) == redacted


PLACEHOLDERS = {"<PHONE>": PHONES, "<CARD>": CARDS, "<IBAN>": IBANS, "<SECRET>": SECRETS}


@pytest.mark.parametrize(
    ("text", "part", "placeholder"),
    [(*example, placeholder) for placeholder, examples_ in PLACEHOLDERS.items() for example in examples_]
    + [(*example, "<") for example in OTHERS],
)
def test_each_format_of_a_document_is_replaced_whole_and_stays_replaced(
    text: str, part: str, placeholder: str
) -> None:
    redacted = redact(text)
    assert part in text
    assert part not in redacted
    assert placeholder in redacted
    assert redact(redacted) == redacted


@pytest.mark.parametrize("text", [*KEPT, *REMAINING])
def test_texts_that_only_resemble_personal_data_are_kept(text: str) -> None:
    assert redact(text) == text


PIECES = st.sampled_from([text for text, _ in REPLACED] + KEPT + [*'@.- :=1a<>\n"/+(', "token", "key"])


@settings(max_examples=examples(4))
@given(st.lists(PIECES | st.text(max_size=6), max_size=12).map("".join))
@example("x@y.com@z.com")
@example("password: bob@x.com token=+1 415 555 2671")
def test_redaction_is_idempotent(text: str) -> None:
    redacted = redact(text)
    assert redact(redacted) == redacted


@settings(max_examples=examples(2))
@given(st.text(st.characters(), max_size=300))
def test_redaction_accepts_any_string_even_lone_surrogates(text: str) -> None:
    assert isinstance(redact(text + "\ud83d"), str)


@given(st.integers(0, 10**15 - 1).map(lambda number: f"4{number:015d}"))
def test_a_number_of_sixteen_digits_is_a_card_only_with_a_valid_luhn_checksum(number: str) -> None:
    digits = [int(digit) for digit in number]
    total = sum(digits[-1::-2]) + sum(sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
    assert redact(f"no {number} ok") == ("no <CARD> ok" if total % 10 == 0 else f"no {number} ok")


def test_a_placeholder_is_no_name_of_the_number_after_it() -> None:
    assert redact("call 703-555-0166\n 133 112 255") == "call <PHONE>\n 133 112 255"
    assert redact("<CARD> 1234567890123456") == "<CARD> 1234567890123456"
    assert redact("<SSN> 219099999") == "<SSN> 219099999"


@pytest.mark.parametrize(
    "address", ["10.1.2.3", "127.0.0.1", "0.0.0.0", "192.0.2.17", "fe80::1ff:fe23:4567:890a", "::1"]
)
def test_a_switch_replaces_addresses_that_are_not_public_too(address: str) -> None:
    assert redact(f"from {address} on") == f"from {address} on"
    assert redact(f"from {address} on", all_ips=True) == "from <IP> on"


@given(st.integers(1, 2**32 - 2).map(ipaddress.IPv4Address))
def test_an_address_after_its_name_is_replaced_if_it_is_public(address: ipaddress.IPv4Address) -> None:
    public = address.is_global and not address.is_multicast
    assert redact(f"client {address} left") == ("client <IP> left" if public else f"client {address} left")


ADVERSARIAL = [
    "a@",
    "1",
    "1 ",
    "4 ",
    "a",
    "a-",
    ":",
    "a:",
    "1.",
    "@a.",
    "a@b.",
    "eyJ-",
    "eyJaaaaaaa.",
    "-----BEGIN PRIVATE KEY-----aaa",
    "aaaa-----END PRIVATE KEY-----",
    "password=",
    "password_",
    "api_key_",
    "bearer ",
    "+1 ",
    "(",
    "(415)",
    "tel 1",
    "://a:",
    "DE89 ",
    "DE89370400440532013000",
    "sk-",
    "-",
    " ",
    "authorization: bearer ",
    "01 23 ",
    "ffff:",
    'password: "a a a',
    "a@b.co ",
    "\\",
    "1-",
    "(1",
    "+1.",
    "1\u00a0",
    "%20",
    "%401",
    "a%40",
    "phone ",
    "phone 1 ",
    "call me at ",
    "card 4111 ",
    "4111.",
    "ssn ",
    "GB29 NWBK ",
    "aa11",
    "::",
    "1:",
    "a:a:",
    'key="',
    "token is ",
    "secret='a",
    "password:a,b=",
    "a;b",
    "://",
    "://a:b@",
    "@@",
    "curl -u a:",
    "mysql -p",
    "--token ",
    "code is 1234 ",
    "hooks.slack.com/services/",
    "eyJ.",
    "ghp_",
    "0123456789abcdef",
    "arn:",
    "x:secret:",
    "secret:)",
    "token=a.b",
    "sk-proj-",
    "a:b@",
    "Bearer a",
    "\u96fb\u8a71",
]


@pytest.mark.parametrize("piece", ADVERSARIAL)
def test_time_grows_linearly_with_the_text(piece: str) -> None:
    """Compare the CPU time of two sizes.

    Eight times the text may take eight times as long. A quadratic pattern would take 64 times as long.
    """

    def cpu_s(size: int) -> float:
        text = (piece * (size // len(piece) + 1))[:size]
        times_s = []
        for _ in range(3):  # the least: other processes make one time long
            start_s = time.process_time()
            redact(text)
            times_s.append(time.process_time() - start_s)
        return min(times_s)

    assert cpu_s(32_768) < 24 * cpu_s(4_096) + 0.05


def test_every_name_of_a_secret_has_a_stem_that_is_searched_first() -> None:
    for name in (*secret_names.PASSWORD_NAMES, *secret_names.KEY_NAMES):
        assert any(stem in name for stem in secret_names.NAME_STEMS), name
