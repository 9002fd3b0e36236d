"""Delay of a page under sampling, with and without the producers' meters.

    python -m benchmarks.metered_outages [all | baseline | burn] [--runs 1] [--minutes 50]

Prints minutes from the change to the page, for errors at p = 1 and other calls at p: of all default rules, of
a learned baseline of the pass rate alone, or of a burn rate alone. Of several runs the median, and how many
had no page. Source of the tables in
docs/statistics.md, "Delay where meters state the calls".
"""

from __future__ import annotations

import argparse
import itertools
import math

from schemas.config.monitor_config import Config
from tests.monitor.rules.metered_fleet import fleet, pages

BEGINS_MIN = 100
BASELINE = {"name": "fell", "on": "pass_rate", "below": "baseline", "severity": "error"}
BURN = {"long": "1h", "short": "5m", "factor": 5, "severity": "critical"}
OBJECTIVE = {"name": "budget", "on": "error_rate", "target": 0.99, "burn": [BURN]}
CONFIGS = {
    "all": Config(),
    "baseline": Config.model_validate({"default_rules": False, "rules": [BASELINE]}),
    "burn": Config.model_validate({"default_rules": False, "objectives": [OBJECTIVE]}),
}


def delay(
    p: float, share: float, per_minute: int, config: Config, *, metered: bool, seed: int, minutes: int
) -> float:
    """Return the minutes to the page; infinite if there was none in ``minutes``."""
    arrivals = fleet(
        seed,
        p,
        BEGINS_MIN + minutes,
        lambda second: share if second >= BEGINS_MIN * 60 else 0.01,
        per_minute,
        "all there",
    )
    if not metered:
        arrivals = [(second, value) for second, value in arrivals if b'"meter"' not in value]
    times = [minute for minute in pages(arrivals, config) if minute > BEGINS_MIN]
    return times[0] - BEGINS_MIN if times else math.inf


def median(delays: list[float]) -> str:
    """Return the median of some delays; a dash if half of them have no page."""
    middle, lost = sorted(delays)[len(delays) // 2], sum(map(math.isinf, delays))
    shown = "–" if math.isinf(middle) else f"{middle:.0f}"
    return shown if len(delays) == 1 or not lost else f"{shown} ({lost} of {len(delays)} none)"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rules", nargs="?", choices=CONFIGS, default="all")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--minutes", type=int, default=50, help="that are waited for a page")
    parser.add_argument("--p", type=float, nargs="*", default=(0.1, 0.01, 0.001, 0.0001))
    parser.add_argument(
        "--share", type=float, nargs="*", default=(1.0, 0.1), help="that fails after the change"
    )
    parser.add_argument("--calls", type=int, nargs="*", default=(20, 200), help="a minute")
    given = parser.parse_args()
    config = CONFIGS[given.rules]
    print("p of others | rise | calls a minute | with meters | without")
    for p, share, per_minute in itertools.product(given.p, given.share, given.calls):
        figures = [
            median([
                delay(p, share, per_minute, config, metered=metered, seed=5 + run, minutes=given.minutes)
                for run in range(given.runs)
            ])
            for metered in (True, False)
        ]  # fmt: skip
        print(f"{p:g} | 1 to {share:.0%} | {per_minute} | {figures[0]} | {figures[1]}", flush=True)


if __name__ == "__main__":
    main()
