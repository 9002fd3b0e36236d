"""Delay of a page under sampling, with and without the producers' meters.

    python -m benchmarks.metered_outages [all | baseline | burn]

Prints minutes from the change to the page, for errors at p = 1 and other calls at p: of all default rules, of
a learned baseline of the pass rate alone, or of a burn rate alone. Source of the tables in
docs/statistics.md, "Delay where meters state the calls".
"""

from __future__ import annotations

import argparse

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


def delay(p: float, share: float, per_minute: int, config: Config, *, metered: bool) -> str:
    """Return the minutes to the page; a dash if there was none in 50 minutes."""
    arrivals = fleet(
        5,
        p,
        BEGINS_MIN + 50,
        lambda second: share if second >= BEGINS_MIN * 60 else 0.01,
        per_minute,
        "all there",
    )
    if not metered:
        arrivals = [(second, value) for second, value in arrivals if b'"meter"' not in value]
    times = [minute for minute in pages(arrivals, config) if minute > BEGINS_MIN]
    return f"{times[0] - BEGINS_MIN:.0f}" if times else "–"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rules", nargs="?", choices=CONFIGS, default="all")
    config = CONFIGS[parser.parse_args().rules]
    print("p of others | rise | calls a minute | with meters | without")
    for p in (0.1, 0.01, 0.001, 0.0001):
        for share in (1.0, 0.1):
            for per_minute in (20, 200):
                figures = [delay(p, share, per_minute, config, metered=metered) for metered in (True, False)]
                print(f"{p:g} | 1 to {share:.0%} | {per_minute} | {figures[0]} | {figures[1]}", flush=True)


if __name__ == "__main__":
    main()
