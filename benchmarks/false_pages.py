"""Count the pages of the default configuration on features in which nothing is wrong.

Prints the table of docs/statistics.md, "False pages of the default configuration". Use with ``nice -n 19``:

    python benchmarks/false_pages.py --days 500                      high urgency, without the drift rule
    python benchmarks/false_pages.py --days 500 --append pages.json  the next 500, added to an earlier run
    python benchmarks/false_pages.py --days 500 --all                every life through the core, unscreened
    python benchmarks/false_pages.py --tickets --days 28             every episode, with drift

Counts are drawn by numpy. ``benchmarks/shape_screen.py`` finds the lives that might page; only these run through
the core, and only the core's pages count. The core is fed without JSON: each minute's pane of a feature is marked
as the ingestor marks it, then its edge is closed. Windows are not written: they cost most and nothing reads
them. A feature lives seven days and learns on the first; one with a weekly cycle lives longer, and counts from
its ninth day on, when its week is known.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from multiprocessing import Pool
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "sdk")]

from benchmarks.shape_screen import marked_lives  # noqa: E402 - after the path is set
from monitor.alerts.pane_close import PaneCloser  # noqa: E402
from monitor.protocol.messages import Outputs  # noqa: E402
from monitor.state.partition_state import PartitionState  # noqa: E402 after the path
from monitor.stats.exponential_buckets import bucket_codes  # noqa: E402
from monitor.stats.number_summary import NumberSummary  # noqa: E402
from monitor.stats.sampling_weights import MILLION  # noqa: E402
from monitor.windows.feature_series import FeatureState  # noqa: E402
from monitor.windows.segment_keys import FeatureKey, SegmentKey  # noqa: E402
from monitor.windows.segment_series import SegmentSeries  # noqa: E402
from schemas.config.monitor_config import Config  # noqa: E402
from schemas.config.rules import DEFAULT_RULES  # noqa: E402

MINUTES = 1440  # of a day
BATCH = 66  # lives that are screened together
MINUTE_US, START_US = 60_000_000, 1_772_409_600_000_000  # 2 March 2026, a Monday
DISPERSION = 0.002  # correlation of the outcomes of one minute, beta-binomial
# healthy rates, and the most that they may come to together
ERRORS, FAILURES, IN_ALL = (0.002, 0.01), (0.002, 0.1), 0.25
# gating by default, beside `error`
EVALUATORS = ("outcome", "empty", "refusal", "truncation", "content_filter", "known_failure")
PROMISE = 1.0  # in 1,000 feature-days
QUANTITIES = {  # name -> median in integer units, spread of the logarithm
    "duration_s": (2e6, 0.6),
    "output_tokens": (200, 1.0),
    "input_tokens": (800, 0.7),
    "cost_usd": (5e6, 0.9),
    "time_to_first_token_s": (4e5, 0.5),
}
# and the share of zeros
INFLATED = {
    "cached_input_tokens": (512, 0.5, 0.5),
    "reasoning_tokens": (300, 1.0, 0.7),
    "tool_calls": (1.5, 0.4, 0.8),
}

Counts = np.ndarray[Any, np.dtype[np.int64]]


class Shape(NamedTuple):
    """One kind of healthy traffic.

    ``a_minute``: calls, log-uniform over features; ``volume``, ``rates``: how far the day takes volume, and
    rates and numbers, up and down;
    ``bursts``: by how much volume is multiplied now and then; ``grain``: shape of the gamma by which minutes
    differ, 0: not at all;
    ``night``: hours without traffic, and ``dusk``: hours in which it fades out and comes back; ``every``: all
    calls come in one minute of so many;
    ``zeros``: share of the evaluators that nothing ever fails, and numbers that are mostly zero;
    ``office``: calls only Monday to Friday, 8 to 18 h; ``weekend``: factor on failures on Saturday and Sunday;
    ``days``: of a life; ``learns``: days at its beginning that do not count.
    """

    a_minute: tuple[float, float]
    volume: float = 0.0
    rates: float = 0.0
    bursts: float = 1.0
    grain: float = 0.0
    night: int = 0
    dusk: float = 0.0
    every: int = 1
    zeros: float = 0.0
    office: bool = False
    weekend: float = 1.0
    days: int = 7
    learns: int = 0


SHAPES = {
    "log-normal": Shape((10, 100)),
    "zero-inflated": Shape((10, 100), zeros=0.6),
    "daily cycle, rates ± 20 %": Shape((10, 300), volume=0.8, rates=0.2),
    "daily cycle, rates ± 10 %": Shape((10, 300), volume=0.8, rates=0.1),
    "bursty": Shape((3, 30), bursts=15.0, grain=2.0),
    "nights without traffic": Shape((5, 100), night=8, dusk=3),
    "low volume": Shape((1, 1)),
    "high volume": Shape((500, 2000), grain=50.0),
    "office hours": Shape((10, 100), office=True, days=22, learns=8),
    "failures × 3 at weekends": Shape((10, 100), weekend=3.0, days=36, learns=8),
}
APART = {
    "opening hours, 16 a day": Shape((5, 100), night=8),
    "a batch every 10 minutes": Shape((5, 100), every=10),
}
"""Healthy too, and known to page: see docs/statistics.md. Run only where ``--shape`` names them, and left out of the sum."""
ALL = SHAPES | APART


class Quiet(PaneCloser):
    """The edges of the core, which write no windows."""

    def _write_window(self, *_: Any) -> None:
        pass


class Life(NamedTuple):
    """What a feature is sent: calls (minutes, segments), failures of error and each evaluator (minutes, 7,
    segments), where in the day (minutes,).
    """

    calls: Counts
    failures: Counts
    cycle: np.ndarray[Any, np.dtype[np.float64]]
    told: dict[str, Any]


def drawn(shape: Shape, rng: np.random.Generator, days: int) -> Life:
    minute_index, phase = np.arange(days * MINUTES), rng.uniform(0, 1)
    cycle = np.sin(2 * np.pi * (minute_index / MINUTES + phase))
    base = float(np.exp(rng.uniform(*np.log(shape.a_minute))))
    expected = base * (1 + shape.volume * cycle)
    if shape.bursts > 1:
        # one in three hours, of a quarter of an hour on average
        for begin in np.flatnonzero(rng.random(len(minute_index)) < 1 / 180):
            expected[begin : begin + rng.geometric(1 / 15)] = base * shape.bursts
    if shape.grain:
        expected = expected * rng.gamma(shape.grain, 1 / shape.grain, len(minute_index))
    if shape.night:
        hour = (minute_index / 60 + phase * 24) % 24 - shape.night  # of the day that follows the night
        expected = expected * np.where(
            hour < 0, 0, np.clip(np.minimum(hour, 24 - shape.night - hour) / max(shape.dusk, 1e-9), 0, 1)
        )
    expected = expected * shape.every * ((minute_index + int(phase * shape.every)) % shape.every == 0)
    weekday, week = np.zeros(len(minute_index), int), np.ones(len(minute_index))
    if shape.office or shape.weekend != 1:  # born on any day of the week, with office hours at 8 h
        start = int(rng.integers(5 if shape.office else 7)) * MINUTES + (480 if shape.office else 0)
        weekday, hour = (start + minute_index) // MINUTES % 7, (start + minute_index) % MINUTES / 60
        week = np.where(weekday < 5, 1 / shape.weekend, 1.0)
        expected = expected * ((weekday < 5) & (hour >= 8) & (hour < 18) if shape.office else 1)
    segments = int(rng.integers(1, 4))
    calls = rng.multinomial(rng.poisson(expected), rng.dirichlet(np.full(segments, 4.0)))
    rates = np.exp([rng.uniform(*np.log(item)) for item in (ERRORS, *[FAILURES] * len(EVALUATORS))])
    rates[1:] *= (rng.random(len(EVALUATORS)) >= shape.zeros) * min(1.0, IN_ALL / rates.sum())
    unlike = rng.lognormal(0, 0.2, segments)
    failures, left = np.zeros((len(minute_index), len(rates), segments), np.int64), calls.copy()
    for nth, rate in enumerate(rates):
        if rate:
            mean = rate * (1 + shape.rates * cycle) * week
            minute = rng.beta(mean * (1 / DISPERSION - 1), (1 - mean) * (1 / DISPERSION - 1))
            failures[:, nth] = rng.binomial(
                left, np.minimum(1, minute[:, None] * (unlike if nth else np.ones(segments)))
            )
            left -= failures[:, nth]
    told = {
        "a_minute": round(base, 1),
        "segments": segments,
        "rates": [round(float(rate), 4) for rate in rates],
    }
    return Life(calls, failures, shape.rates * cycle, told)


def numbers(
    calls: Counts, cycle: Any, shape: Shape, rng: np.random.Generator
) -> list[dict[str, NumberSummary]]:
    """The numbers of each minute of one segment."""
    minute = np.repeat(np.arange(len(calls)), calls)
    common = rng.normal(0, 1, len(minute))  # what makes an answer long makes it slow and dear
    shared, swing = rng.normal(0, 0.03, len(calls))[minute], np.log1p(cycle)[minute]
    out: list[dict[str, NumberSummary]] = [{} for _ in calls]
    kinds: dict[str, tuple[float, float, float]] = {name: (*of, 0.0) for name, of in QUANTITIES.items()} | (
        INFLATED if shape.zeros else {}
    )
    for name, (middle, spread, zeros) in kinds.items():
        noise = 0.7 * common + 0.714 * rng.normal(0, 1, len(minute))
        values = np.rint(middle * np.exp(spread * noise + shared + swing)).astype(np.int64) * (
            rng.random(len(minute)) >= zeros
        )
        order = np.lexsort((codes := bucket_codes(values), minute))
        keys = minute[order] * 8192 + codes[order] + 4096
        firsts = np.flatnonzero(np.diff(keys, prepend=-1))
        buckets: list[dict[int, int]] = [{} for _ in calls]
        for key, n in zip(keys[firsts].tolist(), np.diff(firsts, append=len(keys)).tolist(), strict=True):
            buckets[key // 8192][key % 8192 - 4096] = n
        sums = np.bincount(minute, values, len(calls)).astype(np.int64).tolist()
        for day_numbers, n, total, of in zip(out, calls.tolist(), sums, buckets, strict=True):
            if n:
                day_numbers[name] = NumberSummary()
                day_numbers[name].add(MILLION, n, total, of)
    return out


class Feature:
    """One feature in a book of its own, with its segments."""

    def __init__(self, name: str, segments: int, *, tickets: bool) -> None:
        config = Config() if tickets else Config(default_rules=False, rules=DEFAULT_RULES)
        self.partition_state, self.key = (
            PartitionState(config.time.pane_us, "simulated"),
            FeatureKey("simulated", name, "production"),
        )
        self.edges = Quiet(config, self.partition_state)
        self.keys = [SegmentKey(f"model-{nth}", "1") for nth in range(segments)]

    def count(
        self,
        start_us: int,
        calls: list[int],
        failures: list[list[int]],
        day_numbers: list[dict[str, NumberSummary]] | None,
    ) -> None:
        """One minute's pane of each segment, as ``monitor.ingest.ingestor`` and
        ``monitor.ingest.aggregation`` would leave it.
        """
        feature = self.partition_state.feature(self.key)
        for nth, n in enumerate(calls):
            if n:
                segment = feature.segments.get(self.keys[nth]) or feature.segments.setdefault(
                    self.keys[nth], SegmentSeries(self.keys[nth])
                )
                self._pane(
                    feature,
                    segment,
                    start_us,
                    n,
                    [row[nth] for row in failures],
                    day_numbers[nth] if day_numbers else None,
                )
        if total := sum(calls):
            feature.first_us = feature.first_us or start_us
            feature.received["response"] = feature.received.get("response", 0) + total
            feature.count_arrivals(start_us, total, self.partition_state.pane_us)

    def _pane(
        self,
        feature: FeatureState,
        segment: SegmentSeries,
        start_us: int,
        n: int,
        failed: list[int],
        day_numbers: dict[str, NumberSummary] | None,
    ) -> None:
        pane = self.partition_state.pane(feature, segment, start_us)
        pane.events += n
        pane.rate("error_rate").add(MILLION, n, failed[0])
        pane.rate("evaluator.error.fail_rate").add(MILLION, n, failed[0])
        pane.rate("pass_rate").add(MILLION, n, sum(failed))
        if answered := n - failed[0]:
            for name, f in zip(EVALUATORS, failed[1:], strict=True):
                pane.rate(f"evaluator.{name}.fail_rate").add(MILLION, answered, f)
        if day_numbers is None:
            return
        pane.numbers |= day_numbers
        finished = {
            "length": failed[4],
            "content_filter": failed[5],
            "stop": answered - failed[4] - failed[5],
        }
        for name, counts in {
            "finish_reason": finished,
            "response_model": {segment.key.model: n},
            "provider": {"openai": n},
            "error_type": {"timeout": failed[0]},
            "outcome": {"parse_error": failed[1]},
        }.items():
            if any(counts.values()):
                pane.category(name).add(MILLION, counts)

    def close(self, edge_us: int) -> Iterator[dict[str, Any]]:
        """Close an edge; gives the episodes that were written."""
        out = Outputs()
        self.edges.close(edge_us, None, out)
        for message in out.messages.get("alerts", ()):
            record = json.loads(message.value)
            if record["record"] == "episode":
                yield record


Task = tuple[str, int, int, bool]
"""Shape, number of the feature, seed, whether tickets count."""


def rng_of(task: Task) -> np.random.Generator:
    name, number, seed, _ = task
    return np.random.default_rng([seed, list(ALL).index(name), number])


def run_batch(batch: tuple[list[Task], bool]) -> list[dict[str, Any]]:
    """Run features of one shape. Where ``is_screened``, those that cannot page are not run through the core."""
    tasks, is_screened = batch
    shape, begun = ALL[tasks[0][0]], time.process_time()
    marked = np.ones(len(tasks), bool)
    if is_screened:
        lives = [drawn(shape, rng_of(task), shape.days) for task in tasks]
        counts = [(life.calls, life.failures) for life in lives]
        marked = marked_lives(counts, START_US, Config().no_data, shape.learns * MINUTES)
    screen_s = (time.process_time() - begun) / len(tasks)
    return [
        (lived(task) if is_marked else {"shape": task[0], "number": task[1], "found": [], "cpu_s": 0.0})
        | {"screen_s": screen_s, "marked": int(is_marked)}
        for task, is_marked in zip(tasks, marked.tolist(), strict=True)
    ]


def lived(task: Task) -> dict[str, Any]:
    """The life of one feature, and what was found wrong with it."""
    name, number, _, tickets = task
    shape, begun = ALL[name], time.process_time()
    gc.disable()  # nothing here is a cycle
    rng = rng_of(task)
    life = drawn(shape, rng, shape.days)
    feature, episodes, known = Feature(f"{name} {number}", life.calls.shape[1], tickets=tickets), [], set()
    day_numbers: list[list[dict[str, NumberSummary]]] = []
    for minute_index, (calls, failures) in enumerate(zip(life.calls, life.failures, strict=True)):
        if tickets and minute_index % MINUTES == 0:
            day = slice(minute_index, minute_index + MINUTES)
            day_numbers = [
                numbers(life.calls[day, nth], life.cycle[day], shape, rng)
                for nth in range(life.calls.shape[1])
            ]
        start_us = START_US + minute_index * MINUTE_US
        feature.count(
            start_us,
            calls.tolist(),
            failures.tolist(),
            [item[minute_index % MINUTES] for item in day_numbers] if day_numbers else None,
        )
        for episode in feature.close(start_us + MINUTE_US):
            is_new = (episode["episode_id"], episode["urgency"]) not in known and (
                tickets or episode["urgency"] == "high"
            )
            if is_new and episode["state"] != "resolved" and minute_index >= shape.learns * MINUTES:
                known.add((episode["episode_id"], episode["urgency"]))
                episodes.append(
                    {
                        "shape": name,
                        "number": number,
                        "minute": minute_index,
                        "urgency": episode["urgency"],
                        "incidents": [
                            {key: item[key] for key in ("rule", "severity", "level", "model", "evidence")}
                            for item in episode["incidents"]
                            if item["state"] == "firing"
                        ],
                    }
                    | life.told
                )
    return {"shape": name, "number": number, "found": episodes, "cpu_s": time.process_time() - begun}


def interval(n: int) -> tuple[float, float]:
    """Exact 95 % interval of a Poisson mean. Source: Garwood, Biometrika 28 (1936)."""
    from scipy.special import gammaincinv

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
    what, promised = ("episodes", "—") if done["tickets"] else ("false pages", f"≤ {PROMISE:g}")
    lines = [
        (
            f"| shape | feature-days | {what} | of them on a first day | in 1,000 feature-days (95 %) |"
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


def main() -> None:
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
    options = parser.parse_args()
    done: dict[str, Any] = {
        "seed": options.seed,
        "tickets": options.tickets,
        "features": {},
        "found": [],
        "cpu_s": 0.0,
    }
    if options.append and options.append.exists():
        done = json.loads(options.append.read_text())
        if (done["seed"], done["tickets"]) != (options.seed, options.tickets):
            parser.error(
                f"{options.append} was run with --seed {done['seed']} and"
                f" {'--tickets' if done['tickets'] else 'without --tickets'}"
            )
    names = options.shape or list(SHAPES)
    ahead, by_shape = dict(done["features"]), dict[str, list[Task]]()
    days = 0
    while days < options.days:
        name = min(names, key=lambda name: (days_of({name: ahead.get(name, 0)}), names.index(name)))
        by_shape.setdefault(name, []).append((name, ahead.get(name, 0), options.seed, options.tickets))
        ahead[name] = ahead.get(name, 0) + 1
        days += ALL[name].days - ALL[name].learns
    batches = []
    for name, tasks in by_shape.items():
        # in the first week of a weekly cycle the rate does rise, so only the core knows what follows
        is_screened = not options.all and not options.tickets and ALL[name].weekend == 1
        size = BATCH if is_screened else 1
        batches += [(tasks[first : first + size], is_screened) for first in range(0, len(tasks), size)]
    with Pool(options.jobs) as pool:
        # in order, so that what is stopped is continued where it was
        for nth, results in enumerate(pool.imap(run_batch, batches), 1):
            for result in results:
                done["features"][result["shape"]] = done["features"].get(result["shape"], 0) + 1
                done["found"] += result["found"]
                done["cpu_s"] += result["cpu_s"] + result["screen_s"]
                done["marked"] = done.get("marked", 0) + result["marked"]
            if options.append:
                fresh = options.append.with_suffix(".new")
                fresh.write_text(json.dumps(done, indent=1))
                fresh.replace(options.append)
            found, marked = (sum(map(count, results)) for count in (_found, _marked))
            shown = f"{results[0]['shape']}, {len(results)} features, {marked} marked, {found} found"
            print(f"{nth} of {len(batches)}: {shown}", file=sys.stderr, flush=True)
    print(table(done))
    print(
        f"\nSeed {done['seed']}; {done['cpu_s'] / max(1, days_of(done['features'])):.2f} s of CPU"
        f" a feature-day; {done.get('marked', 0)} features ran through the core."
    )


def _found(result: dict[str, Any]) -> int:
    return len(result["found"])


def _marked(result: dict[str, Any]) -> int:
    return int(result["marked"])


if __name__ == "__main__":
    main()
