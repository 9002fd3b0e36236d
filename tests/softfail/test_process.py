"""Exit, fork and signals: each test runs a process of its own against the mock broker."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from typing import Any

import pytest

from tests.tiers import by_profile

PRELUDE = """
import os, signal, sys, threading, time
from softfail import Softfail
def client(**options):
    return Softfail(
        service="shop", bootstrap_servers=sys.argv[1], topic=sys.argv[2], api_version=(2, 3),
        content_probability=1.0, **options,
    )
"""


def run(
    code: str, address: str, topic: str, *more: str, timeout_s: float = 60
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PRELUDE + textwrap.dedent(code), address, topic, *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)


def test_at_exit_a_process_sends_all_events_and_a_last_meter(broker: Any) -> None:
    topic = broker.topic()
    process = run(
        """
        sf = client()
        for number in range(300):
            sf.response(feature="f", model="m", event_id=str(number))
        """,
        broker.address,
        topic,
    )
    assert (process.returncode, process.stderr) == (0, "")
    events = broker.events(topic, min_count=301)
    assert {event["event_id"] for event in events["response"]} == {str(number) for number in range(300)}
    meter = events["meter"][-1]
    assert (meter["seen"], meter["sent"], meter["dropped"]) == (300, 300, 0)


def test_a_process_that_raises_sends_its_events(broker: Any) -> None:
    topic = broker.topic()
    process = run(
        """
        sf = client()
        with sf.call(feature="f", model="m"):
            raise ValueError("from the service")
        """,
        broker.address,
        topic,
    )
    assert process.returncode == 1
    assert process.stderr.rstrip().endswith("ValueError: from the service")
    assert [event["error_type"] for event in broker.events(topic, min_count=2)["response"]] == ["ValueError"]


def test_without_kafka_a_process_runs_and_exits_in_time() -> None:
    start_s = time.monotonic()
    process = run(
        """
        sf = client(exit_timeout_s=0.5)
        for number in range(2000):
            sf.response(feature="f", model="m", output="x" * 100)
        print(sf.counts()["shop/f"]["seen"])
        """,
        "127.0.0.1:1",
        "t",
    )
    assert (process.returncode, process.stdout) == (0, "2000\n")
    assert "Traceback" not in process.stderr
    assert time.monotonic() - start_s < 20


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_after_a_fork_parent_and_child_report_with_producer_ids_of_their_own(broker: Any) -> None:
    topic = broker.topic()
    process = run(
        """
        sf = client()
        before = sf.response(feature="f", model="m", event_id="before")
        sf.flush(10)
        children = []
        for child in range(3):
            pid = os.fork()
            if pid == 0:
                sf.response(feature="f", model="m", event_id=f"child-{child}")
                sf.feedback("before", accepted=True)
                sys.exit(0)          # runs the exit handlers
            children.append(pid)
        sf.response(feature="f", model="m", event_id="parent")
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
        assert codes == [0, 0, 0], codes
        sf.response(feature="f", model="m", event_id="after")
        """,
        broker.address,
        topic,
    )
    assert (process.returncode, process.stderr) == (0, "")
    events = broker.events(topic, min_count=12)
    assert sorted(event["event_id"] for event in events["response"]) == [
        "after",
        "before",
        "child-0",
        "child-1",
        "child-2",
        "parent",
    ]
    assert len(events["feedback"]) == 3
    last_meters = {meter["producer_id"]: meter for meter in events["meter"]}
    assert sorted((meter["seen"], meter["sent"]) for meter in last_meters.values()) == [(1, 1)] * 3 + [(3, 3)]


@pytest.mark.long_form
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_while_other_threads_report_never_blocks_the_child(broker: Any) -> None:
    topic, children = broker.topic(), by_profile(8, 15)
    process = run(
        """
        sf = client()
        stop = False
        def work():
            while not stop:
                for _ in range(50):
                    sf.response(feature="f", model="m", output="x" * 500)
                time.sleep(0.005)        # without it the background thread gets no turn on a busy machine
        threads = [threading.Thread(target=work, daemon=True) for _ in range(3)]
        for thread in threads: thread.start()
        while sf.counts().get("shop/f", {}).get("seen", 0) < 300: time.sleep(0.001)
        codes = []
        for child in range(int(sys.argv[3])):
            pid = os.fork()
            if pid == 0:
                signal.alarm(120)    # kills a child that hangs, which fails the test
                sf.response(feature="child", model="m", event_id=f"child-{child}")
                sf.close(90)
                os._exit(0 if sf.counts()["shop/child"]["sent"] == 1 else 9)
            codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        stop = True
        print(codes)
        """,
        broker.address,
        topic,
        str(children),
        timeout_s=300,
    )
    assert json.loads(process.stdout) == [0] * children, process.stderr


def test_a_report_from_a_signal_handler_during_a_report_does_not_block(broker: Any) -> None:
    topic = broker.topic()
    process = run(
        """
        sf = client()
        signal.signal(signal.SIGALRM, lambda *_: sf.response(feature="signal", model="m"))
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            sf.response(feature="f", model="m")
        signal.setitimer(signal.ITIMER_REAL, 0)
        sf.close(30)
        print(sf.counts()["shop/signal"]["seen"] > 50)
        """,
        broker.address,
        topic,
    )
    assert process.stdout == "True\n", process.stderr


def test_flush_and_the_end_of_a_with_block_wait_for_the_acknowledgement(broker: Any) -> None:
    topic = broker.topic()
    process = run(
        """
        with client() as sf:
            sf.response(feature="f", model="m")
            assert sf.flush(10)
            assert sf.counts()["shop/f"]["sent"] == 1
            sf.response(feature="f", model="m")
        assert sf.counts()["shop/f"]["sent"] == 2
        os._exit(0)
        """,
        broker.address,
        topic,
    )
    assert process.returncode == 0, process.stderr
    assert len(broker.events(topic, min_count=3)["response"]) == 2


def test_every_event_is_in_the_partition_of_its_key(broker: Any) -> None:
    from softfail.partitioning import partition_of

    topic = broker.topic()
    run(
        """
        with client() as sf:
            for number in range(50):
                sf.response(feature=f"f{number % 7}", model="m")
        """,
        broker.address,
        topic,
    )
    messages = broker.messages(topic, 57)
    assert {message.partition() for message in messages if message.key() == b"shop/f3"} == {
        partition_of("shop", "f3", 4)
    }
    assert all(
        message.partition() == partition_of(*message.key().decode().split("/"), 4) for message in messages
    )
