"""Failures among all calls of a feature's newest pane, where its meters say how many calls there were."""

from __future__ import annotations

from collections.abc import Iterable

from monitor.stats.rate import Rate
from monitor.stats.sampling_weights import MILLION
from monitor.windows.feature_series import FeatureState
from monitor.windows.metric_reader import RESPONSES
from monitor.windows.segment_series import FINE_RETENTION_US

UNKNOWN_US = 1_800_000_000
"""Calls that are unknown for so long may stay so: the events show whether a rate is back."""


def has_unsampled_failures(feature: FeatureState, name: str) -> bool:
    """Return whether all failures of a rate are kept and other calls are sampled."""
    known = feature.weights.units(None, name)
    return known.any > known.failed == 1


def rates_of_calls(
    feature: FeatureState, names: Iterable[str], edge_us: int, pane_us: int
) -> dict[str, Rate]:
    """Return rates of the pane that ends at ``edge_us``, with every call counted once, by name.

    Failures that arrive after the edge are not counted, since they may be of a pane whose calls are not
    known. A pane without any event counts as well: its calls passed.

    Args:
        feature: its meters are those that had arrived at the edge.
        names: of the rates.
        edge_us: end of the pane, microseconds since 1970.
        pane_us: length of a pane, microseconds.

    Returns:
        Only rates whose failures are all kept, while other calls are sampled, and which judge each response.
        Empty if the calls are not known, or not known to half of their number.
    """
    names = [name for name in names if has_unsampled_failures(feature, name)]
    start_us = edge_us - pane_us
    calls = feature.producers.calls_within(start_us, edge_us) if names else None
    if calls is None or not calls.n or calls.most - calls.n > calls.n:
        return {}
    pane = feature.pane(start_us)
    rates = {}
    for name in names:
        counted = None if pane is None else pane.find_rate(name)
        failures = 0 if counted is None else counted.failures
        events = 0 if counted is None else counted.events
        if events > calls.most or not _judges_each_response(feature, name, edge_us, pane_us):
            continue
        rates[name] = rate = Rate()
        rate.add(MILLION, max(calls.n, events), failures)  # an event is a call
    return rates


def were_calls_unknown(feature: FeatureState, name: str, edge_us: int, pane_us: int) -> bool:
    """Return whether ``rates_of_calls`` had no such rate in any pane of the last half hour, as far as that is
    known now.
    """
    if not has_unsampled_failures(feature, name) or not _judges_each_response(
        feature, name, edge_us, pane_us
    ):
        return True
    edges = range(edge_us, edge_us - UNKNOWN_US, -pane_us)
    known = (feature.producers.calls_within(edge - pane_us, edge) for edge in edges)
    return not any(calls is not None and calls.n for calls in known)


def _judges_each_response(feature: FeatureState, name: str, edge_us: int, pane_us: int) -> bool:
    """Return whether each response of the last two hours has been judged. A rate of some of them is not one
    of all calls.
    """
    if name == RESPONSES:
        return True
    results = feature.cache.for_series(None).results
    feature.cache.extend(edge_us)
    for start_us in range(edge_us - FINE_RETENTION_US, edge_us, pane_us):
        key = "judged", name, start_us
        if key not in results:
            pane = feature.pane(start_us)
            counts = [] if pane is None else [pane.find_rate(rate) for rate in (name, RESPONSES)]
            judged, responses = (0 if rate is None else rate.events for rate in counts or (None, None))
            results[key] = start_us + pane_us, judged == responses
        if not results[key][1]:
            return False
    return True
