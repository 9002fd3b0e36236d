"""Timing of one call: as a context manager, or around a function, whether it is synchronous, asynchronous or
a generator.
"""

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
    """A call under way. Every attribute that is set on it is a field of the response: ``call.output_tokens =
    17``.

    At the end ``duration_s`` is measured and, if an exception went through, ``error_type`` is its class;
    unless they were set. The exception goes on. Afterwards ``call.response_id`` is what feedback refers to.
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
        """The first token has come: sets ``time_to_first_token_s``, once."""
        _, fields, began = self._call
        fields.setdefault("time_to_first_token_s", time.perf_counter() - began)

    def __enter__(self) -> Call:
        client, fields, _ = self._call
        self.__dict__["_call"] = (client, fields, time.perf_counter())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        client, fields, began = self._call
        fields.setdefault("duration_s", time.perf_counter() - began)
        # whoever read the stream stopped: no fault of the model
        if kind is not None and not issubclass(kind, GeneratorExit):
            fields.setdefault("error_type", getattr(kind, "__qualname__", "Exception"))
        self.__dict__["response_id"] = client.response(**{str(name): value for name, value in fields.items()})

    async def __aenter__(self) -> Call:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)


def watched(
    client: _Client, function: F, fields: Mapping[str, Any], read: Callable[[Any], Mapping[str, Any]] | None
) -> F:
    """The function, each call of it reported. A generator's call lasts until it is exhausted; its first item
    is the first token.

    Args:
        read: makes fields of the result; None: a text (or the texts that a generator yields) is the
            ``output``.
    """

    def note(call: Call, result: Any) -> None:
        try:
            for name, value in (
                read(result) if read else {"output": result} if isinstance(result, str) else {}
            ).items():
                setattr(call, name, value)
        except Exception as error:  # noqa: BLE001 - the service's answer must not depend on how it is read
            client._note("result not read by `read`", repr(error))

    def keep(items: list[Any], item: Any) -> None:
        if read or isinstance(item, str):
            items.append(item)

    def all_of(items: list[Any]) -> Any:
        return "".join(items) if items and all(isinstance(item, str) for item in items) else items

    @functools.wraps(function)
    async def coroutine(*args: Any, **kwargs: Any) -> Any:
        with Call(client, fields) as call:
            result = await function(*args, **kwargs)
            note(call, result)
        return result

    @functools.wraps(function)
    def generator(*args: Any, **kwargs: Any) -> Iterator[Any]:
        with Call(client, fields) as call:
            items: list[Any] = []
            for item in function(*args, **kwargs):
                call.first_token()
                keep(items, item)
                yield item
            note(call, all_of(items))

    @functools.wraps(function)
    async def async_generator(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        with Call(client, fields) as call:
            items: list[Any] = []
            async with contextlib.aclosing(function(*args, **kwargs)) as stream:
                async for item in stream:
                    call.first_token()
                    keep(items, item)
                    yield item
            note(call, all_of(items))

    @functools.wraps(function)
    def plain(*args: Any, **kwargs: Any) -> Any:
        with Call(client, fields) as call:
            result = function(*args, **kwargs)
            note(call, result)
        return result

    for matches, wrapper in (
        (inspect.isasyncgenfunction, async_generator),
        (inspect.isgeneratorfunction, generator),
        (inspect.iscoroutinefunction, coroutine),
    ):
        if matches(function):
            return wrapper  # type: ignore[return-value]
    return plain  # type: ignore[return-value]
