"""Streams that show their items while they are read. Everything else passes to the stream itself."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import Any, Protocol

from softfail.call import Call


class StreamWatch(Protocol):
    """Reports the call of a stream."""

    def see(self, call: Call, items: list[Any], item: Any) -> None:
        """Keep an item if a field may come from it."""

    def end_stream(self, call: Call, items: list[Any], error: type[BaseException] | None = None) -> None:
        """Report the call."""


class SeenIterator:
    """An iterator for ``yield from`` that shows each item. Everything else passes to the source (PEP 380)."""

    def __init__(self, source: Any, see: Callable[[Any], None]) -> None:
        self._source, self._see = source, see
        for name in ("send", "throw", "close"):  # `yield from` asks whether the source has them
            if not hasattr(source, name):
                continue
            method = getattr(source, name)
            setattr(self, name, method if name == "close" else functools.partial(self._pass, method))

    def __iter__(self) -> SeenIterator:
        return self

    def __next__(self) -> Any:
        return self._pass(next, self._source)

    def _pass(self, method: Callable[..., Any], *args: Any) -> Any:
        item = method(*args)
        self._see(item)
        return item


class _Watched:
    """An iterator that is no generator, like the stream of a provider's SDK. Looks like its source."""

    def __init__(self, source: Any, watch: StreamWatch, call: Call) -> None:
        self._source, self._watch, self._call = source, watch, call
        self._items: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        value = getattr(object.__getattribute__(self, "_source"), name)
        if name in ("close", "aclose"):
            return functools.partial(self._close, value)
        return value

    def _close(self, close: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        self._end(GeneratorExit)
        return close(*args, **kwargs)

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # `isinstance` sees the class of the source
        return type(self._source)

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self._end(GeneratorExit)

    def __enter__(self) -> Any:
        entered = self._source.__enter__()
        return self if entered is self._source else entered

    def __exit__(self, *error: Any) -> Any:
        self._end(error[0] or GeneratorExit)
        return self._source.__exit__(*error)

    async def __aenter__(self) -> Any:
        entered = await self._source.__aenter__()
        return self if entered is self._source else entered

    async def __aexit__(self, *error: Any) -> Any:
        self._end(error[0] or GeneratorExit)
        return await self._source.__aexit__(*error)

    def _end(self, error: type[BaseException] | None) -> None:
        if not self._call.ended:
            self._watch.end_stream(self._call, self._items, error)


class WatchedIterator(_Watched):
    """An iterator whose call ends with it."""

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        try:
            item = next(self._source)
        except BaseException as error:
            complete = isinstance(error, StopIteration)
            self._end(None if complete else type(error))
            raise
        self._watch.see(self._call, self._items, item)
        return item


class WatchedAsyncIterator(_Watched):
    """An asynchronous iterator whose call ends with it."""

    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> Any:
        try:
            item = await anext(self._source)
        except BaseException as error:
            complete = isinstance(error, StopAsyncIteration)
            self._end(None if complete else type(error))
            raise
        self._watch.see(self._call, self._items, item)
        return item
