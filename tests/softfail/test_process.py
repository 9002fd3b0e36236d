"""What a process owes at its end and after a fork: run in processes of their own, against the mock broker."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from typing import Any

import pytest

PRELUDE = """
import os, signal, sys, threading, time
from softfail import Softfail
def client(**options):
    return Softfail(service="shop", bootstrap_servers=sys.argv[1], topic=sys.argv[2], api_version=(2, 3), content_probability=1.0, **options)
"""


def run(code: str, address: str, topic: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PRELUDE + textwrap.dedent(code), address, topic]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)


def test_a_process_that_just_ends_has_sent_everything_and_a_last_meter(broker: Any) -> None:
    topic = broker.topic()
    done = run(
        """
        sf = client()
        for number in range(300):
            sf.response(feature="f", model="m", event_id=str(number))
        """,
        broker.address,
        topic,
    )
    assert (done.returncode, done.stderr) == (0, "")
    events = broker.events(topic, least=301)
    assert {event["event_id"] for event in events["response"]} == {str(number) for number in range(300)}
    meter = events["meter"][-1]
    assert (meter["seen"], meter["sent"], meter["dropped"]) == (300, 300, 0)


def test_a_process_that_raises_has_sent_what_it_reported(broker: Any) -> None:
    topic = broker.topic()
    done = run(
        """
        sf = client()
        with sf.call(feature="f", model="m"):
            raise ValueError("mine")
        """,
        broker.address,
        topic,
    )
    assert done.returncode == 1
    assert done.stderr.rstrip().endswith("ValueError: mine")
    assert [event["error_type"] for event in broker.events(topic, least=2)["response"]] == ["ValueError"]


def test_without_kafka_a_process_runs_and_ends_in_its_time() -> None:
    began = time.monotonic()
    done = run(
        """
        sf = client(exit_timeout_s=0.5)
        worst = 0.0
        for number in range(2000):
            before = time.thread_time()
            sf.response(feature="f", model="m", output="x" * 100)
            worst = max(worst, time.thread_time() - before)
        print(sf.counts()["shop/f"]["seen"])
        """,
        "127.0.0.1:1",
        "t",
    )
    assert (done.returncode, done.stdout) == (0, "2000\n")
    assert "Traceback" not in done.stderr
    assert time.monotonic() - began < 20


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_after_a_fork_child_and_parent_both_report_as_producers_of_their_own(broker: Any) -> None:
    topic = broker.topic()
    done = run(
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
                sys.exit(0)          # through the exit handlers
            children.append(pid)
        sf.response(feature="f", model="m", event_id="parent")
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
        assert codes == [0, 0, 0], codes
        sf.response(feature="f", model="m", event_id="after")
        """,
        broker.address,
        topic,
    )
    assert (done.returncode, done.stderr) == (0, "")
    events = broker.events(topic, least=12)
    assert sorted(event["event_id"] for event in events["response"]) == [
        "after",
        "before",
        "child-0",
        "child-1",
        "child-2",
        "parent",
    ]
    assert len(events["feedback"]) == 3
    last = {meter["producer_id"]: meter for meter in events["meter"]}
    assert sorted((meter["seen"], meter["sent"]) for meter in last.values()) == [(1, 1)] * 3 + [(3, 3)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_in_the_midst_of_reports_from_other_threads_never_hangs_the_child(broker: Any) -> None:
    topic = broker.topic()
    done = run(
        """
        sf = client()
        stop = False
        def work():
            while not stop:
                sf.response(feature="f", model="m", output="x" * 500)
        threads = [threading.Thread(target=work, daemon=True) for _ in range(3)]
        for thread in threads: thread.start()
        time.sleep(0.3)
        codes = []
        for child in range(15):
            pid = os.fork()
            if pid == 0:
                signal.alarm(30)     # a child that hangs is killed, and seen
                sf.response(feature="child", model="m", event_id=f"child-{child}")
                sf.close(20)
                os._exit(0 if sf.counts()["shop/child"]["sent"] == 1 else 9)
            codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        stop = True
        print(codes)
        """,
        broker.address,
        topic,
        timeout_s=120,
    )
    assert json.loads(done.stdout) == [0] * 15, done.stderr


def test_a_report_from_a_signal_handler_in_the_midst_of_reports_does_not_hang(broker: Any) -> None:
    topic = broker.topic()
    done = run(
        """
        sf = client()
        signal.signal(signal.SIGALRM, lambda *_: sf.response(feature="signal", model="m"))
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        end = time.monotonic() + 1
        while time.monotonic() < end:
            sf.response(feature="f", model="m")
        signal.setitimer(signal.ITIMER_REAL, 0)
        sf.close(30)
        print(sf.counts()["shop/signal"]["seen"] > 50)
        """,
        broker.address,
        topic,
    )
    assert done.stdout == "True\n", done.stderr


def test_a_flush_waits_for_the_acknowledgement_and_a_with_block_ends_with_one(broker: Any) -> None:
    topic = broker.topic()
    done = run(
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
    assert done.returncode == 0, done.stderr
    assert len(broker.events(topic, least=3)["response"]) == 2


def test_events_are_compressed_batched_and_lie_where_their_key_belongs(broker: Any) -> None:
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
    messages = broker.raw(topic, 57)
    assert {message.partition() for message in messages if message.key() == b"shop/f3"} == {
        partition_of("shop", "f3", 4)
    }
    assert all(
        message.partition() == partition_of(*message.key().decode().split("/"), 4) for message in messages
    )
