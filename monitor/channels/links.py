"""Links of a page: those of the configuration, filled in for an episode, a change or a failing answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from schemas.config.monitor_config import Links
from schemas.records import Change, Episode, Example

_PLACEHOLDER = re.compile(r"\{(service|feature|environment|from_ms|to_ms|trace_id|session_id|event_id)\}")
_OF_EXAMPLE = ("trace_id", "session_id", "event_id")
_MARGIN_S = 900  # that a dashboard link shows before and after


def links_of(subject: Episode | Change, links: Links) -> dict[str, str]:
    """Return the configured links by name, filled in; without those that are not http(s).

    An episode has also ``Trace 1``, ``Trace 2``, ... for its examples.
    """
    values = _values(subject)
    templates = {"Status": links.status, "Dashboard": links.dashboard, "Runbook": links.runbook}
    hrefs = {name: _filled(template, values) for name, template in templates.items()}
    if isinstance(subject, Episode):
        hrefs |= {
            f"Trace {number}": trace_url(example, subject, links)
            for number, example in enumerate(subject.examples, 1)
        }
    return {name: href for name, href in hrefs.items() if href}


def with_trace_urls(record: dict[str, Any], links: Links) -> dict[str, Any]:
    """Add ``trace_url`` to the examples of an episode's record, for the status page."""
    if not links.trace or not record.get("examples"):
        return record
    values = {name: str(record.get(name, "")) for name in ("service", "feature", "environment")}
    since, until = (datetime.fromisoformat(record[name]) for name in ("started_at", "time"))
    values |= _range(since, until)
    examples = [
        {**example, "trace_url": url} if (url := _filled(links.trace, values | _ids(example))) else example
        for example in record["examples"]
    ]
    return {**record, "examples": examples}


def _ids(example: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(example.get(name) or "") for name in _OF_EXAMPLE}


def _range(since: datetime, until: datetime) -> dict[str, str]:
    return {
        "from_ms": str(int(since.timestamp() - _MARGIN_S) * 1000),
        "to_ms": str(int(until.timestamp() + _MARGIN_S) * 1000),
    }


def trace_url(example: Example, episode: Episode, links: Links) -> str:
    """Return the link to the trace of an example; empty if none is configured or it lacks an id."""
    return _filled(links.trace, _values(episode) | _ids(example.model_dump()))


def _values(subject: Episode | Change) -> dict[str, str]:
    since = subject.started_at if isinstance(subject, Episode) else subject.time
    return {
        "service": subject.service,
        "feature": subject.feature,
        "environment": subject.environment,
        **_range(since, subject.time),
    }


def _filled(template: str | None, values: dict[str, str]) -> str:
    """Fill in a template; empty if there is none, a value is empty, or the link is not http(s)."""
    names = set(_PLACEHOLDER.findall(template or ""))
    if not template or any(not values.get(name) for name in names & set(_OF_EXAMPLE)):
        return ""
    href = _PLACEHOLDER.sub(lambda match: quote(values.get(match[1], ""), safe=""), template)
    return href if href.startswith(("https://", "http://")) else ""
