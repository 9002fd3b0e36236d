"""``Softfail``: what a service calls. Nothing here raises into the service, waits, or does I/O on its threads."""

from __future__ import annotations

import atexit
import os
import threading
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, TypeVar

from softfail.call import Call, watched
from softfail.connection import open_producer
from softfail.ledger import Ledger, log, source
from softfail.options import producer_settings, read
from softfail.redact import redact
from softfail.report import TEXTS, MeterReport, Report
from softfail.response_id import LABELS, ResponseId
from softfail.sampling import Sampler
from softfail.sender import Outgoing, Sender
from softfail.texts import Halves, chars, rough

F = TypeVar("F", bound=Callable[..., Any])

_FAILED = frozenset({"parse_error", "schema_error", "downstream_error"})
_clients: set[Softfail] = set()  # until closed: what is at stake at exit and in a fork


class Softfail:
    """Reports what the AI features of a service did.

    Never raises into the service, not even when used wrongly: what is wrong is counted, and logged by the background thread
    (logger ``softfail``, at most once a minute). Survives Kafka being away, and ``fork``. See ``docs/producer.md``.

    Args:
        options: ``service``, ``bootstrap_servers``, and what else ``softfail.options.Options`` and ``KafkaProducer`` know.

    >>> sf = Softfail(service="support-bot", bootstrap_servers="localhost:9092")    # doctest: +SKIP
    >>> answer = sf.response(feature="answer", model="gpt-4o", output="Hello")      # doctest: +SKIP
    >>> sf.feedback(answer, accepted=True)                                          # doctest: +SKIP
    """

    def __init__(self, /, *args: Any, **options: Any) -> None:
        self._options, self._kafka, faults = read(options)
        if args:
            faults.append("options are given by name, like Softfail(service=...); the others were left out")
        for fault in faults:
            log.error("softfail: %s", fault)
        own = self._options.redact
        self._redact = (lambda text: own(redact(text))) if callable(own) else redact if own else None
        self._recent: OrderedDict[str, ResponseId] = OrderedDict()
        self._begin()
        try:
            self._sender.start()  # at once: since Python 3.12 no thread can start while the interpreter ends
        except RuntimeError as error:
            log.error("softfail: no thread: %s", error)
        _clients.add(self)
        atexit.register(self.close)

    def _begin(self) -> None:
        """What belongs to one process: the ledger, the queue and its thread, the sampler, the locks."""
        options = self._options
        self._lock = threading.RLock()
        self._ledger = Ledger()
        self._sampler = Sampler(options.sample_probability, options.content_probability, options.error_content_per_minute)
        settings = producer_settings(options, self._kafka, f"softfail-{self._ledger.producer_id}")
        ledger = self._ledger
        self._sender = Sender(options.topic, lambda: open_producer(settings, options.topic), options.queue_size, options.queue_bytes,
                              options.meter_interval_s, Ticker(ledger, options.meter_interval_s), ledger.note)

    def response(self, /, *args: Any, **fields: Any) -> ResponseId:
        """Report one model call that has ended. Takes tens of microseconds.

        Args:
            fields: any field of ``softfail.Response``; ``feature`` and ``model`` are required, ``event_id`` and ``time``
                are made if absent.

        Returns:
            The event id, which is also a handle for ``feedback`` and ``evaluation``.
        """
        try:
            return self._response(args, fields)
        except Exception as error:  # noqa: BLE001 - never into the service
            return self._failed("response", fields, error)

    def feedback(self, /, response: Any = None, *args: Any, **fields: Any) -> str:
        """Report what the user did with a response. It is always sent: p = 1.

        Args:
            response: what ``response`` returned, or the id of one of the recent responses of this process.
                For any other id give the labels, ``feature`` at least.
            fields: any field of ``softfail.Feedback``, like ``accepted`` or ``rating``.

        Returns:
            The event id.
        """
        try:
            return self._verdict("feedback", response, args, fields)
        except Exception as error:  # noqa: BLE001
            return self._failed("feedback", fields, error)

    def evaluation(self, /, response: Any = None, *args: Any, **fields: Any) -> str:
        """Report a verdict computed by the service. It follows its response: sent if that was, p = the response's times the scorer's.

        Args:
            response: as in ``feedback``. An evaluation of an id unknown to this process is always sent.
            fields: any field of ``softfail.Evaluation``; ``evaluator`` is required.
                ``sample_probability``: with which you scored this response, default 1.

        Returns:
            The event id.
        """
        try:
            return self._verdict("evaluation", response, args, fields)
        except Exception as error:  # noqa: BLE001
            return self._failed("evaluation", fields, error)

    def call(self, /, *args: Any, **fields: Any) -> Call:
        """Time a call: ``with sf.call(feature=..., model=...) as call: call.output = ...`` (``async with`` too)."""
        if args:
            self._note("used wrongly", "call: fields are given by name")
        return Call(self, fields)

    def watch(self, /, *args: Any, read: Callable[[Any], Mapping[str, Any]] | None = None, **fields: Any) -> Callable[[F], F]:
        """Time every call of a function: ``@sf.watch(feature=..., model=...)``; plain, async, and generators of either kind.

        Args:
            read: makes fields of the result, like ``lambda r: {"output": r.text, "output_tokens": r.usage.output_tokens}``.
                Without it a result that is a text is the ``output``.
        """
        if args:
            self._note("used wrongly", "watch: fields are given by name, like @sf.watch(feature=..., model=...)")
            if callable(args[0]) and not fields:  # @sf.watch without parentheses
                return watched(self, args[0], fields, read)  # type: ignore[no-any-return]
        return lambda function: watched(self, function, fields, read) if callable(function) else function

    def counts(self) -> dict[str, dict[str, int]]:
        """``seen``, ``sampled``, ``sent`` and ``dropped`` since the start, by ``service/feature``, and for other kinds by kind."""
        return self._ledger.counts()

    @property
    def producer_id(self) -> str:
        """Name of this producer in its meters: one process, and after a fork another."""
        return self._ledger.producer_id

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait, at most ``timeout`` seconds, until what was reported before is acknowledged. False: not all of it was."""
        try:
            return self._sender.flush(float(timeout))
        except Exception as error:  # noqa: BLE001
            self._note("flush failed", repr(error))
            return False

    def close(self, timeout: float | None = None) -> bool:
        """Flush, send a last meter and stop, in at most ``timeout`` seconds (``exit_timeout_s``).

        What is reported later is dropped and counted. False: something was left.
        """
        try:
            return self._sender.close(self._options.exit_timeout_s if timeout is None else float(timeout))
        except Exception as error:  # noqa: BLE001
            self._note("close failed", repr(error))
            return False
        finally:
            _clients.discard(self)
            atexit.unregister(self.close)
            self._ledger.say()

    def __enter__(self) -> Softfail:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _response(self, args: tuple[Any, ...], fields: dict[str, Any]) -> ResponseId:
        if args:
            self._note("used wrongly", "response: fields are given by name")
        self._complete(fields)
        if self._options.service_version:
            fields.setdefault("service_version", self._options.service_version)
        event_id = fields["event_id"]
        session = fields.get("session_id")
        with self._lock:
            decision = self._sampler.decide(session if isinstance(session, str) and session else str(event_id),
                                            bool(fields.get("error_type")) or _is_failure(fields.get("outcome")))
        size = self._shorten(fields, decision.text)
        fields["sample_probability"] = _times(fields.get("sample_probability"), decision.sample_probability)
        fields["content_probability"] = _times(fields.get("content_probability"), decision.content_probability)
        labels = {name: fields[name] for name in LABELS if fields.get(name) is not None}
        made = ResponseId(str(event_id), labels, decision.send, decision.sample_probability)
        tally = self._ledger.tally(source(fields["service"], fields["environment"], fields.get("feature")))
        if decision.send:
            self._ledger.count(tally, "seen", "sampled")
            self._sender.put(Report("response", fields, self._ledger, tally, self._redact, size))
        else:
            self._ledger.count(tally, "seen")
        with self._lock:
            self._recent[str(event_id)] = made
            while len(self._recent) > self._options.recent_responses:
                self._recent.popitem(last=False)
        return made

    def _verdict(self, kind: str, response: Any, args: tuple[Any, ...], fields: dict[str, Any]) -> str:
        if args:
            self._note("used wrongly", f"{kind}: fields are given by name")
        if response is None:
            response = fields.get("response_id")
        known = response if isinstance(response, ResponseId) else self._recent.get(response) if isinstance(response, str) else None
        if known is not None:
            fields = {**known.labels, **fields}
            if kind == "evaluation":
                fields["sample_probability"] = _times(fields.get("sample_probability"), known.sample_probability)
        fields["response_id"] = str(response) if isinstance(response, str) else response
        self._complete(fields)
        size = self._shorten(fields, True)
        tally = self._ledger.tally(source("", "", ""), kind)
        self._ledger.count(tally, "seen")
        if known is None or known.sent or kind == "feedback":
            self._ledger.count(tally, "sampled")
            self._sender.put(Report(kind, fields, self._ledger, tally, self._redact, size))
        return str(fields["event_id"])

    def _complete(self, fields: dict[str, Any]) -> None:
        if fields.get("event_id") is None:
            fields["event_id"] = uuid.uuid4().hex
        if fields.get("time") is None:
            fields["time"] = datetime.now(UTC)
        if fields.get("service") is None:
            fields["service"] = self._options.service
        if fields.get("environment") is None:
            fields["environment"] = self._options.environment
        for name in ("dimensions", "stages_s"):
            if isinstance(fields.get(name), dict):
                fields[name] = dict(fields[name])  # the caller may go on with his

    def _shorten(self, fields: dict[str, Any], keep: bool) -> int:
        """Measure the texts, then bound them or leave them out. Gives the rough size of the event, bytes."""
        size = 1_000
        for name in TEXTS:
            text = fields.get(name)
            if not isinstance(text, str):
                continue
            if name in ("input", "output") and fields.get(f"{name}_chars") is None:
                fields[f"{name}_chars"] = len(text)
            if keep:
                kept = fields[name] = rough(text)
                size += sum(map(len, kept[:2])) if isinstance(kept, Halves) else chars(kept)
            else:
                del fields[name]
        return size

    def _failed(self, kind: str, fields: Mapping[str, Any], error: Exception) -> ResponseId:
        """A report that could not even be taken: counted as seen and dropped."""
        try:
            options = self._options
            found = source(fields.get("service") or options.service, fields.get("environment") or options.environment, fields.get("feature"))
            tally = self._ledger.tally(found, kind)
            self._ledger.count(tally, "seen", "sampled")
            self._ledger.drop(tally, "used wrongly", f"{kind}: {type(error).__name__}")
        except Exception:  # noqa: BLE001 - nothing is left to do that could not raise again
            pass
        return ResponseId(uuid.uuid4().hex)

    def _note(self, reason: str, detail: str) -> None:
        self._ledger.note(reason, detail)

    def _begin_again_after_fork(self) -> None:
        old = self._sender
        self._begin()
        old.abandon()


class Ticker:
    """Run by the sender at every interval: meters to send, and once a minute a line for the log."""

    def __init__(self, ledger: Ledger, every_s: float) -> None:
        self._ledger = ledger
        self._between = max(1, round(60 / every_s))
        self._ticks = 0

    def __call__(self, last: bool) -> list[Outgoing]:
        """The meters, as of now."""
        self._ticks += 1
        if last or self._ticks % self._between == 1 or self._between == 1:
            self._ledger.say()
        return [MeterReport(meter, self._ledger) for meter in self._ledger.meters()]


def _times(given: Any, probability: float) -> Any:
    """The probability of both; what is no number is left to the validation, which names the field."""
    if given is None:
        return probability
    return given * probability if isinstance(given, int | float) and not isinstance(given, bool) else given


def _is_failure(outcome: Any) -> bool:
    return isinstance(outcome, str) and outcome in _FAILED


def _after_fork_in_child() -> None:
    for client in list(_clients):
        client._begin_again_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
