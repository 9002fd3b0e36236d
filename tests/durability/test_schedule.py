"""The durability bench (``tests/durability/soak``) as a program: a few faults, and in the long form each kind
over two deployments.

Longer: ``make soak MINUTES=30 SEED=7``.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.durability.soak.faults import KINDS
from tests.tiers import by_profile, nightly

ROOT = Path(__file__).parents[2]


pytestmark = pytest.mark.long_form


def bench(kafka_launcher: object, *arguments: str) -> None:
    del kafka_launcher  # only skips the test where Kafka cannot run: the bench has its own broker
    command = [sys.executable, "-m", "tests.durability.soak", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=by_profile(600, 3600), check=False
    )
    print(done.stdout, done.stderr[-3000:])
    assert done.returncode == 0, done.stdout[-6000:]


def test_faults_of_each_kind_leave_every_deployment_equal_to_the_oracle(kafka_launcher):
    # the short form has the kinds that no other test has
    kinds = by_profile(["join", "transaction", "config", "receiver"], [*KINDS, "two"])
    faults, rate = len(set(kinds) & KINDS.keys()), by_profile(200, 600)
    arguments = ["--faults", str(faults), "--kinds", ",".join(kinds), "--seed", "11", "--rate", str(rate)]
    bench(kafka_launcher, *arguments)


@pytest.mark.skipif(not nightly(), reason="a long form: make soak")
def test_workers_refuse_a_recreated_events_topic_and_are_exact_after_a_reset(kafka_launcher):
    bench(kafka_launcher, "--kinds", "recreate", "--seed", "12")
