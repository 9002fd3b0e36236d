"""Slack, incoming webhook: each step is a message of its own, because a webhook cannot change a message.

Source: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks (answers) and
https://docs.slack.dev/reference/block-kit/blocks (limits: header 150 characters, section 3000, 50 blocks).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from monitor.channels.headline import headline
from monitor.channels.interface import (
    CLIENT,
    DeliveryResult,
    Request,
    Step,
    interpret_http,
    json_bytes,
    required,
    without_secrets,
)
from monitor.channels.links import links_of
from monitor.wording import episode_text
from monitor.wording.example_text import example_details, example_line
from schemas.config.monitor_config import Config
from softfail.sanitize import sanitize

HEADER_CHARS, SECTION_CHARS, FALLBACK_CHARS = 150, 3000, 3000
FINDINGS, FINDING_CHARS, EXAMPLE_CHARS = 10, 700, 500

_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_MENTION = re.compile(r"@(?=channel|here|everyone|group)", re.IGNORECASE)
_ERROR_CODE = re.compile(rb"[a-z]+(_[a-z]+)+")  # as a webhook of Slack answers
_NO_MENTION = "@\u2060"  # with an invisible word joiner


class Slack:
    """Turn steps into messages. The address is the secret: it is part of the request only."""

    name = "slack"

    def __init__(self, config: Config) -> None:
        self._settings, self._links = required(config.channels.slack, self.name), config.links

    def request(self, step: Step, now_us: int) -> Request:
        """Build the message: headline, findings, examples, links, and the id of the episode to search for."""
        del now_us
        head, line = headline(step)
        blocks: list[dict[str, Any]] = [
            {
                "type": "header",
                "text": {"type": "plain_text", "text": safe(head, HEADER_CHARS), "emoji": False},
            }
        ]
        blocks.append(_section(safe(line, SECTION_CHARS)))
        if step.action != "resolve":
            blocks += _findings(step)
        links = links_of(step.episode, self._links)
        link_line = _join_parts((f"<{_escape_address(href)}|{text}>" for text, href in links.items()), " · ")
        if link_line:
            blocks.append(_section(link_line))
        blocks.append(
            {"type": "context", "elements": [_text(safe(f"{step.reason} · episode {step.episode_id}", 600))]}
        )
        message = {
            "text": safe(f"{head}: {line}", FALLBACK_CHARS),
            "blocks": blocks,
            "unfurl_links": False,
            "unfurl_media": False,
        }
        headers = (("Content-Type", "application/json"), ("User-Agent", CLIENT))
        url = self._settings.webhook_url.get_secret_value()
        return Request(
            "POST",
            f"{self.name}/{step.episode_id}",
            url,
            headers,
            json_bytes(message),
            self._settings.timeout,
        )

    def interpret(
        self, status: int | None, headers: Mapping[str, str], body: bytes, now_us: int
    ) -> DeliveryResult:
        """Interpret an answer.

        200 with ``ok`` or an empty body: delivered. 400 with an error code (``invalid_payload``): permanent.
        Anything else, like 404 (``no_service``): retry.
        """
        url = self._settings.webhook_url.get_secret_value()
        result = interpret_http(
            status,
            headers,
            body,
            now_us,
            accepted=lambda status, body: 200 <= status < 300 and body.strip() in (b"", b"ok"),
            refused=lambda status, body: status == 400 and bool(_ERROR_CODE.fullmatch(body.strip())),
        )
        path = urlsplit(url).path
        return without_secrets(result, url, path, path.removeprefix("/services/"), path.rsplit("/", 1)[-1])


def safe(text: str, most: int) -> str:
    """Escape a text for Slack: no control sequence, no mention, at most ``most`` characters after escaping.

    >>> safe("<!channel> a & b", 100), safe("<<<<", 9), safe("cc @Here", 100) == "cc @\\u2060Here"
    ('&lt;!channel&gt; a &amp; b', '&lt;&lt;…', True)
    """
    pieces = [_ESCAPES.get(char, char) for char in _MENTION.sub(_NO_MENTION, sanitize(text, most))]
    if sum(map(_size, pieces)) <= most:
        return "".join(pieces)
    left, kept = most - 1, []
    for piece in pieces:
        left -= _size(piece)
        if left < 0:
            break
        kept.append(piece)
    return "".join(kept) + "…"


def _findings(step: Step) -> list[dict[str, Any]]:
    findings = episode_text.detail_lines(step.episode)
    more = max(0, len(findings) - FINDINGS) + step.left_out
    lines = episode_text.member_lines(step.episode, FINDINGS)
    if not lines and findings:
        lines = [*findings[:FINDINGS], *([f"and {more} more"] if more else [])]
    lines = [f"• {safe(line, FINDING_CHARS)}" for line in lines]
    lines += [f"*Likely:* {safe(cause, FINDING_CHARS)}" for cause in episode_text.likely_causes(step.episode)]
    if step.action == "trigger":
        lines.append(f"*Next:* {safe(episode_text.next_step(step.episode), FINDING_CHARS)}")
    blocks = [_section(text) for text in _paragraphs(lines)]
    for example in step.episode.examples:
        details = example_details(example, EXAMPLE_CHARS // 2)
        text = "\n".join(
            (
                safe(example_line(example, EXAMPLE_CHARS), EXAMPLE_CHARS),
                *(safe(line, EXAMPLE_CHARS) for line in details),
            )
        )
        blocks.append({"type": "section", "text": {"type": "plain_text", "text": text, "emoji": False}})
    return blocks


def _paragraphs(lines: Iterable[str]) -> list[str]:
    """Join lines to texts that fit into one section each."""
    texts: list[str] = []
    for line in lines:
        if texts and sum(map(_size, texts[-1])) + sum(map(_size, line)) < SECTION_CHARS:
            texts[-1] += f"\n{line}"
        else:
            texts.append(line)
    return texts


def _join_parts(parts: Iterable[str], separator: str) -> str:
    """Join the parts that fit into one section, each whole: half a link leads nowhere."""
    text = ""
    for part in parts:
        longer = f"{text}{separator}{part}" if text else part
        text = longer if len(longer) <= SECTION_CHARS else text
    return text


def _escape_address(href: str) -> str:
    return (
        href.replace("&", "&amp;")
        .replace("<", "%3C")
        .replace(">", "%3E")
        .replace("|", "%7C")
        .replace(" ", "%20")
    )


def _size(text: str) -> int:
    return len(text) + sum(char > "\uffff" for char in text)  # as JavaScript counts


def _text(text: str) -> dict[str, Any]:
    # verbatim: Slack makes no mentions of names in it
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _text(text)}
