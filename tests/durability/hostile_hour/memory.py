"""Peak memory of the workers and of their supervisors, from /proc."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path

from tests.durability.soak.workers import Workers

STEP_MB = 50.0  # the largest peak is logged when it has grown by this


class MemoryObserver(threading.Thread):
    """Looks each half second. ``peak_mb``: role to the largest peak of a process, MB.

    Args:
        say: writes a line to the log of the run.
    """

    def __init__(self, workers: Workers, say: Callable[[str], None]) -> None:
        super().__init__(daemon=True)
        self._workers, self._say, self._done = workers, say, threading.Event()
        self.peak_mb = {"supervisor": 0.0, "worker": 0.0}
        self._logged_mb = 0.0

    def run(self) -> None:
        """Look."""
        while not self._done.wait(0.5):
            for number, process in list(self._workers.processes.items()):
                self._note("supervisor", process.pid, number)
                with contextlib.suppress(OSError):
                    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
                    for child in children:
                        self._note("worker", int(child), number)

    def _note(self, role: str, pid: int, number: int) -> None:
        sizes = {}
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith(("VmHWM", "VmRSS")):
                    sizes[line[:5]] = int(line.split()[1]) / 1000
        peak_mb = sizes.get("VmHWM", 0.0)
        self.peak_mb[role] = max(self.peak_mb[role], peak_mb)
        if peak_mb > self._logged_mb + STEP_MB:
            self._logged_mb = peak_mb
            self._say(f"memory: peak {peak_mb:.0f} MB, now {sizes['VmRSS']:.0f}, {role} {number}, pid {pid}")

    def stop(self) -> None:
        """Stop looking."""
        self._done.set()
        self.join(5)
