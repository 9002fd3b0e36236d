"""Checks of the structure of an answer: JSON, XML and HTML."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from html.parser import HTMLParser
from typing import Any
from xml.parsers import expat

from monitor.evaluators.json_answer import JsonSize, decode_json
from monitor.evaluators.verdict import PASSED, State, Verdict, failed
from schemas.golden import Check

MAX_TRIES = 200  # places of an answer at which a JSON value or a document is tried
_TAG = re.compile(r"<([a-zA-Z][\w:.-]*)")
_HTML_TAG = re.compile(
    "a|article|aside|b|blockquote|body|br|button|code|div|em|footer|form|h[1-6]|head|header|hr|html|i|img|input|label"
    "|li|link|main|meta|nav|ol|option|p|pre|script|section|select|small|span|strong|style|sub|sup|table|tbody|td"
    "|textarea|tfoot|th|thead|title|tr|u|ul|video"
)


@lru_cache(256)
def _validator(schema: str) -> Any:
    from monitor.evaluators.json_schema_check import SchemaValidator  # imported late: it takes 0.1 s

    return SchemaValidator(json.loads(schema))


def schema_fault(schema: Any) -> str:
    """Return why a value cannot be used as JSON Schema; empty if it can."""
    try:
        _validator(json.dumps(schema))
    except ValueError as error:
        return str(error)
    return ""


def check_json(check: Check, text: str) -> Verdict:
    """Fail an answer that is not one JSON value, or breaks the schema in ``value``."""
    verdict, value = decode_json(text)
    if verdict.state is not State.PASSED:
        return failed(verdict.reason)
    return _check_schema(check.value, value, text)


def _check_schema(schema: Any, value: Any, text: str) -> Verdict:
    if schema is None:
        return PASSED
    validator, size = _validator(json.dumps(schema)), JsonSize.measure(text)
    if validator.too_large(size.values, size.chars, size.large_integers):
        return Verdict(State.ERROR, "too large for its schema")
    if validator.is_valid(value):
        return PASSED
    place, keyword, expected = validator.violation(value, size.chars)
    return failed(f"{place}: breaks {keyword}: {expected!r}"[:300])


def check_contains_json(check: Check, text: str) -> Verdict:
    """Pass an answer that contains a JSON object that follows the schema in ``value``; arrays alone do not count."""
    decoder, position, verdict = json.JSONDecoder(), 0, failed("contains no JSON object")
    for _ in range(MAX_TRIES):
        position = text.find("{", position)
        if position < 0:
            break
        try:
            value, end = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            position += 1
            continue
        verdict = _check_schema(check.value, value, text[position:end])
        if verdict.state is State.PASSED:
            break
        position = end
    return verdict


def check_xml(check: Check, text: str) -> Verdict:
    """Pass an answer that is one XML document; document types are refused, because they can expand."""
    fault = _xml_fault(text.strip())
    return failed(fault) if fault else PASSED


def check_contains_xml(check: Check, text: str) -> Verdict:
    """Pass an answer that contains an XML element."""
    for number, start in enumerate(_TAG.finditer(text)):
        if number == MAX_TRIES:
            break
        end = text.rfind(f"</{start[1]}>")
        if end > start.start() and not _xml_fault(text[start.start() : end + len(start[1]) + 3]):
            return PASSED
    return failed("contains no XML")


def _xml_fault(text: str) -> str:
    parser = expat.ParserCreate()

    def refuse(*_: Any) -> None:
        raise ValueError

    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(text.encode("utf-8", "replace"), True)
    except expat.ExpatError as error:
        return f"not XML: {error}"
    except ValueError:
        return "not XML without a document type"
    return ""


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.html, self.outside = 0, False
        self._open = 0

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.html += _HTML_TAG.fullmatch(tag) is not None
        self._open += 1

    def handle_endtag(self, tag: str) -> None:
        self._open -= 1

    def handle_data(self, data: str) -> None:
        self.outside |= self._open <= 0 and bool(data.strip())


def _tags(text: str) -> _Tags:
    tags = _Tags()
    tags.feed(text)
    tags.close()
    return tags


def check_html(check: Check, text: str) -> Verdict:
    """Pass an answer that is HTML and nothing beside it."""
    tags = _tags(text.strip())
    if not tags.html:
        return failed("contains no HTML")
    return failed("has text outside of HTML") if tags.outside else PASSED


def check_contains_html(check: Check, text: str) -> Verdict:
    """Pass an answer that contains an HTML element."""
    return PASSED if _tags(text).html else failed("contains no HTML")
