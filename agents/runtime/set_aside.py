"""Records that are passed without being applied: poison, and batches that are not decompressed."""

from __future__ import annotations

import logging
from typing import Any

from faust.types import TP

from agents.kafka.decompression import UnreadableBatch
from monitor.protocol.limits import POISON, TOO_LARGE
from monitor.protocol.messages import Core, FileRecord, Outputs

log = logging.getLogger("softfail.partition")


def pass_poison(core: Core, record: Any, deaths: int) -> Outputs:
    """Count a record that ended the process while it was applied alone; return its dead letter."""
    log.critical(
        "POISON %s/%d [%d]: the process ended %d times while this record was applied; it becomes a dead letter,"
        " and is not measured",
        record.topic,
        record.partition,
        record.offset,
        deaths,
    )
    error = f"{POISON}, because the worker ended {deaths} times while it applied this record alone"
    return core.set_aside(record, POISON, error)


def is_unreadable(records: Any) -> bool:
    """Return whether the last record stands for a batch that was not decompressed."""
    # not the truth of `records`: a bundle without records is true
    return len(records) > 0 and type(records[-1].value) is UnreadableBatch


def pass_batch(core: Core, record: Any, tp: TP, position: int) -> Outputs:
    """Count the records of a batch from a position on; return one dead letter at the last offset."""
    batch: UnreadableBatch = record.value
    log.error("UNREADABLE %s/%d: %s", *tp, batch.why)
    letter = FileRecord(None, record.offset, record.timestamp, topic=tp.topic, partition=tp.partition)
    passed = batch.last - max(batch.first, position) + 1
    return core.set_aside(letter, TOO_LARGE, f"{TOO_LARGE}: {batch.why}; send smaller batches", passed)
