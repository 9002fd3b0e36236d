"""The wrappers change nothing: a watched function behaves as the function itself."""

from __future__ import annotations

import asyncio
import gc
import inspect
import logging
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from typing import Any

import pytest

from softfail import ResponseId, Softfail

Make = Callable[..., Softfail]


class Broken(Exception):
    """Raised by the streams of these tests."""


def echo() -> Generator[str, str | None, str]:
    """Yield what is sent; an exception thrown in becomes an item."""
    item: str | None = "start"
    while item != "stop":
        try:
            item = yield f"<{item}>"
        except Broken:
            item = "thrown"
    return "done"


async def async_echo() -> Any:
    item: str | None = "start"
    while item != "stop":
        try:
            item = yield f"<{item}>"
        except Broken:
            item = "thrown"


def talk(stream: Any) -> list[Any]:
    """Talk to a generator: what it yields, and last what it returns."""
    items = [next(stream), stream.send("a"), stream.throw(Broken()), stream.send("b")]
    try:
        stream.send("stop")
    except StopIteration as end:
        items.append(end.value)
    return items


async def talk_async(stream: Any) -> list[Any]:
    items = [
        await anext(stream),
        await stream.asend("a"),
        await stream.athrow(Broken()),
        await stream.asend("b"),
    ]
    with pytest.raises(StopAsyncIteration):
        await stream.asend("stop")
    return items


def events(sf: Softfail, fake: Any) -> dict[str, dict[str, Any]]:
    assert sf.flush(5)
    return {event["feature"]: event for event in fake.events()}


def test_send_throw_and_return_values_pass_through_generators(client: Make, fake: Any) -> None:
    sf = client()
    watched = sf.watch(feature="own", model="m")(echo)
    returned = sf.watch(feature="returned", model="m")(lambda: echo())
    assert inspect.isgeneratorfunction(watched)
    assert talk(watched()) == talk(returned()) == talk(echo())
    sent = events(sf, fake)
    assert {event["output"] for event in sent.values()} == {"<start><a><thrown><b>"}
    assert all("error_type" not in event for event in sent.values())


def test_send_and_throw_pass_through_asynchronous_generators(client: Make, fake: Any) -> None:
    sf = client()
    watched = sf.watch(feature="own", model="m")(async_echo)
    returned = sf.watch(feature="returned", model="m")(lambda: async_echo())

    async def main() -> None:
        assert await talk_async(watched()) == await talk_async(returned()) == await talk_async(async_echo())

    assert inspect.isasyncgenfunction(watched)
    asyncio.run(main())
    assert {event["output"] for event in events(sf, fake).values()} == {"<start><a><thrown><b>"}


def test_a_stream_that_is_left_early_is_closed_and_reported_with_the_text_so_far(
    client: Make, fake: Any
) -> None:
    sf = client()
    closed: list[str] = []

    def stream(name: str) -> Iterator[str]:
        try:
            yield "a"
            yield "b"
            yield "c"
        finally:
            closed.append(name)

    async def astream(name: str) -> AsyncIterator[str]:
        for item in stream(name):
            yield item

    own = sf.watch(feature="own", model="m")(stream)("own")
    assert [next(own), next(own)] == ["a", "b"]
    own.close()  # type: ignore[attr-defined]

    async def main() -> None:
        async_own = sf.watch(feature="async", model="m")(astream)("async")
        assert [await anext(async_own), await anext(async_own)] == ["a", "b"]
        await async_own.aclose()  # type: ignore[attr-defined]

    asyncio.run(main())
    gc.collect()
    sent = events(sf, fake)
    assert {event["output"] for event in sent.values()} == {"ab"}
    assert all("error_type" not in event and "time_to_first_token_s" in event for event in sent.values())
    assert closed[0] == "own"


def test_a_stream_that_breaks_is_reported_with_the_text_so_far_and_its_error(client: Make, fake: Any) -> None:
    sf = client()

    @sf.watch(feature="own", model="m")
    def stream() -> Iterator[str]:
        yield "a"
        yield "b"
        raise Broken

    @sf.watch(feature="async", model="m")
    async def astream() -> AsyncIterator[str]:
        yield "a"
        yield "b"
        raise Broken

    async def main() -> None:
        async for _ in astream():
            pass

    with pytest.raises(Broken):
        list(stream())
    with pytest.raises(Broken):
        asyncio.run(main())
    assert {(event["output"], event["error_type"]) for event in events(sf, fake).values()} == {
        ("ab", "Broken")
    }


@pytest.mark.parametrize("cancelled_is_error", [False, True])
def test_a_cancellation_is_an_error_only_on_request(
    client: Make, fake: Any, cancelled_is_error: bool
) -> None:
    sf = client()

    @sf.watch(feature="watch", model="m", cancelled_is_error=cancelled_is_error)
    async def wait() -> None:
        await asyncio.Event().wait()

    async def block() -> None:
        async with sf.call(feature="call", model="m", cancelled_is_error=cancelled_is_error):
            await asyncio.Event().wait()

    async def main() -> None:
        for function in (wait, block):
            task = asyncio.create_task(function())
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())
    expected = "CancelledError" if cancelled_is_error else None
    assert [event.get("error_type") for event in events(sf, fake).values()] == [expected, expected]


