"""Report every call of a function and change nothing else: results, streams, ``send`` and ``throw`` pass."""

from __future__ import annotations

import contextlib
import functools
import inspect
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Generator, Iterator, Mapping
from typing import Any, TypeVar

from softfail.call import Call, CallClient, ReadResult
from softfail.watched_streams import SeenIterator, WatchedAsyncIterator, WatchedIterator

F = TypeVar("F", bound=Callable[..., Any])


class _Watch:
    """How the calls of one function are reported. Arguments as in ``watch_function``."""

    def __init__(
        self, client: CallClient, fields: Mapping[str, Any], read: ReadResult | None, cancelled_is_error: bool
    ) -> None:
        self._client, self._fields, self._read = client, fields, read
        self._cancelled_is_error = cancelled_is_error

    def call(self) -> Call:
        return Call(self._client, self._fields, self._cancelled_is_error)

    def set_result(self, call: Call, result: Any) -> None:
        """Set the fields that come from a result."""
        try:
            if self._read:
                call.update(self._read(result))
            elif isinstance(result, str):
                call.output = result
        except Exception as error:  # noqa: BLE001 - a failing `read` must not fail the service's call
            self._client._note("result not read by `read`", repr(error))

    def end_stream(self, call: Call, items: list[Any], error: type[BaseException] | None = None) -> None:
        """Report the call of a stream, with the items so far if it broke or was left early."""
        if items or error is None:
            is_text = bool(items) and all(isinstance(item, str) for item in items)
            self.set_result(call, "".join(items) if is_text else items)
        call.end(error)

    def see(self, call: Call, items: list[Any], item: Any) -> None:
        """Keep an item of a stream if a field may come from it."""
        call.first_token()
        if self._read or isinstance(item, str):
            items.append(item)

    def stream(self, call: Call, source: Iterator[Any]) -> Generator[Any, Any, Any]:
        """Yield from a generator or iterator. The call ends with it."""
        items: list[Any] = []
        try:
            result = yield from SeenIterator(source, functools.partial(self.see, call, items))
        except BaseException as error:
            self.end_stream(call, items, type(error))
            raise
        self.end_stream(call, items)
        return result

    def async_stream(self, start: Callable[..., tuple[Call, Any]]) -> Callable[..., AsyncGenerator[Any, Any]]:
        """Return a function whose generators yield from a source, as ``yield from`` does for plain ones.

        Args:
            start: returns the call, and the asynchronous generator or iterator. Called with the first item.
        """

        async def run(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
            call, source = start(*args, **kwargs)
            items: list[Any] = []
            try:
                async with _closing(source):
                    advance = anext(source)
                    while True:
                        try:
                            item = await advance
                        except StopAsyncIteration:
                            break
                        self.see(call, items, item)
                        try:
                            sent = yield item
                        except GeneratorExit:
                            raise
                        except BaseException as error:
                            if not hasattr(source, "athrow"):
                                raise
                            advance = source.athrow(error)
                        else:
                            advance = anext(source) if sent is None else source.asend(sent)
            except BaseException as error:
                self.end_stream(call, items, type(error))
                raise
            self.end_stream(call, items)

        return run

    async def wait(self, call: Call, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Await a coroutine. The call ends with it, or with the stream that it returns."""
        try:
            result = await coroutine
        except BaseException as error:
            call.end(type(error))
            raise
        return self.passed_on(call, result)

    def passed_on(self, call: Call, result: Any) -> Any:
        """Return the result of a function. A stream or a coroutine goes on being watched until it ends."""
        if inspect.isgenerator(result):
            return _ended_if_unread(self.stream(call, result), call)
        if inspect.isasyncgen(result):
            return _ended_if_unread(self.async_stream(lambda: (call, result))(), call)
        if inspect.iscoroutine(result):
            return self.wait(call, result)
        if hasattr(result, "add_done_callback"):  # a future or a task; it stays what it is
            return self._future(call, result)
        if isinstance(result, Iterator) and not isinstance(result, type):
            return WatchedIterator(result, self, call)
        if isinstance(result, AsyncIterator) and not isinstance(result, type):
            return WatchedAsyncIterator(result, self, call)
        self.set_result(call, result)
        call.end()
        return result

    def _future(self, call: Call, future: Any) -> Any:
        def done(finished: Any) -> None:
            error: BaseException | None
            try:
                error = finished.exception()
            except BaseException as cancelled:  # noqa: BLE001 - a cancelled future raises it
                error = cancelled
            if error is None:
                self.set_result(call, finished.result())
            call.end(None if error is None else type(error))

        future.add_done_callback(done)
        return future


def watch_function(
    client: CallClient,
    function: F,
    fields: Mapping[str, Any],
    read: ReadResult | None,
    cancelled_is_error: bool = False,
) -> F:
    """Wrap a function so that each call is reported.

    The call of a stream lasts until the stream ends: it is exhausted, closed or raises. Its first item is the
    first token. A stream that ends early is reported with the items so far.

    Args:
        client: reports the calls.
        function: plain, async, a generator, an async generator, a callable object, or a function that returns
            a stream, a coroutine or a future.
        fields: fields of every response.
        read: converts the result, or the list of items of a stream, to fields. None: a string result, or the
            joined strings of a stream, becomes ``output``.
        cancelled_is_error: whether a cancellation sets ``error_type``.
    """
    if isinstance(function, staticmethod | classmethod):
        wrapped = watch_function(client, function.__func__, fields, read, cancelled_is_error)
        return type(function)(wrapped)
    watch = _Watch(client, fields, read, cancelled_is_error)

    @functools.wraps(function)
    async def coroutine(*args: Any, **kwargs: Any) -> Any:
        return await watch.wait(watch.call(), function(*args, **kwargs))

    @functools.wraps(function)
    def generator(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        return (yield from watch.stream(watch.call(), function(*args, **kwargs)))

    def start(*args: Any, **kwargs: Any) -> tuple[Call, Any]:
        return watch.call(), function(*args, **kwargs)

    async_generator = functools.wraps(function)(watch.async_stream(start))

    @functools.wraps(function)
    def plain(*args: Any, **kwargs: Any) -> Any:
        call = watch.call()
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            call.end(type(error))
            raise
        return watch.passed_on(call, result)

    for matches, wrapper in (
        (inspect.isasyncgenfunction, async_generator),
        (inspect.isgeneratorfunction, generator),
        (inspect.iscoroutinefunction, coroutine),
    ):
        if matches(function) or matches(getattr(function, "__call__", None)):  # noqa: B004 - of a callable object
            return wrapper  # type: ignore[return-value]
    return plain  # type: ignore[return-value]


def _ended_if_unread(stream: Any, call: Call) -> Any:
    """Return the stream. If nobody reads it, its call ends when it is collected."""
    weakref.finalize(stream, call.end).atexit = False
    return stream


def _closing(source: Any) -> contextlib.AbstractAsyncContextManager[Any]:
    return contextlib.aclosing(source) if hasattr(source, "aclose") else contextlib.nullcontext()
