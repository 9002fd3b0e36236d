"""Samples and quotes of dead letters are redacted before they are cut, so no half of a secret stays."""

from __future__ import annotations

import base64
import json

import pytest

from monitor.ingest.failure_samples import TEXT_CHARS
from monitor.protocol.messages import FileRecord
from monitor.watch import Watch
from schemas.config.monitor_config import Config
from schemas.event_decoder import InvalidEvent, decode
from tests.monitor.event_values import event

CARD = "4111 1111 1111 1111"
MAIL = "jane.q.miller-1978@mail.example.com"


def sample_of(output: str) -> str:
    watch = Watch(Config())
    out = watch.apply([FileRecord(event(0, output=output, error_type="timeout"))])
    (text,) = (json.loads(message.value)["output"] for topic, message in out.order if topic == "samples")
    return text


@pytest.mark.parametrize("shift", range(0, 24, 3))
@pytest.mark.parametrize("secrets_before", [0, 20, 60])
def test_a_sample_has_no_half_of_a_card_number_at_its_cut(shift, secrets_before):
    shown = f"Write to {MAIL}. " * secrets_before
    for seen in (TEXT_CHARS, TEXT_CHARS + 280, TEXT_CHARS + 1024):
        text = shown + "x " * ((seen - len(shown) - shift) // 2) + f"card {CARD} " * 3
        kept = sample_of(text)
        assert "4111" not in kept
        assert len(kept) <= TEXT_CHARS


def test_a_sample_of_a_long_text_is_as_long_as_before():
    assert sample_of("word " * 2_000) == ("word " * 800)[: TEXT_CHARS - 1] + "…"
    assert sample_of("short") == "short"


@pytest.mark.parametrize(
    "fields",
    [
        {"event_id": [f"my card is {CARD}"]},
        {"kind": f"{MAIL} asked"},
        {"service": {"mail": MAIL}},
        {"time": "x" * 40 + f" {CARD} " + "y" * 100},
        {"time": [MAIL] * 5_000},
    ],
)
def test_the_error_of_a_record_quotes_its_value_redacted_and_cut(fields):
    value = json.dumps(json.loads(event(0)) | fields).encode()
    with pytest.raises(InvalidEvent) as refused:
        decode(value)
    assert "4111" not in str(refused.value)
    assert "miller" not in str(refused.value)
    assert len(str(refused.value)) < 400


def test_a_dead_letter_has_the_exact_bytes_for_reinjection():
    value = json.dumps({"kind": f"{MAIL} asked", "service": "s"}).encode()
    (message,) = Watch(Config()).apply([FileRecord(value)]).order
    letter = json.loads(message[1].value)
    assert base64.b64decode(letter["value"]) == value
    assert "miller" not in letter["error"]
