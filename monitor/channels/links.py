"""Where a page leads to: the links of the configuration, filled in for an episode."""

from __future__ import annotations

import re
from urllib.parse import quote

from schemas.config import Links
from schemas.records import Episode

_PLACEHOLDER = re.compile(r"\{(service|feature|environment|from_ms|to_ms)\}")
_LEAD_S = 900  # seconds before an episode that a dashboard link shows


def links_of(episode: Episode, links: Links) -> dict[str, str]:
    """The configured links, filled in; those that are not http(s) are left out."""
    since_ms = int(episode.started_at.timestamp() - _LEAD_S) * 1000
    values = {
        "service": episode.service, "feature": episode.feature, "environment": episode.environment,
        "from_ms": str(since_ms), "to_ms": str(int(episode.time.timestamp() + _LEAD_S) * 1000),
    }
    templates = {"Status": links.status, "Dashboard": links.dashboard, "Runbook": links.runbook}
    filled = {text: _PLACEHOLDER.sub(lambda match: quote(values[match[1]], safe=""), template) for text, template in templates.items() if template}
    return {text: href for text, href in filled.items() if href.startswith(("https://", "http://"))}
