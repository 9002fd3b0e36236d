"""Worker processes and their process manager."""

from __future__ import annotations

import collections
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[3]
CONFIGURATION = 78


class Workers:
    """Worker processes and their process manager: a stopped worker is restarted, except after a configuration
    error (78).
    """

    def __init__(
        self, directory: Path, command: Callable[[int], list[str]], environment: dict[str, str]
    ) -> None:
        self.directory, self._command, self.environment = directory, command, {**os.environ, **environment}
        self.processes: dict[int, subprocess.Popen[bytes]] = {}
        self.exits: collections.Counter[int] = collections.Counter()
        self.misconfigured: set[int] = set()
        self._lock, self._on = threading.RLock(), True
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._keeper.start()

    def start(self, number: int) -> None:
        """Start a worker that is restarted when it ends."""
        with self._lock, open(self.directory / f"worker{number}.log", "ab") as out:
            self.processes[number] = subprocess.Popen(
                self._command(number), stdout=out, stderr=subprocess.STDOUT, cwd=ROOT, env=self.environment
            )

    def numbers(self) -> list[int]:
        """Return the numbers of the running workers."""
        with self._lock:
            return sorted(self.processes)

    def send(self, number: int, signal_number: int) -> None:
        """Send a signal to a worker, if it runs."""
        with self._lock:
            if number in self.processes:
                self.processes[number].send_signal(signal_number)

    def restart(self, number: int) -> None:
        """Send SIGTERM, wait for the end, and restart."""
        self.retire(number)
        self.start(number)

    def retire(self, number: int, signal_number: int = signal.SIGTERM) -> int:
        """End a worker finally and return its exit code.

        Raises:
            subprocess.TimeoutExpired: it did not end within 40 s.
        """
        with self._lock:
            process = self.processes.pop(number)
        process.send_signal(signal.SIGCONT)
        process.send_signal(signal_number)
        try:
            code = process.wait(40)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        with self._lock:
            self.exits[code] += 1
        return code

    def log(self) -> str:
        """Return the logs of all workers."""
        return "".join(
            path.read_text(errors="replace") for path in sorted(self.directory.glob("worker*.log"))
        )

    def close(self) -> None:
        """Kill all running workers."""
        self._on = False
        self._keeper.join()
        for process in self.processes.values():
            process.kill()
            process.wait()

    def _keep(self) -> None:
        while self._on:
            with self._lock:
                for number, process in list(self.processes.items()):
                    if process.poll() is None:
                        continue
                    self.exits[process.returncode] += 1
                    if process.returncode == CONFIGURATION:
                        self.misconfigured.add(number)
                        del self.processes[number]
                    else:
                        self.start(number)
            time.sleep(0.2)
