"""Schedule of the true faults of the corpus."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

# length of a fault: this share of the run, within these bounds
SHORTEST_S, LONGEST_S, SHARE = 200.0, 1200.0, 0.12
BEFORE_S, APART_S = 200.0, 900.0  # healthy time before the first fault and between two faults of a feature
# time after a fault until its incidents have resolved; in a short run this share
CLEARING_S, CLEARING_SHARE = 600.0, 0.15
# fault of a canary, and the time until its segment has certainly ended
ROLLBACK_S, GONE_S = 300.0, 1500.0
CANARY = "desk/canary"
# thinly sampled features have no faults: their detection would depend on chance
HEALTHY = (CANARY, "bot/f8", "bot/f9")


class Span(NamedTuple):
    """Fault of ``service/feature``: seconds of event time since the beginning, without the jump."""

    source: str
    metric: str
    begin_s: float
    end_s: float


def spans(
    rng: random.Random, sources: Sequence[str], run_s: float, calm_s: float, jump_s: float | None
) -> list[Span]:
    """Return faults in order of their start. No fault spans the jump of the clock, and all resolve before the
    end.
    """
    parts = [(BEFORE_S, calm_s)] if jump_s is None else [(BEFORE_S, jump_s), (jump_s + BEFORE_S, calm_s)]
    length_s = max(SHORTEST_S, min(LONGEST_S, SHARE * run_s))
    clearing_s = min(CLEARING_S, CLEARING_SHARE * run_s)
    faults: list[Span] = []
    for begin_s, end_s in parts:
        if end_s - begin_s >= ROLLBACK_S + GONE_S:
            faults.append(Span(CANARY, "rollback", begin_s, begin_s + ROLLBACK_S))
        for number in range(max(2, int((end_s - begin_s) / 1000))):
            source = rng.choice([source for source in sources if source not in HEALTHY])
            start_s = begin_s + rng.random() * max(0.0, end_s - clearing_s - length_s - begin_s)
            if start_s + length_s + clearing_s > end_s or any(
                item.source == source
                and start_s < item.end_s + APART_S
                and item.begin_s < start_s + length_s + APART_S
                for item in faults
            ):
                continue
            faults.append(Span(source, ("errors", "refusals")[number % 2], start_s, start_s + length_s))
    return sorted(faults, key=lambda span: span.begin_s)
