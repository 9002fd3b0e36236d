"""The mean run length to a false alarm, which is too long to be counted."""

from __future__ import annotations

import numpy as np

from benchmarks.detector.bank import DEFAULT_RUN, LAG, YOUNG, Bank
from benchmarks.detector.streams import draw_failures

SHORT = 550  # events of reference, which in blocks of ten are worth a little over 500


def run_length_by_importance(
    p: float, reference: int, block: int, blocks: int = 1440, streams: int = 800, seed: int = 0
) -> tuple[float, float]:
    """Blocks to a false alarm in the first ``blocks`` after a reference, and its relative standard error, by
    importance sampling.

    Sampled is from a mixture: references whose rate was lower than later, some of them for a while yet, and
    rises that begin anywhere, half of them in the first tenth; each alarm is weighed by how much likelier the
    mixture made it. Unbiased whatever the detector does.

    Source: Siegmund, Ann. Statist. 4 (1976).
    """
    rng, lower, higher = (
        np.random.default_rng(15 + seed),
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
    first, changed = (
        np.stack([np.ones_like(of_reference), np.ones_like(of_reference)]),
        np.zeros((2, len(lower), len(higher), streams)),
    )
    weight = np.zeros(streams)
    with np.errstate(over="ignore", under="ignore"):
        for index in range(blocks):
            f = draw_failures(rng, block, np.where(index >= begins, high, low), streams)
            up = np.exp(
                np.minimum(
                    f * np.log(risen / p)[:, None] + (block - f) * np.log((1 - risen) / (1 - p))[:, None], 500
                )
            )
            changed = np.minimum((changed + starts[index] * first[:, :, None]) * up, 1e280)
            first[1] = np.minimum(
                first[1] * np.exp(f * np.log(ratio / p) + (block - f) * np.log((1 - ratio) / (1 - p))), 1e280
            )
            alarm = bank.step(block, f) & (weight == 0)
            if alarm.any():
                mixture = changed[..., alarm].mean(2) + max(0.0, later[index]) * first[..., alarm]
                weight[alarm] = 1 / (of_reference[:, alarm] * mixture.mean(0)).sum(0)
    return blocks / max(weight.mean(), 1e-300), float(
        weight.std() / max(weight.mean(), 1e-300) / np.sqrt(streams)
    )
