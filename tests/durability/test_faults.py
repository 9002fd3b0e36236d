"""Under faults of workers, broker and bundles, state and outputs equal those of one undisturbed run over the
topic.

The agent here only counts, so every event and every output is compared one by one.
"""

from __future__ import annotations

import json
import signal
import time

from tests.durability.undisturbed import PARTITIONS, disturbed_equals_undisturbed


def test_a_worker_that_resumes_after_its_session_changes_nothing(two_workers, counting):
    topics, workers, publisher = two_workers()
    for number in (1, 2):
        workers.send(number, signal.SIGSTOP)
        time.sleep(10)  # the session lasts 6 s: the other one takes over
        workers.send(number, signal.SIGCONT)
        time.sleep(5)
    publisher.finish()
    disturbed_equals_undisturbed(topics, workers, counting)
    assert "Fenced" in workers.log()


def test_a_stopping_worker_leaves_everything_durable(two_workers, counting):
    topics, workers, publisher = two_workers(checkpoint=60)
    publisher.finish()
    time.sleep(2)
    # what closes nothing and so waits for the next checkpoint: but for the last one, a minute
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
    time.sleep(8)
    workers.send(1, signal.SIGKILL)
    time.sleep(4)
    publisher.finish()
    disturbed_equals_undisturbed(topics, workers, counting)
    assert "gap in" in workers.log()
