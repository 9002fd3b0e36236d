"""Count false pages of healthy, sampled features: by sampling design, traffic and failure rate.

Prints the table of docs/statistics.md, "Sampled features". Use with ``nice -n 19``:

    python benchmarks/sampled_pages.py --append .cache/sampled_pages.json   one round: 264 lives a cell
    python benchmarks/sampled_pages.py --append .cache/sampled_pages.json --table   only print it

Each feature lives seven days. The counts of each minute are drawn; a screen in numpy finds the lives that
might page: ``benchmarks/baseline_bank.py`` for learnt baselines, ``benchmarks/window_screen.py`` for thresholds
and silence. It marks every life in which a statistic reaches half of its bound, or a threshold misses its error
by less than fourfold. A life that is marked runs through the core of the product, with the same counts; only
the core's pages count. Some lives without a mark run through it too, and must not page.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "sdk")]

from benchmarks.baseline_bank import BaselineBank, Floats  # noqa: E402 - after the path is set
from benchmarks.false_pages import MINUTE_US, MINUTES, START_US, Feature, interval  # noqa: E402
from benchmarks.window_screen import Bools, Counts, may_be_silent, may_breach  # noqa: E402
from monitor.stats.sampling_weights import to_ppm  # noqa: E402
from monitor.windows.segment_series import SegmentSeries  # noqa: E402

DAYS = 7
"""Days that a feature lives, from its first event on."""
TRAFFIC, FAILING = (20, 200, 1000), (0.002, 0.01, 0.05)
LIVES = 264  # of a cell and round: 1,848 days
EARLY_SHARE = 1000.0
"""The statistic is counted when it reaches this part of its bound, which chance can show."""
ERROR_LIMIT, FLOOR = 0.02, 0.5  # the default thresholds on failures
SHOWN = ("days", "marked", "pages", "early", "cpu_s")


class Sampling(NamedTuple):
    """How one segment is sampled: its share of the calls, and the probabilities of errors, of other calls, and
    of the text of a call that is sent.
    """

    share: float
    of_errors: float
    of_others: float
    of_text: float = 1.0


DESIGNS: dict[str, tuple[Sampling, ...]] = {
    **{f"all at {p:g}": (Sampling(1, p, p),) for p in (1.0, 0.1, 0.01, 0.001)},
    **{f"errors at 1, others at {p:g}": (Sampling(1, 1.0, p),) for p in (0.1, 0.01, 0.001)},
    "fleet at 0.001, canary (1 %) at 1": (Sampling(0.99, 0.001, 0.001), Sampling(0.01, 1.0, 1.0)),
    "texts at 0.1 (q)": (Sampling(1, 1.0, 1.0, 0.1),),
}


class Cell(NamedTuple):
    """One design at one traffic (calls a minute) and failure rate."""

    design: str
    calls: int
    failing: float

    @property
    def rates(self) -> tuple[float, float]:
        """Rates of errors and of refusals: at most 1 % are errors, for the default threshold is 2 %."""
        errors = self.failing / 2 if self.design.startswith("texts") else self.failing
        errors = min(errors, 0.01)
        return errors, self.failing - errors


class Day(NamedTuple):
    """Sampled events of a day, shape (minutes, segments, lives): errors, refusals, answers whose text was read
    and passed, and answers without text.
    """

    errors: Counts
    refused: Counts
    passed: Counts
    unread: Counts


def drawn(cell: Cell, lives: int, key: tuple[int, ...]) -> Day:
    """Draw a day of a cell; ``key``: seed, round, day."""
    rng = np.random.default_rng(
        [*key, list(DESIGNS).index(cell.design), cell.calls, round(cell.failing * 1e4)]
    )
    errors, refusals = cell.rates
    kinds = []
    for s in DESIGNS[cell.design]:
        calls = cell.calls * s.share
        read = calls * s.of_others * s.of_text
        means = (
            calls * errors * s.of_errors,
            read * refusals,
            read * (1 - errors - refusals),
            calls * (1 - errors) * s.of_others * (1 - s.of_text),
        )
        kinds.append([rng.poisson(mean, (MINUTES, lives)).astype(np.int16) for mean in means])
    return Day(*(np.stack(columns, 1) for columns in zip(*kinds, strict=True)))


class SampledFeature(Feature):
    """A feature of the core that is fed with the counts of a life."""

    def __init__(self, cell: Cell) -> None:
        self.samplings = DESIGNS[cell.design]
        super().__init__("sampled", len(self.samplings), tickets=False)

    def count_minute(self, start_us: int, counts: Floats) -> None:
        """Count one minute; ``counts``: shape (4, segments), in the order of ``Day``."""
        feature, responses = self.partition_state.feature(self.key), int(counts.sum())
        for sampling, key, column in zip(self.samplings, self.keys, counts.T.tolist(), strict=True):
            errors, refused, passed, unread = column
            if not any(column):
                continue
            segment = feature.segments.get(key) or feature.segments.setdefault(key, SegmentSeries(key))
            pane = self.partition_state.pane(feature, segment, start_us)
            pane.events += sum(column)
            call, text = to_ppm(sampling.of_others), to_ppm(sampling.of_others * sampling.of_text)
            error = to_ppm(sampling.of_errors)
            for name in ("error_rate", "evaluator.error.fail_rate", "pass_rate"):
                rate = pane.rate(name)
                if errors:
                    rate.add(error, errors, errors)
                    if error != call:
                        rate.add(call, 0, 0)  # the SDK states it as ``base_probability``
                if name == "pass_rate":
                    rate.add(text, refused + passed, refused)
                else:
                    rate.add(call, refused + passed + unread, 0)
            if refused + passed:
                pane.rate("evaluator.refusal.fail_rate").add(text, refused + passed, refused)
        if responses:
            feature.first_us = feature.first_us or start_us
            feature.received["response"] = feature.received.get("response", 0) + responses
            feature.count_arrivals(start_us, responses, self.partition_state.pane_us)


def pages_of(cell: Cell, days: Iterator[Day], life: int) -> list[dict[str, Any]]:
    """Run one life through the core; return its pages."""
    feature, known, pages = SampledFeature(cell), set(), []
    for nth, day in enumerate(days):
        counts = np.stack([kind[:, :, life] for kind in day], 1)
        for minute, row in enumerate(counts):
            start_us = START_US + (nth * MINUTES + minute) * MINUTE_US
            feature.count_minute(start_us, row)
            for episode in feature.close(start_us + MINUTE_US):
                if episode["urgency"] == "high" and episode["episode_id"] not in known:
                    known.add(episode["episode_id"])
                    rules = sorted(item["rule"] for item in episode["incidents"])
                    pages.append({"minute": nth * MINUTES + minute, "rules": rules})
    return pages


Key = tuple[str, int | None]
"""A rate, and the segment; None: the whole feature."""


class SeriesCounts(NamedTuple):
    """Events and failures of one rate of one level, shape (minutes, lives, classes), and the classes present."""

    events: Counts
    failed: Counts
    present: Bools


def weights_of(design: str) -> list[float]:
    """Return the weights of all events of a design."""
    return sorted({
        1 / p for s in DESIGNS[design] for p in (s.of_errors, s.of_others, s.of_others * s.of_text)
    })  # fmt: skip


def series_of(cell: Cell, day: Day) -> dict[Key, SeriesCounts]:
    """Return the rates of a day: (metric, segment; None: the feature) -> counts. Rates that equal another of
    the same feature, and those that nothing fails, are left out.
    """
    samplings, weights = DESIGNS[cell.design], weights_of(cell.design)
    metrics = ["error"] if not cell.rates[1] else ["error", "refusal", "pass"]
    out: dict[Key, SeriesCounts] = {}
    for metric in metrics:
        for nth, s in enumerate(samplings):
            shape = (*day.errors[:, nth].shape, len(weights))
            events, failed, present = (
                np.zeros(shape, np.int32),
                np.zeros(shape, np.int32),
                np.zeros(shape, bool),
            )
            error, call, text = (
                weights.index(1 / p) for p in (s.of_errors, s.of_others, s.of_others * s.of_text)
            )
            errors, read = day.errors[:, nth], day.refused[:, nth] + day.passed[:, nth]
            if metric != "refusal":
                events[..., error] += errors
                failed[..., error] += errors
                present[..., call] |= errors > 0
            if metric == "error":
                events[..., call] += read + day.unread[:, nth]
            else:
                events[..., text] += read
                failed[..., text] += day.refused[:, nth]
            out[metric, nth] = SeriesCounts(events, failed, present | (events > 0))
        parts = [out[metric, nth] for nth in range(len(samplings))]
        if len(parts) > 1:
            out[metric, None] = SeriesCounts(
                sum(part.events for part in parts),  # type: ignore[arg-type]
                sum(part.failed for part in parts),  # type: ignore[arg-type]
                np.logical_or.reduce([part.present for part in parts]),
            )
    return out


class Screen:
    """Screens the lives of cells of one design, day by day. All their series are in one bank."""

    def __init__(self, cells: Sequence[Cell], lives: int) -> None:
        self.cells, self.lives = cells, lives
        self.weights = weights_of(cells[0].design)
        self.keys: list[tuple[Cell, Key]] = []
        self.bank = BaselineBank(0, self.weights)
        self.largest = self.blocks = np.zeros(0)
        self._days: list[dict[tuple[Cell, Key], SeriesCounts]] = []
        self._responses: dict[Cell, list[Counts]] = {cell: [] for cell in cells}

    def add(self, nth: int, days: Sequence[Day]) -> None:
        """Feed one day of each cell to the baselines, and keep its counts for ``marked``."""
        series = {
            (cell, key): counts
            for cell, day in zip(self.cells, days, strict=True)
            for key, counts in series_of(cell, day).items()
        }
        if not self.keys:
            self.keys, streams = list(series), len(series) * self.lives
            self.bank = BaselineBank(streams, self.weights)
            self.largest, self.blocks = np.zeros((2, streams))
        events, failed, present = (
            np.concatenate(parts, 1) for parts in zip(*(series[key] for key in self.keys), strict=True)
        )
        for minute in range(len(events)):
            rows, statistic = self.bank.feed(
                nth * MINUTES + minute + 1, events[minute], failed[minute], present[minute]
            )
            self.largest[rows] = np.maximum(self.largest[rows], statistic)
            self.blocks[rows] += 1
        self._days.append({key: counts for key, counts in series.items() if key[1][0] != "refusal"})
        for cell, day in zip(self.cells, days, strict=True):
            self._responses[cell].append(sum(kind.sum(1) for kind in day))  # type: ignore[arg-type]

    def marked(self, cell: Cell) -> Bools:
        """Return the lives of a cell that might page."""
        marked = may_be_silent(np.concatenate(self._responses[cell]))
        marked |= (self._of(self.largest, cell) >= self.bank.bound / 2).any(0)
        own = [key for key in self._days[0] if key[0] == cell]
        has_pass_rate = any(metric == "pass" for _, (metric, _) in own)
        for key in own:
            events, failed, present = (
                np.concatenate(parts) for parts in zip(*(day[key] for day in self._days), strict=True)
            )
            heaviest = np.where(np.logical_or.accumulate(present, 0), self.weights, 0.0).max(2)
            is_error = key[1][0] == "error"
            limits = [ERROR_LIMIT] if is_error else [FLOOR]
            if is_error and not has_pass_rate:
                limits.append(FLOOR)  # the failures of both rates are the same
            for limit in limits:
                marked |= may_breach(events, failed, self.weights, limit, heaviest)
        return marked

    def count(self, cell: Cell) -> tuple[int, int]:
        """Return the blocks of a cell, and in how many series and lives the statistic reached
        ``1 / EARLY_SHARE`` of its bound.
        """
        early = self._of(self.largest, cell) >= self.bank.bound / EARLY_SHARE
        return int(self._of(self.blocks, cell).sum()), int(early.sum())

    def _of(self, column: Floats, cell: Cell) -> Floats:
        chosen = [nth for nth, (owner, _) in enumerate(self.keys) if owner == cell]
        return column.reshape(len(self.keys), self.lives)[chosen]


def run_cells(
    cells: Sequence[Cell], lives: int, seed: int, nth_round: int, checked: int, days: int = DAYS
) -> list[dict[str, Any]]:
    """Simulate one round of some cells of one design."""
    begun, screen, out = time.process_time(), Screen(cells, lives), []
    for nth in range(days):
        screen.add(nth, [drawn(cell, lives, (seed, nth_round, nth)) for cell in cells])
    for cell in cells:
        marked = screen.marked(cell)
        rng = np.random.default_rng([seed, nth_round])
        others = rng.permutation(np.flatnonzero(~marked))[:checked]
        pages = []
        for life in [*np.flatnonzero(marked), *others]:
            drawn_days = (drawn(cell, lives, (seed, nth_round, nth)) for nth in range(days))
            found = pages_of(cell, drawn_days, int(life))
            assert marked[life] or not found, (cell, life, found)
            pages += [{"life": int(life), "round": nth_round, **page} for page in found]
        blocks, early = screen.count(cell)
        out.append({
            "days": lives * days,
            "pages": pages,
            "marked": int(marked.sum()),
            "checked": len(others),
            "blocks": blocks,
            "early": early,
            "cpu_s": round((time.process_time() - begun) / len(cells), 1),
            "rounds": 1,
        })  # fmt: skip
    return out


def name_of(cell: Cell) -> str:
    return f"{cell.design} | {cell.calls} | {cell.failing:g}"


def merged(total: dict[str, Any] | None, new: dict[str, Any]) -> dict[str, Any]:
    return new if total is None else {key: total[key] + new[key] for key in new}


def in_thousand(rows: Sequence[dict[str, Any]]) -> tuple[float, float, float]:
    """Return the pages in 1,000 feature-days of some cells, with their 95 % interval."""
    days, pages = sum(row["days"] for row in rows), sum(len(row["pages"]) for row in rows)
    low, high = interval(pages)
    return 1000 * pages / days, 1000 * low / days, 1000 * high / days


def table(done: dict[str, dict[str, Any]]) -> str:
    """Return the table: designs and traffic by failure rate."""
    allowed = EARLY_SHARE / BaselineBank(1, [1.0]).bound
    lines = [
        f"| design | calls a minute | {' | '.join(f'{failing:.1%} fail' for failing in FAILING)} | detector:"
        " found / allowed |",
        "|---|---:|" + "---|" * len(FAILING) + "---|",
    ]
    for design, calls in itertools.product(DESIGNS, TRAFFIC):
        rows = [done.get(name_of(Cell(design, calls, failing))) for failing in FAILING]
        if not any(rows):
            continue
        shown = [
            f"{len(row['pages'])} of {row['days']:,} ({low:.2g} to {high:.2g})"
            for row in rows
            if row
            for _, low, high in [in_thousand([row])]
        ]
        early, blocks = (sum(row[name] for row in rows if row) for name in ("early", "blocks"))
        lines.append(f"| {design} | {calls} | {' | '.join(shown)} | {early} / {blocks * allowed:.1f} |")
    days = sum(row["days"] for row in done.values())
    rate, low, high = in_thousand(list(done.values()))
    lines.append(
        f"\n{days:,} feature-days: {rate:.2g} false pages in 1,000 ({low:.2g} to {high:.2g} at 95 %)."
    )
    return "\n".join(lines)


def broken(done: dict[str, dict[str, Any]]) -> list[str]:
    """Return the cells that page more often than once in 1,000 feature-days, beyond chance."""
    return [name for name, row in done.items() if in_thousand([row])[1] > 1]


def cells(pattern: str = "") -> list[Cell]:
    return [
        Cell(design, calls, failing)
        for design in DESIGNS
        if pattern in design
        for calls in TRAFFIC
        for failing in FAILING
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--append", type=Path, default=ROOT / ".cache" / "sampled_pages.json")
    parser.add_argument("--design", default="", help="only designs whose name contains this")
    parser.add_argument("--lives", type=int, default=LIVES, help="lives of a cell, seven days each")
    parser.add_argument("--checked", type=int, default=0, help="lives without a mark for the core, by cell")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=1, help="rounds that each cell has at the end")
    parser.add_argument("--table", action="store_true", help="print what was run before")
    options = parser.parse_args()
    path: Path = options.append
    done = json.loads(path.read_text()) if path.exists() else {}
    for nth_round, design, calls in itertools.product(range(options.rounds), DESIGNS, TRAFFIC):
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
    if found := broken(done):
        sys.exit(f"more than one false page in 1,000 feature-days: {found}")


if __name__ == "__main__":
    main()
