"""Check and count the sizes of the records of a state."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from agents.kafka.state_topic import StateRecord
from agents.process import exits

log = logging.getLogger("softfail.journal")

# of a record; forwarded events and dead letters are exempt, because they are as large as their source
MOST_BYTES = 256 << 10
# of a state record: the core stays below MOST_BYTES, but a necessary record may be larger up to the limit of
# Kafka
MOST_STATE_BYTES = 960 << 10


class StateSizes:
    """Sizes of the records that the state of one partition has now."""

    def __init__(self) -> None:
        self._bytes = 0  # of keys and values
        # hash of a key -> bytes of its record; the keys themselves would take twice as much
        self._sizes: dict[int, int] = {}

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self._sizes)

    def count(self, records: Iterable[StateRecord]) -> int:
        """Count records that were written or read; return the bytes of all keys and values.

        A value of None deletes its record.
        """
        sizes = self._sizes
        for key, value in records:
            digest = hash(key)
            self._bytes -= sizes.pop(digest, 0)
            if value is not None:
                sizes[digest] = size = len(key) + len(value)
                self._bytes += size
        return self._bytes


def check_sizes(state_topic: str, changed: Iterable[StateRecord]) -> int:
    """Check the size of state records and return how many are large.

    A record that Kafka refuses would stop the partition for ever, so it is refused here with its key.

    Raises:
        ValueError: a key is reserved.
        Misconfigured: a record is above 960 KB.
    """
    large = 0
    for key, value in changed:
        if key.startswith(b"\x00"):
            raise ValueError(
                f"a core may not write the key {key!r}: keys that begin with a zero byte are reserved"
            )
        if value is not None and len(value) > MOST_BYTES:
            if len(value) > MOST_STATE_BYTES:
                raise exits.Misconfigured(
                    f"{state_topic}: record {key!r} of state has {len(value)} bytes, above"
                    f" {MOST_STATE_BYTES}; measure fewer labels or dimensions for this feature"
                )
            log.error(
                "record %r of %s has %d bytes, above %d: measure fewer labels or dimensions for this feature",
                key,
                state_topic,
                len(value),
                MOST_BYTES,
            )
            large += 1
    return large
