"""Count the pages of the default configuration on features in which nothing is wrong.

Prints the table of docs/statistics.md, "False pages of the default configuration". Use with ``nice -n 19``:

    python -m benchmarks.false_pages --days 500                      high urgency, without the drift rule
    python -m benchmarks.false_pages --days 500 --append pages.json  the next 500, added to an earlier run
    python -m benchmarks.false_pages --days 500 --all                every life through the core, unscreened
    python -m benchmarks.false_pages --tickets --days 28             every episode, with drift

Counts are draw_life by numpy. ``benchmarks.shape_screen`` finds the lives that might page; only these run through
the core, and only the core's pages count. The core is fed without JSON: each minute's pane of a feature is marked
as the ingestor marks it, then its edge is closed. Windows are not written: they cost most and nothing reads
them. A feature lives seven days and learns on the first; one with a weekly cycle lives longer, and counts from
its ninth day on, when its week is known.
"""

from __future__ import annotations

import argparse
import json
import sys
from multiprocessing import Pool
from pathlib import Path
from typing import Any

from benchmarks.false_pages.lives import Batch, Task, run_batch
from benchmarks.false_pages.table import days_of, table
from benchmarks.false_pages.traffic import ALL, SHAPES

BATCH = 66  # lives that are screened together


def parse(argv: list[str] | None = None) -> tuple[argparse.Namespace, dict[str, Any]]:
    """Return the options, and the results so far: those of the file of ``--append``."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--days", type=int, default=56, help="feature-days to run now, rounded up to whole features"
    )
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--all", action="store_true", help="run every life through the core, unscreened")
    parser.add_argument("--shape", choices=ALL, action="append", help="only these shapes; may be repeated")
    parser.add_argument(
        "--tickets",
        action="store_true",
        help="every episode, with the drift rule; the default is high urgency only",
    )
    parser.add_argument(
        "--append", type=Path, help="JSON of what was run before, which is continued; made if it is not there"
    )
    options = parser.parse_args(argv)
    if not (options.append and options.append.exists()):
        settings = {"seed": options.seed, "tickets": options.tickets}
        return options, settings | {"features": {}, "found": [], "cpu_s": 0.0}
    done = json.loads(options.append.read_text())
    if (done["seed"], done["tickets"]) != (options.seed, options.tickets):
        parser.error(
            f"{options.append} was run with --seed {done['seed']} and"
            f" {'--tickets' if done['tickets'] else 'without --tickets'}"
        )
    return options, done


def plan(options: argparse.Namespace, done: dict[str, Any]) -> list[Batch]:
    """Return the batches of the next features, so many of each shape that their feature-days are equal."""
    names = options.shape or list(SHAPES)
    ahead, by_shape = dict(done["features"]), dict[str, list[Task]]()
    days = 0
    while days < options.days:
        name = min(names, key=lambda name: (days_of({name: ahead.get(name, 0)}), names.index(name)))
        by_shape.setdefault(name, []).append((name, ahead.get(name, 0), options.seed, options.tickets))
        ahead[name] = ahead.get(name, 0) + 1
        days += ALL[name].days - ALL[name].learns
    batches = []
    for tasks in by_shape.values():
        is_screened = not options.all and not options.tickets
        size = BATCH if is_screened else 1
        batches += [(tasks[first : first + size], is_screened) for first in range(0, len(tasks), size)]
    return batches


def add(results: list[dict[str, Any]], done: dict[str, Any], path: Path | None) -> None:
    """Add the results of a batch to those so far, and write these to the file of ``--append``."""
    for result in results:
        done["features"][result["shape"]] = done["features"].get(result["shape"], 0) + 1
        done["found"] += result["found"]
        done["cpu_s"] += result["cpu_s"] + result["screen_s"]
        done["marked"] = done.get("marked", 0) + result["marked"]
    if path:
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(done, indent=1))
        fresh.replace(path)


def main() -> None:
    """Run the next features, and print the table of all."""
    options, done = parse()
    batches = plan(options, done)
    with Pool(options.jobs) as pool:
        # in order, so that a run that was stopped continues at the same feature
        for nth, results in enumerate(pool.imap(run_batch, batches), 1):
            add(results, done, options.append)
            marked = sum(result["marked"] for result in results)
            pages = sum(len(result["found"]) for result in results)
            shown = f"{results[0]['shape']}, {len(results)} features, {marked} marked, {pages} found"
            print(f"{nth} of {len(batches)}: {shown}", file=sys.stderr, flush=True)
    print(table(done))
    print(
        f"\nSeed {done['seed']}; {done['cpu_s'] / max(1, days_of(done['features'])):.2f} s of CPU"
        f" a feature-day; {done.get('marked', 0)} features ran through the core."
    )


if __name__ == "__main__":
    main()
