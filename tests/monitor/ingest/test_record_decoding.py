from __future__ import annotations

import json

import pytest

from monitor.ingest.record_decoding import decode_record
from monitor.protocol.messages import FileRecord
from monitor.watch import Watch
from schemas.config.monitor_config import Config


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
        (
            {"kind": "feedback", "response_id": "1", "outcome": "mailed bob@example.com"},
            "outcome",
            "mailed <EMAIL>",
        ),
    ],
)
def test_a_name_of_a_category_is_redacted_when_it_is_decoded(
    fields: dict[str, object], name: str, redacted: str, odd: dict[str, object]
) -> None:
    event = decode_record(_record(**fields, **(odd if "kind" not in fields else {})))[0]
    assert getattr(event, name) == redacted


def test_neither_state_nor_outputs_have_the_address_of_an_error() -> None:
    core = Watch(Config.model_validate({}), 0, 0)
    records = [
        _record(
            offset, error_type=f"NoRoute: user{offset}@example.org", finish_reason=f"u{offset}@example.org"
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
