from __future__ import annotations

import os
import signal
import subprocess
import sys

from agents.process import exits

SCRIPT = """
import os, sys
from agents.process import exits
exits.JITTER_S = (0.0, 0.0)
exits.pause_after_restart()
print(os.getpid(), exits.restarts(), exits.total_restarts(), sys.argv[1], flush=True)
if "forgive" in sys.argv and exits.restarts() == 3 and "FORGIVEN" not in os.environ:
    os.environ["FORGIVEN"] = "1"
    exits.reset_restarts()
exits.restart(int(sys.argv[1]), "on purpose")
"""


def run(*arguments: str) -> tuple[int, list[list[str]]]:
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments], capture_output=True, text=True, timeout=120
    )
    return ended.returncode, [line.split() for line in ended.stdout.splitlines()]


def test_a_process_restarts_ten_times_under_its_pid_and_then_exits_with_the_code():
    code, lines = run("75")
    assert code == 75
    assert [int(count) for _, count, _, _ in lines] == list(range(11))
    assert len({pid for pid, _, _, _ in lines}) == 1
    assert {argument for _, _, _, argument in lines} == {"75"}


def test_a_checkpoint_between_restarts_resets_the_count():
    code, lines = run("70", "forgive")
    assert code == 70
    assert [int(count) for _, count, _, _ in lines] == [0, 1, 2, 3, *range(1, 11)]
    assert [int(count) for _, _, count, _ in lines] == list(range(14))


def test_a_signal_during_the_restart_delay_exits_with_zero():
    script = (
        "import logging, sys\nlogging.basicConfig(stream=sys.stdout, level='INFO')\n"
        "from agents.process import exits\nexits.JITTER_S = (30.0, 30.0)\nexits.pause_after_restart()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "_SOFTFAIL_RESTARTS": "1"},
    )
    assert process.stdout is not None
    assert "restart 1: starting in 30.0 s" in process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


def test_a_first_start_has_no_delay():
    script = (
        "from agents.process import exits\nexits.JITTER_S = (600.0,"
        " 600.0)\nexits.pause_after_restart()\nexits.leave(78, 'a topic is wrong')"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 78
    assert "a topic is wrong" in ended.stderr


def test_a_stopping_process_is_not_restarted_on_any_failure():
    script = (
        "from agents.process import exits\nprint('started',"
        " flush=True)\nexits.refuse_restarts()\nexits.restart(70, 'fenced')"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (70, "started\n")


def test_children_of_the_process_before_its_restart_are_reaped(monkeypatch):
    reaped = [(11, 0), (12, 9), (0, 0)]
    monkeypatch.setattr(exits.os, "waitpid", lambda pid, options: reaped.pop(0))
    monkeypatch.setattr(exits, "total_restarts", lambda: 0)
    exits.reap()
    assert len(reaped) == 3  # it has had no other children
    monkeypatch.setattr(exits, "total_restarts", lambda: 1)
    exits.reap()
    assert reaped == []
