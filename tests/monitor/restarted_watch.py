"""A watch that runs over a log of events, with or without restarts."""

from __future__ import annotations

from monitor.protocol.messages import FileRecord, Outputs
from monitor.watch import Watch
from schemas.config.monitor_config import Config

MINUTE_US = 60_000_000


def run_watch(
    values: list[bytes], bundle: int = 5000, every: int | None = None, config: Config | None = None
) -> list[tuple[str, bytes]]:
    """Return all outputs as (topic, value).

    Args:
        bundle: records that are applied at a time.
        every: replace the watch by a new one, restored from the state, after this many minutes; None: never.
    """
    watch, out, log, edge = Watch(config or Config()), Outputs(), {}, 0
    records = [FileRecord(value, offset) for offset, value in enumerate(values)]
    for start in range(0, len(records), bundle):
        out.extend(watch.apply(records[start : start + bundle]))
        now = (watch.watermark_us or 0) // MINUTE_US
        if every is not None and now >= edge + every:
            edge = now
            log.update(dict(watch.changed()))
            watch = Watch(config or Config())
            watch.restore([(key, value) for key, value in log.items() if value is not None])
    out.extend(watch.finish())
    return [(topic, message.value) for topic, message in out.order]
