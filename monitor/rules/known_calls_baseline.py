"""The second baseline of a rate: failures among all calls, for panes whose meters say how many calls there were.

A pane is weighed by one of the two baselines, chosen by what was learned before it. So the sum of both
statistics less the number of panes is a martingale as that of one is, and the promise of false pages is the
same.
"""

from __future__ import annotations

from collections.abc import Mapping

from monitor.drift.block_correlation import event_weight
from monitor.drift.lagging_reference import MIN_REFERENCE_EVENTS, POOLED_EVENTS
from monitor.rules.learned_baseline import LEARNT_US, Baseline
from monitor.stats.sampling_weights import Units

ALL_CALLS = Units(1.0, 1.0)
"""Units of a rate in which every call is counted."""
_SUFFIX = "@calls"


def calls_name(metric: str) -> str:
    """Return the name under which the baseline of a metric among all calls is kept.

    >>> calls_name("pass_rate"), metric_of(calls_name("pass_rate")), metric_of("pass_rate")
    ('pass_rate@calls', 'pass_rate', 'pass_rate')
    """
    return metric + _SUFFIX


def metric_of(name: str) -> str:
    """Return the metric of a baseline of either kind."""
    return name.removesuffix(_SUFFIX)


def risen_baseline(baselines: Mapping[str, Baseline], metric: str) -> Baseline | None:
    """Return the baseline of a metric that is risen, that of all calls first; None if neither is."""
    names = [name for name in (calls_name(metric), metric) if is_risen(baselines, name)]
    return baselines[names[0]] if names else None


def is_risen(baselines: Mapping[str, Baseline], name: str) -> bool:
    """Return whether there is a baseline with this name, and its rate is risen."""
    return name in baselines and baselines[name].risen is not None


def weighs_calls(
    baselines: Mapping[str, Baseline], metric: str, n: float, known: Units, edge_us: int
) -> bool:
    """Return whether a pane is weighed among its calls rather than by its sampled events: by the baseline
    that shows a rise sooner.

    The information of a block about the odds is its variance, n q (1 - q) for a share q of failures, times
    the weight that its correlation leaves. At high traffic the events may have more of it than the calls,
    because their block is smaller and so counts less for being correlated.

    Args:
        baselines: of the series, by name.
        metric: which rate.
        n: calls of the pane.
        known: the heaviest weights of the events.
        edge_us: end of the pane, microseconds since 1970.
    """
    calls, events = baselines.get(calls_name(metric)), baselines.get(metric)
    if calls is None or edge_us - calls.begun_us < LEARNT_US:
        return False
    learned = calls.detector.reference.n
    if learned < MIN_REFERENCE_EVENTS:
        return False
    if events is None:
        return True
    if learned < min(events.detector.reference.n, POOLED_EVENTS):
        return False
    rate = calls.usual_rate
    failures, others = n * rate / known.failed, n * (1 - rate) / known.any
    sampled = failures + others
    of_events = failures * others / sampled * event_weight(sampled, events.detector.reference.rho)
    of_calls = n * rate * (1 - rate) * event_weight(n, calls.detector.reference.rho)
    return of_calls >= of_events
