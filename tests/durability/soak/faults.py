"""Faults of a running deployment. After each fault every worker is restarted, and broker and receiver run.

A fault takes the deployment and a seeded generator, and returns a short description for the progress line.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from agents.demo.fake_pagerduty import Fault as Treatment
from tests.durability.soak.fleet import Deployment

RECOVERY_S = 3.0  # mean time until processing continues, for which the next fault usually waits
# kafka.session_timeout: after this time without heartbeats a worker's partitions are reassigned
SESSION_S = 6.0


def kill(deployment: Deployment, rng: random.Random) -> str:
    """Kill a worker with SIGKILL; it is restarted."""
    number = rng.choice(deployment.workers.numbers())
    deployment.workers.send(number, signal.SIGKILL)
    return f"worker {number}"


def term(deployment: Deployment, rng: random.Random) -> str:
    """Stop a worker with SIGTERM; it is restarted."""
    number = rng.choice(deployment.workers.numbers())
    deployment.workers.send(number, signal.SIGTERM)
    return f"worker {number}"


def zombie(deployment: Deployment, rng: random.Random) -> str:
    """Suspend a worker for longer than its session; it resumes after its partitions were reassigned."""
    number, slept_s = rng.choice(deployment.workers.numbers()), rng.uniform(SESSION_S + 1, SESSION_S + 6)
    deployment.workers.send(number, signal.SIGSTOP)
    time.sleep(slept_s)
    deployment.workers.send(number, signal.SIGCONT)
    return f"worker {number} for {slept_s:.1f} s"


def rolling(deployment: Deployment, rng: random.Random) -> str:
    """Stop and restart all workers one after the other."""
    for number in deployment.workers.numbers():
        deployment.workers.restart(number)
        time.sleep(rng.uniform(1, 4))
    return "restart of all"


def join(deployment: Deployment, rng: random.Random) -> str:
    """Start another worker, then stop or kill it."""
    stayed_s, last = rng.uniform(5, 12), rng.choice((signal.SIGTERM, signal.SIGKILL))
    deployment.workers.start(3)
    time.sleep(stayed_s)
    deployment.workers.retire(3, last)
    return f"worker 3 for {stayed_s:.1f} s, until {last.name}"


def config(deployment: Deployment, rng: random.Random) -> str:
    """Add or remove a rule that never fires, then restart the workers one by one, so that two configurations
    overlap.
    """
    rules = [rule for rule in deployment.settings.get("rules", []) if rule["name"] != "never"]
    added = len(rules) == len(deployment.settings.get("rules", []))
    if added:
        never = {
            "name": "never",
            "on": "output_tokens.mean",
            "above": 1e9,
            "window": f"{10 * rng.randint(1, 30)}m",
            "severity": "warning",
        }
        rules = [*rules, never]
    deployment.settings["rules"] = rules
    rolling(deployment, rng)
    return f"rule {'added' if added else 'taken away'}"


def broker(deployment: Deployment, rng: random.Random) -> str:
    """Stop the broker, and start it after a pause."""
    return _broker(deployment, rng, signal.SIGTERM)


def broker_kill(deployment: Deployment, rng: random.Random) -> str:
    """Kill the broker, and start it after a pause."""
    return _broker(deployment, rng, signal.SIGKILL)


def _broker(deployment: Deployment, rng: random.Random, number: signal.Signals) -> str:
    down_s = rng.uniform(0.5, 5)
    deployment.broker.stop(number)
    time.sleep(down_s)
    deployment.broker.start()
    return f"{number.name}, {down_s:.1f} s down"


def transaction(deployment: Deployment, rng: random.Random) -> str:
    """Kill a worker while it has an open transaction in the state topic.

    A transaction is open while the last stable offset of a partition is below its end. At that moment all
    workers are suspended and one is killed. If the transaction is still open after the others resumed, it
    belonged to the killed worker.
    """
    from kafka import KafkaConsumer, TopicPartition

    topic = f"{deployment.prefix}.watch.state"
    tps = [TopicPartition(topic, number) for number in range(deployment.partitions)]
    consumers = {
        level: KafkaConsumer(
            bootstrap_servers=deployment.broker.address, isolation_level=level, enable_auto_commit=False
        )
        for level in ("read_committed", "read_uncommitted")
    }

    def is_open(partitions: list[Any]) -> list[Any]:
        # in this order: an end offset read first could be below the stable offset
        stable, ends = (
            consumers[level].end_offsets(partitions) for level in ("read_committed", "read_uncommitted")
        )
        return [tp for tp in partitions if stable[tp] < ends[tp]]

    def freeze(number: int) -> None:
        for worker in deployment.workers.numbers():
            deployment.workers.send(worker, number)

    try:
        for attempt in range(1, 40):
            deadline = time.monotonic() + 5
            while not is_open(tps):
                if time.monotonic() > deadline:
                    return "no transaction was seen open"
            freeze(signal.SIGSTOP)
            time.sleep(0.05)  # requests under way reach the broker
            if not (left := is_open(tps)):
                freeze(signal.SIGCONT)
                time.sleep(rng.uniform(0.05, 0.3))
                continue
            number = rng.choice(deployment.workers.numbers())
            deployment.workers.send(number, signal.SIGKILL)
            freeze(signal.SIGCONT)
            time.sleep(0.15)
            if is_open(left):
                return f"worker {number}, {left[0].partition} open (attempt {attempt})"
            time.sleep(rng.uniform(2, 4))
        return "no worker was hit in its transaction"
    finally:
        for consumer in consumers.values():
            consumer.close()


def drop_bundles(deployment: Deployment, rng: random.Random) -> str:
    """Drop a share of the bundles of a worker until some were dropped."""
    share, lasted_s, before = rng.uniform(0.02, 0.4), rng.uniform(2, 6), deployment.dropped()
    deployment.drop_share.write_text(f"{share:.2f}")
    deadline = time.monotonic() + 30
    time.sleep(lasted_s)
    while deployment.dropped() == before and time.monotonic() < deadline:
        time.sleep(0.5)
    deployment.drop_share.write_text("0")
    return f"{share:.0%} of one worker's, {deployment.dropped() - before} in all"


def nobody(deployment: Deployment, rng: random.Random) -> str:
    """Stop all workers, so that no partition is assigned for a while."""
    away_s, numbers = rng.uniform(10, 20), deployment.workers.numbers()
    for number in numbers:
        deployment.workers.retire(number, rng.choice((signal.SIGTERM, signal.SIGKILL)))
    time.sleep(away_s)
    for number in numbers:
        deployment.workers.start(number)
    return f"for {away_s:.1f} s"


def receiver(deployment: Deployment, rng: random.Random) -> str:
    """Let the receiver of pages refuse, close, hang, accept without a response, or be unreachable."""
    if rng.random() < 0.3:
        down_s = rng.uniform(3, 10)
        deployment.pager.down()
        time.sleep(down_s)
        deployment.pager.up()
        return f"down for {down_s:.1f} s"
    kinds = (
        Treatment("status", 429, (("Retry-After", "1"),)),
        Treatment("status", 500),
        Treatment("close"),
        Treatment("silence", delay_s=3),
        Treatment("close", taken=True),
        Treatment("status", 503, taken=True),
        Treatment("slow", delay_s=1),
    )
    treatments = rng.choices(kinds, k=rng.randint(1, 5))
    deployment.pager.receiver.faults.extend(treatments)
    return ", ".join(
        f"{item.kind}{' ' + str(item.status) if item.kind == 'status' else ''}{' taken' if item.taken else ''}"
        for item in treatments
    )


class Kind(NamedTuple):
    """Fault, its mean duration, and the pause after it: seconds, from and to."""

    do: Callable[[Deployment, random.Random], str]
    takes_s: float
    pause_s: tuple[float, float] = (1, 5)
    weight: int = 2


KINDS: dict[str, Kind] = {
    "kill": Kind(kill, 0, weight=6),
    "term": Kind(term, 0),
    "zombie": Kind(zombie, 9.5, (3, 8)),
    "rolling": Kind(rolling, 8),
    "join": Kind(join, 9),
    "config": Kind(config, 8, weight=1),
    "broker": Kind(broker, 7, (7, 10)),
    "broker-kill": Kind(broker_kill, 7, (7, 10)),
    "transaction": Kind(transaction, 5),
    "drop-bundles": Kind(drop_bundles, 4),
    "nobody": Kind(nobody, 16, weight=1),
    "receiver": Kind(receiver, 2),
}
"""Kinds that can follow each other in any order, and their frequencies in a mix."""

SHAPES: dict[str, str] = {
    "two": (
        "a second deployment with another prefix on the same broker, with faults of its own; both are"
        " compared"
    ),
    "recreate": (
        "at the end the events topic is deleted and made again: workers must end with 78, and go on after"
        " `state reset`"
    ),
}
"""Kinds that determine a whole run."""


def schedule(kinds: list[str], rng: random.Random, faults: int | None, length_s: float | None) -> list[str]:
    """Choose the names of the next faults: a number of them, or as many as fit into a duration.

    In a mix each kind occurs once before any is repeated.
    """
    enabled = [kind for kind in kinds if kind in KINDS]
    if not enabled:
        return []
    weights = [KINDS[kind].weight for kind in enabled]
    order = rng.sample(enabled, len(enabled))
    while faults is not None or length_s is not None:
        if faults is not None and len(order) >= faults:
            return order[:faults]
        if length_s is not None and duration_s(order) >= length_s:
            while len(order) > 1 and duration_s(order) > length_s:
                order.pop()
            return order
        order += rng.choices(enabled, weights)
    return order


def duration_s(names: list[str]) -> float:
    """Estimate the duration of these faults with their pauses."""
    return sum(KINDS[name].takes_s + RECOVERY_S + sum(KINDS[name].pause_s) / 2 for name in names)
