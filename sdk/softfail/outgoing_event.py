"""One event of the service on its way: what the calling thread left, and what the background thread makes of
it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from softfail.events import KINDS, Event, Response
from softfail.producer_counters import Ledger, Source, Tally
from softfail.send_queue import Outgoing
from softfail.text_truncation import finished

TEXTS = ("input", "output", "context", "reason")
"""The fields that are redacted and cut. Everything else is a label or a number."""

_KNOWN = {kind: frozenset(model.model_fields) for kind, model in KINDS.items()}


def fault(error: ValidationError) -> str:
    """The first field at fault and why, on one line."""
    first = error.errors(include_url=False, include_context=False)[0]
    got = "" if first["type"] == "missing" else f", got {first['input']!r:.60}"
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}{got}"


class Report:
    """An ``Outgoing`` of the client: fields of one kind of event, not yet looked at."""

    __slots__ = ("_fields", "_kind", "_ledger", "_number", "_redact", "_tally", "size")

    def __init__(
        self,
        kind: str,
        fields: dict[str, Any],
        ledger: Ledger,
        tally: Tally,
        redact: Callable[[str], str] | None,
        size: int,
    ) -> None:
        self._kind, self._fields, self._ledger, self._tally, self._redact = (
            kind,
            fields,
            ledger,
            tally,
            redact,
        )
        # kept when Kafka cannot take it now: it is the same event when it comes again
        self._number: int | None = None
        self.size = size

    def message(self) -> tuple[bytes, bytes]:
        """Redact, cut, validate, encode.

        Raises:
            ValueError: the event is wrong; the message names the field.
        """
        fields = {"kind": self._kind, **self._fields}
        for name in TEXTS:
            if isinstance(fields.get(name), str | tuple):
                fields[name] = self._finished(name, fields[name])
        unknown = fields.keys() - _KNOWN[self._kind]
        if unknown:
            self._ledger.note(
                f"field unknown to a {self._kind}, left out", ", ".join(sorted(str(name) for name in unknown))
            )
        try:
            event: Event = KINDS[self._kind].model_validate(fields)
        except ValidationError as error:
            raise ValueError(f"{self._kind}: {fault(error)}") from None
        if isinstance(event, Response):
            event = self._numbered(event)
        return event.key, event.model_dump_json(exclude_unset=True).encode()

    def _numbered(self, event: Response) -> Response:
        """With the number that lets the worker find holes; whatever is given up from here on leaves one."""
        if self._number is None:
            self._number = self._ledger.number(Source(event.service, event.environment, event.feature))
        return event.model_copy(update={"producer_id": self._ledger.producer_id, "sequence": self._number})

    def _finished(self, name: str, text: Any) -> str | None:
        try:
            return finished(text, self._redact)
        except Exception as error:  # noqa: BLE001 - a redaction of the user's own that fails must not let the text out
            self._ledger.note("text left out, redaction failed", f"{name}: {error!r}")
            return None

    def sent(self) -> None:
        """Kafka has it."""
        self._ledger.count(self._tally, "sent")

    def dropped(self, reason: str, detail: str) -> None:
        """It was given up."""
        self._ledger.drop(self._tally, reason, detail)


class MeterReport(Report):
    """A meter is made by us: it only has to be encoded."""

    __slots__ = ()

    def __init__(self, meter: Event, ledger: Ledger) -> None:
        super().__init__(
            "meter",
            json.loads(meter.model_dump_json()),
            ledger,
            ledger.tally(Source("", "", ""), "meter"),
            None,
            300,
        )


class Ticker:
    """Run by the sender at every interval: meters to send, and once a minute a line for the log."""

    def __init__(self, ledger: Ledger, every_s: float) -> None:
        self._ledger = ledger
        self._between = max(1, round(60 / every_s))
        self._ticks = 0

    def __call__(self, last: bool) -> list[Outgoing]:
        """The meters, as of now."""
        if last or self._ticks % self._between == 0:
            self._ledger.say()
        self._ticks += 1
        return [MeterReport(meter, self._ledger) for meter in self._ledger.meters()]
