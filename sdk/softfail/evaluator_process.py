"""One process that runs an evaluator of a user, as its parent sees it: start it, feed it, read it, end it.

Nothing here waits. What comes from the process is JSON and is checked: it is never unpickled.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from softfail.evaluator import Verdict

START_S = 30.0
"""How long a process may take to import its evaluator."""
WINDOW = 16  # responses that wait in the pipe: the process always has a next one, and little is lost with it
_READ_BYTES = 1 << 16
_MAX_LINE = 1 << 20  # a longer line is none of ours
_ENVIRONMENT = (
    "HOME",
    "LANG",
    "LD_LIBRARY_PATH",
    "PATH",
    "SSL_CERT_FILE",
    "TMPDIR",
    "TZ",
    "USER",
    "VIRTUAL_ENV",
)
_PREFIXES = ("LC_", "PYTHON")


@dataclass(frozen=True, slots=True)
class EvaluatorSpec:
    """What a process needs to make an evaluator. Equal specifications share a process.

    Args:
        use: ``package.module:Name``, or the name of an entry point of the group ``softfail.evaluators``.
        parameters: a JSON object.
        timeout_s: limit of one response.
        memory_mb: limit of the address space.
        paths: folders that are searched for modules first.
        environment: variables that the process gets beside harmless ones.
    """

    use: str
    parameters: str = "{}"
    timeout_s: float = 1.0
    memory_mb: int = 1024
    paths: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Description:
    """What an evaluator states about itself."""

    version: str = "1"
    reads_text: bool = True


class EvaluatorProcess:
    """A running process of a specification.

    Attributes:
        reader, writer, ended: descriptors to wait for: results, space for responses, its end; the last is None
            where the system has none (macOS).
        description: what the evaluator states; None before it is ready.
        fault: why there is no evaluator; empty if there is one, or it is not ready yet.
        pending: payloads that were given to it and have no result yet, oldest first.
    """

    def __init__(self, spec: EvaluatorSpec, *, shows_output: bool = False) -> None:
        self.description: Description | None = None
        self.fault = ""
        self.pending: deque[bytes] = deque()
        self._spec = spec
        child_reads, self.writer = os.pipe()
        self.reader, child_writes = os.pipe()
        output = None if shows_output else subprocess.DEVNULL
        try:
            self._child = subprocess.Popen(
                [
                    sys.executable,
                    "-P",
                    "-m",
                    "softfail.evaluator_worker",
                    str(child_reads),
                    str(child_writes),
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=(child_reads, child_writes),
                env=_environment(spec.environment),
                start_new_session=True,  # a group of its own, which is killed whole; no Ctrl-C of the terminal
            )
        except BaseException:
            os.close(self.writer)
            os.close(self.reader)
            raise
        finally:
            os.close(child_reads)
            os.close(child_writes)
        self.ended = _descriptor_of(self._child.pid)
        os.set_blocking(self.writer, False)
        os.set_blocking(self.reader, False)
        self._unsent = bytearray(_start_line(spec))
        self._unread = bytearray()
        self.write()

    @property
    def has_unsent(self) -> bool:
        """Whether ``write`` has something to write once the pipe has space."""
        return bool(self._unsent)

    def give(self, payloads: Sequence[bytes]) -> None:
        """Send responses, as JSON without line breaks."""
        for payload in payloads:
            self.pending.append(payload)
            self._unsent += payload
            self._unsent += b"\n"
        self.write()

    def write(self) -> None:
        """Write what the pipe has space for. A process that is gone is noticed when it is read."""
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            while self._unsent:
                del self._unsent[: os.write(self.writer, self._unsent)]

    def read(self) -> tuple[list[tuple[bytes, Verdict]], str]:
        """Read what has come.

        Returns:
            Payloads with their results, in order; and why the process is over: empty if it is not. The first
            of ``pending`` then is the response that it ended at, if there is one.
        """
        results: list[tuple[bytes, Verdict]] = []
        is_over = (
            self._child.poll() is not None
        )  # before the last read: processes that it forked keep the pipe open
        while True:
            try:
                data = os.read(self.reader, _READ_BYTES)
            except BlockingIOError:
                return results, self._end() if is_over else ""
            self._unread += data
            *lines, rest = self._unread.split(b"\n")
            self._unread = bytearray(rest)
            for line in lines:
                if end := self._take(bytes(line), results):
                    return results, end
            if not data:
                return results, self._end()
            if len(rest) > _MAX_LINE:
                return results, "wrote into the pipe of its results"

    def kill(self) -> None:
        """End the process and all that it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.kill()
        self._child.wait()
        for descriptor in (self.writer, self.reader, self.ended):
            if descriptor is not None:
                os.close(descriptor)

    def _take(self, line: bytes, results: list[tuple[bytes, Verdict]]) -> str:
        """Take one line; return why the process is over, or an empty text."""
        try:
            value = json.loads(line)
            if self.description is None:
                if isinstance(fault := value.get("fault"), str):
                    self.fault = fault
                    return fault
                self.description = Description(**value)
                return ""
            if value == ["out of memory"]:
                return f"used more than {self._spec.memory_mb} MB of memory"
            verdict = _verdict_of(value)
        except (ValueError, TypeError, AttributeError, RecursionError):
            return "wrote into the pipe of its results"
        if not self.pending:
            return "wrote into the pipe of its results"
        results.append((self.pending.popleft(), verdict))
        return ""

    def _end(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(1.0)  # it has closed its end; that is its exit, or nearly
        code = self._child.returncode
        if code is None:
            return "closed the pipe of its results"
        if code < 0:
            return f"was ended by signal {-code}"
        return f"ended its process with code {code}"


def _verdict_of(value: Any) -> Verdict:
    """Check a result.

    Raises:
        ValueError, TypeError: it is none.
    """
    if value[0] == "error" and len(value) == 2:
        return Verdict("error", str(value[1]))
    state, reason, score = value
    if state not in ("passed", "failed", "skipped") or not isinstance(reason, str):
        raise ValueError(value)
    return Verdict(state, reason, None if score is None else float(score))


def _start_line(spec: EvaluatorSpec) -> bytes:
    start = {
        "use": spec.use,
        "parameters": json.loads(spec.parameters),
        "timeout_s": spec.timeout_s,
        "memory_mb": spec.memory_mb,
        "start_s": START_S,
        "paths": spec.paths,
    }
    return json.dumps(start).encode() + b"\n"


def _descriptor_of(pid: int) -> int | None:
    """Return a descriptor that is readable when a process has ended; None where the system has none."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def _environment(names: Sequence[str]) -> dict[str, str]:
    """Return the environment of a process: the modules of this one, and none of its secrets."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in _ENVIRONMENT or name in names or name.startswith(_PREFIXES)
    }
    return kept | {"PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
