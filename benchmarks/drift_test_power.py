"""Power of the drift tests on histograms of latency and tokens, beside KS on raw samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
from scipy.stats import ks_2samp

from benchmarks.markdown_table import print_table
from monitor.drift import Distribution
from monitor.stats import NumberSummary
from monitor.stats.exponential_buckets import bucket_codes, bucket_middle
from tests.monitor.drift.oracles.kolmogorov_smirnov import kolmogorov_smirnov
from tests.monitor.drift.oracles.psi import psi
from tests.monitor.drift.oracles.wasserstein import wasserstein


def histogram(values: np.ndarray) -> Distribution:
    """Return the values as the product keeps them."""
    number = NumberSummary()
    number.add(1_000_000, len(values), int(values.sum()), dict(Counter(bucket_codes(values).tolist())))
    return Distribution.from_weights(
        {bucket_middle(code): count for code, count in number.weighted_buckets().items()}, number.effective_n
    )


def show_numbers(seed: int, trials: int = 300, nulls: int = 2000) -> None:
    """Windows of 5 minutes, looked at each minute; each test's cut of p is where one window in a hundred
    alarms without drift.
    """
    tests = {"wasserstein": wasserstein, "kolmogorov_smirnov": kolmogorov_smirnov, "psi": psi}
    rng, rows = np.random.default_rng(18 + seed), []
    kinds: dict[str, Callable[[int], np.ndarray]] = {
        "latency": lambda n: rng.lognormal(np.log(2e6), 0.6, n),
        "tokens": lambda n: rng.lognormal(np.log(200), 1.0, n),
    }

    def p_values(reference: np.ndarray, sketch: Distribution, window: np.ndarray) -> list[float]:
        current = histogram(window)
        return [
            *(test(sketch, current).p_value for test in tests.values()),
            float(ks_2samp(reference, window, method="asymp").pvalue),
        ]

    for kind, draw in kinds.items():
        for a_minute in (10, 100):
            null = []
            for index in range(nulls):
                if index % 20 == 0:
                    reference = draw(5000).astype(np.int64)
                    sketch = histogram(reference)
                null.append(p_values(reference, sketch, draw(5 * a_minute).astype(np.int64)))
            cut = np.quantile(np.array(null), 0.01, axis=0)
            for factor in (1.3, 2.0):
                detected = np.full((trials, len(tests) + 1), np.inf)
                for trial in range(trials):
                    if trial % 10 == 0:
                        reference = draw(5000).astype(np.int64)
                        sketch = histogram(reference)
                    before, after = draw(5 * a_minute), draw(5 * a_minute) * factor
                    for minute in range(1, 6):
                        window = np.concatenate(
                            [before[minute * a_minute :], after[: minute * a_minute]]
                        ).astype(np.int64)
                        detected[
                            trial,
                            (np.array(p_values(reference, sketch, window)) <= cut)
                            & np.isinf(detected[trial]),
                        ] = minute
                median = np.sort(detected, axis=0)[trials // 2]
                share = np.isfinite(detected).mean(0)
                cells = [
                    f"{'—' if np.isinf(d) else f'{d:.0f} min'}, {s:.0%}"
                    for d, s in zip(median, share, strict=True)
                ]
                rows.append([f"{kind} ×{factor}", str(a_minute), *cells, f"{share[0] / share[-1]:.2f}"])
    print_table(
        ["change", "events a minute", *tests, "KS on raw samples", "wasserstein ÷ raw KS, found"], rows
    )
