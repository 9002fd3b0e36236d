"""Time one model call: as a context manager, or around a function (plain, async, or a generator)."""

from __future__ import annotations

import contextlib
import functools
import inspect
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from softfail.response_id import ResponseId

F = TypeVar("F", bound=Callable[..., Any])


class _Client(Protocol):
    def response(self, /, *args: Any, **fields: Any) -> ResponseId: ...
    def _note(self, reason: str, detail: str) -> None: ...


class Call:
    """One model call in progress.

    Every attribute that you set becomes a field of the response: ``call.output_tokens = 17``. On exit the
    call measures ``duration_s``. If an exception passes through, its class becomes ``error_type`` and the
    exception propagates. Values that you set yourself take precedence.

    Attributes:
        response_id: the handle for feedback and evaluations; None until the call has ended.
    """

    def __init__(self, client: _Client, fields: Mapping[str, Any]) -> None:
        self.__dict__["_call"] = (client, dict(fields), time.perf_counter())
        self.__dict__["response_id"] = None

    if TYPE_CHECKING:  # any field of a response, and the result
        response_id: ResponseId

        def __getattr__(self, name: str) -> Any: ...

    def __setattr__(self, name: str, value: Any) -> None:
        self._call[1][name] = value

    def first_token(self) -> None:
        """Record that the first token arrived. Only the first call sets ``time_to_first_token_s``."""
        _, fields, start = self._call
        fields.setdefault("time_to_first_token_s", time.perf_counter() - start)

    def __enter__(self) -> Call:
        client, fields, _ = self._call
        self.__dict__["_call"] = (client, fields, time.perf_counter())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        client, fields, start = self._call
        fields.setdefault("duration_s", time.perf_counter() - start)
        # GeneratorExit: the reader of the stream stopped, which is no failure of the model
        if kind is not None and not issubclass(kind, GeneratorExit):
            fields.setdefault("error_type", getattr(kind, "__qualname__", "Exception"))
        self.__dict__["response_id"] = client.response(**{str(name): value for name, value in fields.items()})

    async def __aenter__(self) -> Call:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)


class _ResultFields:
    """Fields of a response that come from the result of a function. Arguments as in ``watch_function``."""

    def __init__(self, client: _Client, read: Callable[[Any], Mapping[str, Any]] | None) -> None:
        self._client, self._read = client, read

    def set(self, call: Call, result: Any) -> None:
        read = self._read
        try:
            result_fields = read(result) if read else {"output": result} if isinstance(result, str) else {}
            for name, value in result_fields.items():
                setattr(call, name, value)
        except Exception as error:  # noqa: BLE001 - a failing `read` must not fail the service's call
            self._client._note("result not read by `read`", repr(error))

    def collect(self, items: list[Any], item: Any) -> None:
        """Keep an item of a generator if a field may come from it."""
        if self._read or isinstance(item, str):
            items.append(item)

    @staticmethod
    def join(items: list[Any]) -> Any:
        """Return strings as one string, other items as they are."""
        return "".join(items) if items and all(isinstance(item, str) for item in items) else items


def watch_function(
    client: _Client, function: F, fields: Mapping[str, Any], read: Callable[[Any], Mapping[str, Any]] | None
) -> F:
    """Wrap a function so that each call is reported.

    The call of a generator lasts until the generator is exhausted. Its first item is the first token.

    Args:
        client: reports the calls.
        function: plain, async, a generator or an async generator.
        fields: fields of every response.
        read: converts the result to fields. None: a string result, or the joined strings of a generator,
            becomes ``output``.
    """
    results = _ResultFields(client, read)

    @functools.wraps(function)
    async def coroutine(*args: Any, **kwargs: Any) -> Any:
        with Call(client, fields) as call:
            result = await function(*args, **kwargs)
            results.set(call, result)
        return result

    @functools.wraps(function)
    def generator(*args: Any, **kwargs: Any) -> Iterator[Any]:
        with Call(client, fields) as call:
            items: list[Any] = []
            for item in function(*args, **kwargs):
                call.first_token()
                results.collect(items, item)
                yield item
            results.set(call, results.join(items))

    @functools.wraps(function)
    async def async_generator(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        with Call(client, fields) as call:
            items: list[Any] = []
            async with contextlib.aclosing(function(*args, **kwargs)) as stream:
                async for item in stream:
                    call.first_token()
                    results.collect(items, item)
                    yield item
            results.set(call, results.join(items))

    @functools.wraps(function)
    def plain(*args: Any, **kwargs: Any) -> Any:
        with Call(client, fields) as call:
            result = function(*args, **kwargs)
            results.set(call, result)
        return result

    for matches, wrapper in (
        (inspect.isasyncgenfunction, async_generator),
        (inspect.isgeneratorfunction, generator),
        (inspect.iscoroutinefunction, coroutine),
    ):
        if matches(function):
            return wrapper  # type: ignore[return-value]
    return plain  # type: ignore[return-value]
