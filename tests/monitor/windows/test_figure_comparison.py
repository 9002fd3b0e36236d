"""Whether a figure is wrong now."""

from __future__ import annotations

import doctest

import pytest

from monitor.windows import figure_comparison
from monitor.windows.figure_comparison import is_wrong
from schemas.evidence_record import Evidence
from schemas.records import Figure


def figure(metric: str, value: float) -> Figure:
    return Figure(metric=metric, value=value, n=60, window_s=60, time="2026-03-02T09:00:00Z")


def evidence(metric: str, **limits: float) -> Evidence:
    return Evidence(metric=metric, value=None, low=None, high=None, n=60, window_s=60, **limits)


def test_doctests_pass():
    assert doctest.testmod(figure_comparison).failed == 0


@pytest.mark.parametrize(
    ("metric", "limits", "worst", "value", "says"),
    [
        ("error_rate", {"above": 0.02}, 1.0, 0.021, True),
        ("error_rate", {"above": 0.02}, 1.0, 0.02, False),
        ("pass_rate", {"below": 0.5}, 0.0, 0.49, True),
        ("error_rate", {"reference": 0.0}, 0.4, 0.11, True),
        ("error_rate", {"reference": 0.0}, 0.4, 0.09, False),
        ("output_tokens.mean", {"reference": 100.0}, 20.0, 79.0, True),
        ("output_tokens.mean", {"reference": 100.0}, 20.0, 81.0, False),
        # a number within 5 % of its reference is normal, whatever the worst; a share is not
        ("output_tokens.mean", {"reference": 100.0}, 96.0, 96.0, False),
        ("output_tokens.mean", {"reference": 100.0}, 94.0, 94.0, True),
        ("error_rate", {"reference": 0.96}, 1.0, 1.0, True),
    ],
)
def test_a_figure_is_wrong_beyond_its_limit_or_far_from_its_reference(metric, limits, worst, value, says):
    assert is_wrong(figure(metric, value), evidence(metric, **limits), figure(metric, worst)) is says


def test_a_figure_of_another_metric_is_wrong_and_so_is_one_without_a_worst_to_compare_with():
    assert is_wrong(figure("duration_s.p50", 1.0), evidence("duration_s.p90", reference=1.0), None)
    assert is_wrong(figure("duration_s.p50", 1.2), evidence("duration_s.p50", reference=1.0), None)
