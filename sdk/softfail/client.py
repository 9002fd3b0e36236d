"""The client that a service uses. It never raises into the service, never blocks and does no I/O on the
service's threads.
"""

from __future__ import annotations

import atexit
import functools
import os
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, TypeVar, Unpack

from softfail.call import Call
from softfail.event_builder import EventBuilder
from softfail.field_types import EvaluationFields, FeedbackFields, ResponseFields
from softfail.kafka_connection import open_producer
from softfail.options import Options, parse_options, producer_settings
from softfail.outgoing_event import MeterTimer
from softfail.producer_counters import ProducerCounters, log, meter_key
from softfail.redact import redact
from softfail.response_id import ResponseId
from softfail.safety import SafetyChecks
from softfail.sender import Sender
from softfail.watch import watch_function

F = TypeVar("F", bound=Callable[..., Any])

_open_clients: set[Softfail] = set()  # to be restarted in the child of a fork


class Softfail:
    """Report what the AI features of a service did.

    Never raises into the service, even when it is used wrongly. Errors are counted, and the background
    thread logs them at most once a minute (logger ``softfail``). Works through Kafka outages and after
    ``fork``. See ``docs/producer.md``.

    Args:
        options: ``service``, ``bootstrap_servers``, and any other option of ``softfail.options.Options``
            or ``KafkaProducer``.

    >>> sf = Softfail(service="support-bot", bootstrap_servers="localhost:9092")    # doctest: +SKIP
    >>> answer = sf.response(feature="answer", model="gpt-4o", output="Hello")      # doctest: +SKIP
    >>> sf.feedback(answer, accepted=True)                                          # doctest: +SKIP
    """

    def __init__(self, /, *args: Any, **options: Any) -> None:
        self._options, self._kafka_settings, errors = parse_options(options)
        if args:
            errors.append("pass options by name, like Softfail(service=...); the others were ignored")
        for error in errors:
            log.error("softfail: %s", error)
        self._redact = _redaction(self._options)
        self._recent: OrderedDict[str, ResponseId] = OrderedDict()
        self._noted: set[str] = set()  # reasons that are logged once
        self._create_pipeline()
        try:
            # now, because since Python 3.12 no thread can start while the interpreter exits
            self._sender.start()
        except RuntimeError as no_thread:
            log.error("softfail: cannot start the background thread: %s", no_thread)
        _open_clients.add(self)
        atexit.register(self.close)

    def _create_pipeline(self) -> None:
        """Create everything that belongs to one process: counters, queue, thread, sampler and locks."""
        options = self._options
        counters = self._counters = ProducerCounters()
        settings = producer_settings(options, self._kafka_settings, f"softfail-{counters.producer_id}")
        self._sender = Sender(
            options.topic,
            lambda: open_producer(settings, options.topic, options.security),
            options.queue_size,
            options.queue_bytes,
            options.meter_interval_s,
            MeterTimer(counters, options.meter_interval_s),
            counters.note,
        )
        checks = SafetyChecks(options.safety, counters.note)
        self._builder = EventBuilder(
            options,
            counters,
            self._sender.put,
            self._redact,
            self._recent,
            self._sender.put_unchecked,
            checks,
        )

    def response(self, /, *args: Any, **fields: Unpack[ResponseFields]) -> ResponseId:
        """Report one finished model call. Takes tens of microseconds.

        Args:
            fields: any field of ``softfail.Response``. ``feature`` and ``model`` are required. ``event_id``
                and ``time`` are generated when absent.

        Returns:
            The event id, which is also a handle for ``feedback`` and ``evaluation``.
        """
        try:
            self._note_positional(args, "response")
            return self._builder.add_response({**fields})
        except Exception as error:  # noqa: BLE001 - reporting must never raise into the service
            return self._count_unusable("response", fields, error)

    def feedback(self, /, response: Any = None, *args: Any, **fields: Unpack[FeedbackFields]) -> str:
        """Report what the user did with a response. Feedback is always sent (p = 1).

        Args:
            response: the return value of ``response``, or the id of a recent response of this process. For
                any other id, pass the labels too, at least ``feature``.
            fields: any field of ``softfail.Feedback``, like ``accepted`` or ``rating``.

        Returns:
            The event id.
        """
        try:
            self._note_positional(args, "feedback")
            return self._builder.add_follow_up("feedback", response, {**fields})
        except Exception as error:  # noqa: BLE001 - as above
            return self._count_unusable("feedback", fields, error)

    def evaluation(self, /, response: Any = None, *args: Any, **fields: Unpack[EvaluationFields]) -> str:
        """Report a verdict that the service computed. It is sent if its response was sent.

        Its recorded probability is that of the response times the ``sample_probability`` that you pass.

        Args:
            response: as for ``feedback``. An evaluation of an id unknown to this process is always sent.
            fields: any field of ``softfail.Evaluation``. ``evaluator`` is required. ``sample_probability`` is
                the probability with which you scored this response, default 1.

        Returns:
            The event id.
        """
        try:
            self._note_positional(args, "evaluation")
            return self._builder.add_follow_up("evaluation", response, {**fields})
        except Exception as error:  # noqa: BLE001 - as above
            return self._count_unusable("evaluation", fields, error)

    def call(self, /, *args: Any, cancelled_is_error: bool = False, **fields: Unpack[ResponseFields]) -> Call:
        """Time a model call with ``with`` or ``async with``.

        Use it like this: ``with sf.call(feature=..., model=...) as call: call.output = ...``

        Args:
            cancelled_is_error: whether a cancellation (``CancelledError``, ``GeneratorExit``) sets
                ``error_type``, like other exceptions.
            fields: as for ``response``.
        """
        self._note_positional(args, "call")
        return Call(self, fields, cancelled_is_error is True)

    def watch(
        self,
        /,
        *args: Any,
        read: Callable[[Any], Mapping[str, Any]] | None = None,
        cancelled_is_error: bool = False,
        **fields: Unpack[ResponseFields],
    ) -> Callable[[F], F]:
        """Time every call of a function: ``@sf.watch(feature=..., model=...)``.

        The function may be plain, async, a generator, an async generator, a callable object, or a function
        that returns a stream, a coroutine or a future. What it returns, yields, receives and raises is
        unchanged.

        Args:
            read: converts the result to fields, like ``lambda r: {"output": r.text, "output_tokens":
                r.usage.output_tokens}``. Of a stream it gets the list of items. Without it, a string result
                and the joined strings of a stream become ``output``.
            cancelled_is_error: as for ``call``.
            fields: as for ``response``.
        """
        self._note_positional(args, "watch")
        if args and callable(args[0]) and not fields:  # @sf.watch without parentheses
            return watch_function(self, args[0], fields, read, cancelled_is_error is True)  # type: ignore[no-any-return]
        return lambda function: (
            watch_function(self, function, fields, read, cancelled_is_error is True)
            if callable(function) or isinstance(function, classmethod)
            else function
        )

    def counts(self) -> dict[str, dict[str, int]]:
        """Return ``seen``, ``sampled``, ``sent`` and ``dropped`` since the start.

        Responses are counted by ``service/feature``, other kinds of events by kind.
        """
        return self._counters.totals()

    @property
    def producer_id(self) -> str:
        """The id of this producer in its meters. A forked child has an id of its own."""
        return self._counters.producer_id

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until Kafka has acknowledged every event reported so far.

        Args:
            timeout: seconds to wait at most.

        Returns:
            Whether every event was acknowledged or dropped in time.
        """
        try:
            return self._sender.flush(float(timeout))
        except Exception as error:  # noqa: BLE001 - as above
            self._note("flush failed", repr(error))
            return False

    def close(self, timeout: float | None = None) -> bool:
        """Flush, send a last meter and stop. Later reports are dropped and counted.

        Args:
            timeout: seconds to take at most; None: ``exit_timeout_s``.

        Returns:
            Whether every event was acknowledged or dropped in time.
        """
        try:
            return self._sender.close(self._options.exit_timeout_s if timeout is None else float(timeout))
        except Exception as error:  # noqa: BLE001 - as above
            self._note("close failed", repr(error))
            return False
        finally:
            _open_clients.discard(self)
            atexit.unregister(self.close)
            self._counters.log_problems()

    def __enter__(self) -> Softfail:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _count_unusable(self, kind: str, fields: Mapping[str, Any], error: Exception) -> ResponseId:
        """Count a report that raised as seen and dropped, and return an id for it."""
        try:
            options = self._options
            key = meter_key(
                fields.get("service") or options.service,
                fields.get("environment") or options.environment,
                fields.get("feature"),
            )
            counts = self._counters.counts_of(key, kind)
            self._counters.count(counts, "seen", "sampled")
            self._counters.drop(counts, "used wrongly", f"{kind}: {type(error).__name__}")
        except Exception:  # noqa: BLE001 - anything done here could raise again
            pass
        return ResponseId(uuid.uuid4().hex)

    def _note_positional(self, args: tuple[Any, ...], method: str) -> None:
        if args:
            self._note("used wrongly", f"{method}: pass fields by name, like feature=...")

    def _note(self, reason: str, detail: str) -> None:
        self._counters.note(reason, detail)

    def _note_once(self, reason: str, detail: str) -> None:
        if reason not in self._noted:
            self._noted.add(reason)
            self._counters.note(reason, detail)

    def _restart_after_fork(self) -> None:
        parents_sender = self._sender
        self._create_pipeline()
        parents_sender.abandon()


def _redaction(options: Options) -> Callable[[str], str] | None:
    """Return the function that redacts the texts of events; None if the service sends them as they are."""
    built_in = functools.partial(redact, all_ips=options.redact_all_ips)
    own = options.redact
    if callable(own):
        return lambda text: own(built_in(text))
    return built_in if own else None


def _after_fork_in_child() -> None:
    for client in list(_open_clients):
        client._restart_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
