"""The page in a real browser."""

from __future__ import annotations

import asyncio
import re
import subprocess
from pathlib import Path

from agents.kafka import silence_records
from agents.web import server as server_module
from agents.web.server import WebServer
from agents.web.ui import page_html
from schemas.config.connections import Http, Kafka

TOKEN = "correct-horse:battery"  # a colon, which separates user and password in Basic


def test_the_page_accepts_the_token_as_password_in_a_browser(chromium, realistic_worker, tmp_path):

    async def run():
        server = WebServer(realistic_worker(), Http(port=0, token=TOKEN))
        await server.start()
        try:
            url = server.url.replace("http://", f"http://anna:{TOKEN.replace(':', '%3A')}@")
            command = [
                chromium,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                f"--user-data-dir={tmp_path}",
                "--virtual-time-budget=6000",
                "--dump-dom",
                url,
            ]
            return await asyncio.to_thread(
                subprocess.run, command, capture_output=True, text=True, timeout=60
            )
        finally:
            await server.stop()

    dom = asyncio.run(run()).stdout
    assert "support-bot" in dom
    assert TOKEN not in dom


def test_a_hostile_label_is_plain_text_in_a_browser(chromium, realistic_worker, tmp_path):
    hostile = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"

    async def run() -> str:
        server = WebServer(realistic_worker(hostile), Http(port=0))
        await server.start()
        try:
            return await asyncio.to_thread(_dump_dom, chromium, server.url, tmp_path)
        finally:
            await server.stop()

    dom = asyncio.run(run())
    assert "support-bot/answer&lt;img src=x onerror=" in dom
    assert "<img" not in dom
    assert "<title>(1) softfail</title>" in dom, "one page is open"
    assert "worker ready" in dom
    assert re.search(
        r"Silenced: search/\*&lt;img .{0,160} \(production, warning\) until <time .{10,90}, holds back 1 ·"
        r" ann&lt;img",
        dom,
    )
    assert re.search(r"<b>Likely: </b>new prompt version 7 .{0,80}&lt;img", dom)
    assert re.search(r"58(&nbsp;|\xa0)% of answers failed .{0,80}&lt;img", dom)
    assert "<b>Next: </b>Read the failing answers;" in dom
    assert 'id="silence-any" hidden=""' in dom, "where no Kafka is, there is nothing to ask for a silence"
    assert "End now</button>" not in dom
    assert "seen 120,000 → sampled 24,000 → sent 12,040 → received 12,000" in dom
    assert re.search(
        r'<span class="bad">dropped 11,960</span>, <span class="bad">missing 40</span>, <span class="">late'
        r" 3</span>",
        dom,
    )
    assert "dead letters 13 (invalid 12, future 1)" in dom
    assert re.search(r"94(&nbsp;|\xa0)% of calls are answered by the model gpt-4-0613&lt;img", dom)


_CLICKS = """<script>
setTimeout(() => document.querySelector("article button").click(), 1500);
setTimeout(() => { $("silence-reason").value = "a deploy"; $("silence-for").value = "2h";
  $("silence-author").value = "ann"; $("silence-send").click(); }, 2000);
</script></body>"""


def test_an_episode_is_silenced_by_button_and_form_in_a_browser(
    chromium, realistic_worker, tmp_path, monkeypatch
):
    written = []

    async def none_yet(*_):
        return {}

    monkeypatch.setattr(silence_records, "read_silences", none_yet)
    monkeypatch.setattr(silence_records, "write_silence", lambda _, silence: written.append(silence))
    monkeypatch.setattr(server_module, "_PAGE", page_html().replace("</body>", _CLICKS))

    async def run() -> str:
        server = WebServer(realistic_worker(), Http(port=0), Kafka())
        await server.start()
        try:
            return await asyncio.to_thread(_dump_dom, chromium, server.url, tmp_path)
        finally:
            await server.stop()

    dom = asyncio.run(run())
    (silence,) = written
    assert (
        silence.match,
        silence.reason,
        silence.author,
        (silence.ends_at - silence.starts_at).total_seconds(),
    ) == (
        "support-bot/answer",
        "a deploy",
        "ann",
        7200,
    )
    assert re.search(r'id="silence-said"[^>]*>Silenced; it takes effect within seconds\.<', dom)
    assert "End now</button>" in dom
    assert re.search(
        r"SILENCED</span><span class=\"name\">search/summarise<.{0,160}silenced until <time ", dom
    )


def test_a_silence_with_a_typo_says_so_in_a_browser_and_names_the_nearest_feature(
    chromium, realistic_worker, tmp_path, monkeypatch
):
    async def none_yet(*_):
        return {}

    monkeypatch.setattr(silence_records, "read_silences", none_yet)
    monkeypatch.setattr(silence_records, "write_silence", lambda *_: None)
    clicks = _CLICKS.replace("$(", '$("silence-match").value = "support-bot/anser"; $(', 1)
    monkeypatch.setattr(server_module, "_PAGE", page_html().replace("</body>", clicks))

    async def run() -> str:
        server = WebServer(realistic_worker(), Http(port=0), Kafka())
        await server.start()
        try:
            return await asyncio.to_thread(_dump_dom, chromium, server.url, tmp_path)
        finally:
            await server.stop()

    dom = asyncio.run(run())
    assert re.search(
        r'id="silence-said" [^>]*class="bad">Silenced, but match: no feature that sends events is'
        r" support-bot/anser; the nearest is support-bot/answer<",
        dom,
    )


_WIDTHS = """<script>
if (top === self) {  // a window is never as narrow as a phone, a frame is
  document.body.innerHTML = '<iframe src="/" style="width: 390px; height: 844px; border: 0"></iframe>';
  poll = show = () => {};
} else setTimeout(() => {
  const right = Math.max(...[...document.querySelectorAll("main *")].map(node => node.getBoundingClientRect().right));
  top.document.body.dataset.widths = "width " + innerWidth + ", right " + Math.ceil(right) + ", cards "
    + document.querySelectorAll("article tr").length + ", heads " + [...document.querySelectorAll("thead")].filter(node => node.offsetHeight).length;
}, 1500);
</script></body>"""


def test_on_a_phone_each_finding_is_a_card_and_nothing_scrolls_sideways(
    chromium, realistic_worker, tmp_path, monkeypatch
):
    monkeypatch.setattr(server_module, "_PAGE", page_html().replace("</body>", _WIDTHS))
    monkeypatch.setitem(
        server_module._HEADERS, "Content-Security-Policy", "default-src * data: 'unsafe-inline'"
    )

    async def run() -> str:
        server = WebServer(realistic_worker("-" + "x" * 120), Http(port=0))
        await server.start()
        try:
            return await asyncio.to_thread(_dump_dom, chromium, server.url, tmp_path)
        finally:
            await server.stop()

    (sizes,) = re.findall(r"width (\d+), right (\d+), cards (\d+), heads (\d+)\">", asyncio.run(run()))
    width, right, cards, heads = map(int, sizes)
    assert (width, cards, heads) == (390, 4, 0)
    assert right <= width


def _dump_dom(chromium: str, url: str, folder: Path) -> str:
    flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--virtual-time-budget=3000",
        f"--user-data-dir={folder}",
    ]
    return subprocess.run(
        [chromium, *flags, "--dump-dom", url], capture_output=True, text=True, timeout=90, check=True
    ).stdout
