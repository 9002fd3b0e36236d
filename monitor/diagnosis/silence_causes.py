"""Likely causes of silence, from what producers report about themselves."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from monitor.windows.feature_series import FeatureState

AROUND_US = 10 * 60 * 1_000_000  # before the last event: producers that closed earlier were replaced


def silence_causes(feature: FeatureState, edge_us: int, window_us: int) -> Iterator[str]:
    """Yield the cause of a feature's silence, if its producers send meters; without meters nothing is known.

    Args:
        feature: of the silence.
        edge_us: now.
        window_us: the shortest silence that counts.
    """
    producers = feature.producers
    last_us = producers.last_meter_us()
    if not last_us:
        return
    gone = (
        f"its producers are gone since {_clock(last_us)}: the service is down, or does not reach the broker"
    )
    if producers.have_vanished(edge_us):
        yield gone
    elif producers.is_alive(edge_us, window_us):
        yield "its producers run and see no calls: whatever calls this feature is idle or cut off"
    elif producers.has_closed(feature.active_us - AROUND_US):
        yield f"its producers shut down, as they said at {_clock(last_us)}: a deployment, or scaled to zero"
    else:
        yield gone


def _clock(time_us: int) -> str:
    return f"{datetime.fromtimestamp(time_us / 1e6, UTC):%H:%M} UTC"
