"""The bank of baselines gives the evidence that the baselines of the product give."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.baseline_bank import BaselineBank
from monitor.rules.learned_baseline import Baseline
from monitor.stats.rate import Rate
from monitor.stats.sampling_weights import WeightMemory, to_ppm

MINUTE_US = 60_000_000
DESIGNS = {  # weights; expected failures and others a minute and class, before and after minute 1,200
    "all at 1": ((1.0,), ((0.4,), (19.6,)), ((0.8,), (19.2,))),
    "all at 0.01": ((100.0,), ((0.02,), (1.5,)), ((0.05,), (1.5,))),
    "errors at 1, others at 0.01": ((1.0, 100.0), ((1.5, 0.0), (0.0, 1.5)), ((3.0, 0.0), (0.0, 1.5))),
    "errors and refusals": ((1.0, 10.0), ((1.0, 0.6), (0.0, 9.0)), ((1.0, 1.5), (0.0, 9.0))),
    "fleet and canary": ((1000.0, 1.0), ((0.01, 0.2), (0.5, 5.0)), ((0.01, 0.6), (0.5, 5.0))),
    "a rare heavy class": ((10.0, 1.0), ((0.002, 0.4), (0.01, 30.0)), ((0.002, 0.8), (0.01, 30.0))),
}


class Series:
    """A baseline of the product with the memory of its weights."""

    def __init__(self) -> None:
        self.memory, self.baseline = WeightMemory(), None

    def feed(self, edge: int, weights, events, failed, base: float | None) -> None:
        rate = Rate()
        for weight, n, f in zip(weights, events, failed, strict=True):
            if n:
                rate.add(to_ppm(1 / weight), int(n), int(f))
                if base is not None:
                    rate.add(to_ppm(1 / base), 0, 0)
        if not rate.classes:
            return
        self.memory.observe(rate.classes)
        self.baseline = self.baseline or Baseline(edge * MINUTE_US)
        if self.baseline.risen is not None:
            return
        self.baseline.feed(rate, edge * MINUTE_US, MINUTE_US, frozen=False, known=self.memory.units)


@pytest.mark.parametrize("name", DESIGNS)
def test_the_bank_and_baselines_of_the_product_give_the_same_evidence(name: str) -> None:
    weights, *means = DESIGNS[name]
    base = weights[1] if name == "errors at 1, others at 0.01" else None
    streams, rng = 3, np.random.default_rng(4)
    bank, series = BaselineBank(streams, weights), [Series() for _ in range(streams)]
    compared, alarms = 0, np.zeros(streams, bool)
    for edge in range(1, 1500):
        failed_means, passed_means = means[edge > 1200]
        failed = rng.poisson(failed_means, (streams, len(weights)))
        events = failed + rng.poisson(passed_means, (streams, len(weights)))
        present = events > 0
        if base is not None:
            present[:, 1] |= present[:, 0]
        rows, statistic = bank.feed(edge, events, failed, present)
        alarms[rows[statistic >= bank.bound]] = True
        for nth, own in enumerate(series):
            own.feed(edge, weights, events[nth], failed[nth], base)
        for nth in np.flatnonzero(~alarms):
            detector = series[nth].baseline.detector if series[nth].baseline else None
            if detector is None or edge % 7:
                continue
            state = detector.state()
            assert [bank.n[nth], bank.failures[nth], bank.rho[nth]] == pytest.approx(
                [state[0], state[1], state[6]], rel=1e-3, abs=1e-3
            )
            assert series[nth].baseline.units == (bank.unit_any[nth], bank.unit_failed[nth])
            assert bank.logs[nth] == pytest.approx(state[7:13], abs=0.02)
            compared += 1
    assert compared > 300
    risen = [own.baseline is not None and own.baseline.risen is not None for own in series]
    assert alarms.tolist() == risen
