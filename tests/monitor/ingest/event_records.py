"""Records of events of ``s/f``, all in the same pane."""

from __future__ import annotations

import json
from typing import Any

from monitor.protocol.messages import FileRecord


def record_of(number: int, kind: str = "response", **fields: Any) -> FileRecord:
    """Make the record of an event at offset ``number``; ``fields`` replaces its fields."""
    base = {
        "kind": kind,
        "event_id": str(number),
        "time": "2026-03-02T09:00:10Z",
        "service": "s",
        "feature": "f",
        "model": "m",
    }
    return FileRecord(json.dumps(base | fields).encode(), number)
