"""Count false pages of healthy, sampled features: by sampling design, traffic and failure rate.

Prints the table of docs/statistics.md, "Sampled features". Use with ``nice -n 19``:

    python -m benchmarks.sampled_pages --append .cache/sampled_pages.json   one round: 264 lives a cell
    python -m benchmarks.sampled_pages --append .cache/sampled_pages.json --table   only print it

Each feature lives seven days. The counts of each minute are draw_day; a screen in numpy finds the lives that
might page: ``benchmarks.baseline_bank`` for learnt baselines, ``benchmarks.window_screen`` for thresholds
and silence. It marks every life in which a statistic reaches half of its bound, or a threshold misses its error
by less than fourfold. A life that is marked runs through the core of the product, with the same counts; only
the core's pages count. Some lives without a mark run through it too, and must not page.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from pathlib import Path

from benchmarks.sampled_pages.designs import DESIGNS, TRAFFIC, cells
from benchmarks.sampled_pages.lives import run_cells
from benchmarks.sampled_pages.table import broken, merged, name_of, table

CACHE = Path(__file__).resolve().parents[2] / ".cache"
LIVES = 264  # of a cell and round: 1,848 days
SHOWN = ("days", "marked", "pages", "early", "cpu_s")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--append", type=Path, default=CACHE / "sampled_pages.json")
    parser.add_argument("--design", default="", help="only designs whose name contains this")
    parser.add_argument("--calls", type=int, nargs="*", default=TRAFFIC, help="a minute")
    parser.add_argument("--lives", type=int, default=LIVES, help="lives of a cell, seven days each")
    parser.add_argument("--checked", type=int, default=0, help="lives without a mark for the core, by cell")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=1, help="rounds that each cell has at the end")
    parser.add_argument("--table", action="store_true", help="print what was run before")
    options = parser.parse_args()
    path: Path = options.append
    done = json.loads(path.read_text()) if path.exists() else {}
    for nth_round, design, calls in itertools.product(range(options.rounds), DESIGNS, options.calls):
        group = [
            cell
            for cell in cells(options.design)
            if (cell.design, cell.calls) == (design, calls)
            and done.get(name_of(cell), {}).get("rounds", 0) == nth_round
        ]
        if options.table or not group:
            continue
        for cell, new in zip(
            group, run_cells(group, options.lives, options.seed, nth_round, options.checked), strict=True
        ):
            done[name_of(cell)] = merged(done.get(name_of(cell)), new)
            print(name_of(cell), {name: new[name] for name in SHOWN}, file=sys.stderr, flush=True)
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(done, indent=1))
    print(table(done))
    if faults := broken(done):
        sys.exit(f"more than one false page in 1,000 feature-days: {faults}")


if __name__ == "__main__":
    main()
