"""A window merges only the requested parts, and they equal the parts of the merged panes."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monitor.drift import DRIFT_TESTS
from monitor.drift.interface import Distribution
from monitor.rules.window_view import Window
from monitor.windows.pane import Pane, merge_panes

names = st.integers(0, 99).map("name {}".format)
counted = st.tuples(
    st.sampled_from([1_000_000, 100_000, *range(1_000, 13_000, 1_000)]),
    st.dictionaries(names, st.integers(1, 9), max_size=40),
)


def pane_of(nth: int, several: list[tuple[int, dict[str, int]]]) -> Pane:
    pane = Pane(nth)
    for ppm, names in several:
        n = sum(names.values()) + 1
        pane.events += n
        pane.rate("error_rate").add(ppm, n, 1)
        if names:
            pane.category("finish_reason").add(ppm, names)
        pane.number("output_tokens").add(ppm, n, n * 2, {33: n})
    return pane


@given(st.lists(st.lists(counted, min_size=1, max_size=5), min_size=1, max_size=6), st.booleans())
def test_a_part_equals_the_part_of_the_merged_panes(
    several: list[list[tuple[int, dict[str, int]]]], packed: bool
) -> None:
    panes = [pane_of(nth, values) for nth, values in enumerate(several)]
    panes = [Pane.from_state(pane.start_us, pane.state()) for pane in panes] if packed else panes
    whole, window = merge_panes(panes, 0), Window(panes, 0)
    part = window.part("error_rate", "finish_reason", "output_tokens", "nothing")
    assert window.part("finish_reason") is part
    assert window.categories == whole.categories.keys()
    for parts, expected in (
        (part.rates, whole.rates),
        (part.categories, whole.categories),
        (part.numbers, whole.numbers),
    ):
        assert {name: part.state() for name, part in parts.items()} == {
            name: part.state() for name, part in expected.items()
        }
    assert part.rates["error_rate"].estimate(1.0) == whole.rates["error_rate"].estimate(1.0)


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=6))
def test_correlated_outcomes_of_a_pane_count_as_fewer_and_at_most_154_independent_outcomes(
    sizes: list[int],
) -> None:
    window = Window([Pane(minute * 60_000_000) for minute in range(len(sizes))], 0)
    n = float(sum(sizes))
    worth = window.independent_n(n)
    assert worth <= n
    assert worth < 154 * len(sizes)
    assert window.independent_n(float(len(sizes))) == len(sizes)  # one a pane: they have nothing in common


def test_categories_that_cluster_within_a_minute_alarm_at_most_at_the_nominal_rate() -> None:
    """Without the correction of ``independent_n`` alarms are far more frequent, so this test can fail."""
    rng = np.random.default_rng(5)
    reference, a_pane, rho = Distribution.from_weights({"length": 2000, "stop": 98_000}), 1000, 0.005
    shares = rng.beta(0.02 * (1 / rho - 1), 0.98 * (1 / rho - 1), 2000)
    alarms = {True: 0, False: 0}
    for cut in rng.binomial(a_pane, shares).tolist():
        weights = {"length": cut, "stop": a_pane - cut} if cut else {"stop": a_pane}
        for corrected in alarms:
            n = Window([Pane(0)], 0).independent_n(a_pane) if corrected else float(a_pane)
            alarms[corrected] += (
                DRIFT_TESTS["g"](reference, Distribution.from_weights(weights, n)).p_value < 0.001
            )
    assert alarms[True] <= 6  # of 2,000 at one in a thousand
    assert alarms[False] > 100
