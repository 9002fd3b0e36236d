"""A core without rules, for tests of what it counts."""

from __future__ import annotations

from monitor.protocol.messages import FileRecord
from monitor.watch import Watch
from schemas.config.monitor_config import Config

# Reading rules takes most of the time of a watch.
QUIET = Config.model_validate({"default_rules": False, "no_data": {"severity": None}})


def watch_of(values: list[bytes], bundle: int = 1000, config: Config | None = None) -> Watch:
    watch = Watch(config or QUIET)
    records = [FileRecord(value, offset) for offset, value in enumerate(values)]
    for start in range(0, len(records), bundle):
        watch.apply(records[start : start + bundle])
    return watch
