from __future__ import annotations

import json
import random
import string
import uuid
from collections.abc import Callable

import pytest

from monitor.ingest.record_decoding import _PLAIN_ID, decode_record
from monitor.protocol.messages import FileRecord
from monitor.watch import Watch
from schemas.config.monitor_config import Config
from softfail import redact
from tests.tiers import by_profile


def _record(offset: int = 0, **fields: object) -> FileRecord:
    event = {
        "event_id": str(offset),
        "time": "2026-03-02T09:00:00Z",
        "service": "shop",
        "feature": "search",
        "model": "m",
        **fields,
    }
    return FileRecord(json.dumps(event).encode(), offset, None, None, "events", 0)


@pytest.mark.parametrize(
    "odd", [{}, {"duration_s": "slow"}], ids=["valid event", "event with a field left out"]
)
@pytest.mark.parametrize(
    ("fields", "name", "redacted"),
    [
        ({"error_type": "NoRoute: ann@example.org"}, "error_type", "NoRoute: <EMAIL>"),
        ({"finish_reason": "error: call +1 415 555 2671"}, "finish_reason", "error: call <PHONE>"),
        ({"error_type": "RateLimitError"}, "error_type", "RateLimitError"),
        ({"session_id": "ann@example.org"}, "session_id", "<EMAIL>"),
        ({"session_id": "tel +1 415 555 2671"}, "session_id", "tel <PHONE>"),
        ({"session_id": 4111111111111111}, "session_id", "<CARD>"),
        ({"session_id": "s" * 400}, "session_id", "s" * 256),
        (
            {"kind": "feedback", "response_id": "1", "outcome": "mailed bob@example.com"},
            "outcome",
            "mailed <EMAIL>",
        ),
    ],
)
def test_a_short_text_is_redacted_and_cut_when_it_is_decoded(
    fields: dict[str, object], name: str, redacted: str, odd: dict[str, object]
) -> None:
    event = decode_record(_record(**fields, **(odd if "kind" not in fields else {})))[0]
    assert getattr(event, name) == redacted


@pytest.mark.parametrize(
    "make",
    [
        lambda rng: "".join(rng.choices(string.ascii_letters + string.digits, k=rng.randint(1, 11))),
        lambda rng: "".join(rng.choices(string.digits, k=rng.randint(1, 11))),
        lambda rng: str(uuid.UUID(int=rng.getrandbits(128))),
    ],
    ids=["letters and digits", "digits", "UUID"],
)
def test_an_id_that_is_not_looked_at_is_one_that_redaction_leaves(
    make: Callable[[random.Random], str],
) -> None:
    rng = random.Random(17)
    for _ in range(by_profile(3000, 100_000)):
        text = make(rng)
        assert _PLAIN_ID.fullmatch(text)
        assert redact(text) == text


def test_equal_session_ids_stay_equal_and_plain_ones_stay_as_they_are() -> None:
    ids = ["u-17/ann@example.org", "u-18/ann@example.org", "conv_000123", str(uuid.UUID(int=7)), "chat 9"]
    first, second = ([decode_record(_record(session_id=id_))[0].session_id for id_ in ids] for _ in range(2))
    assert first == second
    assert first[:2] == ["u-17/<EMAIL>", "u-18/<EMAIL>"]
    assert first[2:] == ids[2:]


def test_neither_state_nor_outputs_have_the_address_of_an_error() -> None:
    core = Watch(Config.model_validate({}), 0, 0)
    records = [
        _record(
            offset,
            error_type=f"NoRoute: user{offset}@example.org",
            finish_reason=f"u{offset}@example.org",
            session_id=f"s{offset}@example.org",
        )
        for offset in range(50)
    ]
    outputs = [*core.apply(records).order, *core.finish().order]
    written = b"".join(message.value for _, message in outputs if message.value)
    state = repr(list(core.measures())) + repr(core.partition_state.features)
    assert b"NoRoute" in written
    assert b"@example.org" not in written
    assert "@example.org" not in state
    assert not any(b"@example.org" in key + (value or b"") for key, value in core.changed())
