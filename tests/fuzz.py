"""Feed a core with odd values by the million: no crash, each one counted or a dead letter with its reason.

    python -m tests.fuzz --values 10000000 --seed 1
    python -m tests.fuzz --values 10000000 --seed 1 --reading

Random bytes, mutated events, deep nesting, huge numbers, lone surrogates, doubled keys, impossible times,
foreign encodings, odd optional fields. A second reader of events (``tests/event_oracle.py``) says which values
are read and which of their fields are left out, and why: all counts must be equal. A short run is part of the
tests (``tests/monitor/ingest/test_fuzz.py``).
"""

from __future__ import annotations

import argparse
import collections
import json
import math
import random
import resource
import time
from collections.abc import Callable, Iterator
from typing import Any

from monitor.protocol.messages import FileRecord, Outputs
from monitor.watch import Watch
from schemas.config.monitor_config import Config
from schemas.event_decoder import InvalidEvent, decode, read_event
from softfail.partitioning import partition_of
from tests.event_oracle import FIELDS, Refused, left_out_of

BEGIN_S = 1_772_442_000  # 2 March 2026, 09:00 UTC
BUNDLE = 2000
PARTITIONS = 4
CONFIG = Config.model_validate(
    {
        "time": {"pane": "60s", "lateness": "30s"},
        "features": [{"match": "s1/*", "dimensions": ["region", "tier"]}],
    }
)
NAMES = [(f"s{item}", f"f{two}") for item in range(3) for two in range(8)]
HERE = [name for name in NAMES if partition_of(*name, PARTITIONS) == 0]

_TEXTS = (
    "",
    " ",
    "I'm sorry, but I can't help with that.",
    "\x00\x01\x1f",
    "é" * 40,
    "🙂" * 50,
    "\u202eabc",
    "a" * 5000,
    "{" * 2000,
    "[" * 2000,
    "la " * 1500,
    '{"a": [1, 2',
    "```json\n{}\n```",
    "nan",
    "<script>alert(1)</script>",
    "\ufeff",
    "\ufffd",
    "%s%n%d",
    "../../../etc/passwd",
    "\n" * 500,
)
_RAW = (
    b"1e400",
    b"-1e400",
    b"1e-400",
    b"9" * 400,
    b"-0",
    b"-0.0",
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"0x10",
    b"1_000",
    b"01",
    b"9223372036854775808",
    b"-9223372036854775809",
    b"18446744073709551616",
    b"0.1e",
    b"true",
    b"null",
    b"[]",
    b"{}",
    b'""',
    b'"\\ud800"',
    b'"\\udfff\\ud800"',
    b'"\\u0000"',
    b'"\xed\xa0\x80"',
    b'"\xff\xfe"',
    b"[" * 50 + b"]" * 50,
    b"[" * 3000 + b"]" * 3000,
    b'{"a":' * 500 + b"1" + b"}" * 500,
    b"[" * 100_000,
    b'"2026-03-02T09:00:60Z"',
    b'"2026-02-30T09:00:00Z"',
    b'"9999-12-31T23:59:59.999999999-23:59"',
    b'"0001-01-01T00:00:00Z"',
    b'"1969-12-31T23:59:59Z"',
    b'"2026-03-02T09:00:00"',
    b'"2026-03-02 09:00:00+00:00"',
    b'"2026-03-02T09:00:00.1234567891234Z"',
    b"1772442000",
    b'"' + b"x" * 300 + b'"',
)

# The first eight also begin names of dimensions.
_ODD: tuple[Any, ...] = (
    *("", " ", "k", "é", "\ud800", "x" * 256, "\U0001f642", "\udc00\ud83d"),
    *(0, 1, -1, 812.0, 812.5, -0.2, -0.5, -0.51, 2**53, 2**53 + 1, 10**9, 10**9 + 1, 10**30, 1e308, -0.0),
    *(math.inf, -math.inf, math.nan, True, False, None, [], {}, ["stop"], [None], {"reason": "stop"}),
    *("OK", " ok ", "Sync", "none", "BLOCKED", "model", "812", "true", "n/a", "x" * 257, "é" * 300),
    *("\ud83d\ude42", "a\udfffb", "2026-03-02T09:00:00Z", "2026-03-02T09:00:00", "\x00", 0.5, 1e-5, 5, 6, "stop"),
)  # fmt: skip


