"""Events of about 1 kB with real text: GPT-4's and GPT-3.5's answers of LLMDrift if they are there, else
generated English.
"""

from __future__ import annotations

import csv
import gzip
import json
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from softfail.partitioning import partition_of

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "llmdrift"
SERVICES, FEATURES = 6, 4  # 24 features
_TEXT = """the answer order parcel ships on monday and you can follow its way with number that we sent by mail please check address first because some
couriers return what they cannot deliver within three days if it does not arrive tell us we will send another one without cost"""
WORDS = _TEXT.split()

Row = tuple[str, str, str, float, int]
"""model, query, answer, seconds, tokens"""


def rows(rng: random.Random) -> tuple[list[Row], str]:
    """Calls to choose from, and where they come from."""
    if not DATA.is_dir():
        return [_generated(rng) for _ in range(2000)], "generated English"
    answers = {
        name: [_real(row) for row in _read(DATA / f"{name}.csv.gz")] for name in ("PRIME_FULL", "OPINIONQA")
    }
    # about two long answers to one short: together they come to about 1 kB an event
    return (
        answers["PRIME_FULL"] * 2 + answers["OPINIONQA"][: len(answers["PRIME_FULL"])],
        "LLMDrift's PRIME_FULL and OPINIONQA, GPT-3.5 and GPT-4",
    )


def _read(path: Path) -> Iterator[dict[str, str]]:
    csv.field_size_limit(1 << 30)
    with gzip.open(path, "rt", encoding="utf-8") as file:
        yield from csv.DictReader(file)


def _real(row: dict[str, str]) -> Row:
    return (
        row["model"].split("/")[-1],
        row["query"],
        row["answer"],
        float(row["latency"] or 0),
        int(row["answer_token"] or 0),
    )


def _generated(rng: random.Random) -> Row:
    answer = " ".join(rng.choices(WORDS, k=rng.randint(5, 160)))
    return (
        f"gpt-4-{rng.choice(('0314', '0613'))}",
        " ".join(rng.choices(WORDS, k=30)),
        answer,
        rng.lognormvariate(0, 0.6),
        len(answer) // 4,
    )


def messages(
    count: int, partitions: int, per_second: int, seed: int = 1
) -> Iterator[tuple[int, bytes, bytes]]:
    """(partition, key, value) of each event, in the order of event time, which ends now.

    Args:
        per_second: events a second of event time, over all features.
    """
    rng = random.Random(seed)
    calls, _ = rows(rng)
    names = [(f"service-{item}", f"feature-{two}") for item in range(SERVICES) for two in range(FEATURES)]
    places = {name: (partition_of(*name, partitions), f"{name[0]}/{name[1]}".encode()) for name in names}
    # Texts are escaped once, and event times written once a second: making events must not take longer than
    # measuring them.
    bodies = [_body(*call) for call in rng.sample(calls, min(len(calls), 5000))]
    start = time.time() - count / per_second
    for index in range(count):
        name = names[rng.randrange(len(names))]
        stamp = (
            time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(start + index // per_second))
            + f".{index % per_second * 1000 // per_second:03d}Z"
        )
        partition, key = places[name]
        head = f'{{"kind":"response","event_id":"{rng.getrandbits(64):016x}","time":"{stamp}","service":"{name[0]}","feature":"{name[1]}",'
        yield partition, key, (head + bodies[rng.randrange(len(bodies))]).encode()


def _body(model: str, query: str, answer: str, seconds: float, tokens: int) -> str:
    rest = {
        "environment": "production",
        "model": model,
        "prompt_version": "12",
        "provider": "openai",
        "response_model": model,
        "operation": "chat",
        "input": query,
        "output": answer,
        "input_chars": len(query),
        "output_chars": len(answer),
        "input_tokens": len(query) // 4,
        "output_tokens": tokens,
        "duration_s": round(seconds, 4),
        "finish_reason": "stop",
        "interaction": "async",
        "session_id": "7f3a2b10",
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    }
    return json.dumps(rest, ensure_ascii=False)[1:]


if __name__ == "__main__":
    sample = [value for _, _, value in messages(10_000, 16, 2000)]
    print(
        f"{rows(random.Random(1))[1]}; {sum(map(len, sample)) / len(sample):.0f} bytes an event",
        file=sys.stderr,
    )
