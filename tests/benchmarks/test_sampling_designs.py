"""The simulation of sampling designs computes what the product computes."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import sampling_designs as designs
from monitor.drift.shiryaev_roberts import ShiryaevRoberts
from monitor.rules.learned_baseline import Baseline
from monitor.stats.rate import Rate
from monitor.stats.sampling_weights import Units, to_ppm


def test_the_bounds_of_the_simulation_equal_those_of_a_rate():
    designs.same(trials=20)


@pytest.mark.parametrize(
    "name", ["errors at 1, others at 0.1", "texts at 0.1 (half of the failures need text)"]
)
def test_the_detector_bank_and_a_baseline_give_the_same_evidence(name):
    classes = designs.DESIGNS[name](200, 0.05)
    bank = designs.WeightedBank(1, 1e8, classes)
    baseline = Baseline(-(10**10), ShiryaevRoberts(1e8), units=Units(*designs.units_of(classes)))
    rng = np.random.default_rng(2)
    for minute in range(200):
        counts = designs.draw(rng, classes, 1, 1)
        rate = Rate()
        for weight, failed, passed in zip(*(column[:, 0] for column in counts), strict=True):
            if failed + passed:
                rate.add(to_ppm(1 / weight), int(failed + passed), int(failed))
        bank.feed(counts)
        units = Units(*designs.units_of(classes))
        baseline.feed(rate, minute * 60_000_000, 60_000_000, frozen=False, known=units)
    state = baseline.detector.state()
    assert [bank.n[0], bank.f[0], bank.rho[0]] == pytest.approx([state[0], state[1], state[6]], rel=0.02)
    assert bank.logs[:, 0] == pytest.approx(state[7:13], abs=0.05)
