"""The process that runs one evaluator of a user: ``python -P -m softfail.evaluator_worker READ WRITE``.

It reads one JSON value a line from the descriptor READ: first how to make the evaluator, then one response
each. It writes one JSON value a line to WRITE: first what the evaluator is, then one result for each response,
in order. Standard input, output and error belong to the evaluator.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import importlib
import inspect
import json
import math
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterable
from importlib.metadata import entry_points
from typing import Any

from softfail.evaluator import ModelResponse, Verdict

GROUP = "softfail.evaluators"
"""Group of entry points that name evaluators."""
MAX_TEXT_CHARS = 500  # of a reason, and of the text of an exception
_MAX_SCORE = 1e9
_GRACE_S = 5.0  # the process that waits for results ends this one before; the alarm is for when it is gone

Evaluate = Callable[[ModelResponse], Any]


class EvaluatorFault(ValueError):
    """Raised for an evaluator that cannot be made. The message names the fault and the remedy."""


def main() -> None:
    """Make the evaluator and evaluate responses until the other end is closed."""
    requests, results, pid = os.fdopen(int(sys.argv[1]), "rb"), int(sys.argv[2]), os.getpid()
    for descriptor in (requests.fileno(), results):
        os.set_inheritable(descriptor, False)
    start = json.loads(requests.readline())
    _limit(start["memory_mb"] << 20)
    _alarm(start["start_s"])
    try:
        sys.path[:0] = start["paths"]
        evaluate, description = make(start["use"], start["parameters"])
    except BaseException as error:  # noqa: BLE001 - whatever a module raises, SystemExit too
        description = {"fault": str(error) if isinstance(error, EvaluatorFault) else text_of(error)}
        _write(results, description)
        os._exit(0)
    _write(results, description)
    while True:
        _alarm(0)
        line = requests.readline()
        if not line:
            os._exit(0)  # threads of the evaluator may still run
        _alarm(start["timeout_s"])
        result = _evaluate(evaluate, line)
        if os.getpid() != pid:
            os._exit(0)  # the evaluator forked, and both processes return from it
        _write(results, result)
        if result[0] == "out of memory":
            os._exit(0)


def make(use: str, parameters: dict[str, Any]) -> tuple[Evaluate, dict[str, Any]]:
    """Import an evaluator and give it its parameters.

    Args:
        use: ``package.module:Name``, or the name of an entry point of the group ``softfail.evaluators``.
        parameters: keyword arguments of the class, or of the function beside the response.

    Returns:
        The evaluator and its description: version and reads_text.

    Raises:
        EvaluatorFault: it cannot be imported, takes other parameters, or cannot be called with one response.
    """
    target = _imported(use) if ":" in use else _entry_point(use)
    if inspect.isclass(target):
        _check_parameters(use, target, parameters)
        evaluate = target(**parameters)
        if not callable(evaluate):
            raise EvaluatorFault(f"{use} has no method __call__(self, response); define it")
    elif callable(target):
        evaluate = target
        _check_parameters(use, target, parameters, skip=1)
        if parameters:
            evaluate = functools.partial(target, **parameters)
    else:
        raise EvaluatorFault(f"{use} is a {type(target).__name__}; name a function or a class")
    called = evaluate if inspect.isroutine(target) else type(evaluate).__call__
    if inspect.iscoroutinefunction(called) or inspect.isgeneratorfunction(called):
        raise EvaluatorFault(f"{use} is asynchronous or a generator; write an ordinary function")
    try:
        inspect.signature(evaluate).bind(None)
    except TypeError as error:
        raise EvaluatorFault(
            f"{use} cannot be called with one response ({error}); write def evaluate(response)"
        ) from None
    except ValueError:
        pass  # a builtin without a signature
    return evaluate, _described(use, target)


def _imported(use: str) -> Any:
    module_name, _, path = use.partition(":")
    try:
        target: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(f"{error.name}.")):
            raise EvaluatorFault(
                f"there is no module {error.name!r}; put it beside softfail.yaml or on PYTHONPATH, or install it"
            ) from None
        raise EvaluatorFault(f"{module_name} cannot be imported: {text_of(error)}") from None
    except BaseException as error:  # noqa: BLE001
        raise EvaluatorFault(f"{module_name} cannot be imported: {text_of(error)}") from None
    for name in path.split("."):
        if not hasattr(target, name):
            names = [name for name in vars(target) if not name.startswith("_")]
            raise EvaluatorFault(f"{module_name} has no {name!r}{_closest(name, names)}")
        target = getattr(target, name)
    return target


def _entry_point(name: str) -> Any:
    points = {point.name: point for point in entry_points(group=GROUP)}
    if name not in points:
        known = (
            f"installed are: {', '.join(sorted(points))}"
            if points
            else "no package that is installed has any"
        )
        raise EvaluatorFault(
            f"there is no entry point {name!r} in the group {GROUP}{_closest(name, points)}; {known}; or write"
            " package.module:Name"
        )
    try:
        return points[name].load()
    except BaseException as error:  # noqa: BLE001
        raise EvaluatorFault(f"{points[name].value} cannot be imported: {text_of(error)}") from None


def _check_parameters(use: str, target: Any, parameters: dict[str, Any], skip: int = 0) -> None:
    try:
        declared = list(inspect.signature(target).parameters.values())[skip:]
    except ValueError:
        return
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in declared):
        return
    names = [
        parameter.name
        for parameter in declared
        if parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    for name in parameters:
        if name not in names:
            valid = f"valid are {', '.join(names)}" if names else "it has none"
            raise EvaluatorFault(f"{use}: parameter {name!r} is unknown{_closest(name, names)}; {valid}")
    for parameter in declared:
        if (
            parameter.name in names
            and parameter.default is parameter.empty
            and parameter.name not in parameters
        ):
            raise EvaluatorFault(f"{use}: parameter {parameter.name!r} is required; set it under parameters")


def _described(use: str, target: Any) -> dict[str, Any]:
    version, reads_text = getattr(target, "version", "1"), getattr(target, "reads_text", True)
    if not isinstance(version, str) or not 1 <= len(version) <= 64:
        raise EvaluatorFault(f"{use}: version is {version!r:.40}; it must be a text of 1 to 64 characters")
    if not isinstance(reads_text, bool):
        raise EvaluatorFault(f"{use}: reads_text is {reads_text!r:.40}, not True or False")
    return {"version": version, "reads_text": reads_text}


def _closest(name: str, names: Iterable[str]) -> str:
    matches = difflib.get_close_matches(name, list(names), 1, 0.5)
    return f"; did you mean {matches[0]!r}?" if matches else ""


def _evaluate(evaluate: Evaluate, line: bytes) -> list[Any]:
    try:
        return list(_checked(evaluate(ModelResponse(**json.loads(line)))))
    except MemoryError:
        return ["out of memory"]
    except BaseException as error:  # noqa: BLE001 - SystemExit and KeyboardInterrupt, too
        return ["error", text_of(error)]


def _checked(value: Any) -> Verdict:
    """Return what an evaluator returned as a verdict of plain types.

    Raises:
        TypeError, ValueError: it is none.
    """
    if value is True or value is False:
        return Verdict("passed") if value else Verdict("failed", "returned False")
    if not isinstance(value, Verdict):
        raise TypeError(f"returned {type(value).__name__}, not a Verdict or a bool")
    state, reason, score = value
    if state not in ("passed", "failed", "skipped") or not isinstance(reason, str):
        raise ValueError(f"returned the verdict {state!r:.40} with a reason of type {type(reason).__name__}")
    if score is not None:
        score = float(score)
        if not math.isfinite(score) or abs(score) > _MAX_SCORE:
            raise ValueError(f"returned the score {score}; scores lie between -10^9 and 10^9")
    return Verdict(state, reason[:MAX_TEXT_CHARS], score)


def text_of(error: BaseException) -> str:
    """Return type and text of an exception, cut; whatever its ``__str__`` does."""
    try:
        text = str(error)
    except BaseException:  # noqa: BLE001
        text = "its text cannot be read"
    return f"{type(error).__name__}: {text[:MAX_TEXT_CHARS]}" if text else type(error).__name__


def _limit(memory_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(ValueError, OSError):  # macOS does not know it
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))


def _alarm(limit_s: float) -> None:
    """Let the kernel end this process if it takes much longer; 0: no longer.

    It needs no interpreter, and it is for a process whose other end was killed while it hung.
    """
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, limit_s and limit_s + _GRACE_S)


def _write(descriptor: int, value: Any) -> None:
    data = json.dumps(value).encode() + b"\n"
    while data:
        data = data[os.write(descriptor, data) :]


if __name__ == "__main__":
    try:
        main()
    except BaseException:  # noqa: BLE001 - the pipes are gone
        os._exit(1)  # threads of the evaluator may still run
