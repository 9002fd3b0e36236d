"""Limits that the core applies, and that a caller has to know to write records again."""

from __future__ import annotations

from typing import Final

VALUE_BYTES = 64 << 10
"""Bytes of the value that a dead letter has; the source has the rest."""
MAX_AHEAD_US = 5 * 60 * 1_000_000
"""An event further ahead of its append time than this is a dead letter."""
POISON: Final = "poison"
"""Reason of the dead letter of a record that ended the process, and the first word of its error."""
TOO_LARGE: Final = "too large"
"""Reason of the dead letter of a batch that is not decompressed."""
FORWARDED_HEADER = "softfail-forwarded"
"""Header of a forwarded event; its value is the partition where it was found."""
