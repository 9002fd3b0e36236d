"""Find evaluators of users that are cut off: what they watch is not watched."""

from __future__ import annotations

from collections.abc import Sequence

from monitor.protocol.cut_off import CutOffEvaluator
from monitor.self_health.share_checks import HealthFinding
from softfail.sanitize import sanitize

NAME = "evaluator-cut-off"


def cut_off_finding(evaluators: Sequence[CutOffEvaluator]) -> list[HealthFinding]:
    """Return one finding for all evaluators that are cut off, or none.

    >>> cut_off_finding([CutOffEvaluator("cites", "its process ended 10 times", 0)])[0].text
    'the evaluator cites is not asked for 10 min: its process ended 10 times'
    """
    if not evaluators:
        return []
    first, *others = sorted(evaluators, key=lambda evaluator: (evaluator.since_us, evaluator.name))
    more = f"; nor are {', '.join(sanitize(other.name) for other in others)}" if others else ""
    text = (
        f"the evaluator {sanitize(first.name)} is not asked for 10 min: {sanitize(first.reason, 200)}{more}"
    )
    return [HealthFinding(NAME, "warning", text, first.since_us, float(len(evaluators)))]
