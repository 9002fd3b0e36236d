"""What a rule says of one series at one edge."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple


class Reading(NamedTuple):
    """``breach``: surely beyond the threshold. ``good``: the point estimate is on the good side. ``between``:
    neither. ``unknown``: too little data.
    """

    state: Literal["breach", "good", "between", "unknown"]
    evidence: dict[str, Any]
