"""Stream of events to count, and the result of an undisturbed run."""

from __future__ import annotations

import collections
import json
import random
from typing import Any

PARTITIONS, FEATURES = 4, 24


def event(rng: random.Random, elapsed_s: float) -> tuple[bytes, bytes]:
    """Make an event: a new minute each second, some events up to five minutes late; some values are
    invalid.
    """
    key = f"f{rng.randrange(FEATURES)}"
    if rng.random() < 0.002:
        return key.encode(), rng.randbytes(50)
    minute = 5 + int(elapsed_s) - (rng.randrange(5) if rng.random() < 0.02 else 0)
    return key.encode(), json.dumps({"key": key, "minute": minute, "padding": "x" * 300}).encode()


def disturbed_equals_undisturbed(topics: Any, workers: Any, counting: Any) -> None:
    """Compare state, windows and dead letters with a new core over the records of the topic."""
    records, ends = topics.read("events")
    state = topics.await_positions(ends, patience_s=60)
    by_partition: dict[int, list[Any]] = collections.defaultdict(list)
    for record in records:
        by_partition[record.partition].append(record)
    expected, outputs = {}, collections.Counter()
    for partition, records_of_partition in by_partition.items():
        core = counting.Counts()
        for suffix, messages in core.apply(records_of_partition).messages.items():
            outputs.update((suffix, message.value) for message in messages)
        expected.update({(partition, key): value for key, value in core.changed()})
    got = collections.Counter(
        (suffix, record.value) for suffix in ("windows", "deadletter") for record in topics.read(suffix)[0]
    )
    wrong = {
        key: (state.get(key), expected.get(key))
        for key in state.keys() | expected.keys()
        if state.get(key) != expected.get(key)
    }
    print(
        f"{len(records)} events, {len(expected)} counts, {sum(got.values())} outputs; exits"
        f" {dict(workers.exits)}; restarts {workers.log().count('RESTART')}, gaps"
        f" {workers.log().count('gap in')}, fenced {workers.log().count('Fenced')}"
    )
    assert len(records) > 1000
    assert not wrong, (
        f"{len(wrong)} of {len(expected)} counts differ (got, expected): {dict(list(wrong.items())[:5])}"
    )
    assert got == outputs, f"outputs missing {outputs - got}, doubled {got - outputs}"
