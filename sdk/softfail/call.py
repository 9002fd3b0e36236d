"""Time one model call with ``with`` or ``async with``. ``watch_function`` does it around a function."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from softfail.response_id import LABELS, ResponseId


class CallClient(Protocol):
    """What a call needs of the client: to report a response, and to note a problem."""

    def response(self, /, *args: Any, **fields: Any) -> ResponseId:
        """Report one finished model call."""

    def _note(self, reason: str, detail: str) -> None: ...
    def _note_once(self, reason: str, detail: str) -> None: ...


# by name, so that nothing is imported: asyncio.CancelledError, concurrent.futures.CancelledError, trio.Cancelled
_CANCELLATIONS = frozenset({"GeneratorExit", "CancelledError", "Cancelled"})


class Call:
    """One model call in progress.

    Every attribute that you set becomes a field of the response: ``call.output_tokens = 17``. On exit the
    call measures ``duration_s``. If an exception passes through, its class becomes ``error_type`` and the
    exception propagates. A cancellation is no error: nobody waits for the answer any more. Values that you
    set yourself take precedence. A value that you set after the end is not sent; the log says so once.

    Args:
        client: reports the call.
        fields: fields of the response.
        cancelled_is_error: whether a cancellation sets ``error_type``, too.

    Attributes:
        response_id: the handle for feedback and evaluations, from the start. Its labels are those of the
            start until the call ends.
    """

    def __init__(
        self, client: CallClient, fields: Mapping[str, Any], cancelled_is_error: bool = False
    ) -> None:
        state = self.__dict__
        state["_client"] = client
        state["_fields"] = {str(name): value for name, value in fields.items()}
        state["_start_s"] = time.perf_counter()
        state["_cancelled_is_error"] = cancelled_is_error
        state["_ended"] = False
        self._identify()

    if TYPE_CHECKING:  # any field of a response, and the result
        response_id: ResponseId

        def __getattr__(self, name: str) -> Any: ...

    def __setattr__(self, name: str, value: Any) -> None:
        if self._ended:
            self._client._note_once("value set after the end of its call, not sent", name)
            return
        self._fields[name] = value
        if name == "event_id":
            self._identify()

    def update(self, values: Mapping[str, Any] | None = None, /, **fields: Any) -> None:
        """Set several fields: ``call.update(output="Hello", output_tokens=1)``.

        Args:
            values: fields by name; those in ``fields`` take precedence.
            fields: any field of a response.
        """
        try:
            items = [*dict(values or {}).items(), *fields.items()]
        except Exception as error:  # noqa: BLE001 - a wrong argument must not fail the service's call
            self._client._note("used wrongly", f"update: {error!r}")
            items = [*fields.items()]
        for name, value in items:
            setattr(self, str(name), value)

    def first_token(self) -> None:
        """Record that the first token arrived. Only the first call sets ``time_to_first_token_s``."""
        if not self._ended:
            self._fields.setdefault("time_to_first_token_s", time.perf_counter() - self._start_s)

    def __enter__(self) -> Call:
        self.__dict__["_start_s"] = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end(kind)

    async def __aenter__(self) -> Call:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end(kind)

    @property
    def ended(self) -> bool:
        """Whether the call was reported."""
        return bool(self._ended)

    def end(self, error: type[BaseException] | None = None) -> None:
        """Report the call. Only the first time has an effect.

        Args:
            error: the class of the exception that ended the call.
        """
        if self._ended:
            return
        fields = self._fields
        fields.setdefault("duration_s", time.perf_counter() - self._start_s)
        if error is not None and (self._cancelled_is_error or not is_cancellation(error)):
            fields.setdefault("error_type", getattr(error, "__qualname__", "Exception"))
        if fields.get("event_id") is None:
            fields["event_id"] = str(self.response_id)
        self.__dict__["_ended"] = True
        reported = self._client.response(**fields)
        handle = self.response_id
        if reported == handle:  # the handle may have been passed on
            handle.labels, handle.sent = reported.labels, reported.sent
            handle.sample_probability = reported.sample_probability
        else:
            self.__dict__["response_id"] = reported

    def _identify(self) -> None:
        """Create the handle, with the labels that are known now."""
        fields = self._fields
        try:
            event_id = uuid.uuid4().hex if fields.get("event_id") is None else str(fields["event_id"])
        except Exception:  # noqa: BLE001 - the id is reported as unusable at the end
            event_id = uuid.uuid4().hex
        labels = {label: fields[label] for label in LABELS if fields.get(label) is not None}
        self.__dict__["response_id"] = ResponseId(event_id, labels)


def is_cancellation(error: type[BaseException]) -> bool:
    """Return whether an exception says that nobody waits for the result any more."""
    return any(base.__name__ in _CANCELLATIONS for base in error.__mro__)


ReadResult = Callable[[Any], Mapping[str, Any]]
