"""Settings of every channel with their secrets, for all tests that run over every channel."""

from __future__ import annotations

from typing import Any

_PAGERDUTY, _TOKEN = "0123456789abcdef0123456789abcdef", "tokentokentoken"
_SLACK = "https://hooks.slack.com/services/T0/B0/slackslackslack"
_WEBHOOK = "https://hooks.example/in?key=urlurlurlurl"
_SIGN, _HEADER = "signsignsignsign", "headheadhead"

SETTINGS: dict[str, dict[str, Any]] = {
    "pagerduty": {"routing_key": _PAGERDUTY},
    "alertmanager": {"url": "https://alertmanager.example", "token": _TOKEN},
    "slack": {"webhook_url": _SLACK},
    "webhook": {"url": _WEBHOOK, "secret": _SIGN, "headers": {"X-Api-Key": _HEADER}},
    "console": {},
}
"""Name of a channel -> its section of the configuration, in the order of ``CHANNELS``."""

SECRETS: dict[str, tuple[str, ...]] = {
    "pagerduty": (_PAGERDUTY,),
    "alertmanager": (_TOKEN,),
    "slack": (_SLACK, "slackslackslack"),
    "webhook": (_WEBHOOK, "urlurlurlurl", _SIGN, _HEADER),
    "console": (),
}
"""Name of a channel -> texts that may stand in no output: its secrets, and the secret part of its address."""

CONFIRMATIONS: dict[str, tuple[int, bytes]] = {
    "pagerduty": (202, b'{"status":"success"}'),
    "alertmanager": (200, b""),
    "slack": (200, b"ok"),
    "webhook": (204, b""),
    "console": (200, b""),
}
"""Name of a channel -> status and body with which its receiver confirms a request."""

REFUSALS: dict[str, bytes] = {
    "pagerduty": b'{"status":"invalid event"}',
    "alertmanager": b'"bad"',
    "slack": b"invalid_payload",
    "webhook": b"never",
}
"""Name of a channel with a receiver -> body of the answer 400 with which it refuses a request for good."""
