"""PagerDuty, Events API v2.

Source: https://developer.pagerduty.com/docs/events-api-v2/trigger-events/ (limits: dedup_key 255 characters,
summary 1024, body 512 KB); https://developer.pagerduty.com/docs/events-api-v2/send-change-events/ (another
address, the same key and limits, no dedup_key; they notify nobody).
"""

from __future__ import annotations

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
from monitor.channels.links import links_of, trace_url
from monitor.diagnosis.recent_rollouts import ANSWERING
from monitor.wording import episode_text
from monitor.wording.incident_importance import by_importance
from monitor.wording.incident_text import clock, segment
from monitor.wording.last_change import last_change
from schemas.config.monitor_config import Config, Links
from schemas.records import Change, EpisodeIncident
from schemas.times import rfc3339
from softfail.sanitize import sanitize, sanitize_json

SUMMARY_CHARS = 1024
BODY_BYTES = 512 * 1024
_HEADERS = (("Content-Type", "application/json"), ("Accept", "application/json"), ("User-Agent", CLIENT))


class PagerDuty:
    """Turn steps into events. The routing key is part of request bodies only: never of a repr, an error or a
    log line.
    """

    name = "pagerduty"

    def __init__(self, config: Config) -> None:
        self._settings, self._links = required(config.channels.pagerduty, self.name), config.links

    def request(self, step: Step, now_us: int) -> Request:
        """Build the event, within the limits of PagerDuty whatever the size of the episode."""
        del now_us
        event: dict[str, Any] = {
            "routing_key": self._settings.routing_key.get_secret_value(),
            "event_action": "resolve" if step.action == "resolve" else "trigger",
            "dedup_key": step.dedup_key,
        }
        if step.action != "resolve":
            event |= self._episode_fields(step)
        body = json_bytes(event)
        # the labels alone of many segments can exceed the limit
        for name in ("examples", "incidents", "findings", "features"):
            if len(body) > BODY_BYTES:
                event["payload"]["custom_details"].pop(name, None)
                event["payload"]["custom_details"]["left_out"] = (
                    f"{name} and more: over the limit of {BODY_BYTES // 1024} KB"
                )
                body = json_bytes(event)
        return Request(
            "POST",
            f"{self.name}/{step.episode_id}",
            self._settings.url,
            _HEADERS,
            body,
            self._settings.timeout,
        )

    @property
    def sends_changes(self) -> bool:
        """Whether there is an address for changes, and the configuration wants them."""
        return bool(self._settings.changes_url)

    def change_request(self, change: Change, now_us: int) -> Request:
        """Build the change event."""
        del now_us
        links, where = links_of(change, self._links), f"{change.service}/{change.feature}"
        where = sanitize(
            where if change.environment == "production" else f"{where} ({change.environment})", 600
        )
        event: dict[str, Any] = {
            "routing_key": self._settings.routing_key.get_secret_value(),
            "payload": {
                "summary": sanitize(f"{where}: {change_text(change)}", SUMMARY_CHARS),
                "source": where,
                "timestamp": rfc3339(change.time),
                "custom_details": change.model_dump(mode="json", exclude={"record", "time"}),
            },
        }
        event["payload"] = sanitize_json(event["payload"], lines=True)
        if links:
            event["links"] = [{"href": href, "text": text} for text, href in links.items()]
        return Request(
            "POST",
            f"{self.name}/{change.change_id}",
            self._settings.changes_url,
            _HEADERS,
            json_bytes(event),
            self._settings.timeout,
        )

    def interpret(
        self, status: int | None, headers: Mapping[str, str], body: bytes, now_us: int
    ) -> DeliveryResult:
        """Interpret an answer. 202 with ``"status": "success"``: delivered. 400 with another ``status``:
        permanent. Anything else: retry.
        """
        result = interpret_http(
            status,
            headers,
            body,
            now_us,
            accepted=lambda status, body: status == 202 and _status_field(body) == "success",
            refused=lambda status, body: status == 400 and _status_field(body) not in (None, "success"),
        )
        return without_secrets(result, self._settings.routing_key.get_secret_value())

    def _episode_fields(self, step: Step) -> dict[str, Any]:
        episode, links = step.episode, links_of(step.episode, self._links)
        incidents = by_importance(episode)
        line = episode_text.summary(episode, step.left_out, SUMMARY_CHARS - 80)
        if step.action == "note":
            line = f"Missed while down, over since {clock(episode.time)}: {line}"
        event: dict[str, Any] = {
            "client": CLIENT,
            "payload": {
                "summary": sanitize(line, SUMMARY_CHARS),
                "source": episode_text.place(episode),
                "severity": severity(step),
                "timestamp": rfc3339(episode.started_at),
                "component": episode.feature,
                "group": episode.service,
                "class": incidents[0].rule if incidents else "quality",
                "custom_details": details(step, self._links),
            },
        }
        event["payload"] = sanitize_json(event["payload"], lines=True)
        if "Status" in links:
            event["client_url"] = links["Status"]
        if links:
            event["links"] = [{"href": href, "text": text} for text, href in links.items()]
        return event


