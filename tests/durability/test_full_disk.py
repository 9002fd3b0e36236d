"""The disk of the only broker is full: the broker ends, nobody else does, and with space all is counted."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from softfail import Softfail
from tests.durability.undisturbed import disturbed_equals_undisturbed
from tests.polling import wait_until

DISK_MB = 400  # a new broker with these topics takes a tenth
REPORTS = 20_000  # twice what waits in the SDK: some are dropped, and all are counted


@pytest.fixture
def small_disk(tmp_path: Path) -> Any:
    """A folder on a small file system of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a file system")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def kafka(kafka_launcher: Any, small_disk: Path) -> Any:
    """A broker on the small disk."""
    with kafka_launcher.Kafka(**{"log.dirs": small_disk / "data"}) as broker:
        yield broker


def fill(disk: Path) -> Path:
    """Leave no byte free; return the file that takes the space."""
    path = disk / "filler"
    with open(path, "wb") as file:
        try:
            while True:
                file.write(bytes(1 << 16))
                file.flush()
        except OSError:
            pass
    return path


def test_a_full_disk_of_the_broker_loses_and_duplicates_nothing_and_the_sdk_goes_on(
    kafka: Any, small_disk: Path, two_workers: Any, counting: Any
) -> None:
    topics, workers, publisher = two_workers()
    sdk = Softfail(service="bot", bootstrap_servers=topics.address, topic=f"{topics.prefix}.alerts")
    filler = fill(small_disk)
    kafka.process.wait(120)  # it cannot write, and ends itself
    for number in range(REPORTS):
        sdk.response(feature="answer", model="m", output=str(number))
    assert sdk.counts()["bot/answer"]["seen"] == REPORTS
    running = {number: workers.processes[number].pid for number in (1, 2)}
    time.sleep(10)  # longer than the session: workers must not give up meanwhile
    os.remove(filler)
    kafka.start()
    durable = sum(topics.state()[1].values())
    wait_until(
        lambda: sum(topics.state()[1].values()) > durable + 1000,
        120,
        "nothing is counted after there was space again",
        every_s=0.5,
    )
    publisher.finish()
    disturbed_equals_undisturbed(topics, workers, counting)
    assert sdk.close(60)
    stats = sdk.counts()["bot/answer"]
    assert stats["sent"] + stats["dropped"] == stats["sampled"] == REPORTS
    assert stats["dropped"] < REPORTS
    assert {number: workers.processes[number].pid for number in (1, 2)} == running
    assert not workers.exits
