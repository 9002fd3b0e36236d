"""Under faults of workers, broker and bundles, state and outputs equal those of an undisturbed run over the
topic.

The agent here only counts, so every event and every output is compared.
"""

from __future__ import annotations

import contextlib
import json
import signal
import time
from collections.abc import Iterator
from typing import Any

from tests.durability.undisturbed import PARTITIONS, disturbed_equals_undisturbed
from tests.polling import wait_until


@contextlib.contextmanager
def more_taken(workers: Any, number: int) -> Iterator[None]:
    """On exit, wait until the worker has taken a further partition since entry."""
    before = workers.taken(number)
    yield
    wait_until(lambda: workers.taken(number) > before, 60, f"worker {number} took no partition")


def test_a_worker_that_resumes_after_its_session_changes_nothing(two_workers, counting):
    topics, workers, publisher = two_workers()
    for number in (1, 2):
        wait_until(lambda: workers.taken(1) and workers.taken(2), 60, "one of them owns nothing")
        with more_taken(workers, 3 - number):  # the other worker takes over after the session
            workers.send(number, signal.SIGSTOP)
        with more_taken(workers, number):  # the zombie resumes
            workers.send(number, signal.SIGCONT)
    publisher.finish()
    disturbed_equals_undisturbed(topics, workers, counting)
    assert "Fenced" in workers.log()


def test_a_stopping_worker_leaves_everything_durable(two_workers, counting):
    topics, workers, publisher = two_workers(checkpoint=60)
    publisher.finish()
    time.sleep(2)
    # these records close nothing and wait for the next checkpoint: except the last, for a minute
    for partition in range(PARTITIONS):
        topics.send("events", json.dumps({"key": "quiet", "minute": 0}).encode(), partition)
    time.sleep(3)
    for number in (1, 2):
        began = time.monotonic()
        assert workers.retire(number) == 0
        assert time.monotonic() - began < 10
    disturbed_equals_undisturbed(topics, workers, counting)


def test_dropped_bundles_are_fetched_again(two_workers, counting):
    topics, workers, publisher = two_workers({"DROP_BUNDLES": "0.05"})
    wait_until(lambda: workers.log().count("gap in") > 3, 60, "no bundle was thrown away")
    with more_taken(workers, 1):
        workers.send(1, signal.SIGKILL)
    gaps = workers.log().count("gap in")
    wait_until(lambda: workers.log().count("gap in") > gaps, 60, "no bundle was thrown away again")
    publisher.finish()
    disturbed_equals_undisturbed(topics, workers, counting)