def _status_field(body: bytes) -> str | None:
    """Return the field ``status`` of an answer; None: it is no answer of PagerDuty."""
    answer = json_or_none(body)
    status = answer.get("status") if isinstance(answer, dict) else None
    return status if isinstance(status, str) else None


def change_text(change: Change) -> str:
    """Describe a change: what is used now, and what was used before."""
    name, before = sanitize(change.name, 200), sanitize(change.before, 200)
    if change.kind == ANSWERING:
        return (
            f"{name} answers now{f', until then mostly {before}' if before else ''}, though no other model is"
            " asked for"
        )
    return f"new {sanitize(change.kind, 200)} {name}{f', until then mostly {before}' if before else ''}"


def severity(step: Step) -> str:
    """Return the severity that fits the urgency: services with dynamic notifications page by it, and a ticket
    must not page.

    A page is at least `error`, a ticket at most `warning`.
    """
    if step.urgency == "high" and step.action != "note":
        return step.episode.severity if step.episode.severity in ("critical", "error") else "error"
    return "info" if step.episode.severity == "info" else "warning"


def details(step: Step, links: Links) -> dict[str, Any]:
    """Return what the person on call reads when the summary is not enough."""
    episode = step.episode
    fields: dict[str, Any] = {
        "why_now": step.reason,
        **(
            {"features": members}
            if (members := episode_text.member_lines(episode, 50))
            else {"findings": episode_text.finding_lines(episode)}
        ),
        **({"likely_cause": causes} if (causes := episode_text.likely_causes(episode)) else {}),
        "next_step": episode_text.next_step(episode),
        "episode_id": episode.episode_id,
        "environment": episode.environment,
        "started_at": rfc3339(episode.started_at),
        "last_change": last_change(episode),
        "incidents": [
            ({"feature": f"{incident.service}/{incident.feature}"} if episode.members else {})
            | _incident(incident)
            for incident in episode_text.distinct_incidents(episode)
        ],
        "examples": [
            {name: value for name, value in example.model_dump(mode="json").items() if value}
            | ({"trace_url": url} if (url := trace_url(example, episode, links)) else {})
            for example in episode.examples
        ],
    }
    if step.left_out:
        fields["left_out"] = f"{step.left_out} more incidents"
    return fields


def _incident(incident: EpisodeIncident) -> dict[str, Any]:
    evidence = incident.evidence
    shown: dict[str, Any] = {
        "rule": incident.rule,
        "severity": incident.severity,
        "state": incident.state,
        "segment": segment(incident) or "whole feature",
        "since": rfc3339(incident.since),
        "metric": evidence.metric,
        "value": evidence.value,
        "interval": [evidence.low, evidence.high],
        "events": evidence.n,
        "window_s": evidence.window_s,
        "incident_id": incident.incident_id,
    }
    return shown | {
        name: limit
        for name in ("above", "below", "expected")
        if (limit := getattr(evidence, name)) is not None
    }
