"""The wall clock of the worker under steps of the system's clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.runtime.clock import PATIENCE_S, STEP_S, SteadyClock, wall_clock_us

S = 1_000_000_000
START = 1_800_000_000


class Clocks:
    """The clocks of a machine, in seconds."""

    def __init__(self) -> None:
        self.wall, self.steady = float(START), 1000.0
        self.clock = SteadyClock(lambda: round(self.wall * S), lambda: round(self.steady * S))

    def go(self, seconds: float, step: float = 0.0) -> float:
        """Let time pass, set the system's clock, and return the worker's clock."""
        self.steady += seconds
        self.wall += seconds + step
        return self.clock.now_us() / 1e6 - START


@pytest.mark.parametrize("step", [86_400.0, -86_400.0, 30.0, -30.0])
def test_a_step_that_is_taken_back_within_a_minute_is_never_seen(step):
    clocks = Clocks()
    assert clocks.go(1) == 1
    assert clocks.go(1, step) == 2
    assert clocks.go(PATIENCE_S / 2) == 2 + PATIENCE_S / 2
    assert clocks.go(1, -step) == 3 + PATIENCE_S / 2
    assert clocks.go(2 * PATIENCE_S) == 3 + 2.5 * PATIENCE_S


@pytest.mark.parametrize("step", [86_400.0, -86_400.0])
def test_a_step_that_lasts_is_followed_after_a_minute_and_logged(step, caplog):
    clocks = Clocks()
    clocks.go(1, step)
    assert clocks.go(PATIENCE_S - 1) == PATIENCE_S
    assert clocks.go(2) == PATIENCE_S + 2 + step
    assert f"set by {step:+.0f} s" in caplog.text


def test_a_clock_that_is_corrected_slowly_is_followed_at_once():
    clocks = Clocks()
    for _ in range(100):
        clocks.go(1, 0.5)
    assert clocks.go(1) == 151


@given(st.lists(st.tuples(st.floats(0.001, 10), st.floats(0.01 - STEP_S, STEP_S - 0.01)), max_size=30))
def test_small_steps_are_the_system_clock_itself(moves):
    clocks = Clocks()
    for seconds, step in moves:
        assert clocks.go(seconds, step) == pytest.approx(clocks.wall - START, abs=1e-3)


def test_the_clock_of_the_process_is_near_the_system_clock():
    import time

    assert abs(wall_clock_us() / 1e6 - time.time()) < STEP_S
