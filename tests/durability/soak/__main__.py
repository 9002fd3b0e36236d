"""Durability bench: workers on a real Kafka, faults by a seeded schedule, and an oracle that computes the
expected outputs.

    python -m tests.durability.soak                              a mix of about three minutes
    python -m tests.durability.soak --minutes 30 --seed 7        longer
    python -m tests.durability.soak --faults 50 --kinds kill     fifty kills of two workers
    python -m tests.durability.soak --kinds recreate             only: delete and recreate the events topic

It exits with 0 only if windows, transitions, episodes, dead letters and pages equal the oracle's for the
events in the topic.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests import kafka_launcher
from tests.durability.soak.faults import KINDS, SHAPES
from tests.durability.soak.report import Comparison, table
from tests.durability.soak.run import MOST_EVENTS, MOST_RATE, Run, Stalled
from tests.durability.soak.workers import ROOT, Workers


def ordinary(run: Run) -> list[tuple[str, Comparison]]:
    """Run a schedule of faults, then compare everything."""
    two = "two" in run.options.kinds
    rate = min(run.options.rate, MOST_EVENTS / run.length_s) / (2 if two else 1)
    run.deploy("softfail-a", run.options.seed, rate, run.options.workers)
    if two:
        run.deploy("softfail-b", run.options.seed + 1000, rate, 1)
    run.disturb()
    run.say("the faults are over")
    for item in run.deployments:
        run.calm(item)
    return [(deployment.prefix, run.wait_until_equal(deployment)) for deployment in run.deployments]


def recreate(run: Run) -> list[tuple[str, Comparison]]:
    """Delete and recreate the events topic under the workers. Everything after the reset must be exact."""
    run.length_s = 30.0
    deployment = run.deploy("softfail-a", run.options.seed, 400, run.options.workers)
    run.calm(deployment)
    run.say("the events topic is deleted and made again")
    deployment.recreate_events()
    numbers, wrong = deployment.workers.numbers(), []
    until(
        lambda: not deployment.workers.numbers(),
        150,
        "the workers did not all end with 78",
        deployment.workers,
    )
    log = deployment.workers.log()
    run.say(f"all workers ended, exits {dict(deployment.workers.exits)}")
    last = [line for line in log.splitlines() if "EXIT 78" in line]
    wrong += [
        line for line in last if f"{deployment.prefix}.events" not in line or "agents state reset" not in line
    ]
    time.sleep(7)  # a stopped member counts as alive until its session expires
    for arguments in (["--agent", "watch"], ["--agent", "notify", "--to", "latest"]):
        command = [
            sys.executable,
            "-m",
            "agents",
            "state",
            "reset",
            "--config",
            str(deployment.config(1)),
            *arguments,
            "--yes",
        ]
        done = subprocess.run(
            command, cwd=ROOT, env=deployment.workers.environment, capture_output=True, text=True, timeout=120
        )
        run.say(
            f"state reset {' '.join(arguments)}: {done.returncode}, {done.stdout.strip().splitlines()[-1:]}"
            f" {done.stderr.strip()[-300:]}"
        )
        wrong += [f"state reset {arguments}: {done.returncode} {done.stderr}"] if done.returncode else []
    deployment.begin_anew(run.corpus(run.options.seed + 1, deployment.rate))
    for number in numbers:
        deployment.workers.start(number)
    deployment.publisher.start()
    run.say("workers and publisher go on")
    run.done["recreate"] += 1
    run.calm(deployment)
    comparison = run.wait_until_equal(deployment)
    comparison.row("workers that ended with 78", len(last))
    comparison.equal("messages without the topic and the remedy", wrong)
    return [(deployment.prefix, comparison)]


def until(condition: Callable[[], bool], patience_s: float, awaited: str, workers: Workers) -> None:
    """Wait for a condition.

    Raises:
        Stalled: it is still false after the timeout.
    """
    deadline = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > deadline:
            raise Stalled(f"{awaited}; exits {dict(workers.exits)}, running {workers.numbers()}")
        time.sleep(0.5)


def finish(run: Run, columns: list[tuple[str, Comparison]]) -> int:
    """Print the table and the differences; return 0 if there are none."""
    for deployment, (_, comparison) in zip(run.deployments, columns, strict=True):
        log = deployment.workers.log()
        comparison.row(
            "worker exits by code",
            ", ".join(f"{code}: {n}" for code, n in sorted(deployment.workers.exits.items())),
        )
        counts = (
            log.count(words)
            for words in (" RESTART ", "Fenced", "fetching again: gap", "fetching again: lag", "(code 75)")
        )
        comparison.row("restarts in place / fenced / gaps / silences / watchdog", *counts)
        comparison.row(
            "bundles thrown away / after the last was published",
            deployment.dropped(),
            deployment.dropped() - deployment.dropped_before_end,
        )
        comparison.row("largest lag seen, records", f"{deployment.max_lag:.0f}")
        lost = [line for line in log.splitlines() if " LOST " in line]
        comparison.equal("log lines with LOST", lost)
        # 70: the worker was fenced just before SIGTERM; -15: SIGTERM came before its handler was installed
        allowed = {0, -9, -15, 70, *([78] if run.done["recreate"] else [])}
        unexpected = [
            f"{n} exits with {code}" for code, n in deployment.workers.exits.items() if code not in allowed
        ]
        comparison.equal(
            "unexpected exits",
            [*unexpected, *(line for line in log.splitlines() if "given up after" in line)],
        )
    faults = ", ".join(f"{kind} {n}" for kind, n in sorted(run.done.items()))
    columns[0][1].row("faults", faults)
    columns[0][1].row("seed / seconds", run.options.seed, f"{time.monotonic() - run.began:.0f}")
    print("\n" + table([name for name, _ in columns], [comparison.rows for _, comparison in columns]))
    wrong = [f"{name}: {line}" for name, comparison in columns for line in comparison.wrong]
    print("\n" + ("\n".join(["NOT EQUAL", *wrong]) if wrong else "ALL EQUAL"))
    return 1 if wrong else 0


def options_of(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.durability.soak",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=__doc__,
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument(
        "--minutes", type=float, metavar="M", help="how long faults are made, about (default 3)"
    )
    length.add_argument("--faults", type=int, metavar="N", help="or how many")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--kinds",
        default=",".join(KINDS),
        help=f"some of {', '.join([*KINDS, *SHAPES])}; default: all but {', '.join(SHAPES)}",
    )
    parser.add_argument(
        "--rate",
        type=float,
        default=MOST_RATE,
        metavar="R",
        help=f"events a second at most, from 150 on (default {MOST_RATE}); the oracle computes them all",
    )
    parser.add_argument("--workers", type=int, default=2, choices=(1, 2))
    parser.add_argument("--keep", action="store_true", help="keep the logs although all is equal")
    options = parser.parse_args(argv)
    options.kinds = options.kinds.split(",")
    if unknown := set(options.kinds) - KINDS.keys() - SHAPES.keys():
        parser.error(f"--kinds: {', '.join(sorted(unknown))} is none of {', '.join([*KINDS, *SHAPES])}")
    if "recreate" in options.kinds and len(options.kinds) > 1:
        parser.error("--kinds recreate: goes alone, for what was counted before cannot be compared any more")
    if not options.kinds or (options.kinds != ["recreate"] and not set(options.kinds) & KINDS.keys()):
        parser.error("--kinds: names no fault")
    if options.minutes is None and options.faults is None:
        options.minutes = 3.0
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Run the bench; return 0 if everything is equal, 1 if it differs or stalled."""
    options = options_of(argv)
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    if (lack := kafka_launcher.missing()) is not None:
        print(f"this machine {lack}")
        return 2
    directory = Path(tempfile.mkdtemp(prefix="softfail-soak-"))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # workers and broker must end with this process
    code = 1
    with kafka_launcher.Kafka() as broker:
        run = Run(options, broker, directory)
        run.say(
            f"seed {options.seed}, Kafka at {broker.address}, logs in {directory}, {len(run.plan)} faults"
        )
        try:
            code = finish(run, recreate(run) if options.kinds == ["recreate"] else ordinary(run))
        except Stalled as error:
            print(f"\nSTALLED: {error}")
        finally:
            for deployment in run.deployments:
                deployment.close()
            if code:
                (directory / "kafka.log").write_text((broker.dir / "log").read_text(errors="replace"))
    if code or options.keep:
        print(f"logs are in {directory}; run again with --seed {options.seed}")
    else:
        shutil.rmtree(directory, ignore_errors=True)
    return code


if __name__ == "__main__":
    raise SystemExit(main())
