"""Measure what the sequential detector and the drift tests find, how soon, and how often they are wrong.

Prints the tables of docs/statistics.md:

    delays      rates, at one false alarm in 100,000 events: softfail, CUSUM with known rates, river's ADWIN
    default     rates, at the default run length
    runs        run length at the default, by importance sampling
    dispersed   false alarms if rates are overdispersed or have a daily cycle
    numbers     latency and tokens: drift tests on histograms against KS on raw samples
    young       baselines of a few minutes: run length, false alarms of clustered failures, delay
    forgetting  a reference that halves, beside one that does not

Example: python benchmarks/detector_power.py delays --seed 100
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

RIVER = ROOT / ".cache" / "river"
RIVER_VERSION = "river==0.26.*"
DEFAULT_RUN = 1.7e8
PER_FALSE_ALARM = 100_000  # events
BLOCK = 10
SEED = 0  # `--seed` replaces it
SHORT = 550  # events of reference, which in blocks of ten are worth a little over 500
LAG, YOUNG = 5, 30  # blocks of a minute that a bucket lasts; until which a baseline is young
RHOS = (0, 0.01, 0.02, 0.05)
YOUNG_CHANGES = (
    (40, 0.02, 0.35, 10),
    (40, 0.02, 0.1, 10),
    (40, 0.02, 0.1, 60),
    (10, 0.02, 0.35, 15),
    (12, 0.64, 0.89, 60),
    (60, 0.64, 0.89, 17),
)
DROPS = ((0.03, 0.05), (0.03, 0.07), (0.03, 0.10), (0.01, 0.03))


class Bank:
    """``ShiryaevRoberts`` over many streams at once, in numpy; ``same`` holds the two together."""

    def __init__(self, streams: int, run_length: float, horizon: float | None = None) -> None:
        from monitor.drift import block_correlation, lagging_reference, likelihood_ratios
        from monitor.drift import shiryaev_roberts as law
        from monitor.rules.learned_baseline import YOUNG_CORRELATION

        self.ratios, self.correlation = likelihood_ratios, block_correlation
        self.young_correlation, self.lag = YOUNG_CORRELATION, LAG
        self.law, self.reference, self.bound = law, lagging_reference, run_length
        self.horizon = horizon or lagging_reference.HORIZON_EVENTS
        self.odds, self.weights = (
            np.array(likelihood_ratios.ODDS)[:, None],
            np.array(likelihood_ratios.WEIGHTS)[:, None],
        )
        self.n, self.f, self.held_n, self.held_f, self.recent_n, self.recent_f = np.zeros((6, streams))
        self.rho = np.full(streams, block_correlation.CORRELATION[0])
        self.logs = np.zeros((len(self.odds), streams))
        self.age, self.since = YOUNG, np.zeros(streams)  # blocks seen; blocks in the newest bucket
        self.refresh()

    def refresh(self) -> None:
        n = np.maximum(self.n + 1, self.f + 1.5)
        p = (self.f + 1) / n
        self.p = p = self.tolerated(p)
        risen = self.odds * p / (1 + (self.odds - 1) * p)
        information = risen * np.log(risen / p) + (1 - risen) * np.log((1 - risen) / (1 - p))
        needed = max(1.0, np.log(self.bound) - self.ratios.RESTING)
        q = p + (1 - 1 / np.sqrt(1 + needed / information / n)) * (risen - p)
        self.bad, self.good = np.log(risen / q), np.log((1 - risen) / (1 - q))

    def tolerated(self, p: np.ndarray) -> np.ndarray:
        """Return the rate that counts as no rise."""
        return np.minimum(p * self.reference.TOLERANCE, (1 + p) / 2)

    def log_ratio(self, events: np.ndarray, failed: np.ndarray, worth: np.ndarray) -> np.ndarray:
        """Return ln LR of a block for each multiplier."""
        return failed * self.bad + (events - failed) * self.good

    def step(self, n: np.ndarray | float, failures: np.ndarray, learn: bool = False) -> np.ndarray:
        law, n = self.law, np.broadcast_to(np.asarray(n, float), self.n.shape)
        rho = np.maximum(self.rho, self.young_correlation if self.age < YOUNG else 0)
        worth = 1 / (1 + np.maximum(n - 1, 0) * rho * self.correlation.CAUTION)
        self.age += 1
        events, failed = n * worth, failures * worth
        known = 1 / (1 + np.maximum(n - 1, 0) * self.rho * self.correlation.CAUTION)
        new = np.ones(len(n), bool) if learn else self.n < law.MIN_REFERENCE_EVENTS
        ratio = np.minimum(
            self.log_ratio(events, failed, worth), np.log(self.bound / self.ratios.WEIGHTS[-1]) / 2
        )
        statistic = np.where(new, 0.0, (self.weights * np.exp(self.logs + ratio)).sum(0))
        self.logs = np.where(
            new,
            0.0,
            np.minimum(
                np.logaddexp(0, self.logs + ratio), np.log(self.bound / self.weights) + self.ratios.OVER
            ),
        )
        self.disperse(n, failures, statistic < law.DOUBT)
        events, failed = n * known, failures * known  # the reference
        self.take(events, failed, new)
        self.recent_n, self.recent_f = (
            np.where(new, 0, self.recent_n + events),
            np.where(new, 0, self.recent_f + failed),
        )
        self.since = np.where(new, 0, self.since + 1)
        full = (self.recent_n >= np.clip(self.n / 2, *self.reference.BUCKET_EVENTS)) & (self.since > self.lag)
        if full.any() or new.any():
            enter = full & ((statistic < np.sqrt(self.bound)) | (self.n < self.reference.HOLD_BACK_EVENTS))
            self.take(self.held_n, self.held_f, enter)
            self.held_n, self.held_f = np.where(enter, 0, self.held_n), np.where(enter, 0, self.held_f)
            self.held_n, self.held_f = self.held_n + full * self.recent_n, self.held_f + full * self.recent_f
            self.recent_n, self.recent_f = np.where(full, 0, self.recent_n), np.where(full, 0, self.recent_f)
            self.since = np.where(full, 0, self.since)
            self.refresh()
        return statistic >= self.bound

    def disperse(self, n: np.ndarray, failures: np.ndarray, sure: np.ndarray) -> None:
        sure = sure & (n > 1) & (self.n > 0)
        more, variance = np.maximum(n - 1, 1e-9), n * self.p * (1 - self.p)
        spread = 1 + more * self.rho
        squared = np.minimum(
            (failures - n * self.p) ** 2 / variance,
            spread * (1 + self.correlation.CLIP * np.sqrt(2 + 1 / variance)),
        )
        weight = more / spread / (1 + 1 / (2 * variance))
        rho = self.rho + weight / (self.n + weight + self.correlation.PRIOR_EVENTS) * (
            (squared - 1) / more - self.rho
        )
        self.rho = np.where(sure, np.clip(rho, *self.correlation.CORRELATION), self.rho)

    def take(self, events: np.ndarray, failed: np.ndarray, some: np.ndarray) -> None:
        self.n, self.f = self.n + some * events, self.f + some * failed
        over = self.n > self.horizon
        self.n, self.f = np.where(over, self.n / 2, self.n), np.where(over, self.f / 2, self.f)


def same(blocks: int = 400) -> None:
    """The bank and the class say the same of one stream."""
    from monitor.drift.shiryaev_roberts import ShiryaevRoberts

    rng = np.random.default_rng(5)
    bank, one = Bank(1, 1e6), ShiryaevRoberts(1e6)
    for index in range(blocks):
        n = int(rng.integers(1, 200))
        f = rng.binomial(n, 0.03 if index < 300 else 0.08)
        bank.step(n, np.array([float(f)]))
        one.step(n, f, index, lag=LAG)
    state = one.state()
    assert np.allclose(
        [bank.n[0], bank.f[0], bank.held_n[0], bank.recent_n[0], bank.rho[0], *bank.logs[:, 0]],
        [state[0], state[1], state[2], state[4], *state[6:13]],
        rtol=0.02,
        atol=0.02,
    ), (bank.logs[:, 0], state)


def table(head: list[str], rows: list[list[str]]) -> None:
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(row) + " |", flush=True)
    print()


def drawn(
    rng: np.random.Generator, n: np.ndarray | int, p: np.ndarray | float, streams: int, rho: float = 0.0
) -> np.ndarray:
    """Failures of a block in each stream; beta-binomial where outcomes within a block are correlated by
    ``rho``.
    """
    if rho:
        p = rng.beta(p * (1 / rho - 1), (1 - np.asarray(p)) * (1 / rho - 1), streams)
    return rng.binomial(n, p, streams).astype(float)


def prepared(
    rng: np.random.Generator, run_length: float, p: float, reference: int, block: int, streams: int
) -> Bank:
    """Streams that have seen so many events without change; alarms on the way are forgotten."""
    bank = Bank(streams, run_length)
    for index in range(reference // block):
        alarm = bank.step(
            block, drawn(rng, block, p, streams), learn=index * block < bank.law.MIN_REFERENCE_EVENTS
        )
        bank.logs[:, alarm] = 0
    return bank


def false_alarms(
    run_length: float, p: float, reference: int, events: int, streams: int, block: int = BLOCK
) -> float:
    """Events to a false alarm, on average."""
    rng = np.random.default_rng(11 + SEED)
    bank, count = prepared(rng, run_length, p, reference, block, streams), 0
    for _ in range(events // block):
        alarm = bank.step(block, drawn(rng, block, p, streams))
        bank.logs[:, alarm] = 0
        count += int(alarm.sum())
    return streams * events / max(1, count)


def matched(measure: Callable[[float], float], low: float, high: float, rounds: int = 8) -> float:
    """The setting at which ``measure``, which rises with it, is one false alarm in 100,000 events."""
    for _ in range(rounds):
        setting = (low * high) ** 0.5
        low, high = (setting, high) if measure(setting) < PER_FALSE_ALARM else (low, setting)
    return (low * high) ** 0.5


def delays(
    run_length: float, p: float, risen: float, reference: int, longest: int, streams: int, block: int = BLOCK
) -> tuple[float, float]:
    """Median delay in events (inf: more than half were not found), and the share not found within ``longest``
    events.
    """
    rng = np.random.default_rng(12 + SEED)
    bank = prepared(rng, run_length, p, reference, block, streams)
    detected = np.full(streams, np.inf)
    for index in range(block, longest + block, block):
        alarm = bank.step(block, drawn(rng, block, risen, streams)) & np.isinf(detected)
        detected[alarm] = index
        if np.isfinite(detected).all():
            break
    return float(np.sort(detected)[streams // 2]), float(np.isinf(detected).mean())


def cusum(p: float, told: float, risen: float, streams: int = 3000) -> float:
    """Median delay of a CUSUM told ``p`` and ``told``, event by event."""
    rng, failure, success = np.random.default_rng(13 + SEED), np.log(told / p), np.log((1 - told) / (1 - p))

    def run(bound: float, rate: float, steps: int, g: np.ndarray, stop: bool) -> tuple[np.ndarray, int]:
        detected, count = np.full(streams, np.inf), 0
        for index in range(1, steps + 1):
            g = np.maximum(0, g) + np.where(rng.random(streams) < rate, failure, success)
            alarm = g >= bound
            count += int(alarm.sum())
            detected[alarm & np.isinf(detected)] = index
            if stop and np.isfinite(detected).all():
                break
            g[alarm & (not stop)] = 0
        return (detected if stop else g), count

    def events_to_alarm(bound: float) -> float:
        return streams * 4000 / max(1, run(bound, p, 4000, np.zeros(streams), False)[1])

    bound = matched(events_to_alarm, 1.5, 12)
    resting = run(bound, p, 1000, np.zeros(streams), False)[0]
    return float(np.median(run(bound, risen, 20_000, resting, True)[0]))


ADWIN = """
import sys, numpy as np
from river.drift import ADWIN
rng = np.random.default_rng(14 + int(sys.argv[1]))
def rises(detector, xs):
    for at, x in enumerate(xs):
        before = detector.estimation
        detector.update(x)
        if detector.drift_detected and detector.estimation > before:
            yield at + 1