class ProviderStream:
    """An iterator with attributes, as the SDKs of providers return."""

    def __init__(self, items: list[str]) -> None:
        self._items = iter(items)
        self.request_id = "r-1"
        self.closed = False

    def __iter__(self) -> ProviderStream:
        return self

    def __next__(self) -> str:
        return next(self._items)

    def __enter__(self) -> ProviderStream:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self.closed = True


class AsyncProviderStream:
    def __init__(self, items: list[str]) -> None:
        self._items = iter(items)

    def __aiter__(self) -> AsyncProviderStream:
        return self

    async def __anext__(self) -> str:
        for item in self._items:
            return item
        raise StopAsyncIteration


def test_a_returned_stream_keeps_its_class_and_attributes_and_is_reported_at_its_end(
    client: Make, fake: Any
) -> None:
    sf = client()
    open_stream = sf.watch(feature="read", model="m")(lambda: ProviderStream(["a", "b"]))
    left = sf.watch(feature="left", model="m")(lambda: ProviderStream(["c", "d"]))()
    unread = sf.watch(feature="unread", model="m")(lambda: ProviderStream(["e"]))()
    with open_stream() as stream:
        assert isinstance(stream, ProviderStream)
        assert (stream.request_id, stream.closed, list(stream)) == ("r-1", False, ["a", "b"])
    assert stream.closed
    assert hasattr(left, "close")
    assert next(left) == "c"
    left.close()
    assert left.closed
    del unread
    gc.collect()
    sent = events(sf, fake)
    assert (sent["read"]["output"], sent["left"]["output"]) == ("ab", "c")
    assert "output" not in sent["unread"]
    assert all("error_type" not in event for event in sent.values())


def test_functions_that_return_a_coroutine_a_future_or_an_async_stream_are_reported_at_their_end(
    client: Make, fake: Any
) -> None:
    sf = client()

    async def answer() -> str:
        await asyncio.sleep(0)
        return "hi"

    async def main() -> None:
        assert await sf.watch(feature="coroutine", model="m")(lambda: answer())() == "hi"
        task = sf.watch(feature="task", model="m")(lambda: asyncio.ensure_future(answer()))()
        assert isinstance(task, asyncio.Task)
        assert await task == "hi"
        stream = sf.watch(feature="stream", model="m")(lambda: AsyncProviderStream(["h", "i"]))()
        assert isinstance(stream, AsyncProviderStream)
        assert [item async for item in stream] == ["h", "i"]

        @sf.watch(feature="opened", model="m")
        async def opened() -> AsyncProviderStream:
            return AsyncProviderStream(["h", "i"])

        assert [item async for item in await opened()] == ["h", "i"]

    asyncio.run(main())
    sent = events(sf, fake)
    assert sorted(sent) == ["coroutine", "opened", "stream", "task"]
    assert {event["output"] for event in sent.values()} == {"hi"}


def test_callable_objects_and_methods_of_every_kind_are_watched(client: Make, fake: Any) -> None:
    sf = client()

    class Answer:
        async def __call__(self) -> str:
            return "hi"

    class Service:
        @sf.watch(feature="static", model="m")
        @staticmethod
        def static(text: str) -> str:
            return text

        @sf.watch(feature="class", model="m")
        @classmethod
        def of_class(cls, text: str) -> str:
            return f"{cls.__name__} {text}"

    answer = sf.watch(feature="object", model="m")(Answer())
    assert inspect.iscoroutinefunction(answer)
    assert asyncio.run(answer()) == "hi"  # type: ignore[arg-type]
    assert (Service.static("x"), Service().of_class("y")) == ("x", "Service y")
    assert {name: event["output"] for name, event in events(sf, fake).items()} == {
        "object": "hi",
        "static": "x",
        "class": "Service y",
    }


def test_the_id_of_a_call_is_known_from_the_start_and_stays(client: Make, fake: Any) -> None:
    sf = client()
    with sf.call(feature="f", model="m", prompt_version="p1") as call:
        early = call.response_id
        sf.feedback(early, accepted=True)
        call.update({"output": "hi", "output_tokens": 1}, output_tokens=2)
        call.variant = "b"
    assert isinstance(early, ResponseId)
    assert call.response_id is early
    sf.feedback(early, accepted=False)
    assert sf.flush(5)
    (event,) = fake.events()
    assert (event["event_id"], event["output"], event["output_tokens"]) == (early, "hi", 2)
    first, second = fake.events("feedback")
    assert first["response_id"] == second["response_id"] == early
    assert (first["prompt_version"], first.get("variant"), second["variant"]) == ("p1", None, "b")
    with sf.call(feature="g", model="m") as named:
        named.event_id = "own-id"
        assert named.response_id == "own-id"
    assert named.response_id == "own-id"


def test_a_value_set_after_the_end_is_not_sent_and_is_logged_once(
    client: Make, fake: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "softfail")
    sf = client()
    for _ in range(3):
        with sf.call(feature="f", model="m") as call:
            pass
        call.output = "late"
        call.update(output_tokens=7)
        call.first_token()
    assert sf.close(5)
    assert all(event.keys().isdisjoint({"output", "output_tokens"}) for event in fake.events())
    assert "value set after the end of its call, not sent: 1 (last: output)" in caplog.text
