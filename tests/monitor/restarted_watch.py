"""A watch that runs over a log of events, with or without restarts."""

from __future__ import annotations

import json
from typing import Any

from monitor.protocol.messages import FileRecord, Outputs
from monitor.watch import Watch
from schemas.config.monitor_config import Config

MINUTE_US = 60_000_000


def restarted(watch: Watch, config: Config | None = None) -> Watch:
    """Return a new watch with the state that the watch has changed since it was asked last."""
    fresh = Watch(config or Config())
    fresh.restore(watch.changed())
    return fresh


def run_watch(
    values: list[bytes],
    bundle: int = 5000,
    every: int | None = None,
    config: Config | None = None,
    now_us: int | None = None,
) -> list[tuple[str, bytes]]:
    """Return all outputs as (topic, value).

    Args:
        bundle: records that are applied at a time.
        every: replace the watch by a new one, restored from the state, after this many minutes; 0: after each
            bundle; None: never.
        now_us: the wall clock; the log then stays open. None: the log ends.
    """
    watch, out, log, edge = Watch(config or Config()), Outputs(), dict[bytes, bytes | None](), 0
    records = [FileRecord(value, offset) for offset, value in enumerate(values)]
    for start in range(0, len(records), bundle):
        out.extend(watch.apply(records[start : start + bundle], now_us))
        now = (watch.watermark_us or 0) // MINUTE_US
        if every is not None and now >= edge + every:
            edge = now
            log.update(dict(watch.changed()))
            watch = Watch(config or Config())
            watch.restore([(key, value) for key, value in log.items() if value is not None])
    if now_us is None:
        out.extend(watch.finish())
    return [(topic, message.value) for topic, message in out.order]


def alerts_of(values: list[bytes], config: Config | None = None) -> list[dict[str, Any]]:
    """Return the records of the alerts topic after the whole log."""
    return [json.loads(value) for topic, value in run_watch(values, config=config) if topic == "alerts"]


def firing_transitions(alerts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the transitions of incidents to firing."""
    return [record for record in alerts if record["record"] == "transition" and record["state"] == "firing"]
