"""``python -m monitor baseline pin NAME``: write a pinned reference for drift rules to a file."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from monitor.backtest.engine import bundles
from monitor.backtest.event_files import EventFilter, Files, UnreadableInput
from monitor.cli.atomic_output import atomic_output
from monitor.cli.command_line import report_unreadable, run_command
from monitor.cli.options import instant
from monitor.cli.progress_bar import with_progress
from monitor.config_check import load_checked_config
from monitor.protocol.messages import Outputs
from monitor.references.reference import MIN_REFERENCE_EVENTS
from monitor.reports.data_gaps import DeadLetterCounts
from monitor.state.partition_state import PartitionState
from monitor.state.pin_writer import CountedSeries, TextCollector, make_pin
from monitor.watch import Watch
from monitor.windows.segment_keys import UNLABELLED, FeatureKey, SegmentKey
from monitor.windows.segment_series import DAY_RETENTION_US, DAY_US, FINE, HOUR, HOUR_US, LATE
from schemas.config.monitor_config import Config
from schemas.pin_file import PIN_NAME, Pin
from schemas.times import rfc3339
from softfail.sanitize import sanitize


def measure(
    config: Config, source: Files, event_filter: EventFilter
) -> tuple[PartitionState, TextCollector, int]:
    """Run the core over files, without rules; print each record that cannot be read to standard error.

    Returns:
        The state with all counts, the texts, and the number of records that could not be read.
    """
    watch, texts, dead_letters = (
        Watch(config.model_copy(update=_NO_RULES)),
        TextCollector(),
        DeadLetterCounts(),
    )
    with with_progress(source, shown=sys.stderr.isatty()) as records:
        for bundle in bundles(event_filter.select(records)):
            outputs = Outputs()
            for _ in watch.steps(bundle, None, outputs):
                texts.collect(watch.partition_state)
            for dead_letter in dead_letters.take(outputs.messages.get("deadletter", ())):
                print(
                    sanitize(f"{dead_letter.topic}:{dead_letter.offset}: {dead_letter.error}"),
                    file=sys.stderr,
                )
    texts.collect(watch.partition_state)
    watch.finish()
    return watch.partition_state, texts, dead_letters.total


_NO_RULES = {
    "default_rules": False,
    "rules": (),
    "drift": (),
    "objectives": (),
    "pinned": {},
    "no_data": Config().no_data.model_copy(update={"severity": None}),
}


def pin_of(
    name: str, event_filter: EventFilter, partition_state: PartitionState, texts: TextCollector
) -> Pin:
    """Make the pin of the counted events.

    Raises:
        UnreadableInput: no feature has enough events.
    """
    assert event_filter.start_us is not None
    assert event_filter.end_us is not None
    features = []
    for key, state in sorted(partition_state.features.items()):
        evaluators = {
            name: identity for name, (identity, _) in partition_state.evaluators.get(key, {}).items()
        }
        features.append(
            (
                key,
                evaluators,
                {
                    segment_key: _counted(partition_state, texts, key, segment_key)
                    for segment_key in state.segments
                },
            )
        )
    pin = make_pin(name, event_filter.start_us, event_filter.end_us, features)
    if not pin.features:
        busiest = max(
            ((sum(segment.events for segment in segments.values()), key) for key, _, segments in features),
            default=None,
        )
        events = (
            "there are no events"
            if busiest is None
            else f"{busiest[1].service}/{busiest[1].feature} has most, {busiest[0]:,}"
        )
        raise UnreadableInput(
            f"no feature has {MIN_REFERENCE_EVENTS} events from {rfc3339(event_filter.start_us)} until"
            f" {rfc3339(event_filter.end_us)}: {events}; choose a longer period or other files"
        )
    return pin


def _counted(
    partition_state: PartitionState, texts: TextCollector, key: FeatureKey, segment_key: SegmentKey
) -> CountedSeries:
    lengths_us = {FINE: partition_state.pane_us, HOUR: HOUR_US}
    panes_by_resolution = partition_state.features[key].segments[segment_key].panes_by_resolution
    panes = [
        (start_us, lengths_us.get(resolution, DAY_US), pane)
        for resolution, panes_by_start in panes_by_resolution.items()
        if resolution != LATE  # a reference has what rules read
        for start_us, pane in sorted(panes_by_start.items())
    ]
    return CountedSeries(panes, texts.sketches(key, segment_key))


def write(pin: Pin, path: Path) -> None:
    """Write a pin to a file, which appears when it is complete.

    Raises:
        UnreadableInput: the file cannot be written.
    """
    with suppress(OSError):  # the write below reports the reason
        path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_output(path) as stream:
        stream.write(pin.model_dump_json(by_alias=True, indent=1) + "\n")


def summary_lines(
    pin: Pin, path: Path, config: Path | None, partition_state: PartitionState
) -> Iterator[str]:
    """Write what the pin contains, what it leaves out, and the lines for the configuration."""
    yield (
        f"{path}: {pin.events:,} events from {pin.from_:%Y-%m-%dT%H:%M:%SZ} until {pin.to:%Y-%m-%dT%H:%M:%SZ}"
    )
    pinned_features = {
        FeatureKey(feature.service, feature.feature, feature.environment): feature for feature in pin.features
    }
    for key, state in sorted(partition_state.features.items()):
        pinned_feature = pinned_features.get(key)
        segments = (
            ""
            if pinned_feature is None
            else (
                f", {len(pinned_feature.segments)} of {len(state.segments.keys() - {UNLABELLED})} segments"
                " by themselves"
            )
        )
        events = sum(
            pane.events
            for segment in state.segments.values()
            for panes in segment.panes_by_resolution.values()
            for pane in panes.values()
        )
        yield (
            f"  {key.service}/{key.feature} ({key.environment}):"
            f" {events:,} events{segments if pinned_feature else f', under {MIN_REFERENCE_EVENTS}: left out'}"
        )
        if state.expired:
            yield (
                f"    {state.expired:,} more events were over two hours late and were left out; sort the"
                " files by time"
            )
    file = path if config is None else os.path.relpath(path, config.parent)
    yield f"In {config or 'softfail.yaml'}:"
    yield f"  pinned: {{{pin.name}: {{file: {file}}}}}"
    yield f"  drift: [{{name: since-{pin.name}, reference: pinned {pin.name}}}]"


def _parser() -> tuple[argparse.ArgumentParser, argparse.ArgumentParser]:
    parser = argparse.ArgumentParser(
        prog="python -m monitor baseline",
        description="Make named references for drift rules: `drift: [{reference: pinned NAME}]`.",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    pin = commands.add_parser(
        "pin",
        help="write the distributions of a period to a file",
        description="Write the distributions of a period to a file, as a reference for drift rules.",
    )
    pin.add_argument("name", metavar="NAME", help="name of the reference: letters, digits, _ . -")
    pin.add_argument(
        "files", nargs="+", metavar="FILE", help="NDJSON events, plain or gzip; - is standard input"
    )
    pin.add_argument(
        "--from",
        dest="since",
        type=instant,
        required=True,
        metavar="TIME",
        help="from this time on, like 2026-11-01T00:00Z (UTC unless it has an offset)",
    )
    pin.add_argument(
        "--to", dest="until", type=instant, required=True, metavar="TIME", help="until this time, exclusive"
    )
    pin.add_argument("--match", metavar="SERVICE/FEATURE", help="only these features, with * and ?")
    pin.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="softfail.yaml with dimensions and evaluators; default: no file",
    )
    pin.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="file to write, which must not exist (default: pinned/NAME.json)",
    )
    return parser, pin


def _check_options(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    if not PIN_NAME.fullmatch(options.name):
        parser.error(
            f"NAME: {options.name!r} must be letters, digits, _ . - and begin with a letter or digit, at"
            " most 64"
        )
    if options.since >= options.until:
        parser.error("--from must be before --to; swap them")
    if options.until - options.since > DAY_RETENTION_US:
        parser.error(f"--from, --to: at most {DAY_RETENTION_US // DAY_US} days can be pinned")
    if options.match is not None and "/" not in options.match:
        parser.error(f"--match: write service/feature, like support-bot/*, not {options.match!r}")
    if options.output.exists():
        parser.error(
            f"--output: {options.output} exists, and a pin is never changed; choose another name, or "
            f"remove the"
            " file first"
        )


def main(argv: Sequence[str]) -> int:
    """Run the command.

    Returns:
        Exit code: 0; 1 if a line could not be read as an event; 2 if nothing was pinned.
    """
    parser, pin_parser = _parser()
    options = parser.parse_args(argv)
    options.output = options.output or Path("pinned") / f"{options.name}.json"
    _check_options(pin_parser, options)

    def work() -> int:
        config = load_checked_config(options.config, with_pins=False)
        event_filter = EventFilter(options.since, options.until, options.match)
        partition_state, texts, unreadable = measure(config, Files(options.files), event_filter)
        pin = pin_of(options.name, event_filter, partition_state, texts)
        write(pin, options.output)
        print("\n".join(map(sanitize, summary_lines(pin, options.output, options.config, partition_state))))
        return report_unreadable(unreadable)

    return run_command(work)
