"""Displayed numbers are correct, and no rounding changes their meaning."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.wording import number_format
from monitor.wording.finding_text import measure
from schemas.evidence_record import Evidence

DRIFTED = {"reference": 181.0, "reference_n": 900.0, "test": "kolmogorov_smirnov"}


def evidence(metric: str = "error_rate", value: float | None = 0.23, **more: object) -> Evidence:
    return Evidence.model_validate(
        {"metric": metric, "value": value, "low": None, "high": None, "n": 310.0, "window_s": 300.0} | more
    )


def ends_of(text: str) -> tuple[float, float]:
    low, high = text.removesuffix(" %").split(" to ")
    return float(low), float(high)


@given(value=st.floats(0, 1), n=st.floats(1, 1e6), above=st.none() | st.floats(0, 1))
def test_a_share_is_within_its_interval_and_no_bound_is_rounded_to_zero_one_or_the_threshold(
    value: float, n: float, above: float | None
) -> None:
    text = number_format.shares_between(evidence(value=value, n=n, above=above))
    if not text or "almost" in text:
        return
    low, high = ends_of(text)
    exact = number_format.wilson_interval(value, n, number_format.Z95)
    assert low <= value * 100 + 0.051
    assert high >= value * 100 - 0.051
    assert abs(low - exact[0] * 100) <= 0.5
    assert abs(high - exact[1] * 100) <= 0.5
    assert (low == 0) == (exact[0] == 0)
    assert (high == 100) == (exact[1] == 1)
    if above is not None and high - low > number_format.LEAST_WIDTH + 1 and abs(exact[0] - above) > 0.0006:
        assert low != round(above * 100, 6)


@pytest.mark.parametrize("more", [{"value": None}, {"n": 0.0}, {"n": 0.4}, {"value": 1.2}])
def test_an_uncounted_value_has_no_interval(more: dict[str, float | None]) -> None:
    assert number_format.shares_between(evidence(**more)) == ""


def test_the_displayed_interval_of_a_rate_is_always_the_95_percent_interval() -> None:
    assert (
        measure(evidence(low=0.13, high=0.36, above=0.02))
        == "23 % of calls failed (19 to 28 %; should stay under 2 %)"
    )
    assert (
        measure(evidence(low=0.13, high=0.36, above=0.02), interval=False)
        == "23 % of calls failed (should stay under 2 %)"
    )
    assert measure(evidence()) == "23 % of calls failed (19 to 28 %)"


def test_a_bound_that_would_round_to_the_threshold_gets_more_digits() -> None:
    assert (
        measure(evidence(value=0.05, n=200.0, above=0.02))
        == "5 % of calls failed (3 to 9 %; should stay under 2 %)"
    )
    assert (
        measure(evidence(value=0.05, n=200.0, above=0.03))
        == "5 % of calls failed (2.7 to 9 %; should stay under 3 %)"
    )


def test_a_burning_budget_states_the_interval_of_its_failures() -> None:
    text = measure(evidence(value=0.2, n=900.0, above=0.05, burn=20.0, target=0.99))
    assert (
        text == "20 % of calls failed (18 to 23 %), so that the error budget of 99 % burns 20 times too fast"
    )


def test_a_number_has_an_interval_only_if_its_evidence_is_a_95_percent_interval() -> None:
    number = evidence("output_tokens.p50", 412.0, low=398.0, high=420.0)
    assert (
        measure(number.model_copy(update=DRIFTED))
        == "median of output length is 412 tokens (398 to 420; was 181 tokens)"
    )
    assert (
        measure(number.model_copy(update=DRIFTED), interval=False)
        == "median of output length is 412 tokens (was 181 tokens)"
    )
    assert (
        measure(number.model_copy(update={"above": 300.0}))
        == "median of output length is 412 tokens (should stay under 300 tokens)"
    )
    assert (
        measure(number.model_copy(update=DRIFTED | {"low": 412.1, "high": 412.3}))
        == "median of output length is 412 tokens (was 181 tokens)"
    )


@given(value=st.floats(0, 1), n=st.floats(0, 1e9), interval=st.booleans())
def test_a_category_states_its_interval_before_its_previous_share(
    value: float, n: float, interval: bool
) -> None:
    reading = evidence("fallback=cache", value, n=n, reference=0.01, test="g")
    text, between = measure(reading, interval=interval), number_format.shares_between(reading)
    assert text.endswith(f"({between}; was 1 %)" if between and interval else "(was 1 %)")
