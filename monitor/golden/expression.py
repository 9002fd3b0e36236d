"""Evaluate a part of JavaScript on an answer: pure, bounded, and without access to anything else."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

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
    OutputText,
    Regex,
    Undefined,
    from_json,
    is_loosely_same,
    is_same,
    number_of,
    text_of,
    truthy,
)

MAX_STEPS = 50_000
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


def evaluate(code: str, output: Any, variables: Mapping[str, Any] | None = None) -> Any:
    """Return the value of code for an answer.

    Args:
        code: that ``expression_fault`` finds no fault in.
        output: the text, or the value of a transform.
        variables: of the case.

    Raises:
        ExpressionFailure: it throws, or exceeds a limit.
    """
    answer = OutputText(output) if isinstance(output, str) else output
    names = {"output": answer, "context": {"vars": variables or {}, "prompt": ""}}
    try:
        return _Evaluation(names).run(program(code))
    except (RecursionError, ArithmeticError, ValueError, TypeError) as error:
        raise ExpressionFailure(str(error)) from None


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
            kinds = {
                str: "string",
                OutputText: "string",
                bool: "boolean",
                float: "number",
                Undefined: "undefined",
            }
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
        if isinstance(value, OutputText) and isinstance(value.parsed, dict | list):
            value = value.parsed
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
