"""The demo, run as a user does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agents.demo import main
from tests.polling import wait_until
from tests.tiers import by_profile

ROOT = Path(__file__).parents[3]
pytest.importorskip("confluent_kafka")


@pytest.fixture
def demo(tmp_path):
    """Start a demo with its temporary files in its own folder; it is stopped after the test."""
    started = []

    def begin(*arguments):
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "agents", "demo", "--headless", *arguments],
                cwd=ROOT,
                env=os.environ | {"TMPDIR": str(tmp_path)},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
        return started[-1]

    yield begin
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
        process.stdout.close()


def test_the_fault_is_paged_once_and_resolved_and_no_files_remain(demo, tmp_path):
    process = demo("--duration", "40")
    output = process.communicate(timeout=400)[0]
    assert process.returncode == 0, output
    assert output.index("must pass and failed 3 of 3 times") < output.index(
        "PASSED: all 3 cases that must pass did"
    )
    assert output.count("PAGE at the receiver") == output.count("RESOLVED at the receiver") == 1
    assert "PAGE at the receiver (" in output
    assert "): support-bot/answer: " in output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long_form
@pytest.mark.parametrize(
    "number", by_profile([signal.SIGINT, signal.SIGTERM], [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
)  # one handler serves both of the last
def test_an_interrupted_demo_stops_its_worker_and_cleans_up(demo, tmp_path, number):
    process = demo()
    for line in process.stdout:
        if "worker ready" in line:
            break
    process.send_signal(number)
    assert process.wait(30) == 130
    assert list(tmp_path.iterdir()) == []
    wait_until(lambda: not workers_in(tmp_path), 5, "a worker still runs", every_s=0.1)


def workers_in(folder):
    """Return the processes that name a folder in their command line."""
    return [path for path in Path("/proc").glob("[0-9]*/cmdline") if str(folder).encode() in _read(path)]


def _read(path):
    try:
        return path.read_bytes()
    except OSError:
        return b""


@pytest.mark.parametrize(
    "arguments",
    [["--duration", "5"], ["--duration", "nan"], ["--duration", "soon"], ["--port", "70000"], ["--fast"]],
)
def test_an_invalid_argument_is_reported_immediately(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert arguments[0] in capsys.readouterr().err