def event(rng: random.Random, at_s: float) -> dict[str, Any]:
    """Make a valid event of any kind."""
    kind = rng.choices(("response", "feedback", "evaluation", "meter"), (80, 8, 8, 4))[0]
    service, feature = rng.choice(NAMES if rng.random() < 0.1 else HERE)
    behind_s = rng.choices((rng.expovariate(0.05), 9000, -200, -4000), (96, 2, 1, 1))[0]
    fields: dict[str, Any] = {
        "kind": kind,
        "event_id": f"{rng.getrandbits(64):x}",
        "service": service,
        "feature": feature,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at_s - behind_s)),
    }
    if kind == "response":
        fields |= {
            "model": rng.choice("abc"),
            "output": rng.choice(_TEXTS),
            "input": rng.choice(_TEXTS),
            "input_tokens": rng.randrange(10 ** rng.randrange(1, 9)),
            "output_tokens": rng.randrange(1000),
            "duration_s": rng.expovariate(1),
            "sample_probability": rng.choice((1, 0.5, 0.013)),
            "finish_reason": rng.choice(("stop", "length", "")),
            "dimensions": {"region": rng.choice("ab")},
            "cost_usd": rng.random(),
        }
    elif kind == "feedback":
        fields |= {
            "response_id": "r",
            "accepted": rng.random() < 0.5,
            "rating": rng.randrange(6),
            "model": rng.choice(("a", "")),
        }
    elif kind == "evaluation":
        fields |= {
            "response_id": "r",
            "evaluator": rng.choice(("judge", "style")),
            "passed": rng.random() < 0.9,
            "score": rng.random(),
            "model": "a",
        }
    else:
        fields |= {
            "producer_id": "p",
            "started_at": "2026-03-02T08:00:00Z",
            "seen": 10,
            "sampled": 5,
            "sent": 5,
            "dropped": 0,
        }
    return fields


def _sound(rng: random.Random, at_s: float) -> bytes:
    return json.dumps(event(rng, at_s)).encode()


def _noise(rng: random.Random, at_s: float) -> bytes:
    return rng.randbytes(rng.randrange(1, 200))


def _bytes_changed(rng: random.Random, at_s: float) -> bytes:
    value = bytearray(_sound(rng, at_s))
    for _ in range(rng.randint(1, 4)):
        position = rng.randrange(len(value))
        match rng.randrange(4):
            case 0:
                value[position] = rng.randrange(256)
            case 1:
                del value[position : position + rng.randint(1, 30)]
            case 2:
                value[position:position] = rng.randbytes(rng.randint(1, 6))
            case _:
                value[position:position] = value[position : position + 40]
        if not value:
            break
    return bytes(value)


def _cut(rng: random.Random, at_s: float) -> bytes:
    value = _sound(rng, at_s)
    return value[: rng.randrange(len(value))]


def _field_replaced(rng: random.Random, at_s: float) -> bytes:
    """Replace one field, or add one of the same name, with raw bytes."""
    fields = event(rng, at_s)
    name = rng.choice(
        [
            *fields,
            "attempt",
            "stages_s",
            "tool_calls",
            "guardrail",
            "schema_version",
            "content_probability",
            "rating",
            "unknown",
        ]
    )
    if rng.random() < 0.3:
        return json.dumps(fields).encode()[:-1] + b',"' + name.encode() + b'":' + rng.choice(_RAW) + b"}"
    fields[name] = "@@"
    return json.dumps(fields).encode().replace(b'"@@"', rng.choice(_RAW), 1)


