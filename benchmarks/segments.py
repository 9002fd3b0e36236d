"""Cost of many segments with few events each: CPU an event and an edge, memory, share of a core.

Each cell runs the whole core (``Watch``) without Kafka in a process of its own, as a worker that catches up:
bundles of 5,000 events, state encoded every ten bundles, one edge a minute. ``--live`` measures a worker that
has caught up: a bundle a second, state encoded every five. Events are made outside the measured time; each has
texts of its own, an input of 8 words and an answer of 20. ``--real-texts`` takes the answers of LLMDrift.

A cell of more than ``--most`` segment-minutes runs with fewer segments, as the column *measured with* says. Its
figures for an event, an edge and a segment are those of the segments that ran; the share of a core is scaled.

``--before CHECKOUT`` runs each cell there too, in turn with this checkout, and prints the ratios.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType

from benchmarks.event_generator import WORDS, Row, rows
from benchmarks.markdown_table import print_table
from monitor.protocol.messages import FileRecord
from monitor.watch import Watch
from schemas.config.monitor_config import Config

ROOT = Path(__file__).resolve().parents[1]
START_S = 1_772_441_940  # 2 March 2026, 08:59 UTC
MAX_BUNDLE = 5000
AVERAGED_MINUTES = 5  # the length of a text block, because text drift is tested once a block
LATE_MINUTES = 20  # late events are 1 to 20 minutes late
MINUTE_US = 60_000_000
# The product is that of the checkout, the modules of this folder are always these.
CELL = f"""import runpy, benchmarks
benchmarks.__path__ = [{str(ROOT / "benchmarks")!r}]
runpy.run_module("benchmarks.segments", run_name="__main__")"""
FIGURES = ("event_us", "edge_ms", "segment_kb", "core_share")
HEADS = ("µs an event", "ms an edge and segment", "kB a segment", "share of a core")


class Traffic:
    """Events of ``segments`` segments, one minute after the other; equal arguments give equal events."""

    def __init__(
        self, segments: int, per_feature: int, per_minute: int, late: float, *, real_texts: bool
    ) -> None:
        self._rng = random.Random(1)
        self._per_feature = min(per_feature, segments)
        self._features = segments // self._per_feature
        self._events = segments * per_minute
        self._late = late
        self._calls: list[Row] = rows(self._rng)[0] if real_texts else []

    def minute(self, number: int, bundles: int, start_s: int = START_S) -> Iterator[list[FileRecord]]:
        """Yield the events of a minute in at least so many bundles. ``start_s``: of the first minute."""
        rng = self._rng
        offset, values = number * self._events, []
        for index in range(self._events):
            feature, segment = rng.randrange(self._features), rng.randrange(self._per_feature)
            late_s = 60 * rng.randrange(1, LATE_MINUTES) if self._late and rng.random() < self._late else 0
            time_ms = 1000 * (start_s + 60 * number - late_s) + 60_000 * index // self._events
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time_ms // 1000))
            head = (
                f'{{"kind":"response","event_id":"{rng.getrandbits(64):016x}",'
                f'"time":"{stamp}.{time_ms % 1000:03d}Z","service":"service-{feature % 7}",'
                f'"feature":"feature-{feature}","model":"model-{segment % 4}",'
                f'"prompt_version":"{segment // 4}",'
            )
            values.append((head + _body(self._call())).encode())
        size = min(MAX_BUNDLE, -(-len(values) // bundles))
        for first in range(0, len(values), size):
            yield [
                FileRecord(value, offset + first + index)
                for index, value in enumerate(values[first : first + size])
            ]

    def _call(self) -> Row:
        rng = self._rng
        if self._calls:
            return rng.choice(self._calls)
        answer = " ".join(rng.choices(WORDS, k=20))
        return (
            "model",
            " ".join(rng.choices(WORDS, k=8)),
            answer,
            rng.lognormvariate(0, 0.6),
            len(answer) // 4,
        )


def _body(row: Row) -> str:
    """Return the fields of an event that do not depend on its segment, as the rest of a JSON object."""
    model, query, answer, seconds, tokens = row
    rest = {
        "provider": "openai",
        "response_model": model,
        "input": query,
        "output": answer,
        "input_tokens": len(query) // 4,
        "output_tokens": tokens,
        "duration_s": round(seconds, 4),
        "finish_reason": "stop",
        "session_id": "7f3a2b10",
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    }
    return json.dumps(rest, ensure_ascii=False)[1:]


def size_kb(root: object) -> float:
    """Return the size of all objects that are reachable from ``root``, without code and configuration."""
    shared = (type, ModuleType, FunctionType, BuiltinFunctionType, MethodType, CodeType, Config)
    size, stack, seen = 0, [root], set()
    while stack:
        value = stack.pop()
        if id(value) in seen or isinstance(value, shared):
            continue
        seen.add(id(value))
        size += sys.getsizeof(value)
        stack.extend(gc.get_referents(value))
    return size / 1000


def _warm_up(options: argparse.Namespace) -> None:
    """Evaluate 10,000 events, so that patterns and the languages of texts are loaded and cost nothing later."""
    traffic = Traffic(1000, options.per_feature, 10, 0.0, real_texts=options.real_texts)
    watch = Watch(Config(), 0, 1)
    for bundle in traffic.minute(0, 1):
        watch.apply(bundle)


def measure(options: argparse.Namespace) -> Iterator[dict[str, float]]:
    """Run one cell; yield its figures at each length of history, averaged over the last minutes."""
    segments = options.segments[0]
    bundles, per_checkpoint = (60, 5) if options.live else (1, 10)
    traffic = Traffic(
        segments, options.per_feature, options.events[0], options.late[0], real_texts=options.real_texts
    )
    watch = Watch(Config(), 0, 1)
    _warm_up(options)
    gc.collect()
    gc.freeze()  # as the worker does
    gc.set_threshold(50_000, 20, 100)
    empty_kb = size_kb(watch)
    spent: list[tuple[float, float]] = []
    for number in range(max(options.history)):
        event_s = 0.0
        for index, bundle in enumerate(traffic.minute(number, bundles), 1):
            before_s = time.process_time()
            watch.apply(bundle)
            if index % per_checkpoint == 0:
                watch.changed()
            event_s += time.process_time() - before_s
        before_s = time.process_time()
        watch.changed()
        event_s += time.process_time() - before_s
        before_s = time.process_time()
        watch.advance((START_S + 60 * number + 90) * 1_000_000)
        watch.changed()
        edge_s = time.process_time() - before_s
        spent.append((event_s, edge_s))
        if number + 1 in options.history:
            last = spent[-AVERAGED_MINUTES:]
            event_s, edge_s = (sum(column) / len(last) for column in zip(*last, strict=True))
            yield {
                "history": number + 1,
                "event_us": 1e6 * event_s / (segments * options.events[0]),
                "edge_ms": 1e3 * edge_s / segments,
                "segment_kb": (size_kb(watch) - empty_kb) / segments,
                "core_share": (event_s + edge_s) / 60,
            }


def run_cell(
    checkout: Path, segments: int, events: int, late: float, options: argparse.Namespace
) -> list[dict[str, float]]:
    """Measure one cell with the code of a checkout, in a new process."""
    command = [
        *(sys.executable, "-c", CELL, "--cell", "--per-feature", str(options.per_feature)),
        *("--segments", str(segments), "--events", str(events), "--late", str(late)),
        *("--history", *map(str, options.history), *(("--live",) if options.live else ())),
        *(("--real-texts",) if options.real_texts else ()),
    ]
    paths = os.pathsep.join(
        map(str, (checkout, checkout / "sdk", ROOT))
    )  # ROOT for the modules of this folder
    result = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": paths}, stdout=subprocess.PIPE, check=True, cwd=checkout
    )
    return [json.loads(line) for line in result.stdout.splitlines()]


def measured_segments(segments: int, options: argparse.Namespace) -> int:
    """Return the segments that a cell runs with: whole features, at most ``--most`` segment-minutes."""
    fitting = options.most // max(options.history) // options.per_feature * options.per_feature
    return min(segments, max(options.per_feature, fitting))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--segments", type=int, nargs="+", default=[200, 2000, 20000])
    parser.add_argument("--events", type=int, nargs="+", default=[1, 10, 100], help="a segment and minute")
    parser.add_argument("--late", type=float, nargs="+", default=[0.0, 0.03], help="share of late events")
    parser.add_argument("--history", type=int, nargs="+", default=[10, 60, 120], help="minutes")
    parser.add_argument("--per-feature", type=int, default=8, help="segments of a feature")
    parser.add_argument("--most", type=int, default=2_400_000, help="segments × minutes of a cell")
    parser.add_argument("--live", action="store_true", help="small bundles, as without a backlog")
    parser.add_argument("--real-texts", action="store_true", help="answers of LLMDrift, 1 kB on average")
    parser.add_argument("--before", type=Path, help="a checkout to compare with")
    parser.add_argument("--cell", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.cell:
        for figures in measure(options):
            print(json.dumps(figures), flush=True)
        return
    checkouts = [ROOT] if options.before is None else [options.before.resolve(), ROOT]
    table = []
    for segments in options.segments:
        for events in options.events:
            for late in options.late:
                measured = measured_segments(segments, options)
                runs = [run_cell(checkout, measured, events, late, options) for checkout in checkouts]
                for results in zip(*runs, strict=True):
                    row = [f"{segments:,}", str(events), f"{late:.0%}", f"{results[0]['history']:.0f}"]
                    for name in FIGURES:
                        scale = segments / measured if name == "core_share" else 1
                        values = [result[name] * scale for result in results]
                        ratio = f" ({values[-1] / values[0]:.2f} ×)" if len(values) > 1 else ""
                        row.append(" → ".join(f"{value:.3g}" for value in values) + ratio)
                    row.append("" if measured == segments else f"{measured:,} segments")
                    table.append(row)
                    print(" | ".join(row), file=sys.stderr, flush=True)
    print_table(
        ["segments", "events a segment and minute", "late", "minutes of history", *HEADS, "measured with"],
        table,
    )


if __name__ == "__main__":
    main()
