"""Digest of a rule: an edited rule is another rule."""

from __future__ import annotations

import hashlib

from monitor.protocol.messages import to_json
from schemas.config.rules import Watched

# fields of a rule in the order of the first release; a new order would end every incident at an upgrade
_DIGEST_ORDER = (
    "name",
    "on",
    "above",
    "below",
    "clear",
    "level",
    "match",
    "environments",
    "window",
    "for_",
    "keep_firing_for",
    "min_events",
    "confidence",
    "severity",
    "page_newborn",
)
# fields of a later release; while they are not written, the rule is the one of before
_NEWER = ("least_change",)


def digest_of(rule: Watched) -> str:
    """Hash a rule's settings to 16 hexadecimal digits; an edited rule is another rule."""
    settings = rule.model_dump(mode="json")
    for name in _NEWER:
        if settings.get(name) is None:
            settings.pop(name, None)
    names = dict.fromkeys([*(name for name in _DIGEST_ORDER if name in settings), *settings])
    ordered = {name: settings[name] for name in names}
    return hashlib.blake2b(to_json(ordered), digest_size=8).hexdigest()
