"""Detect personal data and secrets in answers, by the rules of the SDK's redaction."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from typing import Any, Literal

from pydantic import Field

from monitor.evaluators.interface import Evaluator, Parameters
from monitor.evaluators.text_scan import text_to_scan
from monitor.evaluators.verdict import PASSED, SKIPPED_ERROR, SKIPPED_NO_TEXT, Verdict, failed
from softfail.redact import redact

Kind = Literal["email", "phone", "card", "iban", "ssn", "ip", "secret"]
KINDS: tuple[Kind, ...] = ("email", "phone", "card", "iban", "ssn", "ip", "secret")
_PLACEHOLDER = re.compile(r"<(EMAIL|PHONE|CARD|IBAN|SSN|IP|SECRET)>")
_MOST_ALLOWED = 100


class PiiParameters(Parameters):
    """What counts as personal data."""

    kinds: list[Kind] = Field(list(KINDS), min_length=1, description="Kinds that fail")
    allowed: list[str] = Field(
        [],
        max_length=_MOST_ALLOWED,
        description="Texts that may occur, like `help@example.org`; of no use where the producer redacts texts",
    )
    from_input: bool = Field(True, description="Whether what the input has, too, passes")


class PiiEvaluator(Evaluator):
    """Fails when the answer has an e-mail address, phone number, card, IBAN, social security number, public IP address or secret.

    The rules are those of the SDK's [redaction](producer.md#redaction). Where the producer redacts, its placeholders count
    (`<EMAIL>`). As many of a kind as the input has are taken for the user's own and pass, unless `from_input` is false. Runs
    only where configured.

    On 240 labelled examples: precision 1.00, recall 1.00. On 25 others, before any correction: 1.00 and
    0.92.
    """

    name = "pii"
    opt_in = True
    reads_text = True
    parameters_model = PiiParameters
    parameters: PiiParameters
    failure_text = "answers had personal data or secrets"
    next_step = "Read the failing answers now: whose data are they? Look at what retrieval and tools give to the model."
    failing_example = {"output": "Her address is anna.lind@bergland-mail.se."}

    def __init__(self, parameters: Parameters | None = None) -> None:
        super().__init__(parameters)
        self._kinds = frozenset(kind.upper() for kind in self.parameters.kinds)

    def __call__(self, event: Any, hits: Collection[str]) -> Verdict:
        """Fail with the kinds that were found; the reason does not show them."""
        if event.error_type:
            return SKIPPED_ERROR
        if not event.output:
            return SKIPPED_NO_TEXT
        found = self._found(event.output)
        if found and self.parameters.from_input and event.input:
            found -= self._found(event.input)
        if not found:
            return PASSED
        return failed(", ".join(sorted(kind.lower() for kind in found)), float(found.total()))

    def _found(self, text: str) -> Counter[str]:
        """Return kind -> number of different values, or of placeholders."""
        text = text_to_scan(text)
        for allowed in self.parameters.allowed:
            text = text.replace(allowed, "")
        return Counter(kind for kind in _PLACEHOLDER.findall(redact(text)) if kind in self._kinds)
