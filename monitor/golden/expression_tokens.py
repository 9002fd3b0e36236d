"""Tokens of expressions."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*|/\*.*?\*/)
    |(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
    |(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    |(?P<template>`(?:[^`\\]|\\.)*`)
    |(?P<name>[A-Za-z_$][\w$]*)
    |(?P<mark>=>|===|!==|==|!=|<=|>=|&&|\|\||\?\?|\?\.|\.\.\.|[-+*/%!<>?:;,.(){}\[\]=])""",
    re.VERBOSE | re.DOTALL,
)
_REGEX = re.compile(r"/((?:[^/\\\n\[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+)/([a-z]*)")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|u\{[0-9a-fA-F]{1,5}\}|x[0-9a-fA-F]{2}|.)", re.DOTALL)
_REFUSED = frozenset(
    "for while do function class async await yield throw switch import export delete void with new this in of".split()  # noqa: SIM905
)


class Token(NamedTuple):
    """A token: its kind, and its text or value."""

    kind: str
    value: Any


def tokens_of(code: str) -> list[Token]:
    """Return the tokens of code, and one of the kind ``end``.

    Raises:
        ValueError: a character or word is not supported.
    """
    tokens: list[Token] = []
    position = 0
    while position < len(code):
        match = _TOKEN.match(code, position)
        if code[position] == "/" and (match is None or match.lastgroup == "mark") and _begins_operand(tokens):
            regex = _REGEX.match(code, position)
            if regex is None:
                raise ValueError("has a regular expression without end")
            tokens.append(Token("regex", (regex[1], regex[2])))
            position = regex.end()
            continue
        if match is None:
            raise ValueError(f"has {code[position]!r}, which is not supported")
        kind, text = str(match.lastgroup), match[0]
        position = match.end()
        if kind == "number":
            tokens.append(Token("value", float(text)))
        elif kind == "string":
            tokens.append(Token("value", unquoted(text)))
        elif kind == "name" and text in _REFUSED:
            raise ValueError(f"uses {text}, which is not supported")
        elif kind != "space":
            tokens.append(Token(kind, text))
    return [*tokens, Token("end", "")]


def _begins_operand(tokens: list[Token]) -> bool:
    if not tokens:
        return True
    last = tokens[-1]
    return (last.kind == "mark" and last.value not in (")", "]", "}")) or last == Token("name", "return")


def unquoted(text: str) -> str:
    """Return the content of a string in quotes."""
    body = text[1:-1]
    return _ESCAPE.sub(_escaped, body)


def _escaped(match: re.Match[str]) -> str:
    code = match[1]
    if code[0] in "ux" and len(code) > 1:
        return chr(int(code.strip("ux{}"), 16))
    return {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "0": "\0", "\n": ""}.get(code, code)
