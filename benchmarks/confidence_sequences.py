"""Measure confidence sequences of growing samples: how soon two versions differ, how often a look is wrong.

Prints the tables of docs/statistics.md:

    apart       events until two rates differ: softfail, the rejected alternatives, a test of fixed size
    coverage    streams in which some look misses the truth: rates, differences, means; weights, dispersion
    means       events until two means differ

Example: python -m benchmarks.confidence_sequences coverage
"""

from __future__ import annotations

import argparse
import math

import numpy as np
from scipy.special import bdtr, bdtrc, gammaln, xlogy
from scipy.stats import norm

from benchmarks.markdown_table import print_table
from monitor.compare import (
    confidence_sequence,
    confidence_sequence_means,
)
from monitor.compare.confidence_sequence import (
    INDEPENDENT_WEIGHT,
    LADDER,
    PRIOR,
    Counts,
    compare_rates,
    log_e_value,
)
from monitor.compare.confidence_sequence_means import Moments, compare_means

Array = np.ndarray
CHANGES = ((0.03, 0.05), (0.03, 0.07), (0.03, 0.10), (0.01, 0.03))
ALPHAS = (0.05, 0.001)
MOST = 20_000  # events an arm
STEP = 10  # events between looks in `apart`
FULL = 20_000  # events of an old version that is complete


def mixed(n: Array, f: Array, a: float = PRIOR, b: float = PRIOR) -> Array:
    """ln of the mixture's likelihood."""
    return gammaln(f + a) + gammaln(n - f + b) - gammaln(n + a + b) - gammaln(a) - gammaln(b) + gammaln(a + b)


def likeliest(n: Array, f: Array) -> Array:
    """ln of the likelihood at the rate observed."""
    return xlogy(f, f) + xlogy(n - f, n - f) - xlogy(n, n)


def ours(n: Array, new: Array, m: Array, old: Array) -> Array:
    """ln of the e-value of ``compare_rates`` against no difference."""
    logs = math.log(INDEPENDENT_WEIGHT) + mixed(n, new) + mixed(m, old)
    for a, b in LADDER:
        logs = np.logaddexp(
            logs, math.log((1 - INDEPENDENT_WEIGHT) / len(LADDER)) + mixed(n, new, a, b) + mixed(m, old, a, b)
        )
    return logs - likeliest(n + m, new + old)


def plain(n: Array, new: Array, m: Array, old: Array) -> Array:
    """The same with a mixture in which the two rates have nothing to do with each other."""
    return mixed(n, new) + mixed(m, old) - likeliest(n + m, new + old)


def union(n: Array, new: Array, m: Array, old: Array) -> Array:
    """ln(2) less than the largest ln(1/alpha) at which two sequences at alpha / 2 do not overlap: there both
    say the same of the rate between.
    """
    a, b = np.minimum(new / n, old / m), np.maximum(new / n, old / m)
    both = (mixed(n, new), mixed(m, old))
    for _ in range(30):
        p = (a + b) / 2
        first, second = (
            mix - xlogy(f, p) - xlogy(k - f, 1 - p)
            for mix, f, k in zip(both, (new, old), (n, m), strict=True)
        )
        # the higher sample objects more: the rate where both object alike is higher
        up = (first > second) == (new / n > old / m)
        a, b = np.where(up, p, a), np.where(up, b, p)
    return np.where(new / n == old / m, -np.inf, np.minimum(first, second)) - math.log(2)


def safe(new: Array, old: Array) -> Array:
    """ln of the 2x2 safe test of Turner, Ly, Grünwald, in blocks of one new and one old, both rates learnt
    from prior Beta(0.18, 0.18).

    new, old: outcomes, shape (events, streams).
    """
    out, total = np.zeros(new.shape), np.zeros(new.shape[1])
    heads = np.zeros((2, new.shape[1]))
    for index, pair in enumerate(zip(new, old, strict=True)):
        p = (heads + 0.18) / (index + 0.36)
        null = p.mean(0)
        for side, outcome in enumerate(pair):
            total = total + np.where(outcome, np.log(p[side] / null), np.log((1 - p[side]) / (1 - null)))
        heads = heads + np.stack(pair)
        out[index] = total
    return out


