"""Safety checks inside the producer: they see every call, before sampling, on the background thread.

A call that fails one is always sent, with its texts; the others are sampled as before. So rare hits are not
lost to sampling, and rates stay unbiased: each event records the probability that applied to it.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields as fields_of
from typing import Any, NamedTuple

from softfail.evaluator import ModelResponse, Verdict
from softfail.redact import redact
from softfail.text_truncation import TruncatedText

Check = Callable[[ModelResponse], Verdict | bool]
"""Returns whether a call passes, or a verdict."""

SLOW_S = 0.1
"""A check that takes longer is noted in the log of the SDK."""
MOST_CHECKS = 20
_PLACEHOLDER = re.compile(r"<(EMAIL|PHONE|CARD|IBAN|SSN|IP|SECRET)>")
_RESPONSE_FIELDS = frozenset(field.name for field in fields_of(ModelResponse))


class SafetyVerdict(NamedTuple):
    """The verdict of one check. ``is_reported``: whether the worker gets it as an evaluation event."""

    name: str
    verdict: Verdict
    is_reported: bool


def personal_data(text: str) -> Counter[str]:
    """Return kind -> number of values that redaction replaces in a text, or of its placeholders.

    >>> personal_data("Write to anna@bergland-mail.se or <EMAIL>.")
    Counter({'EMAIL': 2})
    """
    return Counter(_PLACEHOLDER.findall(redact(text)))


def has_no_personal_data(response: ModelResponse) -> Verdict:
    """Return the verdict of the built-in check ``pii``: the output has no personal data or secret that the
    input has not.
    """
    if not response.output:
        return Verdict("skipped", "no text")
    found = personal_data(response.output)
    if found and response.input:
        found -= personal_data(response.input)
    if not found:
        return Verdict("passed")
    return Verdict("failed", ", ".join(sorted(kind.lower() for kind in found)), float(sum(found.values())))


BUILT_IN: Mapping[str, Check] = {"pii": has_no_personal_data}
"""Checks by the name of the worker's evaluator that reads the same. The worker judges what is sent, so their
verdicts are not reported.
"""


class SafetyChecks:
    """The checks of a client.

    Args:
        checks: names of ``BUILT_IN``, and functions of one ``ModelResponse``.
        note: called with (reason, detail) when a check raises, or is slow.

    Raises:
        ValueError: a check is neither; the message says which.
    """

    def __init__(self, checks: Sequence[Any], note: Callable[[str, str], None]) -> None:
        self._checks = [
            (check, BUILT_IN[check], False) if isinstance(check, str) else (name_of(check), check, True)
            for check in validated(checks)
        ]
        self._note = note

    def __bool__(self) -> bool:
        return bool(self._checks)

    def verdicts(self, fields: Mapping[str, Any]) -> list[SafetyVerdict]:
        """Return the verdict of each check on a call; none of a failed call, and none of a check that raises.

        Args:
            fields: of the response, as the service reported them. Of a text that is too long to keep the
                ends are checked.
        """
        if fields.get("error_type"):
            return []
        response = _response_of(fields)
        verdicts = []
        for name, check, is_reported in self._checks:
            began_s = time.monotonic()
            try:
                result = check(response)
                verdict = (
                    result
                    if isinstance(result, Verdict)
                    else Verdict("passed" if _as_bool(result) else "failed")
                )
            except Exception as error:  # noqa: BLE001 - a check of the service may raise anything
                self._note(f"safety check {name} failed", f"{type(error).__name__}: {error}"[:300])
                continue
            seconds = time.monotonic() - began_s
            if seconds > SLOW_S:
                self._note(f"safety check {name} is slow", f"{seconds:.1f} s, in which no event is sent")
            verdicts.append(SafetyVerdict(name, verdict, is_reported))
        return verdicts


def validated(checks: Any) -> list[Any]:
    """Return checks that can be used.

    Raises:
        ValueError: one cannot; the message says which and what can.
    """
    if not isinstance(checks, (list, tuple)):
        raise ValueError('write a list, like ["pii", my_check]')
    if len(checks) > MOST_CHECKS:
        raise ValueError(f"{len(checks)} checks; at most {MOST_CHECKS}")
    for check in checks:
        if isinstance(check, str):
            if check not in BUILT_IN:
                raise ValueError(
                    f"{check!r:.40}: not built in; there is {', '.join(BUILT_IN)}, or pass a function of one ModelResponse"
                )
        elif not callable(check):
            raise ValueError(f"{check!r:.40}: neither a name nor a function")
    names = [check if isinstance(check, str) else name_of(check) for check in checks]
    for name, count in Counter(names).items():
        if count > 1:
            raise ValueError(f"two checks are called {name!r:.40}; name one of them otherwise")
    return list(checks)


def name_of(check: Callable[..., Any]) -> str:
    """Return the name under which the verdicts of a check are reported."""
    return str(getattr(check, "__name__", None) or type(check).__name__)[:256]


def _as_bool(result: Any) -> bool:
    if isinstance(result, bool):
        return result
    raise TypeError(f"it returned {type(result).__name__}, not a Verdict or a bool")


def _response_of(fields: Mapping[str, Any]) -> ModelResponse:
    values = {
        name: _whole(value)
        for name, value in fields.items()
        if name in _RESPONSE_FIELDS and value is not None
    }
    return ModelResponse(**values)


def _whole(value: Any) -> Any:
    return f"{value.head}\n{value.tail}" if isinstance(value, TruncatedText) else value
