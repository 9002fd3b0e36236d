"""An evaluator of a user that is not asked for a while, as its caller knows it."""

from __future__ import annotations

from typing import NamedTuple


class CutOffEvaluator(NamedTuple):
    """An evaluator that broke too often. ``since_us``: wall clock, microseconds since 1970."""

    name: str
    reason: str
    since_us: int
