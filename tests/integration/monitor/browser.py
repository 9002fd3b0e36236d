"""Drive Chromium by its DevTools protocol, with real key events."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.polling import until

KEYS = {
    "Enter": ("Enter", 13, "\r"),
    "ArrowRight": ("ArrowRight", 39, ""),
    "ArrowLeft": ("ArrowLeft", 37, ""),
    "Tab": ("Tab", 9, ""),
}


class Tab:
    """One tab of a browser. ``requests``: every address that the page asked for; ``console``: what it logged."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket, self._ids = socket, itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._reader = asyncio.create_task(self._read())
        self.requests: list[str] = []
        self.console: list[str] = []
        self._loaded = asyncio.Event()

    async def call(self, method: str, **parameters: Any) -> Any:
        """Send a command; return its result."""
        number = next(self._ids)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        return await asyncio.wait_for(answer, 30)

    async def key(self, name: str) -> None:
        """Press and release a key."""
        key, code, text = KEYS[name] if name in KEYS else (name, ord(name.upper()), name)
        shared = {"key": key, "windowsVirtualKeyCode": code}
        await self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **shared)
        await self.call("Input.dispatchKeyEvent", type="keyUp", **shared)

    async def type(self, text: str) -> None:
        """Press the keys of a text."""
        for mark in text:
            await self.key(mark)

    async def value(self, expression: str) -> Any:
        """Return the value of an expression in the page."""
        answer = await self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def screenshot(self) -> bytes:
        """Return what is seen, PNG."""
        answer = await self.call("Page.captureScreenshot", format="png")
        return base64.b64decode(answer["data"])

    async def open(self, url: str) -> None:
        """Load a page, and wait until it is complete."""
        self._loaded.clear()
        await self.call("Page.navigate", url=url)
        await asyncio.wait_for(self._loaded.wait(), 30)

    async def size(self, width: int, height: int) -> None:
        """Set the size of the window, CSS pixels."""
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )

    async def _read(self) -> None:
        async for message in self._socket:
            record = json.loads(message.data)
            if "id" in record:
                answer = self._answers.pop(record["id"])
                if "error" in record:
                    answer.set_exception(AssertionError(record["error"]))
                else:
                    answer.set_result(record["result"])
            elif record["method"] == "Network.requestWillBeSent":
                self.requests.append(record["params"]["request"]["url"])
            elif record["method"] == "Page.loadEventFired":
                self._loaded.set()
            elif record["method"] == "Log.entryAdded":
                self.console.append(record["params"]["entry"]["text"])


@asynccontextmanager
async def open_tab(chromium: str, profile: Path, downloads: Path) -> AsyncIterator[Tab]:
    """Start a browser with one tab; files that are saved go to ``downloads``, an absolute path."""
    process = await asyncio.create_subprocess_exec(
        chromium,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={profile}",
        "--remote-debugging-port=0",
        "about:blank",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        port_file = profile / "DevToolsActivePort"
        await until(lambda: port_file.exists() and port_file.read_text().count("\n") == 1)
        port = port_file.read_text().split()[0]
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json") as answer:
                pages = [page for page in await answer.json() if page["type"] == "page"]
            async with session.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                tab = Tab(socket)
                await tab.call("Page.enable")
                await tab.call("Network.enable")
                await tab.call("Log.enable")
                await tab.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(downloads))
                yield tab
    finally:
        process.kill()
        await process.wait()
