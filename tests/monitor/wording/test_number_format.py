"""Displayed numbers are correct, and no rounding changes their meaning."""

from __future__ import annotations

import math
import re

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


def number_in(text: str) -> float:
    return float(text.removesuffix("%").replace(",", ""))


UNITS = st.sampled_from(["tokens", "characters", "s", "US dollars", ""])
# what evidence has: six significant digits
FIGURES = st.floats(-1e12, 1e12, allow_subnormal=False).map(
    lambda value: float(f"{value:.6g}")
) | st.integers(-(10**7), 10**7)
SHARES = st.floats(0, 1, allow_subnormal=False).map(lambda value: float(f"{value:.6g}"))


@st.composite
def neighbours(draw: st.DrawFn, values: st.SearchStrategy[float]) -> tuple[float, float]:
    """Two values that differ, often only in a late digit."""
    value = draw(values)
    other = draw(values | st.floats(-1e-3, 1e-3).map(lambda part: float(f"{value * (1 + part):.6g}")))
    return value, other


@given(neighbours(FIGURES), UNITS)
def test_two_different_figures_read_differently_and_in_their_order(
    pair: tuple[float, float], unit: str
) -> None:
    first, second = (
        number_in(number_format.figure(value, unit, other)) for value, other in (pair, pair[::-1])
    )
    assert (first < second, first > second) == (pair[0] < pair[1], pair[0] > pair[1])


@given(neighbours(SHARES).filter(lambda pair: max(pair) <= 1))
def test_two_different_shares_read_differently_and_in_their_order(pair: tuple[float, float]) -> None:
    texts = [number_format.share(value, other) for value, other in (pair, pair[::-1])]
    assert (texts[0] != texts[1]) == (pair[0] != pair[1])
    if not any("almost" in text for text in texts):
        first, second = (number_in(text) for text in texts)
        assert (first < second, first > second) == (pair[0] < pair[1], pair[0] > pair[1])


def test_values_that_differ_in_their_last_bit_read_differently() -> None:
    for value in (0.02, 0.5, 0.97, 1 / 3):
        other = math.nextafter(value, 1)
        assert number_format.share(value, other) != number_format.share(other, value)
        assert number_format.figure(value, "s", other) != number_format.figure(other, "s", value)


@pytest.mark.parametrize(
    "metric",
    [
        *("output_tokens.mean", "output_chars.p50", "duration_s.p90", "cost_usd.p50", "feedback.rating.mean"),
        *("error_rate", "pass_rate", "evaluator.length.fail_rate", "finish_reason=stop", "fallback=none"),
    ],
)
@given(data=st.data())
def test_a_described_change_is_never_rounded_to_equality(metric: str, data: st.DataObject) -> None:
    is_share = metric.endswith("_rate") or "=" in metric
    value, before = data.draw(
        neighbours(SHARES).filter(lambda pair: max(pair) <= 1) if is_share else neighbours(FIGURES)
    )
    text = measure(evidence(metric, value, reference=before, test="g"), interval=False)
    if value == before:
        assert "was" not in text
        return
    now, was = re.fullmatch(r"(.*) \(was (.*)\)", text).groups()  # type: ignore[union-attr]
    assert not re.search(rf"(?<!almost)(^| ){re.escape(was)}( |$)", now), text


@given(neighbours(SHARES).filter(lambda pair: max(pair) <= 1 and pair[0] != pair[1]))
def test_a_value_never_reads_as_its_threshold(pair: tuple[float, float]) -> None:
    text = measure(evidence(value=pair[0], above=pair[1]), interval=False)
    assert not text.startswith(text.rpartition("stay under ")[2].removesuffix(")") + " ")


def test_a_difference_of_one_token_is_shown() -> None:
    drifted = {"value": 101.0, "reference": 100.0, "test": "kolmogorov_smirnov"}
    assert (
        measure(evidence("output_tokens.mean", **drifted), interval=False)
        == "mean of output length is 101 tokens (was 100 tokens)"
    )
    assert (
        measure(evidence("output_tokens.p50", **drifted | {"value": 100.4}), interval=False)
        == "median of output length is 100.4 tokens (was 100 tokens)"
    )