def planned(p: float, q: float, alpha: float, power: float = 0.8) -> int:
    """Events an arm of the two-proportion test looked at once. Source: Fleiss, Statistical Methods for Rates
    and Proportions, 4.14 (uncorrected).
    """
    middle = (p + q) / 2
    spread = norm.isf(alpha / 2) * math.sqrt(2 * middle * (1 - middle)) + norm.ppf(power) * math.sqrt(
        p * (1 - p) + q * (1 - q)
    )
    return math.ceil((spread / (q - p)) ** 2)


def same(trials: int = 200) -> None:
    """The copies here say what the functions say."""
    rng = np.random.default_rng(7)
    for _ in range(trials):
        n, m = rng.integers(1, 3000, 2)
        new, old = rng.binomial(n, 0.05), rng.binomial(m, 0.03)
        _, low, high = compare_rates(Counts(n, new), Counts(m, old), 0.05)
        assert (low > 0 or high < 0) == bool(ours(n, new, m, old) >= math.log(20)), (n, new, m, old)
        new_bounds, old_bounds = (
            confidence_sequence.rate_bounds(Counts(*some), 0.025) for some in ((n, new), (m, old))
        )
        assert (new_bounds.low > old_bounds.high or old_bounds.low > new_bounds.high) == bool(
            union(n, new, m, old) >= math.log(20)
        ), (
            n,
            new,
            m,
            old,
        )