def alarms(p, delta, streams=160):
    count = 0
    for _ in range(streams):
        detector = ADWIN(delta=delta)
        list(rises(detector, (rng.random(5000) < p).astype(int).tolist()))
        count += sum(1 for _ in rises(detector, (rng.random(20_000) < p).astype(int).tolist()))
    return streams * 20_000 / max(1, count)
for p, changes in ((0.03, (0.05, 0.07, 0.10)), (0.01, (0.03,))):
    low, high = 0.02, 0.9
    for _ in range(6):
        middle = (low * high) ** 0.5
        low, high = (low, middle) if alarms(p, middle) < 100_000 else (middle, high)
    delta = (low * high) ** 0.5
    for risen in changes:
        for reference in (5000, 550):
            found = []
            for _ in range(1500):
                detector = ADWIN(delta=delta)
                for x in (rng.random(reference + int(rng.integers(32))) < p).tolist():  # it looks at each 32nd event
                    detector.update(int(x))
                found.append(next(rises(detector, (rng.random(6000) < risen).astype(int).tolist()), float("inf")))
            print(p, risen, reference, delta, sorted(found)[750], np.mean(np.isinf(found)), flush=True)
"""


def adwin() -> dict[tuple[float, float, int], tuple[float, float]]:
    """Median delay and share not found of river's ADWIN, rises alone counted as alarms; (p, risen, reference)
    -> both. Empty without river.
    """
    python = RIVER / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(RIVER)], check=True)
    if subprocess.run([python, "-c", "import river"], capture_output=True).returncode:
        subprocess.run([python, "-m", "pip", "install", "--quiet", RIVER_VERSION], check=True)
    out = subprocess.run([python, "-c", ADWIN, str(SEED)], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in out.splitlines()]
    print(f"ADWIN: delta {sorted({(row[0], round(float(row[3]), 3)) for row in rows})}", file=sys.stderr)
    return {
        (float(p), float(risen), int(m)): (float(delay), float(lost)) for p, risen, m, _, delay, lost in rows
    }


def show_delays() -> None:
    peer, settings = adwin(), {}
    for p in (0.03, 0.01):
        settings[p] = matched(lambda run: false_alarms(run, p, 5000, 20_000, 2000), 200, 50_000)  # noqa: B023 - used at once
    rows = []
    for p, risen in DROPS:
        ours, lost = delays(settings[p], p, risen, 5000, 6000, 3000)
        best, told = cusum(p, risen, risen), cusum(p, 7 / 3 * p, risen)
        theirs, they_lost = peer[p, risen, 5000]
        rows.append(
            [
                f"{1 - p:.2f} → {1 - risen:.2f}",
                f"{ours:.0f}",
                f"{lost:.1%}",
                f"{theirs:.0f}",
                f"{they_lost:.1%}",
                f"{told:.0f}",
                f"{best:.0f}",
                f"{ours / theirs:.2f}",
                f"{ours / told:.2f}",
                f"{ours / best:.2f}",
            ]
        )
    table(
        [
            "pass rate",
            "ours",
            "never found",
            "ADWIN",
            "never found",
            "CUSUM, ×7/3",
            "CUSUM, exact",
            "÷ ADWIN",
            "÷ CUSUM ×7/3",
            "÷ CUSUM exact",
        ],
        rows,
    )
    rows = []
    for p, risen in DROPS:
        (ours, lost), (theirs, they_lost) = (
            delays(settings[p], p, risen, SHORT, 6000, 3000),
            peer[p, risen, SHORT],
        )
        rows.append(
            [
                f"{1 - p:.2f} → {1 - risen:.2f}",
                f"{ours:.0f}",
                f"{lost:.0%}",
                f"{theirs:.0f}",
                f"{they_lost:.0%}",
                f"{false_alarms(settings[p], p, SHORT, 5000, 6000):,.0f}",
            ]
        )
    print(f"{SHORT} events of reference; settings {settings}\n")
    table(
        [
            "pass rate",
            "ours",
            "never found",
            "ADWIN",
            "never found",
            "our events to a false alarm in the first 5,000",
        ],
        rows,
    )


def show_default() -> None:
    rows = []
    for p, risen in (*DROPS, (0.03, 0.2), (0.01, 0.10)):
        row = [f"{1 - p:.2f} → {1 - risen:.2f}"]
        for block, reference in (
            (1, 500),
            (10, SHORT),
            (10, 5000),
            (10, 50_000),
            (60, 50_000),
            (1000, 500_000),
        ):
            delay, lost = delays(
                DEFAULT_RUN, p, risen, reference, 400 * block if block > 10 else 12_000, 400, block
            )
            row.append(f"{delay:,.0f} ({lost:.0%})" if np.isfinite(delay) else f"— ({lost:.0%})")
        rows.append(row)
    table(
        [
            "pass rate",
            "1 a block, 500 of reference",
            "10, 550",
            "10, 5,000",
            "10, 50,000",
            "60, 50,000",
            "1000, 500,000",
        ],
        rows,
    )


def rare(p: float, reference: int, block: int, blocks: int = 1440, streams: int = 800) -> tuple[float, float]:
    """Blocks to a false alarm in the first ``blocks`` after a reference, and its relative standard error, by
    importance sampling.

    Sampled is from a mixture: references whose rate was lower than later, some of them for a while yet, and
    rises that begin anywhere, half of them in the first tenth; each alarm is weighed by how much likelier the
    mixture made it. Unbiased whatever the detector does.

    Source: Siegmund, Ann. Statist. 4 (1976).
    """
    rng, lower, higher = (
        np.random.default_rng(15 + SEED),
        np.array([1, 0.8, 0.65, 0.5, 0.35, 0.2]),
        np.array([1, 1.15, 1.3, 1.5, 2, 3, 5, 12, 60]),
    )
    risen = higher * p / (1 + (higher - 1) * p)
    chosen, stays = rng.integers(len(lower), size=streams), rng.random(streams) < 0.5
    high, low = risen[rng.integers(len(higher), size=streams)], np.where(stays, p * lower[chosen], p)
    begins = np.where(
        rng.random(streams) < 0.5,
        rng.integers(blocks, size=streams),
        rng.integers(blocks // 10, size=streams),
    )
    starts = np.full(blocks, 0.5 / blocks)
    starts[: blocks // 10] += 0.5 / (blocks // 10)
    later = 1 - np.cumsum(starts)
    bank = Bank(streams, DEFAULT_RUN)
    bank.n[:], bank.f[:] = reference, rng.binomial(reference, p * lower[chosen])
    bank.age = LAG if reference < SHORT else YOUNG
    bank.refresh()
    ratio = (lower * p)[:, None]
    of_reference = np.exp(
        np.minimum(bank.f * np.log(ratio / p) + (reference - bank.f) * np.log((1 - ratio) / (1 - p)), 500)
    ) / len(lower)
    first, told = (
        np.stack([np.ones_like(of_reference), np.ones_like(of_reference)]),
        np.zeros((2, len(lower), len(higher), streams)),
    )
    weight = np.zeros(streams)
    with np.errstate(over="ignore", under="ignore"):
        for index in range(blocks):
            f = drawn(rng, block, np.where(index >= begins, high, low), streams)
            up = np.exp(
                np.minimum(
                    f * np.log(risen / p)[:, None] + (block - f) * np.log((1 - risen) / (1 - p))[:, None], 500
                )
            )
            told = np.minimum((told + starts[index] * first[:, :, None]) * up, 1e280)
            first[1] = np.minimum(
                first[1] * np.exp(f * np.log(ratio / p) + (block - f) * np.log((1 - ratio) / (1 - p))), 1e280
            )
            alarm = bank.step(block, f) & (weight == 0)
            if alarm.any():
                mixture = told[..., alarm].mean(2) + max(0.0, later[index]) * first[..., alarm]
                weight[alarm] = 1 / (of_reference[:, alarm] * mixture.mean(0)).sum(0)
    return blocks / max(weight.mean(), 1e-300), float(
        weight.std() / max(weight.mean(), 1e-300) / np.sqrt(streams)
    )


def show_runs() -> None:
    rows = []
    for block in (1, 10, 60, 1000):
        for p in (0.001, 0.003, 0.01, 0.03, 0.1, 0.3):
            row = [str(block), f"{p:g}"]
            for reference in (500, 2000, 5000, 50_000):
                run, error = rare(p, reference, block, blocks=1440 if block < 1000 else 300)
                row.append(f"{run / DEFAULT_RUN:.2g} ± {error:.0%}" if run < 1e3 * DEFAULT_RUN else "> 1000")
            rows.append(row)
    table(["events a block", "failures", "500", "2,000", "5,000", "50,000"], rows)


def grown(
    rng: np.random.Generator, block: int, p: float, blocks: int, streams: int, rho: float = 0.0
) -> tuple[Bank, int]:
    """Baselines that began ``blocks`` minutes ago, as softfail begins them, and their false alarms."""
    bank, alarms = Bank(streams, DEFAULT_RUN), 0
    bank.age = 0
    for index in range(blocks):
        alarm = bank.step(block, drawn(rng, block, p, streams, rho), learn=index < LAG)
        bank.logs[:, alarm] = 0
        alarms += int(alarm.sum())
    return bank, alarms


def show_young() -> None:
    rows = []
    for block in (1, 10, 60):
        for p in (0.01, 0.03, 0.1, 0.3):
            row = [str(block), f"{p:g}"]
            for reference in (100, 200):
                run, error = rare(p, reference, block)
                row.append(f"{run / DEFAULT_RUN:.2g} ± {error:.0%}" if run < 1e3 * DEFAULT_RUN else "> 1000")
            rows.append(row)
    table(["events a block", "failures", "100", "200"], rows)
    rows = []
    for block, p in ((10, 0.03), (60, 0.003), (60, 0.03), (1000, 0.003), (1000, 0.03)):
        alarms = [grown(np.random.default_rng(17 + SEED), block, p, 90, 4000, rho)[1] for rho in RHOS]
        rows.append([str(block), f"{p:g}", *map(str, alarms)])
    table(["events a block", "failures", *(f"rho {rho:g}" for rho in RHOS)], rows)
    rows = []
    for block, p, risen, minutes in YOUNG_CHANGES:
        rng, detected = np.random.default_rng(18 + SEED), np.full(1000, np.inf)
        bank, _ = grown(rng, block, p, minutes, 1000)
        for index in range(1, 121):
            alarm = bank.step(block, drawn(rng, block, risen, 1000))
            detected[alarm & np.isinf(detected)] = index
        median = np.sort(detected)[500]
        found = f"{median:.0f}" if np.isfinite(median) else "—"
        rows.append(
            [f"{p:g} → {risen:g}", str(block), str(minutes), found, f"{np.isinf(detected).mean():.0%}"]
        )
    table(["failures", "events a minute", "after minutes", "median minutes", "not found in 2 h"], rows)


def wild(
    run_length: float, block: int, p: float, rho: float, cycle: float, streams: int, blocks: int
) -> tuple[float, float]:
    """False alarms a block, and the correlation learnt, where the rate follows a sine over the day (with the
    traffic) and is overdispersed.
    """
    rng = np.random.default_rng(16 + SEED)
    bank, count, phase = Bank(streams, run_length), 0, rng.random(streams) * 2 * np.pi
    warm = max(30, -(-500 // block))
    for index in range(warm + blocks):
        angle = 2 * np.pi * index / 1440 + phase
        n = np.maximum(1, np.round(block * (1 + (0.7 if cycle else 0) * np.sin(angle)))).astype(int)
        alarm = bank.step(
            n, drawn(rng, n, p * (1 + cycle * np.sin(angle + 1)), streams, rho), learn=index < warm
        )
        bank.logs[:, alarm] = 0
        count += int(alarm.sum())
    return count / streams / blocks, float(np.median(bank.rho))


def show_dispersed() -> None:
    """False alarms in a thousand days of one series (1.44 million blocks)."""
    cases = (
        (0, 0),
        (0.005, 0),
        (0.01, 0),
        (0.02, 0),
        (0, 0.05),
        (0.005, 0.05),
        (0.005, 0.1),
        (0.005, 0.2),
        (0, 0.3),
    )
    for run in (1e6, DEFAULT_RUN):
        rows = []
        for rho, cycle in cases:
            row = [f"{rho:g}", f"± {cycle:.0%}"]
            for block, p in (
                (10, 0.01),
                (10, 0.1),
                (60, 0.01),
                (60, 0.1),
                (1000, 0.001),
                (1000, 0.01),
                (1000, 0.1),
            ):
                rate, learnt = wild(run, block, p, rho, cycle, 1000, 1440)
                row.append(
                    f"{rate * 1.44e6:.0f}" if learnt <= 0.006 else f"{rate * 1.44e6:.0f} ({learnt:.3f})"
                )
            rows.append(row)
        print(f"run length {run:g}; promised {1.44e6 / run:.2g}\n")
        table(
            [
                "rho",
                "cycle",
                "10 a block, 0.01",
                "10, 0.1",
                "60, 0.01",
                "60, 0.1",
                "1000, 0.001",
                "1000, 0.01",
                "1000, 0.1",
            ],
            rows,
        )


def show_forgetting() -> None:
    """A million and more events of reference, then a step or a slope over days; with and without halving."""
    rows = []
    for title, days in (
        ("0.03 → 0.05 at once", 0),
        ("0.03 → 0.06 over a day", 1),
        ("over 7 days", 7),
        ("over 28 days", 28),
    ):
        row = [title]
        for horizon in (100_000.0, 1_000_000.0, np.inf):
            rng, streams = np.random.default_rng(17 + SEED), 100
            bank, detected = Bank(streams, DEFAULT_RUN, horizon), np.full(streams, np.inf)
            bank.n[:], bank.f[:] = min(horizon, 1e6) * 0.75, min(horizon, 1e6) * 0.0225
            bank.refresh()
            for index in range(45_000):
                rate = 0.03 + 0.03 * min(1, index / (1440 * days)) if days else 0.05
                detected[bank.step(60, drawn(rng, 60, rate, streams)) & np.isinf(detected)] = index + 1
                if np.isfinite(detected).all():
                    break
            row.append(f"{np.sort(detected)[streams // 2]:,.0f} ({np.isinf(detected).mean():.0%})")
        rows.append(row)
    table(["60 events a block", "halved beyond 100,000", "beyond 1,000,000", "never"], rows)


def histogram(values: np.ndarray):  # type: ignore[no-untyped-def]
    from monitor.drift import Distribution
    from monitor.stats import NumberSummary
    from monitor.stats.exponential_buckets import bucket_codes, bucket_middle

    number = NumberSummary()
    number.add(1_000_000, len(values), int(values.sum()), dict(Counter(bucket_codes(values).tolist())))
    return Distribution.from_weights(
        {bucket_middle(code): count for code, count in number.weighted_buckets().items()}, number.effective_n
    )


def show_numbers(trials: int = 300, nulls: int = 2000) -> None:
    """Windows of 5 minutes, looked at each minute; each test's cut of p is where one window in a hundred
    alarms without drift.
    """
    from scipy.stats import ks_2samp

    from tests.monitor.drift.oracles.kolmogorov_smirnov import kolmogorov_smirnov
    from tests.monitor.drift.oracles.psi import psi
    from tests.monitor.drift.oracles.wasserstein import wasserstein

    tests = {"wasserstein": wasserstein, "kolmogorov_smirnov": kolmogorov_smirnov, "psi": psi}
    rng, rows = np.random.default_rng(18 + SEED), []
    kinds = {
        "latency": lambda n: rng.lognormal(np.log(2e6), 0.6, n),
        "tokens": lambda n: rng.lognormal(np.log(200), 1.0, n),
    }

    def told(reference: np.ndarray, sketch: object, window: np.ndarray) -> list[float]:
        current = histogram(window)
        return [
            *(test(sketch, current).p_value for test in tests.values()),
            float(ks_2samp(reference, window, method="asymp").pvalue),
        ]  # type: ignore[arg-type]

    for kind, draw in kinds.items():
        for a_minute in (10, 100):
            null = []
            for index in range(nulls):
                if index % 20 == 0:
                    reference = draw(5000).astype(np.int64)
                    sketch = histogram(reference)
                null.append(told(reference, sketch, draw(5 * a_minute).astype(np.int64)))
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
                            (np.array(told(reference, sketch, window)) <= cut) & np.isinf(detected[trial]),
                        ] = minute
                median = np.sort(detected, axis=0)[trials // 2]
                share = np.isfinite(detected).mean(0)
                cells = [
                    f"{'—' if np.isinf(d) else f'{d:.0f} min'}, {s:.0%}"
                    for d, s in zip(median, share, strict=True)
                ]
                rows.append([f"{kind} ×{factor}", str(a_minute), *cells, f"{share[0] / share[-1]:.2f}"])
    table(["change", "events a minute", *tests, "KS on raw samples", "wasserstein ÷ raw KS, found"], rows)


SHOWN = {
    "delays": show_delays,
    "default": show_default,
    "runs": show_runs,
    "dispersed": show_dispersed,
    "numbers": show_numbers,
    "forgetting": show_forgetting,
    "young": show_young,
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=SHOWN, nargs="+")
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        help="other streams than those of the tables, on which the detector was tuned",
    )
    options = parser.parse_args()
    SEED = options.seed
    same()
    for one in options.what:
        print(f"### {one}\n", flush=True)
        SHOWN[one]()
