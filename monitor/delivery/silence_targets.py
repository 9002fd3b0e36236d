"""Whether a silence matches a feature that is known. A typo is a silence of nothing, which nobody notices."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

from monitor.delivery.silences import silence_matches
from monitor.protocol.service import SERVICE
from softfail.sanitize import sanitize

Feature = tuple[str, str, str]
"""Service, feature and environment."""
ALIKE = 0.6  # of two names, from which one may be a typo of the other
NAMED = 3  # environments in a warning


def warning_of(match: str, environments: Collection[str], known: Collection[Feature]) -> str:
    """Return what to say of a silence that matches no known feature; empty if it matches one, if none is
    known, or if it names softfail's own health.

    Args:
        match: ``service/feature``, with * and ?.
        environments: of the silence; empty for all.
        known: the features that send events.

    >>> known = [("shop-bot", "agent", "production"), ("shop-bot", "answer", "production")]
    >>> warning_of("shop-bot/agnt", [], known)
    'match: no feature that sends events is shop-bot/agnt; the nearest is shop-bot/agent'
    >>> warning_of("shop-bot/*", ["staging"], known)
    'environment: no feature that matches shop-bot/* sends events in staging; they do in production'
    >>> warning_of("shop-bot/*", [], known)
    ''
    """
    if not known or match.startswith(f"{SERVICE}/"):
        return ""
    subjects = [(*feature, "") for feature in known]
    matching = [subject for subject in subjects if silence_matches(match, (), (), subject)]
    if not matching:
        names = sorted({f"{service}/{feature}" for service, feature, _ in known})
        near = get_close_matches(match, names, 1, ALIKE)
        nearest = f"; the nearest is {near[0]}" if near else ""
        return sanitize(f"match: no feature that sends events is {match}{nearest}", 700)
    if any(silence_matches(match, environments, (), subject) for subject in matching):
        return ""
    seen = sorted({environment for _, _, environment, _ in matching})[:NAMED]
    return sanitize(
        f"environment: no feature that matches {match} sends events in {' or '.join(environments)}; they do in"
        f" {', '.join(seen)}",
        700,
    )
