"""Prometheus Alertmanager, API v2: an episode is an alert that lasts until its end.

Source: https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml; what ends an alert, and
when, is in `docs/decisions/0019-alertmanager-keeps-an-alert-until-its-end.md`.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from monitor.channels.interface import (
    CLIENT,
    DeliveryResult,
    Request,
    Step,
    interpret_http,
    json_bytes,
    json_or_none,
    required,
    without_secrets,
)
from monitor.channels.links import links_of
from monitor.protocol.service import SERVICE
from monitor.wording import episode_text
from monitor.wording.example_text import example_details, example_line
from monitor.wording.incident_text import clock
from monitor.wording.last_change import last_change
from schemas.config.monitor_config import Config
from schemas.times import microseconds, rfc3339
from softfail.sanitize import sanitize, sanitize_json

# a firing alert ends so long after it was last sent, so softfail may be down for as long
HOLD_US = 12 * 3600 * 1_000_000
NOTE_US = 3600 * 1_000_000  # the same of an episode that has already ended
WATCHDOG_US = 300 * 1_000_000  # the same of the watchdog: it ends when softfail stops sending it
# an end lies at least so far back: Alertmanager ignores an end that its clock takes for the future
PAST_US = 300 * 1_000_000
FINDINGS, TEXT_CHARS = 10, 600  # Alertmanager has no limit, but its receivers do

_LINKS = {
    "Status": "status_url",
    "Dashboard": "dashboard_url",
    "Runbook": "runbook_url",
    "Trace 1": "trace_url",
}


class Alertmanager:
    """Turn steps into alerts. Credentials are part of request headers only."""

    name = "alertmanager"

    def __init__(self, config: Config) -> None:
        self._settings = required(config.channels.alertmanager, self.name)
        self._links, self._prefix = config.links, config.kafka.prefix

    def request(self, step: Step, now_us: int) -> Request:
        """Build the alert. Its labels are the same from trigger to resolve, because they identify it."""
        began_us = microseconds(step.episode.started_at)
        if step.action == "resolve":
            ends_us = max(began_us, min(microseconds(step.episode.time), now_us - PAST_US))
        else:
            ends_us = max(began_us, now_us) + (NOTE_US if step.action == "note" else HOLD_US)
        links = links_of(step.episode, self._links)
        alert: dict[str, Any] = {
            "labels": labels(step),
            "annotations": sanitize_json(alert_annotations(step), lines=True)
            | {_LINKS[text]: href for text, href in links.items() if text in _LINKS},
            "startsAt": rfc3339(step.episode.started_at),
            "endsAt": rfc3339(ends_us),
        }
        if "Status" in links:
            alert["generatorURL"] = links["Status"]
        return self._post(f"{self.name}/{step.episode_id}", alert)

    def watchdog(self, now_us: int) -> Request:
        """Build the alert that fires while softfail is healthy, as the ``Watchdog`` of Prometheus.

        It ends unless it is sent again within ``WATCHDOG_US``.
        """
        alert = {
            "labels": {
                "alertname": "SoftfailWatchdog",
                "service": SERVICE,
                "prefix": self._prefix,
                "severity": "none",
            },
            "annotations": {
                "summary": (
                    "All is well: softfail measures and delivers. Send this to a dead man's switch, which"
                    " tells you when it ends"
                )
            },
            "startsAt": rfc3339(now_us),
            "endsAt": rfc3339(now_us + WATCHDOG_US),
        }
        return self._post(f"{self.name}/watchdog", alert)

    def _post(self, key: str, alert: dict[str, Any]) -> Request:
        headers = (
            ("Content-Type", "application/json"),
            ("Accept", "application/json"),
            ("User-Agent", CLIENT),
            *self._login(),
        )
        url = self._settings.url.rstrip("/") + "/api/v2/alerts"
        return Request("POST", key, url, headers, json_bytes([alert]), self._settings.timeout)

    def interpret(
        self, status: int | None, headers: Mapping[str, str], body: bytes, now_us: int
    ) -> DeliveryResult:
        """Interpret an answer. 200 with an empty or JSON body: delivered. 400 with a JSON body: permanent.
        Anything else: retry.
        """
        result = interpret_http(status, headers, body, now_us, accepted=_is_confirmation, refused=_is_refusal)
        return without_secrets(result, *self._secrets())

    def _login(self) -> tuple[tuple[str, str], ...]:
        settings = self._settings
        if settings.token is not None:
            return (("Authorization", f"Bearer {settings.token.get_secret_value()}"),)
        if settings.username is not None and settings.password is not None:
            pair = f"{settings.username}:{settings.password.get_secret_value()}"
            return (("Authorization", f"Basic {base64.b64encode(pair.encode()).decode()}"),)
        return ()

    def _secrets(self) -> tuple[str, ...]:
        sent = tuple(value.partition(" ")[2] for _, value in self._login())
        return (
            *sent,
            *((self._settings.password.get_secret_value(),) if self._settings.password is not None else ()),
        )


def _is_confirmation(status: int, body: bytes) -> bool:
    if status != 200 or not body.strip():
        return status == 200
    answer = json_or_none(body)
    return answer is not None and not (isinstance(answer, dict) and answer.get("status") == "error")


def _is_refusal(status: int, body: bytes) -> bool:
    return status == 400 and json_or_none(body) is not None


def labels(step: Step) -> dict[str, str]:
    """Return the labels, which identify the alert and so never change while the episode lasts.

    ``severity`` stands for the urgency: the severity of the episode may rise without it.
    """
    episode = step.episode
    high = step.urgency == "high" and step.action != "note"
    values = {
        "alertname": "SoftfailMissed" if step.action == "note" else "SoftfailDegraded",
        "service": episode.service,
        "feature": episode.feature,
        "environment": episode.environment,
        "severity": "critical" if high else "warning",
        "urgency": "high" if high else "low",
        "episode": episode.episode_id,
        "key": step.dedup_key,
    }
    return {name: sanitize(value, TEXT_CHARS) for name, value in values.items()}


def alert_annotations(step: Step) -> dict[str, str]:
    """Return the annotations: what the person on call reads, new with each trigger."""
    episode, all_findings = step.episode, episode_text.finding_lines(step.episode)
    findings = [sanitize(finding, TEXT_CHARS) for finding in all_findings[:FINDINGS]]
    more = len(all_findings) + step.left_out - len(findings)
    line = episode_text.summary(episode, step.left_out, 1024)
    if step.action == "note":
        line = f"Missed while down, over since {clock(episode.time)}: {line}"
    examples = [
        line
        for example in episode.examples
        for line in (example_line(example, TEXT_CHARS), *example_details(example, TEXT_CHARS))
    ]
    lines = [*(f"- {finding}" for finding in findings), *([f"- and {more} more"] if more else []), *examples]
    causes = {"likely_cause": "; ".join(episode_text.likely_causes(episode))} if episode.causes else {}
    return {
        "summary": sanitize(line, 1024),
        "description": "\n".join(lines) or sanitize(episode.reason, TEXT_CHARS),
        **causes,
        "next_step": episode_text.next_step(episode),
        "why_now": step.reason,
        "episode_severity": episode.severity,
        "findings": str(len(all_findings) + step.left_out),
        "last_change": last_change(episode),
    }