def first(log_e: Array, alpha: float, step: int) -> tuple[str, Array]:
    """Median events until ln(1/alpha) is reached and the share that never was; and events of each stream.
    log_e: shape (looks, streams).
    """
    over = log_e >= math.log(1 / alpha)
    when = np.where(over.any(0), (over.argmax(0) + 1.0) * step, np.inf)
    median = float(np.sort(when)[len(when) // 2])
    return (f"{median:,.0f}" if math.isfinite(median) else "—") + f" ({np.isfinite(when).mean():.0%})", when


def show_apart(seed: int, streams: int = 1000) -> None:
    rng, rows = np.random.default_rng(seed), []
    looks = np.arange(STEP, MOST + 1, STEP)[:, None]
    for p, q in CHANGES:
        parts: dict[str, list[Array]] = {name: [] for name in ("ours", "full", "plain", "union", "safe")}
        for _ in range(0, streams, 250):
            new, old = rng.random((MOST, 250)) < q, rng.random((MOST, 250)) < p
            f, g = np.cumsum(new, 0)[STEP - 1 :: STEP], np.cumsum(old, 0)[STEP - 1 :: STEP]
            parts["ours"].append(ours(looks, f, looks, g))
            parts["full"].append(ours(looks, f, np.array(FULL), rng.binomial(FULL, p, (1, 250))))
            parts["plain"].append(plain(looks, f, looks, g))
            parts["union"].append(union(looks, f, looks, g))
            parts["safe"].append(safe(new, old)[STEP - 1 :: STEP])
        logs = {name: np.concatenate(several, 1) for name, several in parts.items()}
        for alpha in ALPHAS:
            fixed = planned(p, q, alpha)
            detections = {name: first(log, alpha, STEP) for name, log in logs.items()}
            rows.append(
                [
                    f"{1 - p:.2f}, {1 - q:.2f}",
                    str(alpha),
                    *(detections[name][0] for name in parts),
                    f"{fixed:,}",
                    f"{(detections['ours'][1] <= fixed).mean():.0%}",
                    f"{(detections['full'][1] <= fixed).mean():.0%}",
                ]
            )
    print_table(
        [
            "pass rates",
            "alpha",
            "`compare`",
            "`compare`, old complete",
            "rates unrelated",
            "two sequences",
            "safe test, pairs",
            "fixed n, power 80 %",
            "`compare` by then",
            "old complete, by then",
        ],
        rows,
    )


def missed(outside: Array) -> str:
    """Of streams; outside: shape (looks, streams)."""
    share, n = outside.any(0).mean(), outside.shape[1]
    return f"{share:.1%} ± {math.sqrt(max(share, 1 / n) * (1 - share) / n):.1%}"


def weighted(outcomes: Array, kept: Array, probability: Array) -> tuple[Array, Array]:
    """Effective n and failures at each event, as ``Rate.estimate`` has them. All of shape (events, streams)."""
    weight = kept / probability
    total, failed = np.cumsum(weight, 0), np.cumsum(weight * outcomes, 0)
    squares, bad = np.cumsum(weight**2, 0), np.cumsum(weight**2 * outcomes, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = failed / total
        spread = bad * (1 - rate) ** 2 + (squares - bad) * rate**2
        n = np.where((rate > 0) & (rate < 1), rate * (1 - rate) * total**2 / spread, total**2 / squares)
    return np.where(total > 0, n, 0.0), np.where(total > 0, np.minimum(n, n * rate), 0.0)


def dispersed(rng: np.random.Generator, p: float, events: int, streams: int, rho: float, block: int) -> Array:
    """Outcomes whose rate is drawn anew for each block."""
    rates = rng.beta(p * (1 / rho - 1), (1 - p) * (1 / rho - 1), (events // block, streams))
    return rng.random((events, streams)) < np.repeat(rates, block, 0)


def show_coverage(seed: int, streams: int = 1000, events: int = 5000) -> None:
    rng = np.random.default_rng(100 + seed)
    print_rate_coverage(rng, streams, events)
    print_mean_coverage(rng, streams, events)


def print_rate_coverage(rng: np.random.Generator, streams: int, events: int) -> None:
    rows, n = [], np.arange(1, events + 1)[:, None]

    def row(design: str, log_e: Array) -> None:
        rows.append([design, *(missed(log_e >= math.log(1 / alpha)) for alpha in ALPHAS)])

    def rows_of(design: str, outcomes: Array, kept: Array, probability: Array) -> None:
        weights = kept * probability.min() / probability
        row(
            f"{design}: `Counts.from_rate`",
            log_e_value(np.cumsum(weights, 0), np.cumsum(weights * outcomes, 0), 0.03),
        )
        n, failures = weighted(outcomes, kept, probability)
        row("the same by effective n", log_e_value(n, failures, 0.03))
        row("the same from an effective 500 on", np.where(n >= 500, log_e_value(n, failures, 0.03), 0.0))

    for p in (0.003, 0.03, 0.3):
        f = np.cumsum(rng.random((events, streams)) < p, 0)
        row(f"one rate, {p}", log_e_value(n, f, p))
        if p == 0.03:
            with np.errstate(invalid="ignore"):
                side = np.minimum(bdtr(f, n, p), np.where(f > 0, bdtrc(f - 1, n, p), 1.0))
            rows.append(
                [f"the same by Clopper–Pearson, {p}", *(missed(side < alpha / 2) for alpha in ALPHAS)]
            )
    bad = rng.random((events, streams)) < 0.03
    for kept_share in (0.1, 0.01):
        probability = np.where(bad, 1.0, kept_share)
        kept = rng.random(bad.shape) < probability
        rows_of(f"failures (0.03) kept whole, others at {kept_share}", bad, kept, probability)
    probability = np.where(rng.random(bad.shape) < 0.2, 1.0, 0.05)
    rows_of(
        "a fifth kept whole, the rest at 0.05, whatever the outcome (0.03)",
        bad,
        rng.random(bad.shape) < probability,
        probability,
    )
    for rho, block in ((0.005, 10), (0.005, 100)):
        f = np.cumsum(dispersed(rng, 0.03, events, streams, rho, block), 0)
        row(f"rate of 0.03 that varies by block of {block}, rho {rho}", log_e_value(n, f, 0.03))
        worth = 1 / (1 + (block - 1) * rho)
        row(f"the same, each event worth {worth:.2f}", log_e_value(n * worth, f * worth, 0.03))
    for p, q in ((0.03, 0.03), (0.3, 0.3)):
        f, g = (np.cumsum(rng.random((events, streams)) < some, 0) for some in (p, q))
        row(f"difference of {p} and {q}, both grow", ours(n, f, n, g))
        row(f"difference of {p} and {q}, old complete at {events:,}", ours(n, f, np.array(events), g[-1:]))
    print_table(
        ["what is looked at after each of 5,000 events", *(f"missed at {alpha}" for alpha in ALPHAS)], rows
    )


def print_mean_coverage(rng: np.random.Generator, streams: int, events: int) -> None:
    rows, n = [], np.arange(1, events + 1)[:, None]
    for name, draw in (
        ("normal", rng.normal),
        ("log-normal, sigma 0.6 (duration)", lambda size: rng.lognormal(0, 0.6, size)),
        ("log-normal, sigma 1 (tokens)", lambda size: rng.lognormal(0, 1, size)),
    ):
        new, old = moments(draw(size=(events, streams))), moments(draw(size=(events, streams)))
        complete = tuple(some[-1:] for some in old)
        for start in (100, 500):
            cells = [
                missed(np.abs(new[0] - other[0])[start:] > half(n, new[1], m, other[1], alpha)[start:])
                for m, other in ((n, old), (np.array([[events]]), complete))
                for alpha in ALPHAS
            ]
            rows.append([name, str(start), *cells])
    print_table(
        [
            "difference of means of equal",
            "looked at from",
            *(f"missed at {alpha}{more}" for more in ("", ", old complete") for alpha in ALPHAS),
        ],
        rows,
    )


def moments(values: Array) -> tuple[Array, Array]:
    """Running mean and variance; values: shape (events, streams)."""
    n = np.arange(1, len(values) + 1)[:, None]
    mean = np.cumsum(values, 0) / n
    return mean, np.maximum(np.cumsum(values**2, 0) / n - mean**2, 0)


def half(n: Array, variance: Array, m: Array, other: Array, alpha: float) -> Array:
    """Half the width of ``compare_means``."""
    rho = confidence_sequence_means.MIXTURE_VARIANCE
    with np.errstate(divide="ignore", invalid="ignore"):
        squares = sum(v / (k - 1) * (1 + 1 / (k * rho)) for k, v in ((n, variance), (m, other)))
    return np.sqrt(squares * (2 * math.log(1 / alpha) + np.log1p(n * rho) + np.log1p(m * rho)))


def show_means(seed: int, streams: int = 300) -> None:
    rng, rows = np.random.default_rng(200 + seed), []
    n = np.arange(1, MOST + 1)[:, None]
    for name, sigma in (("duration, sigma 0.6", 0.6), ("tokens, sigma 1", 1.0)):
        for factor in (1.1, 1.3):
            new, old = (
                moments(rng.lognormal(0, sigma, (MOST, streams)) * factor),
                moments(rng.lognormal(0, sigma, (MOST, streams))),
            )
            for alpha in ALPHAS:
                width = half(n, new[1], n, old[1], alpha)
                width[:99] = np.inf
                log_e = np.where(np.abs(new[0] - old[0]) > width, np.inf, -np.inf)
                mean, square = math.exp(sigma**2 / 2), math.exp(sigma**2) * (math.exp(sigma**2) - 1)
                fixed = math.ceil(
                    (norm.isf(alpha / 2) + norm.ppf(0.8)) ** 2
                    * square
                    * (1 + factor**2)
                    / ((factor - 1) * mean) ** 2
                )
                detections, when = first(log_e, alpha, 1)
                rows.append(
                    [
                        f"{name}, × {factor}",
                        str(alpha),
                        detections,
                        f"{fixed:,}",
                        f"{(when <= fixed).mean():.0%}",
                    ]
                )
    print_table(
        ["change of the mean", "alpha", "`compare_means`", "fixed n, power 80 %", "`compare_means` by then"],
        rows,
    )


def same_means(trials: int = 50) -> None:
    rng = np.random.default_rng(8)
    for _ in range(trials):
        (n, m), (v, w) = rng.integers(100, 5000, 2), rng.random(2)
        _, low, high = compare_means(Moments(n, 0.0, v), Moments(m, 0.0, w), 0.01)
        assert math.isclose((high - low) / 2, float(half(n, v, m, w, 0.01)))


SHOWN = {"apart": show_apart, "coverage": show_coverage, "means": show_means}


def main() -> None:
    """Print the tables that are asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tables", choices=SHOWN, nargs="+")
    parser.add_argument("--seed", type=int, default=0, help="other streams than those of the tables")
    options = parser.parse_args()
    same()
    same_means()
    for name in options.tables:
        print(f"### {name}\n", flush=True)
        SHOWN[name](options.seed)


if __name__ == "__main__":
    main()
