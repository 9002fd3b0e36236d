"""Render the page on which a person labels the answers of a sample: one file that loads nothing from elsewhere.

The texts are hostile. They are data in a script block that is never run, without a character that could end it,
and the program of the page sets them as text. The content security policy allows only this program and its style,
by digest.
"""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from monitor.review.answer import TEXT_FIELDS, Answer
from monitor.review.question import CANNOT_TELL
from monitor.review.sample_file import Sample, numbered
from softfail.sanitize import sanitize

_TEMPLATES = Path(__file__).parent / "templates"
_ESCAPES = {ord(mark): f"\\u{ord(mark):04x}" for mark in "<>&\u2028\u2029"}


def render(sample: Sample) -> str:
    """Return the page of a sample, HTML.

    It shows neither the verdicts of evaluators nor the model: who knows them agrees with them.
    """
    script, css = _read("review.js"), _read("review.css")
    return (
        _environment()
        .get_template("review.html.j2")
        .render(
            css=Markup(css),
            script=Markup(script),
            css_digest=_digest(css),
            script_digest=_digest(script),
            title=sanitize(sample.question.text),
            data=Markup(_data(sample)),
        )
    )


def _data(sample: Sample) -> str:
    question = sample.question
    data: dict[str, Any] = {
        "sample": sample.sample_id,
        "question": sanitize(question.text, lines=True),
        "labels": question.labels,
        "passing": len(question.passing),
        "cannotTell": CANNOT_TELL,
        "answers": [_shown(number, answer) for number, answer in numbered(sample.answers)],
    }
    return json.dumps(data).translate(_ESCAPES)


def _shown(number: int, answer: Answer) -> dict[str, Any]:
    place = f"{answer.labels.get('service', '')}/{answer.labels.get('feature', '')}"
    texts = {name: getattr(answer, name) for name in TEXT_FIELDS}
    return {"answer": number, "place": sanitize(place), **texts}


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _read(name: str) -> str:
    return (_TEMPLATES / name).read_text("utf-8")


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
