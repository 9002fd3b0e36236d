"""Links of a page: those of the configuration, filled in for an episode or a change."""

from __future__ import annotations

import re
from urllib.parse import quote

from schemas.config.monitor_config import Links
from schemas.records import Change, Episode

_PLACEHOLDER = re.compile(r"\{(service|feature|environment|from_ms|to_ms)\}")
_MARGIN_S = 900  # that a dashboard link shows before and after


def links_of(subject: Episode | Change, links: Links) -> dict[str, str]:
    """Return the configured links by name, filled in; without those that are not http(s)."""
    since = subject.started_at if isinstance(subject, Episode) else subject.time
    values = {
        "service": subject.service,
        "feature": subject.feature,
        "environment": subject.environment,
        "from_ms": str(int(since.timestamp() - _MARGIN_S) * 1000),
        "to_ms": str(int(subject.time.timestamp() + _MARGIN_S) * 1000),
    }
    templates = {"Status": links.status, "Dashboard": links.dashboard, "Runbook": links.runbook}
    filled = {
        text: _PLACEHOLDER.sub(lambda match: quote(values[match[1]], safe=""), template)
        for text, template in templates.items()
        if template
    }
    return {text: href for text, href in filled.items() if href.startswith(("https://", "http://"))}
