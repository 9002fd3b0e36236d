"""Test an evaluator of your own: run it on cases as a worker runs it, with the same limits.

>>> from softfail.testing import Case, check_evaluator
>>> report = check_evaluator(
...     "softfail.testing:mentions_refund",
...     [Case("failed", output="No."), Case("passed", output="You get a refund.")],
... )
>>> report.wrong
[]

In pytest, ``assert not report.wrong, str(report)`` prints each case that went wrong.
"""

from __future__ import annotations

import inspect
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from softfail.evaluator import FINISH_REASONS, ModelResponse, Verdict
from softfail.evaluator_pool import EvaluatorPool
from softfail.evaluator_process import Description, EvaluatorSpec

_FIELDS = tuple(field.name for field in fields(ModelResponse))


class Case:
    """A response and the expected verdict.

    Args:
        expected: ``passed``, ``failed``, ``skipped`` or ``error``.
        reason: a part of the expected reason; empty: any.
        response: fields of a ``ModelResponse``; ``event_id`` has a default.

    Raises:
        ValueError: there is no such verdict, field or finish reason.
    """

    def __init__(self, expected: str, *, reason: str = "", **response: Any) -> None:
        if expected not in ("passed", "failed", "skipped", "error"):
            raise ValueError(f"expected {expected!r}: write passed, failed, skipped or error")
        for name in response:
            if name not in _FIELDS:
                raise ValueError(f"a response has no field {name!r}; it has {', '.join(_FIELDS)}")
        if (finish_reason := response.get("finish_reason", "")) not in FINISH_REASONS:
            raise ValueError(
                f"finish_reason {finish_reason!r}: in normal form it is one of {', '.join(FINISH_REASONS[1:])}"
            )
        self.expected, self.reason = expected, reason
        self.response = ModelResponse(**{"event_id": "case", **response})
        self._given = tuple(response)

    def __repr__(self) -> str:
        given = ((name, getattr(self.response, name)) for name in self._given)
        response = ", ".join(f"{name}={value!r:.100}" for name, value in given)
        return f"{self.expected}{f' ({self.reason})' if self.reason else ''} of {response}"


@dataclass(frozen=True, slots=True, repr=False)
class Result:
    """The verdict on a case, and how long it took, in seconds, with the way to the process and back."""

    case: Case
    verdict: Verdict
    seconds: float

    @property
    def is_wrong(self) -> bool:
        """Whether the verdict or its reason differs from the expected one."""
        return self.verdict.state != self.case.expected or self.case.reason not in self.verdict.reason

    def __repr__(self) -> str:
        reason = f" ({self.verdict.reason})" if self.verdict.reason else ""
        return f"expected {self.case!r}, got {self.verdict.state}{reason}"


@dataclass(frozen=True, slots=True, repr=False)
class Report:
    """The results of an evaluator on cases."""

    description: Description
    results: Sequence[Result]

    @property
    def wrong(self) -> list[Result]:
        """The results that differ from what was expected."""
        return [result for result in self.results if result.is_wrong]

    @property
    def slowest_s(self) -> float:
        """The longest time of a case, seconds."""
        return max((result.seconds for result in self.results), default=0.0)

    def __repr__(self) -> str:
        lines = [
            f"version {self.description.version}: {len(self.results)} cases, {len(self.wrong)} wrong, the"
            f" slowest took {self.slowest_s * 1000:.1f} ms"
        ]
        return "\n".join([*lines, *map(repr, self.wrong)])


def check_evaluator(
    evaluator: str | Callable[..., Any],
    cases: Sequence[Case],
    parameters: Mapping[str, Any] | None = None,
    *,
    timeout_s: float = 1.0,
    memory_mb: int = 1024,
    shows_output: bool = True,
) -> Report:
    """Run an evaluator on cases, in a process with the limits of a worker.

    Args:
        evaluator: a class or function at the top level of a module, or what the configuration has under
            ``use``.
        parameters: as in the configuration.
        timeout_s: limit of one response.
        memory_mb: limit of the address space of the process.
        shows_output: whether the evaluator may print.

    Raises:
        ValueError: the evaluator cannot be imported or takes other parameters; the message says what to do.
    """
    spec = EvaluatorSpec(
        evaluator if isinstance(evaluator, str) else _path_of(evaluator),
        json.dumps(dict(parameters or {}), sort_keys=True),
        timeout_s,
        memory_mb,
    )
    results = []
    with EvaluatorPool(cuts_off=False, shows_output=shows_output) as pool:
        description = pool.describe(spec)
        for case in cases:
            payload = json.dumps(asdict(case.response)).encode()
            began_s = time.perf_counter()
            (verdict,) = pool.evaluate([(spec, payload)]).values()
            results.append(Result(case, verdict, time.perf_counter() - began_s))
    return Report(description, results)


def _path_of(evaluator: Callable[..., Any]) -> str:
    module, name = getattr(evaluator, "__module__", ""), getattr(evaluator, "__qualname__", "")
    if not module or not name or "<" in name:
        raise ValueError(
            f"{evaluator!r:.80} is not at the top level of a module; a worker could not import it"
        )
    if module == "__main__":
        source = inspect.getsourcefile(evaluator) or "this file"
        raise ValueError(f"{name} is in the program that runs ({source}); move it to a module of its own")
    return f"{module}:{name}"


def mentions_refund(response: ModelResponse) -> bool:
    """Return whether an answer mentions a refund: the example of this module."""
    return "refund" in (response.output or "")
