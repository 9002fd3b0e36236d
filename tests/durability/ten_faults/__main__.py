"""Ten faults of one service in 50 minutes on a real Kafka: ``python -m tests.durability.ten_faults``.

Two workers with the default configuration, a service process that reports through the SDK, and PagerDuty's
protocol. Prints what a person got of each fault, and exits with 1 if a law is broken: each fault rings, or is
a ticket where it only warns, by itself, in time, in its own words, with its own cause or none; each page ends
once. The plan is that of ``tests/scenarios/ten_faults.py``.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests import kafka_launcher
from tests.durability.real_time import ROUTING_KEY, Receiver, publish_history, receiver
from tests.durability.soak.workers import Workers
from tests.scenarios import ten_faults as plan
from tests.scenarios.deployment import SETTINGS, PagerDutyModel

ROOT = Path(__file__).parents[3]
PREFIX = "softfail"
LEAD_S = 60.0  # from the start of the workers to minute 0, at least
UNREADABLE = b'{"kind": "response", "time": '


def configuration(directory: Path, number: int, brokers: str, url: str) -> Path:
    """Write the configuration of a worker: where things are, and nothing else but the evaluators of a feature
    that answers in JSON.
    """
    settings = SETTINGS | {
        "kafka": {"brokers": brokers, "prefix": PREFIX},
        "http": {"port": kafka_launcher.free_port()},
        "channels": {"pagerduty": {"routing_key": "${PAGERDUTY_ROUTING_KEY}", "url": url}},
    }
    path = directory / f"softfail{number}.yaml"
    path.write_text(json.dumps(settings, indent=1))
    return path


class Service:
    """The process of the service, which can be killed and started again."""

    def __init__(self, brokers: str, start_s: float) -> None:
        self._command = [
            sys.executable,
            "-m",
            "tests.durability.ten_faults.service",
            brokers,
            f"{PREFIX}.events",
            str(start_s),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it."""
        self._process = subprocess.Popen(self._command, cwd=ROOT)

    def kill(self) -> None:
        """Kill it: it says nothing of that."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def publish_unreadable(brokers: str, start_s: float) -> None:
    """Publish records that cannot be read, spread over some minutes and all partitions."""
    from kafka import KafkaProducer

    begin, end, count = plan.UNREADABLE
    producer = KafkaProducer(bootstrap_servers=brokers)
    for number in range(count):
        sleep_until(start_s, begin + (end - begin) * number / count)
        producer.send(f"{PREFIX}.events", UNREADABLE + str(number).encode())
    producer.flush(30)
    producer.close()


def sleep_until(start_s: float, minute: float) -> None:
    """Sleep until a minute of the plan."""
    time.sleep(max(0.0, start_s + minute * 60 - time.time()))


def run(directory: Path, brokers: str, pager: Receiver, begins: float, ends: float) -> None:
    """Run the plan from one minute to another: history, workers, faults."""
    configs = [configuration(directory, number, brokers, pager.url) for number in (1, 2)]
    subprocess.run(
        [sys.executable, "-m", "agents", "topics", "--config", str(configs[0])],
        cwd=ROOT,
        check=True,
        env=_environment(),
        stdout=subprocess.DEVNULL,
    )
    start_s = (time.time() + LEAD_S) // 60 * 60 + 60 - begins * 60
    pager.start_s = start_s
    calls = publish_history(
        brokers, PREFIX, plan.FEATURES, start_s, minutes=plan.WARM, a_minute=plan.CALLS_A_MINUTE
    )
    say(start_s, f"{calls} calls of the {plan.WARM} minutes before")
    service = Service(brokers, start_s)
    service.start()
    workers = Workers(
        directory,
        lambda number: [sys.executable, "-m", "agents", "worker", "--config", str(configs[number - 1])],
        _environment(),
    )
    try:
        for number in (1, 2):
            workers.start(number)
        if begins < plan.UNREADABLE[0]:
            threading.Thread(target=publish_unreadable, args=(brokers, start_s), daemon=True).start()
        for minute, change in ((plan.KILLED[0], service.kill), (plan.KILLED[1], service.start)):
            if begins < minute < ends:
                sleep_until(start_s, minute)
                change()
        sleep_until(start_s, ends)
        say(start_s, f"over; exits of the workers: {dict(workers.exits)}")
    finally:
        service.kill()
        workers.close()


def _environment() -> dict[str, str]:
    return {**os.environ, "PAGERDUTY_ROUTING_KEY": ROUTING_KEY}


def say(start_s: float, line: str) -> None:
    """Print a line with the minute of the plan."""
    print(f"{(time.time() - start_s) / 60:6.1f}  {line}", flush=True)


def unreadable_faults(pagerduty: PagerDutyModel) -> Iterator[str]:
    """Yield the broken laws of the records that cannot be read: a ticket, with the share of all records."""
    begin = plan.UNREADABLE[0]
    tickets = [ring for ring in pagerduty.incidents if "could not be read" in ring.text]
    print(
        "\n".join(
            f"| 100 unreadable records beside 1,750 | {'rang' if ring.pages else 'ticket'} after"
            f" {ring.minute - begin:.1f} min | {ring.text} | none |"
            f" {'open' if ring.over is None else f'{ring.over - plan.UNREADABLE[1]:.1f} min after the fault'} |"
            for ring in tickets
        )
    )
    if len(tickets) != 1 or tickets[0].pages or tickets[0].minute > begin + plan.SOON:
        yield f"unreadable records: {[(ring.minute, ring.text) for ring in tickets]}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run it; return 0 if all laws hold, 1 if one is broken, 2 if this machine cannot run Kafka."""
    parser = argparse.ArgumentParser(prog="python -m tests.durability.ten_faults", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="keep the logs although all laws hold")
    for name, minute in (("--from", 0.0), ("--to", plan.MINUTES)):
        parser.add_argument(name, type=float, default=minute, metavar="M", help="a part of the plan, minutes")
    options = parser.parse_args(argv)
    if (lack := kafka_launcher.missing()) is not None:
        print(f"this machine {lack}")
        return 2
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # workers and broker must end with this process
    directory = Path(tempfile.mkdtemp(prefix="softfail-ten-faults-"))
    print(f"logs in {directory}", flush=True)
    with kafka_launcher.Kafka() as broker, receiver() as pager:
        begins, ends = vars(options)["from"], options.to
        run(directory, broker.address, pager, begins, ends)
        pagerduty = pager.model
    for ring in pagerduty.incidents:
        for minute, text, lines in ring.history:
            print(f"{minute:6.1f} {ring.key}: {text}", *(f"\n           {line}" for line in lines), sep="")
    print("\n" + "\n".join(plan.table(pagerduty)))
    is_with_unreadable = begins < plan.UNREADABLE[0] and ends > plan.UNREADABLE[1] + plan.SOON
    faults = list(unreadable_faults(pagerduty)) if is_with_unreadable else []
    faults += plan.broken(pagerduty, begins, ends)
    print("\n" + ("\n".join(["BROKEN", *faults]) if faults else "ALL LAWS HOLD"))
    if not faults and not options.keep:
        shutil.rmtree(directory, ignore_errors=True)
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
