"""Evaluate expectations in a part of JavaScript on an answer: pure, bounded, and without access to anything else."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from monitor.evaluators.verdict import PASSED, Verdict, failed
from monitor.golden.expression_syntax import Node, parse
from monitor.golden.expression_values import (
    ARITHMETIC,
    FUNCTIONS,
    LIST_METHODS,
    METHODS,
    OBJECTS,
    ORDER,
    STRING_METHODS,
    UNDEFINED,
    ExpressionFailure,
    Regex,
    Undefined,
    from_json,
    is_loosely_same,
    is_same,
    number_of,
    text_of,
    truthy,
)
from schemas.golden import Check

MAX_STEPS = 50_000
THREW = "threw: "
MAX_SIZE = 1_000_000


class _Return(Exception):
    def __init__(self, value: Any) -> None:
        self.value = value


@lru_cache(1024)
def program(code: str) -> Sequence[Node]:
    """Parse code, and check its names, methods and regular expressions.

    Raises:
        ValueError: it uses what is not supported.
    """
    statements = parse(code)
    _check(statements, {"output", "context", "undefined", "NaN", "Infinity", *OBJECTS})
    return statements


def _check(node: Any, names: set[str]) -> None:
    """Refuse what would fail for every answer: unknown names and methods, and expressions that RE2 cannot read."""
    if isinstance(node, list):
        for part in node:
            if isinstance(part, tuple) and part and part[0] == "let":
                names = {*names, part[1]}
            _check(part, names)
    elif isinstance(node, tuple) and node:
        if node[0] == "name" and node[1] not in names:
            raise ValueError(f"uses {node[1]}, which is not supported")
        if node[0] == "regex":
            Regex(*node[1])
        if node[0] == "arrow":
            names = {*names, *node[1]}
        if node[0] in ("value", "regex", "name"):
            return
        for part in node[1:]:
            _check(part, names)
        if node[0] == "call":
            _check_call(node, names)


def _check_call(node: Node, names: set[str]) -> None:
    target = node[1]
    if target[0] == "name" and (target[1] in FUNCTIONS or target[1] in names):
        return
    if target[0] == "member":
        whose = target[1][1] if target[1][0] == "name" else ""
        if target[2] in OBJECTS.get(whose, METHODS):
            return
        raise ValueError(f"calls {target[2]}, which is not supported")
    raise ValueError("calls a function, which is not supported")


def check_expression(check: Check, text: str) -> Verdict:
    """Evaluate an expectation; ``value`` is the code, or ``{"code": ..., "vars": {...}}``.

    A boolean decides, a number must be at least ``threshold`` (more than 0 without one), and of an object ``pass``
    decides, as in promptfoo. What throws, fails.
    """
    value = check.value if isinstance(check.value, dict) else {"code": check.value}
    names = {"output": text, "context": {"vars": value.get("vars", {}), "prompt": ""}}
    try:
        result = _Evaluation(names).run(program(value["code"]))
    except (ExpressionFailure, RecursionError, ArithmeticError, ValueError, TypeError) as error:
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


class _Evaluation:
    def __init__(self, names: Mapping[str, Any]) -> None:
        self._names = {"undefined": UNDEFINED, "NaN": math.nan, "Infinity": math.inf}
        self._names |= {
            name: value if isinstance(value, str) else from_json(value) for name, value in names.items()
        }
        self._steps = 0

    def run(self, statements: Sequence[Node]) -> Any:
        try:
            self._execute(statements, self._names)
        except _Return as result:
            return result.value
        return UNDEFINED

    def _execute(self, statements: Sequence[Node], names: dict[str, Any]) -> None:
        for statement in statements:
            kind = statement[0]
            if kind == "return":
                raise _Return(self._value(statement[1], names))
            if kind == "let":
                names[statement[1]] = self._value(statement[2], names)
            elif kind == "if":
                self._execute(
                    statement[2] if truthy(self._value(statement[1], names)) else statement[3], names
                )
            elif kind == "try":
                try:
                    self._execute(statement[1], names)
                except (ExpressionFailure, ArithmeticError, TypeError, ValueError):
                    self._execute(statement[2], names)
            else:
                self._value(statement[1], names)

    def _value(self, node: Node, names: dict[str, Any]) -> Any:
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise ExpressionFailure("takes too many steps")
        value = node[1] if node[0] == "value" else getattr(self, f"_{node[0]}")(node, names)
        if isinstance(value, str | list) and len(value) > MAX_SIZE:
            raise ExpressionFailure("makes too large a value")
        return value

    def _value_of(self, nodes: Sequence[Node], names: dict[str, Any]) -> list[Any]:
        return [self._value(node, names) for node in nodes]

    def _name(self, node: Node, names: dict[str, Any]) -> Any:
        return names.get(node[1], UNDEFINED)

    def _regex(self, node: Node, names: dict[str, Any]) -> Any:
        return Regex(*node[1])

    def _list(self, node: Node, names: dict[str, Any]) -> Any:
        return self._value_of(node[1], names)

    def _object(self, node: Node, names: dict[str, Any]) -> Any:
        return {key: self._value(value, names) for key, value in node[1]}

    def _if(self, node: Node, names: dict[str, Any]) -> Any:
        return self._value(node[2] if truthy(self._value(node[1], names)) else node[3], names)

    def _arrow(self, node: Node, names: dict[str, Any]) -> Any:
        def call(*arguments: Any) -> Any:
            inner = {**names, **dict(zip(node[1], arguments, strict=False))}
            try:
                self._execute(node[2], inner)
            except _Return as result:
                return result.value
            return UNDEFINED

        return call

    def _unary(self, node: Node, names: dict[str, Any]) -> Any:
        value = self._value(node[2], names)
        if node[1] == "!":
            return not truthy(value)
        if node[1] == "typeof":
            kinds = {str: "string", bool: "boolean", float: "number", Undefined: "undefined"}
            return "function" if callable(value) else kinds.get(type(value), "object")
        return -number_of(value) if node[1] == "-" else number_of(value)

    def _binary(self, node: Node, names: dict[str, Any]) -> Any:
        mark, left = node[1], self._value(node[2], names)
        if mark in ("&&", "||", "??"):
            takes_right = {
                "&&": truthy(left),
                "||": not truthy(left),
                "??": left is None or left is UNDEFINED,
            }[mark]
            return self._value(node[3], names) if takes_right else left
        right = self._value(node[3], names)
        if mark in ("===", "!=="):
            return is_same(left, right) == (mark == "===")
        if mark in ("==", "!="):
            return is_loosely_same(left, right) == (mark == "==")
        if mark in ORDER:
            both = isinstance(left, str) and isinstance(right, str)
            return ORDER[mark](left, right) if both else ORDER[mark](number_of(left), number_of(right))
        if mark == "+" and (isinstance(left, str | list | dict) or isinstance(right, str | list | dict)):
            return text_of(left) + text_of(right)
        return (
            number_of(left) + number_of(right)
            if mark == "+"
            else ARITHMETIC[mark](number_of(left), number_of(right))
        )

    def _member(self, node: Node, names: dict[str, Any]) -> Any:
        return self._property(self._value(node[1], names), node[2], node[3])

    def _index(self, node: Node, names: dict[str, Any]) -> Any:
        return self._property(self._value(node[1], names), self._value(node[2], names), node[3])

    def _property(self, value: Any, key: Any, optional: bool) -> Any:
        if value is None or value is UNDEFINED:
            if optional:
                return UNDEFINED
            raise ExpressionFailure(f"cannot read {text_of(key)} of {text_of(value)}")
        if key == "length" and isinstance(value, str | list):
            return float(len(value))
        if isinstance(value, dict):
            return value.get(text_of(key), UNDEFINED)
        if isinstance(value, str | list) and isinstance(key, float) and key.is_integer():
            return value[int(key)] if 0 <= key < len(value) else UNDEFINED
        return UNDEFINED

    def _call(self, node: Node, names: dict[str, Any]) -> Any:
        target, arguments = node[1], self._value_of(node[2], names)
        if target[0] == "name":
            called = names.get(target[1], FUNCTIONS.get(target[1]))
            if not callable(called):
                raise ExpressionFailure(f"{target[1]} is no function")
            return called(*arguments)
        if target[1][0] == "name" and target[1][1] in OBJECTS:
            return OBJECTS[target[1][1]][target[2]](*arguments)
        value, method = self._value(target[1], names), target[2]
        if value is UNDEFINED or value is None:
            if target[3]:
                return UNDEFINED
            raise ExpressionFailure(f"cannot call {method} of {text_of(value)}")
        if isinstance(value, Regex) and method == "test":
            return value.compiled.search(text_of(arguments[0] if arguments else UNDEFINED)) is not None
        methods = (
            STRING_METHODS if isinstance(value, str) else LIST_METHODS if isinstance(value, list) else {}
        )
        if method == "toString":
            return text_of(value)
        if method not in methods:
            raise ExpressionFailure(f"{method} is no function of this value")
        return methods[method](value, *arguments)
