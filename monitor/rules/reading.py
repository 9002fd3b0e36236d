"""The result of a rule on one series at one pane edge."""

from __future__ import annotations

from typing import Literal, NamedTuple

from monitor.rules.evidence import Evidence

State = Literal["breach", "good", "between", "unknown"]


class Reading(NamedTuple):
    """State and evidence.

    ``breach``: surely beyond the threshold. ``good``: the point estimate is on the good side. ``between``:
    neither. ``unknown``: too few events.
    """

    state: State
    evidence: Evidence
