"""Measures of judges for /metrics."""

from __future__ import annotations

import math
from collections.abc import Iterator

from monitor.judging.standing import Standing
from monitor.protocol.metrics import Measure


def standing_measures(standing: Standing, now_us: int) -> Iterator[Measure]:
    """Yield what a process knows of a judge. ``now_us``: wall clock."""
    name, trust = standing.judge.name, standing.trust(now_us)
    yield Measure("softfail_judge_calibrated", (name,), int(trust.calibrated))
    yield Measure("softfail_judge_labels", (name,), trust.labels)
    yield Measure("softfail_judge_sampling_factor", (name,), standing.budget.factor(now_us))
    yield Measure("softfail_judge_credit_usd", (name,), standing.budget.credit_usd(now_us))
    shares = {
        "agreement": trust.agreement.agreement,
        "sensitivity": trust.agreement.sensitivity,
        "specificity": trust.agreement.specificity,
    }
    if trust.labels:
        for figure, share in shares.items():
            for bound in ("value", "low", "high"):
                if not math.isnan(value := getattr(share, bound)):
                    yield Measure("softfail_judge_agreement", (name, figure, bound), value)
    for rate in standing.rates(now_us):
        labels = name, rate.service, rate.feature
        yield Measure("softfail_judge_failure_rate", (*labels, "judged"), rate.judged)
        for bound in ("value", "low", "high"):
            if not math.isnan(value := getattr(rate.corrected, bound)):
                figure = "corrected" if bound == "value" else bound
                yield Measure("softfail_judge_failure_rate", (*labels, figure), value)
