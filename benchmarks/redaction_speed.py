"""Time that redaction takes for 1 kB of a text: prose, code, JSON, logs, e-mails, Chinese.

    python -m benchmarks.redaction_speed

The least time of several runs of each kilobyte counts, so that other processes disturb little.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from pathlib import Path

from benchmarks.markdown_table import print_table
from softfail import redact

ROOT = Path(__file__).resolve().parents[1]
CHARS = 1000
SIZE = 40_000  # characters of a kind


def texts() -> dict[str, str]:
    """Return a text of each kind; prose and code are files of this repository."""
    rng = random.Random(1)
    records = [
        {
            "id": number,
            "name": rng.choice(("Ann", "Bo")),
            "price": rng.random() * 100,
            "at": f"2026-03-0{number % 9 + 1}T10:00:00Z",
            "uuid": f"{rng.getrandbits(32):08x}-1111-4222-8333-{rng.getrandbits(48):012x}",
        }
        for number in range(400)
    ]
    return {
        "prose": (ROOT / "docs/semantics.md").read_text("utf-8"),
        "code": "".join(path.read_text("utf-8") for path in sorted((ROOT / "monitor/alerts").glob("*.py"))),
        "JSON: numbers, times, UUIDs": json.dumps(records),
        "settings: `name: value`": "\n".join(f"item_{n}: value_{n}, path=/usr/lib/x{n}.so; token_count: {n}" for n in range(800)),
        "logs: an address a line": "\n".join(
            f"2026-03-02T10:{n % 60:02d}:11Z INFO 82.165.{n % 250}.{n % 200 + 3} GET /orders/{n * 7919} {n * 13}ms trace={rng.getrandbits(64):016x}"
            for n in range(500)
        ),
        "e-mails: 3 addresses and a phone number a line": "\n".join(
            f"From: user{n}@example.com To: bob.{n}@mail.example.org Call me at +49 176 1234{n:04d} or mail x{n}@example.net."
            for n in range(500)
        ),
        "Chinese": "您的包裹已于星期四送达，请在应用中查看订单页面。如果您无法登录，请重置密码。" * 1000,
    }  # fmt: skip


def us_a_kb(text: str, runs: int) -> float:
    """Return microseconds for 1,000 characters: the least of several runs of each piece."""
    total_s = 0.0
    pieces = [text[start : start + CHARS] for start in range(0, len(text), CHARS)]
    for piece in pieces:
        times_s = []
        for _ in range(runs):
            begin = time.perf_counter()
            redact(piece)
            times_s.append(time.perf_counter() - begin)
        total_s += min(times_s)
    return total_s / len(text) * CHARS * 1e6


def main() -> None:
    """Print a row for each kind of text."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=12, help="of each piece")
    options = parser.parse_args()
    rows = [[kind, f"{us_a_kb(text[:SIZE], options.runs):.0f}"] for kind, text in texts().items()]
    print_table(["text", "µs a kB"], rows)


if __name__ == "__main__":
    main()
