"""Laws about what a process imports, which every command pays in memory and start time."""

from __future__ import annotations

import subprocess
import sys

ENTRY_POINTS = (
    "agents.__main__",
    "agents.commands.worker",
    "agents.watch",
    "agents.notify",
    "monitor.__main__",
    "monitor.watch",
    "monitor.notifier",
    "monitor.status",
    "monitor.config_check",
    "monitor.cli.evaluate",
    "monitor.cli.baseline",
)


def test_no_process_imports_scipy_stats():
    """It costs 46 MB and half a second a process; ``scipy.special`` has all that the product needs."""
    code = f"import sys, {', '.join(ENTRY_POINTS)}; print(*[m for m in sys.modules if m.startswith('scipy.stats')])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout.split() == []
