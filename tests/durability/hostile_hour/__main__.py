"""Everything hostile at once, on a real Kafka: ``python -m tests.durability.hostile_hour --minutes 60``.

Two workers of the default configuration. Beside a healthy feature and some that fail in turn come floods, batches that are
bombs, records that end the process, junk on every topic, labels and features that never repeat, hostile HTTP,
`kill -9` of workers and notifier, and restarts of the broker. Prints what came and what was counted, and exits
with 1 if a law is broken: counts and dead letters are exact; each failure pages within three minutes, and
nothing else does; the memory of a worker is bounded; a web page of another name reads nothing.

Every ten minutes another feature fails in another way (``plan.FAILURES``): a failure that returned within an hour
would be part of the page before, which then stays open for an hour (decision 24). So all six of an hour ring.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests import kafka_launcher
from tests.conftest import Topics
from tests.durability.hostile_hour import account, attacks
from tests.durability.hostile_hour.attacks import Attack, Scene
from tests.durability.hostile_hour.clock import SettableClock
from tests.durability.hostile_hour.commands import command_faults
from tests.durability.hostile_hour.hostile_http import HostileHttp
from tests.durability.hostile_hour.memory import MemoryObserver
from tests.durability.hostile_hour.plan import FAILURE_MIN, failures_of
from tests.durability.hostile_hour.traffic import CALLS_A_MINUTE, FLOOD, HEALTHY, LABELS, Traffic
from tests.durability.hostile_hour.worker import CORES, CORES_S, PARTITIONS
from tests.durability.real_time import ROUTING_KEY, Receiver, publish_history, receiver
from tests.durability.soak.workers import Workers

ROOT = Path(__file__).parents[3]
PREFIX = "softfail"
WARM_MIN = 90.0  # healthy traffic before the run
WARM_S = 60.0  # to publish and to read it
# of a worker: 200, 80 kB for each of 5,000 features of one event, 100 for a bomb (docs/operations.md, Sizing)
MOST_MB = 700.0
LEAST_MIN = 8.0  # of a run
PATIENCE_S = 300.0  # until everything that was published is counted


class Run:
    """A run: workers, traffic, attackers, and what came of them."""

    def __init__(self, directory: Path, broker: kafka_launcher.Kafka, pager: Receiver, seed: int) -> None:
        self._pager, self._seed, self._directory, self._broker = pager, seed, directory, broker
        self._ports = {number: kafka_launcher.free_port() for number in (1, 2)}
        clock = SettableClock(directory)
        environment = {"PAGERDUTY_ROUTING_KEY": ROUTING_KEY} | clock.environment
        self.workers = Workers(directory, self._command, environment)
        self.traffic = Traffic(broker.address, PREFIX, seed)
        self.memory = MemoryObserver(self.workers, self.say)
        self.https = [HostileHttp(port) for port in self._ports.values()]
        self.periods: list[account.Period] = []
        self.attacks: dict[str, int] = {}
        self.faults: list[str] = []
        self._scene = Scene(broker, PREFIX, PARTITIONS, self.workers, self._ports, self.traffic, clock)
        self._done, self._print = threading.Event(), threading.Lock()
        self._turn = threading.Lock()  # of attacks that need the broker
        self._start_s = 0.0

    def _command(self, number: int) -> list[str]:
        path = self._directory / f"softfail{number}.yaml"
        settings = {
            "kafka": {"brokers": self._broker.address, "prefix": PREFIX, "partitions": PARTITIONS},
            "http": {"port": self._ports[number]},
            "channels": {"pagerduty": {"routing_key": "${PAGERDUTY_ROUTING_KEY}", "url": self._pager.url}},
        }
        path.write_text(json.dumps(settings, indent=1))
        return [sys.executable, "-m", "tests.durability.hostile_hour.worker", "--config", str(path)]

    @property
    def minute(self) -> float:
        """Minutes since the start."""
        return (time.time() - self._start_s) / 60

    def say(self, line: str) -> None:
        """Print a line with the minute."""
        with self._print:
            print(f"{self.minute:6.1f}  {line}", flush=True)

    def go(self, minutes: float) -> None:
        """Run it, and compare."""
        self._command(1)
        subprocess.run(
            [sys.executable, "-m", "agents", "topics", "--config", str(self._directory / "softfail1.yaml")],
            cwd=ROOT,
            check=True,
            env={**os.environ, "PAGERDUTY_ROUTING_KEY": ROUTING_KEY},
            stdout=subprocess.DEVNULL,
        )
        self._start_s = self._pager.start_s = time.time() + WARM_S
        periods = failures_of(minutes)
        features = (HEALTHY, *(period.feature for period in periods))
        before = publish_history(
            self._broker.address, PREFIX, features, self._start_s, minutes=WARM_MIN, a_minute=CALLS_A_MINUTE
        )
        self.traffic.sent.update(dict.fromkeys(features, before // len(features)))
        self.say(f"{before} calls of the {WARM_MIN:g} minutes before")
        self.traffic.rates = dict.fromkeys(features, CALLS_A_MINUTE / 60) | {LABELS: 5.0, FLOOD: 1.0}
        self.traffic.start()
        self.workers.start(1)
        self.workers.start(2)
        self.memory.start()
        time.sleep(max(0.0, self._start_s - time.time()))
        attackers = [
            threading.Thread(target=self._attack, args=(attack, minutes), daemon=True)
            for attack in attacks.ATTACKS
        ]
        for thread in (*attackers, *self.https):
            thread.start()
        self._fail(periods, minutes)
        self._done.set()
        for thread in attackers:
            thread.join(60)
        for http in self.https:
            http.stop()
        ended = self.minute
        self.traffic.finish()
        self.say("published; waiting until all is counted")
        self._compare(ended)
        self.memory.stop()

    def _attack(self, attack: Attack, minutes: float) -> None:
        name = attack.make.__name__
        draw = random.Random(f"{name} {self._seed}")
        interval_s = min(attack.interval_s, minutes * 60 / (attacks.LEAST + 1))
        wait_s = interval_s * draw.uniform(0.3, 1)
        # the last one early enough to be over at the end
        while not self._done.wait(wait_s) and self.minute < minutes - min(2.0, minutes / 5):
            with self._turn if attack.needs_broker else contextlib.nullcontext():
                try:
                    line = attack.make(self._scene, draw)
                except Exception as error:  # noqa: BLE001 - reported as a fault of the run
                    self.faults.append(f"{name} failed: {error!r}")
                    line = repr(error)
            self.attacks[name] = self.attacks.get(name, 0) + 1
            self.say(f"{name}: {line}")
            wait_s = interval_s * draw.uniform(0.5, 1.5)

    def _fail(self, periods: Sequence[account.Period], minutes: float) -> None:
        """Let the features of the plan fail one after the other."""
        for period in periods:
            self._wait(period.begin)
            self.periods.append(period)
            self.say(f"{period.feature}: {period.fault} for {FAILURE_MIN:g} min")
            self.traffic.faults[period.feature] = period.fault
            self._wait(period.end)
            del self.traffic.faults[period.feature]
            self.say(f"{period.feature}: healthy")
        self._wait(minutes)

    def _wait(self, minute: float) -> None:
        time.sleep(max(0.0, (minute - self.minute) * 60))

    def _features(self) -> list[str]:
        """Return the features that are compared one by one."""
        return [HEALTHY, *(period.feature for period in self.periods), FLOOD, LABELS]

    def _compare(self, ended: float) -> None:
        topics = Topics(self._broker.address, PREFIX, PARTITIONS)
        sent, total = self.traffic.sent, self.traffic.sent.total()
        single = {name: sent[name] for name in self._features()}
        deadline_s = time.monotonic() + PATIENCE_S
        while True:
            counted = account.Counted.from_windows(topics.read("windows")[0])
            places = account.letters(topics.read("deadletter")[0], f"{PREFIX}.events")
            faults = [
                *account.count_faults(counted, single, self.traffic.failed, total),
                *account.letter_faults(places, self.traffic.junk),
            ]
            if not faults or time.monotonic() > deadline_s:
                break
            time.sleep(2)
        self.say(f"{total} calls and {len(self.traffic.junk)} dead letters compared")
        model = self._pager.model
        rings = [ring for ring in model.rings if ring.minute <= ended]
        tickets = [ring for ring in model.tickets if ring.minute <= ended]
        self.faults += [*faults, *account.page_faults(rings, tickets, self.periods), *self._other_faults()]
        self.faults += command_faults(self._directory)
        self._table(counted, rings, tickets)

    def _other_faults(self) -> Iterator[str]:
        if self.traffic.lost:
            yield f"the publisher lost {len(self.traffic.lost)}: {self.traffic.lost[:3]}"
        if self.memory.peak_mb["worker"] > MOST_MB:
            yield f"a worker took {self.memory.peak_mb['worker']:.0f} MB, more than {MOST_MB:.0f}"
        if (cores := self._most_cores()) > PARTITIONS:
            yield f"a worker had {cores} cores of {PARTITIONS} partitions in memory for {CORES_S:g} s"
        for http in self.https:
            wrong = {
                f"{name} {status}": number
                for (name, status), number in http.statuses.items()
                if (status >= 500 and name != "healthz") or (name == "wrong host" and status != 403)
            }
            if wrong:
                yield f"answers to hostile requests: {wrong}"
        if self.workers.misconfigured:
            yield f"workers ended with 78: {self.workers.misconfigured}"

    def _most_cores(self) -> int:
        lines = self.workers.log().splitlines()
        return max((int(line.removeprefix(CORES)) for line in lines if line.startswith(CORES)), default=0)

    def _table(self, counted: account.Counted, rings: Sequence[object], tickets: Sequence[object]) -> None:
        log = self.workers.log()
        sent, failed = self.traffic.sent, self.traffic.failed
        print("\n| feature | published | in windows | failed | in windows |\n|---|---|---|---|---|")
        for name in self._features():
            print(
                f"| {name} | {sent[name]:,} | {counted.calls[name]:,} | {failed[name]:,} |"
                f" {counted.failed[name]:,} |"
            )
        print(f"| all | {sent.total():,} | {counted.calls.total():,} | {failed.total():,} | |")
        print(
            "\n| failure | feature | began, minute | rang after, min | resolved, min after its end |"
            "\n|---|---|---|---|---|"
        )
        for period in self.periods:
            rung = "never" if period.rung is None else f"{period.rung - period.begin:.1f}"
            over = "open" if period.over is None else f"{period.over - period.end:.1f}"
            print(f"| {period.fault} | {period.feature} | {period.begin:.1f} | {rung} | {over} |")
        print(f"\nattacks: {self.attacks}; junk: {len(self.traffic.junk):,} records")
        print(f"exits: {dict(self.workers.exits)}; restarts: {log.count('RESTART')}")
        print(
            f"peak memory, MB: { {role: round(mb) for role, mb in self.memory.peak_mb.items()} };"
            f" cores in memory: {self._most_cores()}"
        )
        for number, http in enumerate(self.https, 1):
            probes = sorted(http.probes_s) or [0.0]
            print(
                f"probes of worker {number}: {len(probes)}, median {statistics.median(probes):.3f} s,"
                f" 99th percentile {probes[int(0.99 * (len(probes) - 1))]:.2f} s, worst {probes[-1]:.2f} s,"
                f" unanswered {http.unanswered}; hostile: {dict(http.statuses)}"
            )
        for kind, listed in (("page", rings), ("ticket", tickets)):
            for ring in listed:
                print(f"{kind}, minute {ring.minute:.1f} to {ring.over}: {ring.key}: {ring.text}")  # type: ignore[attr-defined]


def main(argv: Sequence[str] | None = None) -> int:
    """Run it; return 0 if all laws hold, 1 if one is broken, 2 if this machine cannot run Kafka."""
    parser = argparse.ArgumentParser(prog="python -m tests.durability.hostile_hour", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0, help="length of the attack (default: 60)")
    parser.add_argument("--seed", type=int, default=1, help="of the order of the attacks")
    parser.add_argument("--keep", action="store_true", help="keep the logs although all laws hold")
    options = parser.parse_args(argv)
    if options.minutes < LEAST_MIN:
        parser.error(
            f"--minutes: at least {LEAST_MIN:g}, because a failure takes {FAILURE_MIN:g} and its page {account.SOON_MIN:g}"
        )
    if (lack := kafka_launcher.missing()) is not None:
        print(f"this machine {lack}")
        return 2
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # workers and broker must end with this process
    directory = Path(tempfile.mkdtemp(prefix="softfail-hostile-hour-"))
    print(f"logs in {directory}", flush=True)
    with kafka_launcher.Kafka() as broker, receiver() as pager:
        run = Run(directory, broker, pager, options.seed)
        try:
            run.go(options.minutes)
        finally:
            run.workers.close()
    print("\n" + ("\n".join(["BROKEN", *run.faults]) if run.faults else "ALL LAWS HOLD"))
    if not run.faults and not options.keep:
        shutil.rmtree(directory, ignore_errors=True)
    return 1 if run.faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
