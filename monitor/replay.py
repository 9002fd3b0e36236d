"""``python -m monitor replay FILES``: what would have been measured and alerted, from files, in event time, without Kafka.

Each file is a log and is taken in its own order, so late events are late here too; several files are merged by time, as partitions are.
"""

from __future__ import annotations

import argparse
import gzip
import heapq
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, nullcontext, suppress
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec

from monitor.check import checked
from monitor.core import FileRecord, Outputs
from monitor.watch import Watch
from schemas.config import Config
from schemas.decode import InvalidEvent, decode, microseconds
from schemas.load import InvalidConfig

BUNDLE = 5000
PRINTED = ("windows", "alerts")


def lines_of(path: str) -> Iterator[FileRecord]:
    """The records of an NDJSON file (`-`: standard input; `.gz` is unpacked), numbered by line from 1. Empty lines are left out."""
    with ExitStack() as stack:
        if path == "-":
            stream: BinaryIO = stack.enter_context(nullcontext(sys.stdin.buffer))
        elif path.endswith(".gz"):
            stream = cast(BinaryIO, stack.enter_context(gzip.open(path, "rb")))
        else:
            stream = stack.enter_context(open(path, "rb"))
        for number, line in enumerate(stream, 1):
            if line.strip():
                yield FileRecord(line.rstrip(b"\r\n"), number, topic=path)


def merged_by_time(paths: Sequence[str]) -> Iterator[FileRecord]:
    """Records of several files: each in its own order, the files side by side by the time they have come to."""
    return lines_of(paths[0]) if len(paths) == 1 else (record for *_, record in heapq.merge(*(_timed(path, nth) for nth, path in enumerate(paths))))


def _timed(path: str, nth: int) -> Iterator[tuple[int, int, int, FileRecord]]:
    reached = 0
    for record in lines_of(path):
        with suppress(InvalidEvent):  # it becomes a dead letter where it stands
            reached = max(reached, microseconds(decode(cast(bytes, record.value)).time))
        yield reached, nth, record.offset, record


def replay(config: Config, records: Iterator[FileRecord]) -> Iterator[Outputs]:
    """Run a ``Watch`` over records; the last step closes every pane that is open."""
    watch = Watch(config)
    bundle: list[FileRecord] = []
    for record in records:
        bundle.append(record)
        if len(bundle) == BUNDLE:
            yield watch.apply(bundle)
            bundle = []
    yield watch.apply(bundle)
    yield watch.finish()


