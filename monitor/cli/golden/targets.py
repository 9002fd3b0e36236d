"""Targets of a run: an address, a command or a Python function. Each takes a case and returns an answer."""

from __future__ import annotations

import importlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from softfail.sanitize import sanitize

MAX_ANSWER_BYTES = 4 << 20
_STATUS_RETRIED = frozenset((408, 425, 429, 500, 502, 503, 504, 529))
_MESSAGE_CHARS = 300
_VARIABLE = re.compile(r"\$\{(\w+)\}")


class TargetFailure(Exception):
    """Raised when a target gave no answer.

    ``is_retried``: whether another attempt may succeed. ``wait_s``: how long the target asked to wait.
    """

    def __init__(self, message: str, *, is_retried: bool = True, wait_s: float = 0.0) -> None:
        super().__init__(sanitize(message, _MESSAGE_CHARS))
        self.is_retried, self.wait_s = is_retried, wait_s


class InvalidTarget(ValueError):
    """Raised for a target that cannot be used. The message names the remedy."""


class Target(Protocol):
    """Something that answers. ``name`` is shown and stored; it has no secrets."""

    name: str

    def ask(self, request: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
        """Return the answer: ``output``, and any fields of a response event.

        Raises:
            TargetFailure: there is none.
        """
        ...

    def close(self) -> None:
        """End what still runs."""
        ...


def parse_answer(raw: bytes) -> dict[str, Any]:
    """Return an answer: a JSON object with ``output``, or the text itself.

    >>> parse_answer(b'{"output": "Hi", "cost_usd": 0.01}'), parse_answer(b"Hi")
    ({'output': 'Hi', 'cost_usd': 0.01}, {'output': 'Hi'})
    """
    text = raw.decode("utf-8", "replace")
    if text.lstrip().startswith("{"):
        with suppress(ValueError, RecursionError):
            tree = json.loads(text)
            if isinstance(tree, dict) and ("output" in tree or "error_type" in tree):
                return tree
    return {"output": text.removesuffix("\n")}


class HttpTarget:
    """``POST`` of the request as JSON to an address. Redirects are not followed."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._url, self._headers = url, dict(headers)
        self.name = re.sub(r"//[^/@]*@", "//", url.split("?", 1)[0])
        self._opener = urllib.request.build_opener(_NoRedirect)

    def ask(self, request: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
        """Send a request and read the answer, both within the time."""
        end_s = time.monotonic() + timeout_s
        body = json.dumps(request).encode()
        headers = {"Content-Type": "application/json", "User-Agent": "softfail-golden", **self._headers}
        try:
            with self._opener.open(
                urllib.request.Request(self._url, body, headers, method="POST"), timeout=timeout_s
            ) as answer:
                raw = _read(answer, end_s)
        except urllib.error.HTTPError as error:
            with error:
                retried = error.code in _STATUS_RETRIED
                raise TargetFailure(
                    f"HTTP {error.code}", is_retried=retried, wait_s=_wait_s(error.headers)
                ) from None
        except TimeoutError:
            raise TargetFailure(f"no answer within {timeout_s:g} s") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            if isinstance(reason, TimeoutError):
                raise TargetFailure(f"no answer within {timeout_s:g} s") from None
            raise TargetFailure(f"{type(reason).__name__}: {reason}") from None
        return parse_answer(raw)

    def close(self) -> None:
        """Nothing runs."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def _read(stream: Any, end_s: float) -> bytes:
    parts, size = [], 0
    while part := stream.read1(1 << 16):
        parts.append(part)
        size += len(part)
        if size > MAX_ANSWER_BYTES:
            raise TargetFailure(f"the answer exceeds {MAX_ANSWER_BYTES >> 20} MiB", is_retried=False)
        if time.monotonic() > end_s:
            raise TimeoutError
    return b"".join(parts)


def _wait_s(headers: Any) -> float:
    with suppress(TypeError, ValueError):
        return max(0.0, min(60.0, float(headers.get("Retry-After"))))
    return 0.0


class CommandTarget:
    """A command for each request: JSON on its standard input, the answer on its standard output. No shell."""

    def __init__(self, command: str) -> None:
        try:
            self._words = shlex.split(command)
        except ValueError as error:
            raise InvalidTarget(f"--target {command!r}: {error}") from None
        if not self._words:
            raise InvalidTarget("--target is empty; give an address, a command or python:module:function")
        if shutil.which(self._words[0]) is None:
            raise InvalidTarget(
                f"--target {command!r}: there is no command {self._words[0]!r}; give a command, an address or"
                " python:module:function"
            )
        self.name = self._words[0]
        self._running: set[subprocess.Popen[bytes]] = set()

    def ask(self, request: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
        """Run the command; kill it with all that it started after the time."""
        try:
            process = subprocess.Popen(
                self._words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            raise TargetFailure(f"{self._words[0]}: {error.strerror or error}", is_retried=False) from None
        self._running.add(process)
        try:
            output, _ = process.communicate(json.dumps(request).encode(), timeout_s)
        except subprocess.TimeoutExpired:
            raise TargetFailure(f"no answer within {timeout_s:g} s") from None
        finally:
            _kill(process)
            self._running.discard(process)
        if process.returncode:
            raise TargetFailure(f"the command ended with {process.returncode}")
        if len(output) > MAX_ANSWER_BYTES:
            raise TargetFailure(f"the answer exceeds {MAX_ANSWER_BYTES >> 20} MiB", is_retried=False)
        return parse_answer(output)

    def close(self) -> None:
        """Kill what still runs."""
        for process in list(self._running):
            _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):
        process.wait(5)


class FunctionTarget:
    """A Python function that takes the request, and returns a text or an answer."""

    def __init__(self, path: str) -> None:
        module, _, function = path.partition(":")
        if not module or not function:
            raise InvalidTarget(f"--target python:{path}: write python:module:function")
        here = str(Path.cwd())
        if here not in sys.path:
            sys.path.insert(0, here)  # as python -m does
        try:
            self._function: Callable[[dict[str, Any]], Any] = getattr(
                importlib.import_module(module), function
            )
        except Exception as error:  # noqa: BLE001  # anything may happen in a module of a user
            raise InvalidTarget(f"--target python:{path}: {type(error).__name__}: {error}") from None
        if not callable(self._function):
            raise InvalidTarget(f"--target python:{path}: is no function")
        self.name = f"python:{path}"

    def ask(self, request: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
        """Call the function. It cannot be ended: the caller stops to wait for it."""
        try:
            answer = self._function(dict(request))
        except Exception as error:  # noqa: BLE001  # what the function raises is a failed attempt
            raise TargetFailure(f"{type(error).__name__}: {error}") from None
        if isinstance(answer, str):
            return {"output": answer}
        if isinstance(answer, dict) and ("output" in answer or "error_type" in answer):
            return answer
        raise TargetFailure("the function returned no text and no object with output", is_retried=False)

    def close(self) -> None:
        """Nothing can be ended."""


def make_target(text: str, headers: Mapping[str, str] | None = None) -> Target:
    """Make a target from what ``--target`` says.

    Raises:
        InvalidTarget: it cannot be used.
    """
    if text.startswith(("http://", "https://")):
        return HttpTarget(text, headers or {})
    if headers:
        raise InvalidTarget("--header: only an address has headers; remove it")
    if text.startswith("python:"):
        return FunctionTarget(text.removeprefix("python:"))
    return CommandTarget(text)


def parse_headers(settings: list[str], environment: Mapping[str, str]) -> dict[str, str]:
    """Parse ``NAME: VALUE`` lines; ``${VARIABLE}`` is read from the environment.

    Raises:
        InvalidTarget: a line is no header, or a variable is not set.

    >>> parse_headers(["Authorization: Bearer ${KEY}"], {"KEY": "x"})
    {'Authorization': 'Bearer x'}
    """
    headers = {}
    for line in settings:
        name, colon, value = line.partition(":")
        if not colon or not re.fullmatch(r"[\w-]+", name.strip()):
            raise InvalidTarget("--header: write 'NAME: VALUE', like 'Authorization: Bearer ${API_KEY}'")
        for variable in _VARIABLE.findall(value):
            if variable not in environment:
                raise InvalidTarget(f"--header {name.strip()}: the variable {variable} is not set; export it")
        value = _VARIABLE.sub(lambda match: environment[match[1]], value).strip()
        if "\n" in value or "\r" in value:
            raise InvalidTarget(f"--header {name.strip()}: the value has a line break; remove it")
        headers[name.strip()] = value
    return headers
