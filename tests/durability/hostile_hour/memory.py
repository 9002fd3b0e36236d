"""Peak memory of the workers and of their supervisors, from /proc."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path

from tests.durability.soak.workers import Workers


class MemoryObserver(threading.Thread):
    """Looks each half second. ``peak_mb``: role to the largest peak of a process, MB."""

    def __init__(self, workers: Workers) -> None:
        super().__init__(daemon=True)
        self._workers, self._done = workers, threading.Event()
        self.peak_mb = {"supervisor": 0.0, "worker": 0.0}

    def run(self) -> None:
        """Look."""
        while not self._done.wait(0.5):
            for process in list(self._workers.processes.values()):
                self._note("supervisor", process.pid)
                with contextlib.suppress(OSError):
                    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
                    for child in children:
                        self._note("worker", int(child))

    def _note(self, role: str, pid: int) -> None:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("VmHWM"):
                    self.peak_mb[role] = max(self.peak_mb[role], int(line.split()[1]) / 1000)

    def stop(self) -> None:
        """Stop looking."""
        self._done.set()
        self.join(5)
