"""Channels: each turns a step of an episode into a request. One a file; a new one is a line in ``CHANNELS``
and a test.
"""

from __future__ import annotations

from collections.abc import Callable

from monitor.channels.alertmanager import Alertmanager
from monitor.channels.console import Console
from monitor.channels.interface import ChangeTeller, Channel
from monitor.channels.pagerduty import PagerDuty
from monitor.channels.slack import Slack
from monitor.channels.webhook import Webhook
from schemas.config.monitor_config import Config

CHANNELS: dict[str, Callable[[Config], Channel]] = {
    "pagerduty": PagerDuty,
    "alertmanager": Alertmanager,
    "slack": Slack,
    "webhook": Webhook,
    "console": Console,
}
"""Name, as under ``channels`` in the configuration -> how one is made from the configuration."""


def configured(config: Config) -> dict[str, Channel]:
    """The channels that a configuration has."""
    return {name: CHANNELS[name](config) for name in config.channels.names()}


def change_tellers(config: Config) -> dict[str, ChangeTeller]:
    """Those of them that are told of changes."""
    return {
        name: one
        for name, one in configured(config).items()
        if isinstance(one, ChangeTeller) and one.tells_changes
    }
