"""Webhook: any receiver that takes JSON gets the step, signed.

`docs/operations.md`, "Channels", describes the body and the signature.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

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
from monitor.wording.incident_importance import by_importance
from schemas.config.monitor_config import Config

VERSION = 1  # of the body; new fields keep the version, a new meaning of a field raises it
BODY_BYTES = 512 * 1024
SIGNATURE = "X-Softfail-Signature"


class Webhook:
    """Turn steps into requests. Address, headers and the signing secret are never shown."""

    name = "webhook"

    def __init__(self, config: Config) -> None:
        self._settings, self._links = required(config.channels.webhook, self.name), config.links

    def request(self, step: Step, now_us: int) -> Request:
        """Build the request: the step as JSON, within 512 KB whatever the size of the episode."""
        settings, body = self._settings, self._body(step)
        headers = [("Content-Type", "application/json"), ("User-Agent", CLIENT)]
        headers += [(name, value.get_secret_value()) for name, value in settings.headers.items()]
        if settings.secret is not None:
            headers.append(
                (SIGNATURE, signature(settings.secret.get_secret_value(), now_us // 1_000_000, body))
            )
        return Request(
            "POST",
            f"{self.name}/{step.episode_id}",
            settings.url.get_secret_value(),
            tuple(headers),
            body,
            settings.timeout,
        )

    def interpret(
        self, status: int | None, headers: Mapping[str, str], body: bytes, now_us: int
    ) -> DeliveryResult:
        """Interpret an answer. Any 2xx: delivered. 400, 413 and 422: permanent. Anything else: retry."""
        settings = self._settings
        url = settings.url.get_secret_value()
        parts = urlsplit(url)
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        secrets = [
            secret.get_secret_value()
            for secret in (*settings.headers.values(), settings.secret)
            if secret is not None
        ]
        secrets += [url, target, parts.query, *(value for _, value in parse_qsl(parts.query))]
        # a token is that long, a word of a path is shorter
        secrets += [part for part in parts.path.split("/") if len(part) >= 16]
        return without_secrets(interpret_http(status, headers, body, now_us), *secrets)

    def _body(self, step: Step) -> bytes:
        episode, left_out = step.episode, step.left_out
        body = json_bytes(self._fields(step, episode.model_dump(mode="json"), left_out))
        if len(body) > BODY_BYTES:  # the labels alone of many segments can exceed the limit
            episode = episode.model_copy(update={"examples": [], "incidents": by_importance(episode)})
            body = json_bytes(self._fields(step, episode.model_dump(mode="json"), left_out))
        while len(body) > BODY_BYTES and episode.incidents:
            kept = episode.incidents[: len(episode.incidents) // 2]
            left_out += len(episode.incidents) - len(kept)
            episode = episode.model_copy(update={"incidents": kept})
            body = json_bytes(self._fields(step, episode.model_dump(mode="json"), left_out))
        return body

    def _fields(self, step: Step, episode: dict[str, Any], left_out: int) -> dict[str, Any]:
        return {
            "version": VERSION,
            "action": step.action,
            "urgency": step.urgency,
            "reason": step.reason,
            "dedup_key": step.dedup_key,
            "summary": episode_text.summary(step.episode, step.left_out),
            "likely_causes": episode_text.likely_causes(step.episode),
            "next_step": episode_text.next_step(step.episode),
            "links": links_of(step.episode, self._links),
            "left_out": left_out,
            "episode": episode,
        }


def signature(secret: str, time_s: int, body: bytes) -> str:
    """Sign a body: return the header that proves who sent it, and when (HMAC-SHA256 over ``TIME.BODY``).

    ``time_s``: seconds since 1970. A receiver compares it with its clock, so that nobody can replay an old
    request.

    >>> signature("0123456789abcdef", 1_772_442_000, b"{}")[:32]
    't=1772442000,v1=5ad22d4b8dd43190'
    """
    proof = hmac.new(secret.encode(), b"%d." % time_s + body, hashlib.sha256)
    return f"t={time_s},v1={proof.hexdigest()}"
