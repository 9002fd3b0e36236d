"""The supervisor with real processes: hangs with the interpreter held, signals, exit codes, deaths."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agents.process import exits
from tests.polling import wait_until

BEGIN = """
import os, re, sys, time, signal
from agents.process import exits, pulse
from agents.process.supervisor import supervise
exits.JITTER_S = (0.0, 0.0)
pulse.PERIOD_S = 0.1
supervise(hang_s=1.0, brief_s=1.0)
print("worker", os.getpid(), exits.restarts(), exits.total_restarts(), flush=True)
"""
HANG = 're.match(r"(a+)+$", "a" * 60 + "b")'


def started(script: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", BEGIN + script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(script: str) -> tuple[int, str]:
    process = started(script)
    output, _ = process.communicate(timeout=60)
    return process.returncode, output


def workers(output: str) -> list[list[str]]:
    return [line.split()[2:] for line in output.splitlines() if line.startswith("worker ")]


def test_a_worker_that_holds_the_interpreter_is_killed_with_its_stack_and_started_again():
    code, output = run(f"if not exits.restarts(): {HANG}\nexits.leave(7, 'done')")
    assert code == 7
    assert workers(output) == [["0", "0"], ["1", "1"]]
    assert "has held the interpreter for 1 s" in output
    assert "in <module>" in output.partition("has held")[2]


def test_a_worker_that_dies_again_and_again_exits_with_its_signal_after_ten_restarts():
    code, output = run("os.kill(os.getpid(), signal.SIGSEGV)")
    assert code == 128 + signal.SIGSEGV
    assert [restarts for restarts, _ in workers(output)] == [str(n) for n in range(exits.MOST_RESTARTS + 1)]


@pytest.mark.parametrize("code", [0, 70, 75, 78])
def test_the_exit_code_of_the_worker_is_that_of_the_supervisor(code):
    assert run(f"exits.leave({code}, 'done')")[0] == code


def test_checkpoints_reset_the_count_of_deaths_and_restarts_of_the_worker_count_too():
    code, output = run(
        "if exits.total_restarts() == 12: exits.leave(0, 'done')\n"
        "if exits.restarts() == 5: exits.reset_restarts()\n"
        "if exits.total_restarts() % 2: exits.restart(70, 'on purpose')\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert code == 0
    assert [int(in_all) for _, in_all in workers(output)] == list(range(13))


def test_signals_reach_the_worker_and_a_stopped_worker_is_not_started_again():
    process = started(
        "signal.signal(signal.SIGTERM, lambda *_: exits.leave(3, 'told'))\nprint('ready', flush=True)\ntime.sleep(60)"
    )
    lines = iter(process.stdout)  # type: ignore[arg-type]
    assert next(line for line in lines if line == "ready\n")
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 3


def test_a_worker_ends_with_its_supervisor():
    process = started("print('ready', flush=True)\ntime.sleep(600)")
    lines = iter(process.stdout)  # type: ignore[arg-type]
    pid = int(next(lines).split()[1])
    next(lines)
    process.kill()
    process.wait()
    wait_until(lambda: not is_running(pid), 30)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_suspended_worker_does_not_count_as_hanging():
    process = started("sys.stdin.readline()\nexits.leave(5, 'done')")
    pid = int(process.stdout.readline().split()[1])  # type: ignore[union-attr]
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(2)
    os.kill(pid, signal.SIGCONT)
    process.communicate("go\n", timeout=30)
    assert process.returncode == 5
