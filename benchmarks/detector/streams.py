"""Streams of failures, and how often and how soon the detector alarms on them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.detector.bank import DEFAULT_RUN, LAG, Bank
from monitor.drift import lagging_reference

PER_FALSE_ALARM = 100_000  # events
BLOCK = 10


def draw_failures(
    rng: np.random.Generator, n: np.ndarray | int, p: np.ndarray | float, streams: int, rho: float = 0.0
) -> np.ndarray:
    """Failures of a block in each stream; beta-binomial where outcomes within a block are correlated by
    ``rho``.
    """
    if rho:
        p = rng.beta(p * (1 / rho - 1), (1 - np.asarray(p)) * (1 / rho - 1), streams)
    return rng.binomial(n, p, streams).astype(float)


def bank_after(
    rng: np.random.Generator, run_length: float, p: float, reference: int, block: int, streams: int
) -> Bank:
    """Streams that have seen so many events without change; alarms on the way are forgotten."""
    bank = Bank(streams, run_length)
    for index in range(reference // block):
        alarm = bank.step(
            block,
            draw_failures(rng, block, p, streams),
            learn=index * block < lagging_reference.MIN_REFERENCE_EVENTS,
        )
        bank.logs[:, alarm] = 0
    return bank


def false_alarms(
    run_length: float, p: float, reference: int, events: int, streams: int, block: int = BLOCK, seed: int = 0
) -> float:
    """Events to a false alarm, on average."""
    rng = np.random.default_rng(11 + seed)
    bank, count = bank_after(rng, run_length, p, reference, block, streams), 0
    for _ in range(events // block):
        alarm = bank.step(block, draw_failures(rng, block, p, streams))
        bank.logs[:, alarm] = 0
        count += int(alarm.sum())
    return streams * events / max(1, count)


def match_false_alarms(measure: Callable[[float], float], low: float, high: float, rounds: int = 8) -> float:
    """The setting at which ``measure``, which rises with it, is one false alarm in 100,000 events."""
    for _ in range(rounds):
        setting = (low * high) ** 0.5
        low, high = (setting, high) if measure(setting) < PER_FALSE_ALARM else (low, setting)
    return (low * high) ** 0.5


def delays(
    run_length: float,
    p: float,
    risen: float,
    reference: int,
    longest: int,
    streams: int,
    block: int = BLOCK,
    seed: int = 0,
) -> tuple[float, float]:
    """Median delay in events (inf: more than half were not found), and the share not found within ``longest``
    events.
    """
    rng = np.random.default_rng(12 + seed)
    bank = bank_after(rng, run_length, p, reference, block, streams)
    detected = np.full(streams, np.inf)
    for index in range(block, longest + block, block):
        alarm = bank.step(block, draw_failures(rng, block, risen, streams)) & np.isinf(detected)
        detected[alarm] = index
        if np.isfinite(detected).all():
            break
    return float(np.sort(detected)[streams // 2]), float(np.isinf(detected).mean())


def young_bank(
    rng: np.random.Generator, block: int, p: float, blocks: int, streams: int, rho: float = 0.0
) -> tuple[Bank, int]:
    """Baselines that began ``blocks`` minutes ago, as softfail begins them, and their false alarms."""
    bank, alarms = Bank(streams, DEFAULT_RUN), 0
    bank.age = 0
    for index in range(blocks):
        alarm = bank.step(block, draw_failures(rng, block, p, streams, rho), learn=index < LAG)
        bank.logs[:, alarm] = 0
        alarms += int(alarm.sum())
    return bank, alarms


def varying_rates(
    run_length: float,
    block: int,
    p: float,
    rho: float,
    cycle: float,
    streams: int,
    blocks: int,
    seed: int = 0,
) -> tuple[float, float]:
    """False alarms a block, and the correlation learnt, where the rate follows a sine over the day (with the
    traffic) and is overdispersed.
    """
    rng = np.random.default_rng(16 + seed)
    bank, count, phase = Bank(streams, run_length), 0, rng.random(streams) * 2 * np.pi
    warm = max(30, -(-500 // block))
    for index in range(warm + blocks):
        angle = 2 * np.pi * index / 1440 + phase
        n = np.maximum(1, np.round(block * (1 + (0.7 if cycle else 0) * np.sin(angle)))).astype(int)
        alarm = bank.step(
            n, draw_failures(rng, n, p * (1 + cycle * np.sin(angle + 1)), streams, rho), learn=index < warm
        )
        bank.logs[:, alarm] = 0
        count += int(alarm.sum())
    return count / streams / blocks, float(np.median(bank.rho))