def main(argv: Sequence[str]) -> int:
    """Exit code 0; 1 if a line could not be read as an event; 2 if a file or the configuration cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m monitor replay", description="Run the rules over NDJSON files in event time, without Kafka.")
    parser.add_argument("files", nargs="+", metavar="FILE", help="NDJSON events, plain or .gz; - is standard input")
    parser.add_argument("--config", type=Path, help="softfail.yaml; by default what an empty file gives")
    parser.add_argument("--format", choices=("table", "ndjson"), default="table", help="ndjson: one record a line, exactly as on the topics")
    options = parser.parse_args(argv)
    try:
        config = checked(options.config)
        return _run(config, options.files, Table() if options.format == "table" else None)
    except InvalidConfig as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            sys.stderr.close()  # whoever read us has gone; there is nobody to tell
            return 0
        print(f"{error.filename}: cannot be read: {error.strerror}", file=sys.stderr)
        return 2


def _run(config: Config, files: Sequence[str], table: Table | None) -> int:
    bad = 0
    for outputs in replay(config, merged_by_time(files)):
        for message in outputs.messages.get("deadletter", ()):
            letter = msgspec.json.decode(message.value)
            print(f"{letter['topic']}:{letter['offset']}: {letter['error']}", file=sys.stderr)
            bad += 1
        for topic, written in outputs.order:
            if topic in PRINTED and table is None:
                sys.stdout.write(written.value.decode() + "\n")
            elif topic in PRINTED and table is not None:
                table.take(msgspec.json.decode(written.value))
    if table is not None:
        table.end()
    sys.stdout.flush()
    if bad:
        print(f"{bad} line{'s' if bad > 1 else ''} could not be read and {'were' if bad > 1 else 'was'} left out", file=sys.stderr)
    return 1 if bad else 0


class Table:
    """The same for a reader: windows of each feature as rows, what changed between them, and a summary."""

    def __init__(self) -> None:
        self._windows = 0
        self._transitions: dict[tuple[str, str], int] = {}
        self._episodes: dict[str, dict[str, Any]] = {}
        self._head = False

    def take(self, record: dict[str, Any]) -> None:
        """Print one record."""
        if record["record"] == "window":
            self._windows += 1
            if record["level"] == "feature":
                self._window(record)
            return
        what = f"{record['service']}/{record['feature']} [{record['environment']}]"
        if record["record"] == "transition":
            state, rule = record["state"], record["rule"]
            self._transitions[rule, state] = self._transitions.get((rule, state), 0) + 1
            at = " ".join(filter(None, (record["model"], record["prompt_version"], record["variant"]))) or "all"
            print(f"  {_clock(record['time'])}  {state.upper():8}  {rule} ({record['severity']}) on {what} {at}: {_evidence(record['evidence'])}")
        else:
            self._episodes[record["episode_id"]] = record
            print(f"  {_clock(record['time'])}  EPISODE {record['state']} ({record['urgency']} urgency) {what}: {record['reason']}")

    def end(self) -> None:
        """Print the summary."""
        print(f"\n{self._windows} windows, {len(self._episodes)} episode{'' if len(self._episodes) == 1 else 's'}")
        for episode in self._episodes.values():
            rules = ", ".join(sorted({incident["rule"] for incident in episode["incidents"]}))
            over = f"resolved {_clock(episode['time'])}" if episode["state"] == "resolved" else "still open"
            print(
                f"  {episode['service']}/{episode['feature']} [{episode['environment']}]  {episode['severity']}, {episode['urgency']} urgency: "
                f"{rules}; since {_clock(episode['started_at'])}, {over}"
            )

    def _window(self, record: dict[str, Any]) -> None:
        if not self._head:
            print(f"{'window':20} {'feature':32} {'events':>7} {'passed':>16} {'errors':>8} {'p90 s':>8} {'out tokens':>10}")
            self._head = True
        metrics = record["metrics"]
        passed, errors = metrics.get("pass_rate"), metrics.get("error_rate")
        name = f"{record['service']}/{record['feature']}"
        revised = f" r{record['revision']}" if record["revision"] > 1 else ""
        rate = f"{passed['value']:6.1%} ±{(passed['high'] - passed['low']) / 2:5.1%}" if passed and passed["value"] is not None else "-"
        print(
            f"{_clock(record['start']):20} {name:32.32} {record['events']:7d} {rate:>16} {_rate(errors):>8} "
            f"{_number(metrics.get('duration_s.p90'), 2):>8} {_number(metrics.get('output_tokens.mean'), 1):>10}{revised}"
        )


def _clock(time: str) -> str:
    return time.replace("T", " ").rstrip("Z")


def _rate(metric: dict[str, Any] | None) -> str:
    return "-" if not metric or metric["value"] is None else f"{metric['value']:.1%}"


def _number(metric: dict[str, Any] | None, digits: int) -> str:
    return "-" if not metric or metric["value"] is None else f"{metric['value']:.{digits}f}"


def _evidence(evidence: dict[str, Any]) -> str:
    if evidence.get("expected") is not None:
        return f"nothing for {evidence['window_s']:.0f} s where {evidence['expected']:g} events were to be expected"
    value, low, high = evidence["value"], evidence["low"], evidence["high"]
    bound = f"above {evidence['above']:g}" if evidence["above"] is not None else f"below {evidence['below']:g}"
    if value is None:
        return f"{evidence['metric']} unknown ({bound})"
    interval = f" ({'-' if low is None else f'{low:.4g}'} to {'-' if high is None else f'{high:.4g}'})"
    return f"{evidence['metric']} {value:.4g}{interval}, {bound}, {evidence['n']:.0f} events in {evidence['window_s']:.0f} s"


__all__ = ["Table", "lines_of", "main", "merged_by_time", "replay"]
