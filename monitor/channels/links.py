"""Where a page leads to: the links of the configuration, filled in for an episode or a change."""

from __future__ import annotations

import re
from urllib.parse import quote

from schemas.config.monitor_config import Links
from schemas.records import Change, Episode

_PLACEHOLDER = re.compile(r"\{(service|feature|environment|from_ms|to_ms)\}")
_LEAD_S = 900  # seconds before and after it that a dashboard link shows


def links_of(told: Episode | Change, links: Links) -> dict[str, str]:
    """The configured links, filled in; those that are not http(s) are left out."""
    since = told.started_at if isinstance(told, Episode) else told.time
    values = {
        "service": told.service,
        "feature": told.feature,
        "environment": told.environment,
        "from_ms": str(int(since.timestamp() - _LEAD_S) * 1000),
        "to_ms": str(int(told.time.timestamp() + _LEAD_S) * 1000),
    }
    templates = {"Status": links.status, "Dashboard": links.dashboard, "Runbook": links.runbook}
    filled = {
        text: _PLACEHOLDER.sub(lambda match: quote(values[match[1]], safe=""), template)
        for text, template in templates.items()
        if template
    }
    return {text: href for text, href in filled.items() if href.startswith(("https://", "http://"))}
