"""Parse the part of JavaScript that expectations are written in: expressions, constants, ``if`` and ``return``.

The result is nested tuples ``(kind, ...)``. There are no loops, classes or assignments.
"""

from __future__ import annotations

import re
from typing import Any

from monitor.golden.expression_tokens import Token, tokens_of, unquoted

MAX_CHARS = 20_000
MAX_DEPTH = 60
Node = tuple[Any, ...]

_BINARY = {
    "??": 1, "||": 1, "&&": 2, "===": 3, "!==": 3, "==": 3, "!=": 3,
    "<": 4, ">": 4, "<=": 4, ">=": 4, "+": 5, "-": 5, "*": 6, "/": 6, "%": 6,
}  # fmt: skip
_VALUES = {"true": True, "false": False, "null": None}


def parse(code: str) -> list[Node]:
    """Parse a program to statements; one expression is a ``return`` of it.

    Raises:
        ValueError: it uses what is not supported; the message names it.

    >>> parse("output.length < 9")
    [('return', ('binary', '<', ('member', ('name', 'output'), 'length', False), ('value', 9.0)))]
    """
    if len(code) > MAX_CHARS:
        raise ValueError("is too long")
    return _Parser(tokens_of(code)).program()


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self._tokens, self._at, self._depth = tokens, 0, 0

    def program(self) -> list[Node]:
        statements = []
        while not self._is("end"):
            statements.append(self._statement())
        if len(statements) == 1 and statements[0][0] == "expression":
            return [("return", statements[0][1])]
        if not any(_returns(statement) for statement in statements):
            raise ValueError("returns nothing")
        return statements

    def _is(self, kind: str, value: Any = None, ahead: int = 0) -> bool:
        token = self._tokens[min(self._at + ahead, len(self._tokens) - 1)]
        return token.kind == kind and (value is None or token.value == value)

    def _take(self, value: str) -> bool:
        if self._is("mark", value) or self._is("name", value):
            self._at += 1
            return True
        return False

    def _expect(self, value: str) -> None:
        if not self._take(value):
            raise ValueError(f"has {self._tokens[self._at].value!r} where {value!r} is expected")

    def _name(self) -> str:
        token = self._tokens[self._at]
        if token.kind != "name":
            raise ValueError(f"has {token.value!r} where a name is expected")
        self._at += 1
        return str(token.value)

    def _statement(self) -> Node:
        if self._take("return"):
            node: Node = ("return", ("value", None) if self._is("mark", ";") else self._expression())
        elif self._take("const") or self._take("let") or self._take("var"):
            name = self._name()
            self._expect("=")
            node = ("let", name, self._expression())
        elif self._take("if"):
            self._expect("(")
            condition = self._expression()
            self._expect(")")
            body = self._block()
            return ("if", condition, body, self._block() if self._take("else") else [])
        elif self._take("try"):
            body = self._block()
            self._expect("catch")
            if self._take("("):
                self._name()
                self._expect(")")
            return ("try", body, self._block())
        else:
            node = ("expression", self._expression())
        self._take(";")
        return node

    def _block(self) -> list[Node]:
        if not self._take("{"):
            return [self._statement()]
        statements = []
        while not self._take("}"):
            if self._is("end"):
                raise ValueError("has a block without end")
            statements.append(self._statement())
        return statements

    def _expression(self) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ValueError("is nested too deeply")
        try:
            if (arrow := self._arrow()) is not None:
                return arrow
            condition = self._binary(1)
            if not self._take("?"):
                return condition
            first = self._expression()
            self._expect(":")
            return ("if", condition, first, self._expression())
        finally:
            self._depth -= 1

    def _arrow(self) -> Node | None:
        names: list[str] = []
        if self._is("name") and self._is("mark", "=>", 1):
            names = [self._name()]
        elif self._is("mark", "("):
            ahead = 1
            while self._is("name", None, ahead) or self._is("mark", ",", ahead):
                ahead += 1
            if not (self._is("mark", ")", ahead) and self._is("mark", "=>", ahead + 1)):
                return None
            self._at += 1
            while not self._take(")"):
                names.append(self._name())
                self._take(",")
        else:
            return None
        self._expect("=>")
        body = self._block() if self._is("mark", "{") else [("return", self._expression())]
        return ("arrow", names, body)

    def _binary(self, least: int) -> Node:
        left = self._unary()
        while self._is("mark") and (rank := _BINARY.get(self._tokens[self._at].value, 0)) >= least:
            operator = self._tokens[self._at].value
            self._at += 1
            left = ("binary", operator, left, self._binary(rank + 1))
        return left

    def _unary(self) -> Node:
        for operator in ("!", "-", "+", "typeof"):
            if self._take(operator):
                return ("unary", operator, self._unary())
        return self._postfix(self._primary())

    def _postfix(self, node: Node) -> Node:
        while True:
            if self._take("?."):
                by_index = self._take("[")
                node = (
                    ("index", node, self._closed("]"), True)
                    if by_index
                    else ("member", node, self._name(), True)
                )
            elif self._take("."):
                node = ("member", node, self._name(), False)
            elif self._take("["):
                node = ("index", node, self._closed("]"), False)
            elif self._take("("):
                node = ("call", node, self._list(")"))
            else:
                return node

    def _closed(self, mark: str) -> Node:
        node = self._expression()
        self._expect(mark)
        return node

    def _list(self, end: str) -> list[Node]:
        nodes = []
        while not self._take(end):
            nodes.append(self._expression())
            if not self._is("mark", end):
                self._expect(",")
        return nodes

    def _primary(self) -> Node:
        token = self._tokens[self._at]
        self._at += 1
        if token.kind in ("value", "regex"):
            return (token.kind, token.value)
        if token.kind == "template":
            return self._template(token.value[1:-1])
        if token.kind == "name":
            return ("value", _VALUES[token.value]) if token.value in _VALUES else ("name", token.value)
        if token.value == "(":
            return self._closed(")")
        if token.value == "[":
            return ("list", self._list("]"))
        if token.value == "{":
            return self._object()
        raise ValueError(
            f"has {token.value!r} where a value is expected" if token.value else "ends too early"
        )

    def _template(self, text: str) -> Node:
        node: Node = ("value", "")
        for part in re.split(r"(\$\{[^{}]*\})", text):
            if part.startswith("${"):
                (statement,) = parse(part[2:-1])
                node = ("binary", "+", node, statement[1])
            elif "${" in part:
                raise ValueError("has a template that is not supported")
            else:
                node = ("binary", "+", node, ("value", unquoted(f'"{part}"') if "\n" not in part else part))
        return node

    def _object(self) -> Node:
        pairs = []
        while not self._take("}"):
            token = self._tokens[self._at]
            if token.kind not in ("name", "value"):
                raise ValueError(f"has {token.value!r} where a key is expected")
            self._at += 1
            value = self._expression() if self._take(":") else ("name", token.value)
            pairs.append((str(token.value), value))
            if not self._is("mark", "}"):
                self._expect(",")
        return ("object", pairs)


def _returns(statement: Node) -> bool:
    if statement[0] == "return":
        return True
    blocks = {"if": statement[2:], "try": statement[1:]}.get(statement[0], ())
    return any(_returns(part) for block in blocks for part in block)
