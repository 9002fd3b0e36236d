"""The heartbeat of a partition: a record of its own health on the alerts topic.

``schemas.records`` has the same for readers. Fields stand in the order in which they are written.
"""

from __future__ import annotations

import msgspec

from monitor.protocol.messages import OutputRecord


class FindingRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Something wrong with softfail itself. ``since``: wall clock, RFC 3339."""

    name: str
    severity: str
    text: str
    since: str
    value: float | None


class HeartbeatRecord(OutputRecord, frozen=True, kw_only=True, tag="health"):
    """The health of one partition. ``time``: wall clock, RFC 3339; ``counts``: what was counted lately.

    ``observed_s``: seconds that the findings rest on. While they are fewer than a window, a missing finding
    does not mean that all is healthy.
    """

    agent: str
    partition: int
    partitions: int
    time: str
    observed_s: float
    counts: dict[str, int]
    findings: list[FindingRecord]
