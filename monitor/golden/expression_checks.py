"""The check ``expression``: its code decides."""

from __future__ import annotations

import math
from typing import Any

from monitor.evaluators.verdict import PASSED, Verdict, failed
from monitor.golden.expression import evaluate, program
from monitor.golden.expression_values import ExpressionFailure, text_of, truthy
from schemas.golden import Check

THREW = "threw: "


def check_expression(check: Check, output: Any) -> Verdict:
    """Evaluate an expectation; ``value`` is the code, or ``{"code": ..., "vars": {...}}``.

    A boolean decides, a number must be at least ``threshold`` (more than 0 without one), and of an object ``pass``
    decides, as in promptfoo. What throws, fails.
    """
    value = check.value if isinstance(check.value, dict) else {"code": check.value}
    try:
        result = evaluate(value["code"], output, value.get("vars"))
    except ExpressionFailure as error:
        return failed(f"{THREW}{error}")
    return _verdict(result, check.threshold)


def _verdict(result: Any, threshold: float | None) -> Verdict:
    if isinstance(result, dict) and "pass" in result:
        reason = result.get("reason")
        return (
            PASSED
            if truthy(result["pass"])
            else failed(reason if isinstance(reason, str) else "returned pass: false")
        )
    if isinstance(result, bool):
        return PASSED if result else failed("is false")
    if isinstance(result, float) and not math.isnan(result):
        passes = result > 0 if threshold is None else result >= threshold
        return Verdict(PASSED.state, "", result) if passes else failed(f"score {result:g} is too low", result)
    return failed(f"returned {text_of(result)[:40]}, which is no verdict")


def expression_fault(value: Any) -> str:
    """Return why a value is no expression; empty if it is one."""
    code = value.get("code") if isinstance(value, dict) else value
    if not isinstance(code, str) or not code.strip():
        return "write an expression, like output.length < 200"
    try:
        program(code)
    except (ValueError, RecursionError) as error:
        return f"the expression {error}"
    return ""
