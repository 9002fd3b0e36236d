"""``Softfail``: what a service calls. Nothing here raises into the service, waits, or does I/O on its
threads.
"""

from __future__ import annotations

import atexit
import os
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, TypeVar, Unpack

from softfail.call import Call, watched
from softfail.event_builder import Intake
from softfail.field_types import EvaluationFields, FeedbackFields, ResponseFields
from softfail.kafka_connection import open_producer
from softfail.options import producer_settings, read
from softfail.outgoing_event import Ticker
from softfail.producer_counters import Ledger, log, source
from softfail.redact import redact
from softfail.response_id import ResponseId
from softfail.sender import Sender

F = TypeVar("F", bound=Callable[..., Any])

_clients: set[Softfail] = set()  # until closed: what is at stake at exit and in a fork


class Softfail:
    """Reports what the AI features of a service did.

    Never raises into the service, not even when used wrongly: what is wrong is counted, and logged by the
    background thread (logger ``softfail``, at most once a minute). Survives Kafka being away, and ``fork``.
    See ``docs/producer.md``.

    Args:
        options: ``service``, ``bootstrap_servers``, and what else ``softfail.options.Options`` and
            ``KafkaProducer`` know.

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
        self._ledger = Ledger()
        settings = producer_settings(options, self._kafka, f"softfail-{self._ledger.producer_id}")
        ledger = self._ledger
        self._sender = Sender(
            options.topic,
            lambda: open_producer(settings, options.topic, options.security),
            options.queue_size,
            options.queue_bytes,
            options.meter_interval_s,
            Ticker(ledger, options.meter_interval_s),
            ledger.note,
        )
        self._intake = Intake(options, ledger, self._sender.put, self._redact, self._recent)

    def response(self, /, *args: Any, **fields: Unpack[ResponseFields]) -> ResponseId:
        """Report one model call that has ended. Takes tens of microseconds.

        Args:
            fields: any field of ``softfail.Response``; ``feature`` and ``model`` are required, ``event_id``
                and ``time`` are made if absent.

        Returns:
            The event id, which is also a handle for ``feedback`` and ``evaluation``.
        """
        try:
            self._without(args, "response")
            return self._intake.response({**fields})
        except Exception as error:  # noqa: BLE001 - never into the service
            return self._failed("response", fields, error)

    def feedback(self, /, response: Any = None, *args: Any, **fields: Unpack[FeedbackFields]) -> str:
        """Report what the user did with a response. It is always sent: p = 1.

        Args:
            response: what ``response`` returned, or the id of one of the recent responses of this process.
                For any other id give the labels, ``feature`` at least.
            fields: any field of ``softfail.Feedback``, like ``accepted`` or ``rating``.

        Returns:
            The event id.
        """
        try:
            self._without(args, "feedback")
            return self._intake.verdict("feedback", response, {**fields})
        except Exception as error:  # noqa: BLE001
            return self._failed("feedback", fields, error)

    def evaluation(self, /, response: Any = None, *args: Any, **fields: Unpack[EvaluationFields]) -> str:
        """Report a verdict computed by the service. It follows its response: sent if that was, p = the
        response's times the scorer's.

        Args:
            response: as in ``feedback``. An evaluation of an id unknown to this process is always sent.
            fields: any field of ``softfail.Evaluation``; ``evaluator`` is required.
                ``sample_probability``: with which you scored this response, default 1.

        Returns:
            The event id.
        """
        try:
            self._without(args, "evaluation")
            return self._intake.verdict("evaluation", response, {**fields})
        except Exception as error:  # noqa: BLE001
            return self._failed("evaluation", fields, error)

    def call(self, /, *args: Any, **fields: Unpack[ResponseFields]) -> Call:
        """Time a call: ``with sf.call(feature=..., model=...) as call: call.output = ...`` (``async with``
        too).
        """
        self._without(args, "call")
        return Call(self, fields)

    def watch(
        self,
        /,
        *args: Any,
        read: Callable[[Any], Mapping[str, Any]] | None = None,
        **fields: Unpack[ResponseFields],
    ) -> Callable[[F], F]:
        """Time every call of a function: ``@sf.watch(feature=..., model=...)``; plain, async, and generators
        of either kind.

        Args:
            read: makes fields of the result, like ``lambda r: {"output": r.text, "output_tokens":
                r.usage.output_tokens}``. Without it a result that is a text is the ``output``.
        """
        self._without(args, "watch")
        if args and callable(args[0]) and not fields:  # @sf.watch without parentheses
            return watched(self, args[0], fields, read)  # type: ignore[no-any-return]
        return lambda function: watched(self, function, fields, read) if callable(function) else function

    def counts(self) -> dict[str, dict[str, int]]:
        """``seen``, ``sampled``, ``sent`` and ``dropped`` since the start, by ``service/feature``, and for
        other kinds by kind.
        """
        return self._ledger.counts()

    @property
    def producer_id(self) -> str:
        """Name of this producer in its meters: one process, and after a fork another."""
        return self._ledger.producer_id

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait, at most ``timeout`` seconds, until what was reported before is acknowledged. False: not all
        of it was.
        """
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

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _failed(self, kind: str, fields: Mapping[str, Any], error: Exception) -> ResponseId:
        """A report that could not even be taken: counted as seen and dropped."""
        try:
            options = self._options
            found = source(
                fields.get("service") or options.service,
                fields.get("environment") or options.environment,
                fields.get("feature"),
            )
            tally = self._ledger.tally(found, kind)
            self._ledger.count(tally, "seen", "sampled")
            self._ledger.drop(tally, "used wrongly", f"{kind}: {type(error).__name__}")
        except Exception:  # noqa: BLE001 - nothing is left to do that could not raise again
            pass
        return ResponseId(uuid.uuid4().hex)

    def _without(self, args: tuple[Any, ...], name: str) -> None:
        if args:
            self._note("used wrongly", f"{name}: fields are given by name, like feature=...")

    def _note(self, reason: str, detail: str) -> None:
        self._ledger.note(reason, detail)

    def _begin_again_after_fork(self) -> None:
        old = self._sender
        self._begin()
        old.abandon()


def _after_fork_in_child() -> None:
    for client in list(_clients):
        client._begin_again_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
