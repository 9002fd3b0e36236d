"""The state of delivery for metrics and the status page: steps that wait, and silences in force."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from monitor.delivery.dispatcher import Dispatcher


def pending_steps(episodes: Dispatcher, channels: Iterable[str], now_us: int) -> dict[str, int]:
    """Count the steps that each channel has to be sent.

    Args:
        episodes: the deliveries of episodes.
        channels: the configured channels; others count too while they have an open delivery.
        now_us: wall clock, microseconds since 1970.
    """
    deliveries = episodes.log.open_items()
    pending = dict.fromkeys((*channels, *(channel for (channel, _), _ in deliveries)), 0)
    for (channel, _), delivery in deliveries:
        pending[channel] += episodes.next_step(channel, delivery, now_us) is not None
    return pending


def silences_in_force(episodes: Dispatcher, now_us: int) -> list[dict[str, Any]]:
    """Return the silences in force, and how many deliveries each holds back.

    ``now_us``: wall clock, microseconds since 1970.
    """
    silenced: dict[str, int] = {}
    for (channel, _), delivery in episodes.log.open_items():
        silence = episodes.silence_of(channel, delivery, now_us)
        if silence is None:
            continue
        audible = episodes.next_step(channel, delivery, now_us, ignore_silences=True)
        if audible != episodes.next_step(channel, delivery, now_us):
            silenced[silence.name] = silenced.get(silence.name, 0) + 1
    return [
        {**silence.status(until_us), "holds": silenced.get(silence.name, 0)}
        for silence, until_us in episodes.silences.active(now_us)
    ]