def _odd_fields(rng: random.Random, at_s: float) -> bytes:
    """Give several optional fields odd values, of which most cost the field only."""
    fields = event(rng, at_s)
    names = list(FIELDS[fields["kind"]])
    if rng.random() < 0.05:
        fields["kind"] = rng.choice(("Response", "METER", 7, ["meter"], None, ""))
    for name in rng.choices(names, k=rng.randint(1, 4)):
        if name in ("dimensions", "stages_s") and rng.random() < 0.8:
            entries = rng.choice((0, 1, 3, 3, 40))
            fields[name] = {
                f"{rng.choice(_ODD[:8])}{item}"[: rng.choice((1, 3, 300))]: rng.choice(_ODD)
                for item in range(entries)
            }
        else:
            fields[name] = rng.choice(_ODD)
    return json.dumps(fields, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")


def _label_replaced(rng: random.Random, at_s: float) -> bytes:
    """Replace names with random ones: the number of segments and features stays limited."""
    fields = event(rng, at_s)
    fields[rng.choice(("model", "prompt_version", "variant", "feature", "environment", "service"))] = (
        rng.choice((*_TEXTS[:8], f"{rng.getrandbits(24):x}"))[:256]
    )
    return json.dumps(fields, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")


def _other_json(rng: random.Random, at_s: float) -> bytes:
    return rng.choice(
        (
            *_RAW,
            b"\xef\xbb\xbf" + _sound(rng, at_s),
            _sound(rng, at_s).decode().encode("utf-16"),
            b"[" + _sound(rng, at_s) + b"]",
            _sound(rng, at_s) + b"\n" + _sound(rng, at_s),
            b"  " + _sound(rng, at_s) + b"\r\n\t ",
        )
    )


MAKERS: tuple[tuple[Callable[[random.Random, float], bytes], int], ...] = (
    (_sound, 35),
    (_noise, 5),
    (_bytes_changed, 20),
    (_cut, 5),
    (_field_replaced, 20),
    (_odd_fields, 20),
    (_label_replaced, 10),
    (_other_json, 5),
)


def values(rng: random.Random, count: int) -> Iterator[FileRecord]:
    """Yield this many records; event time and append time advance together, five hundred values a second."""
    makers, weights = [maker for maker, _ in MAKERS], [weight for _, weight in MAKERS]
    for offset in range(count):
        at_s = BEGIN_S + offset / 500
        value = rng.choices(makers, weights)[0](rng, at_s) if rng.random() > 0.001 else None
        yield FileRecord(
            value, offset, int(at_s * 1000), rng.choice((None, b"", b"s1/f1", b"\xff" * 9)), "events", 0
        )


def _meters(records: list[FileRecord], refused: dict[int, str]) -> int:
    """Count the readable meters in their own partition: they are accepted and not measured."""
    decoded = (
        decode(record.value or b"")
        for record in records
        if b"meter" in (record.value or b"") and record.offset not in refused
    )
    return sum(
        item.kind == "meter" and partition_of(item.service, item.feature, PARTITIONS) == 0 for item in decoded
    )


def _expected(records: list[FileRecord], letters: dict[int, str]) -> collections.Counter[str]:
    """Return how often each field is left out for each reason, as the second reader counts.

    Raises:
        AssertionError: it reads a value that is a dead letter, or refuses one that was read.
    """
    counts: collections.Counter[str] = collections.Counter()
    for record in records:
        error = letters.get(record.offset)
        try:
            left_out = left_out_of(record.value) if record.value is not None else None
        except Refused:
            assert error is not None, f"read, but refused by the second reader: {record.value!r:.2000}"
            continue
        if left_out is None:
            if error is None and record.value is not None:
                left_out = list(read_event(record.value)[1])
            else:
                continue
        elif error is not None:
            assert "ahead of the broker's clock" in error, f"{error}: {record.value!r:.2000}"
            continue
        if left_out:
            read = read_event(record.value or b"")[0]
            if partition_of(read.service, read.feature, PARTITIONS) == 0:
                counts.update(f"{field}.{reason}" for field, reason in left_out)
    return counts


def _total(core: Watch) -> collections.Counter[str]:
    partition_state, total = core.partition_state, collections.Counter[str]()
    total["dead-lettered"] = sum(partition_state.dead_letters.values())
    total["forwarded"] = partition_state.forwarded
    for feature in partition_state.features.values():
        total["measured"] += sum(feature.received.values())
        total["expired"] += feature.expired
    return total


def run(count: int, seed: int, say: Callable[[str], None] = print) -> dict[str, int]:
    """Apply all records; return the number of records per outcome.

    Raises:
        AssertionError: one is unaccounted for, an output is no JSON, or state does not come back as it was.
    """
    rng, core, began = random.Random(seed), Watch(CONFIG, 0, PARTITIONS), time.monotonic()
    source, done, meters = values(rng, count), 0, 0
    dropped: collections.Counter[str] = collections.Counter()  # of features that were let go
    state: dict[bytes, bytes] = {}
    while done < count:
        records = [record for _, record in zip(range(BUNDLE), source, strict=False)]
        before = _total(core)
        left_out_before = collections.Counter(core.partition_state.left_out)
        out = core.apply(records, None)
        letters = _checked(out)
        expected = _expected(records, letters)
        counted = collections.Counter(core.partition_state.left_out) - left_out_before
        assert counted == expected, f"left out: {counted - expected} too many, {expected - counted} missing"
        meters_now = _meters(records, letters)
        after = _total(core)
        rose = after["dead-lettered"] - before["dead-lettered"]
        assert rose == len(letters), f"{rose} dead letters counted, {len(letters)} written"
        new = sum(after.values()) - sum(before.values()) + meters_now
        assert new <= len(records), f"{new} accounted for of {len(records)}"
        dropped["let go with its feature"] += len(records) - new
        done, meters = done + len(records), meters + meters_now
        for key, value in core.changed():
            state.pop(key, None)
            if value is not None:
                state[key] = value
        if done % (BUNDLE * 250) == 0:
            say(
                f"{done:,} of {count:,} values, {done / (time.monotonic() - began):,.0f}/s,"
                f" {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB"
            )
    twin = Watch(CONFIG, 0, PARTITIONS)
    twin.restore(state.items())
    assert _total(twin) == _total(core), "restored otherwise than it was"
    assert sorted(map(repr, twin.measures())) == sorted(map(repr, core.measures())), (
        "measures differ after a restore"
    )
    counts = {
        **_total(core),
        "meters": meters,
        "reasons": len(core.partition_state.dead_letters),
        "values": count,
        **dropped,
    }
    counts["fields left out"] = sum(core.partition_state.left_out.values())
    counts["fields and reasons"] = len(core.partition_state.left_out)
    counts.update(
        {f"dead letter: {reason}": n for reason, n in sorted(core.partition_state.dead_letters.items())}
    )
    assert twin.partition_state.left_out == core.partition_state.left_out
    return counts


def run_reading(count: int, seed: int, say: Callable[[str], None] = print) -> dict[str, int]:
    """Read all values without a core, ten times as fast; compare each with the second reader.

    Raises:
        AssertionError: only one of them reads a value, or they leave out different fields.
    """
    counts: collections.Counter[str] = collections.Counter(values=count)
    fields: collections.Counter[tuple[str, str]] = collections.Counter()
    for number, record in enumerate(values(random.Random(seed), count), 1):
        value = record.value or b""
        try:
            found: list[tuple[str, str]] | None = list(read_event(value)[1])
        except InvalidEvent:
            found = None
        try:
            expected = left_out_of(value)
        except Refused:
            assert found is None, f"read, but refused by the second reader: {value!r:.2000}"
            counts["dead letters"] += 1
            continue
        if expected is None:  # parsers may differ: only the first reader is asked
            counts["not compared"] += 1
            continue
        assert found is not None, f"refused, but read by the second reader: {value!r:.2000}"
        assert sorted(found) == sorted(expected), f"{found} instead of {expected}: {value!r:.2000}"
        counts["events"] += 1
        fields.update(found)
        if number % 100_000 == 0:
            say(f"{number:,} of {count:,} values")
    counts["fields left out"] = fields.total()
    counts["fields and reasons"] = len(fields)
    return dict(counts)


def _checked(out: Outputs) -> dict[int, str]:
    """Return offset and error of the dead letters; check that every output is JSON in UTF-8 and every letter has
    a reason.
    """
    letters = {}
    for topic, message in out.order:
        record = json.loads(message.value.decode()) if topic != "events" else {}
        if topic == "deadletter":
            assert record["error"], record
            letters[record["offset"]] = record["error"]
    return letters


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Feed a core with values that nobody should send.")
    parser.add_argument("--values", type=int, default=100_000, metavar="N")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--reading", action="store_true", help="read events only, without a core")
    options = parser.parse_args()
    for name, n in (run_reading if options.reading else run)(options.values, options.seed).items():
        print(f"{name:28} {n:>12,}")


if __name__ == "__main__":
    main()
