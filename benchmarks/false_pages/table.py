"""The table of false pages by shape of traffic."""

from __future__ import annotations

from collections import Counter
from typing import Any

from scipy.special import gammaincinv

from benchmarks.false_pages.traffic import ALL, APART, MINUTES, SHAPES

PROMISE = 1.0  # in 1,000 feature-days


def interval(n: int) -> tuple[float, float]:
    """Exact 95 % interval of a Poisson mean. Source: Garwood, Biometrika 28 (1936)."""
    return float(gammaincinv(n, 0.025)) if n else 0.0, float(gammaincinv(n + 1, 0.975))


def days_of(features: dict[str, int]) -> int:
    """Return the days that count of so many features by shape."""
    return sum(n * (ALL[name].days - ALL[name].learns) for name, n in features.items())


def row(name: str, days: int, episodes: list[dict[str, Any]], promised: str) -> str:
    n = len(episodes)
    rules = Counter(
        max(item["incidents"], key=lambda incident: incident["severity"] in ("error", "critical"))["rule"]
        for item in episodes
    )
    low, high = (1000 * end / days for end in interval(n))
    first = sum(item["minute"] < MINUTES for item in episodes)
    shown = ", ".join(f"{rule} {times}" for rule, times in sorted(rules.items()))
    return (
        f"| {name} | {days:,} | {n}{f': {shown}' if shown else ''} | {first} | {1000 * n / days:.2g} ({low:.2g}"
        f" to {high:.2g}) | {promised} |"
    )


def table(done: dict[str, Any]) -> str:
    counted, promised = ("episodes", "—") if done["tickets"] else ("false pages", f"≤ {PROMISE:g}")
    lines = [
        (
            f"| shape | feature-days | {counted} | of them on a first day | in 1,000 feature-days (95 %) |"
            " promised |"
        ),
        "|---|---:|---|---:|---|---|",
    ]
    by = {name: [item for item in done["found"] if item["shape"] == name] for name in ALL}
    ran = {
        name: row(name, days_of({name: done["features"][name]}), by[name], promised)
        for name in ALL
        if done["features"].get(name)
    }
    summed = [name for name in ran if name in SHAPES]
    if summed:
        ran["all"] = row(
            "**all of these**",
            days_of({name: done["features"][name] for name in summed}),
            [item for name in summed for item in by[name]],
            promised,
        )
    return "\n".join([*lines, *(ran[name] for name in (*SHAPES, "all", *APART) if name in ran)])
