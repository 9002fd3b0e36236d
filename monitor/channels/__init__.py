"""Channels: each turns a step of an episode into a request. One channel a file; CONTRIBUTING.md says how to
add one.
"""

from __future__ import annotations

from collections.abc import Callable

from monitor.channels.alertmanager import Alertmanager
from monitor.channels.console import Console
from monitor.channels.interface import ChangeChannel, Channel
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
"""Name, as under ``channels`` in the configuration -> class, made from the configuration. The order is that of
the fields of ``schemas.config.channels.Channels``.
"""


def configured(config: Config) -> dict[str, Channel]:
    """Return the channels of a configuration, by name."""
    return {name: CHANNELS[name](config) for name in config.channels.names()}


def change_channels(config: Config) -> dict[str, ChangeChannel]:
    """Return the configured channels that take changes."""
    return {
        name: channel
        for name, channel in configured(config).items()
        if isinstance(channel, ChangeChannel) and channel.sends_changes
    }
