"""A run: start deployments, apply faults, wait until they are idle, and compare."""

from __future__ import annotations

import argparse
import collections
import contextlib
import time
from pathlib import Path
from typing import Any

from tests.durability.soak import oracle
from tests.durability.soak.corpus import Corpus
from tests.durability.soak.faults import KINDS, duration_s, schedule
from tests.durability.soak.fleet import Deployment, seeded
from tests.durability.soak.report import Comparison, TopicContents, compare_run

# the oracle is plain Python; two cores share broker, workers and publisher
MOST_EVENTS, MOST_RATE, CALM_RATE = 140_000, 600, 100
# seconds of event time per second: three pane edges in two seconds, ninety times as many as in production
FASTEST = 15.0
PARTITIONS = 4
QUIET_S, AFTER_S = 8.0, 10.0  # before the first fault, after the last fault
PATIENCE_S = 150.0  # without progress; the watchdog detects a stall within 60 s, and a restart may follow
# share of the faults that wait until processing continues after the previous fault, and for how long
WAITING, PROGRESS_S = 0.7, 30.0
SETTLE_S = 45.0  # for the last panes to close by the wall clock, and the last page to be sent


class Stalled(RuntimeError):
    """The workers did not read to the end."""


class Run:
    """A run, from the start of the broker to the table."""

    def __init__(self, options: argparse.Namespace, broker: Any, directory: Path) -> None:
        self.options, self.broker, self.directory = options, broker, directory
        self.began = time.monotonic()
        self.done: collections.Counter[str] = collections.Counter()
        rng = seeded(options.seed, "schedule")
        length_s = None if options.minutes is None else options.minutes * 60 - QUIET_S - AFTER_S
        self.plan = schedule(options.kinds, rng, options.faults, length_s)
        # the last part of a corpus has no faults
        self.length_s = (QUIET_S + duration_s(self.plan) + AFTER_S) / 0.85
        self.deployments: list[Deployment] = []

    def say(self, line: str) -> None:
        """Print a line of progress with the seconds since the start."""
        print(f"{time.monotonic() - self.began:7.1f}  {line}", flush=True)

    def deploy(self, name: str, seed: int, rate: float, workers: int) -> Deployment:
        """Start topics, publisher and workers under a prefix."""
        corpus = self.corpus(seed, rate)
        static = (1,) if seed % 2 == 0 else (1, 2)  # worker 3 is never static
        deployment = Deployment(
            self.broker,
            name,
            self.directory / name,
            corpus,
            partitions=PARTITIONS,
            rate=rate,
            static=static,
            dropping=workers if "drop-bundles" in self.options.kinds else 0,
        )
        self.deployments.append(deployment)
        for number in range(1, workers + 1):
            deployment.workers.start(number)
        deployment.publisher.start()
        self.say(f"{name}: {workers} workers, {rate:.0f} events/s for {self.length_s:.0f} s")
        return deployment

    def corpus(self, seed: int, rate: float) -> Corpus:
        """Make the corpus.

        Its time is so fast that the wall clock closes no pane, and so slow that a window has enough events.
        """
        return Corpus(seed, PARTITIONS, speed=min(FASTEST, rate / 6), length_s=self.length_s)

    def disturb(self) -> None:
        """Apply the scheduled faults, with pauses."""
        time.sleep(QUIET_S)
        for number, kind in enumerate(self.plan, 1):
            rng = seeded(self.options.seed, kind, number)
            deployment = rng.choice(self.deployments)
            if rng.random() < WAITING:
                self.await_progress(deployment)
                time.sleep(rng.uniform(0, 1))
            effect = KINDS[kind].do(deployment, rng)
            self.done[kind] += 1
            pause_s = rng.uniform(*KINDS[kind].pause_s)
            self.say(
                f"{number}/{len(self.plan)} {kind} of {deployment.prefix}: {effect}; pause {pause_s:.1f} s; exits"
                f" {dict(deployment.workers.exits)}"
            )
            time.sleep(pause_s)

    def await_progress(self, deployment: Deployment) -> None:
        """Return when a later checkpoint is durable, or after a timeout: faults during the start test
        little.
        """
        before, deadline = sum(deployment.positions().values()), time.monotonic() + PROGRESS_S
        while sum(deployment.positions().values()) <= before and time.monotonic() < deadline:
            time.sleep(0.2)

    def calm(self, deployment: Deployment) -> None:
        """Publish the rest of the corpus, wait until everything is read, then publish a little more.

        So no output depends on the wall clock.
        """
        deployment.pager.receiver.faults.clear()
        time.sleep(max(0.0, deployment.publisher.began + self.length_s - time.monotonic()))
        deployment.publisher.rate = CALM_RATE  # a worker that lags on a busy machine must be able to catch up
        self.await_position(deployment, "while it is published")
        self.say(f"{deployment.prefix}: the workers have caught up")
        time.sleep(3)
        if "drop-bundles" in self.options.kinds:
            # no bundle after the last bundle of a topic reveals the gap
            deployment.drop_share.write_text("0.3")
        deployment.publisher.finish()
        deployment.dropped_before_end = deployment.dropped()
        time.sleep(2)
        deployment.drop_share.write_text("0")
        self.await_position(deployment, "at the end")

    def await_position(self, deployment: Deployment, when: str) -> None:
        """Return when the state has reached the current end of the topic.

        A broker that does not answer in time, as on a busy machine, is no progress.

        Raises:
            Stalled: no position moves for longer than the patience.
        """
        from kafka.errors import KafkaTimeoutError

        ends, before, since = deployment.ends("events"), None, time.monotonic()
        positions: dict[int, int] = {}
        while True:
            with contextlib.suppress(KafkaTimeoutError):
                positions = deployment.positions()
            if all(positions.get(partition, 0) >= end for partition, end in ends.items()):
                return
            if positions != before:
                before, since = positions, time.monotonic()
            if time.monotonic() - since > PATIENCE_S:
                raise Stalled(
                    f"{deployment.prefix}, {when}: no progress for {PATIENCE_S:.0f} s, positions {positions}, ends"
                    f" {ends}"
                )
            time.sleep(1)

    def wait_until_equal(self, deployment: Deployment) -> Comparison:
        """Compare repeatedly until everything is equal or the timeout has passed."""
        events, sent_events = deployment.read("events"), deployment.publisher.sent_events()
        self.say(f"{deployment.prefix}: {len(events)} records read")
        expected = oracle.compute(events, deployment.corpus.settings(), PARTITIONS)
        self.say(
            f"{deployment.prefix}: the oracle has {len(expected.windows)} windows, {len(expected.episodes)} episodes"
        )
        outages = any(self.done[kind] for kind in ("broker", "broker-kill", "zombie", "nobody"))
        deadline = time.monotonic() + SETTLE_S
        while True:
            records_by_topic = {
                suffix: deployment.read(suffix) for suffix in ("windows", "deadletter", "alerts")
            }
            receiver = deployment.pager.receiver
            contents = TopicContents(
                events=events,
                incidents=receiver.incidents[deployment.incidents_before :],
                prefix=deployment.prefix,
                answers=list(receiver.answers),
                **records_by_topic,
            )
            comparison = compare_run(
                contents,
                expected,
                sent_events,
                deployment.publisher.failed,
                deployment.corpus.faults,
                outages,
            )
            self.say(f"{deployment.prefix}: compared, {len(comparison.wrong)} lines of differences")
            if not comparison.wrong or time.monotonic() > deadline:
                return comparison
            time.sleep(2)
