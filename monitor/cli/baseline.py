"""``python -m monitor baseline pin NAME``: how features were between two times, kept in a file, as a
reference with a name for drift.
"""

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
from monitor.cli.options import instant
from monitor.cli.progress_bar import with_progress
from monitor.config_check import checked
from monitor.protocol.messages import Outputs
from monitor.references.reference import MIN_REFERENCE_EVENTS
from monitor.reports.data_gaps import DeadLetterCounts
from monitor.state.partition_state import PartitionState
from monitor.state.pin_writer import CountedSeries, TextCollector, make_pin
from monitor.watch import Watch
from monitor.windows.feature_series import DAY_RETENTION_US, DAY_US, FINE, HOUR, HOUR_US
from monitor.windows.segment_keys import UNLABELLED, FeatureKey, SegmentKey
from schemas.config.load import InvalidConfig
from schemas.config.monitor_config import Config
from schemas.pin_file import PIN_NAME, Pin
from schemas.times import rfc3339
from softfail.sanitize import sanitize


def measured(config: Config, source: Files, chosen: EventFilter) -> tuple[PartitionState, TextCollector, int]:
    """Run the core over files, without rules; gives what it counted, and how many records could not be read,
    which are told as they come.
    """
    watch, texts, letters = Watch(config.model_copy(update=_QUIET)), TextCollector(), DeadLetterCounts()
    with with_progress(source, shown=sys.stderr.isatty()) as records:
        for bundle in bundles(chosen.of(records)):
            out = Outputs()
            for _ in watch.steps(bundle, None, out):
                texts.collect(watch.partition_state)
            for letter in letters.take(out.messages.get("deadletter", ())):
                print(sanitize(f"{letter.topic}:{letter.offset}: {letter.error}"), file=sys.stderr)
    texts.collect(watch.partition_state)
    watch.finish()
    return watch.partition_state, texts, letters.total


_QUIET = {
    "default_rules": False,
    "rules": (),
    "drift": (),
    "objectives": (),
    "pinned": {},
    "no_data": Config().no_data.model_copy(update={"severity": None}),
}


def pinned(name: str, chosen: EventFilter, partition_state: PartitionState, texts: TextCollector) -> Pin:
    """The pin of what was counted.

    Raises:
        UnreadableInput: no feature had events enough.
    """
    assert chosen.start_us is not None
    assert chosen.end_us is not None
    features = []
    for key, state in sorted(partition_state.features.items()):
        evaluators = {
            name: identity for name, (identity, _) in partition_state.evaluators.get(key, {}).items()
        }
        features.append(
            (key, evaluators, {at: _counted(partition_state, texts, key, at) for at in state.segments})
        )
    pin = make_pin(name, chosen.start_us, chosen.end_us, features)
    if not pin.features:
        most = max(
            ((sum(segment.events for segment in segments.values()), key) for key, _, segments in features),
            default=None,
        )
        found = (
            "there are no events"
            if most is None
            else f"{most[1].service}/{most[1].feature} has most, {most[0]:,}"
        )
        raise UnreadableInput(
            f"no feature has {MIN_REFERENCE_EVENTS} events from {rfc3339(chosen.start_us)} until"
            f" {rfc3339(chosen.end_us)}: {found}; take a longer time, or other files"
        )
    return pin


def _counted(
    partition_state: PartitionState, texts: TextCollector, key: FeatureKey, at: SegmentKey
) -> CountedSeries:
    lengths_us = {FINE: partition_state.pane_us, HOUR: HOUR_US}
    held = partition_state.features[key].segments[at].panes_by_resolution
    panes = [
        (start_us, lengths_us.get(resolution, DAY_US), pane)
        for resolution, some in held.items()
        for start_us, pane in sorted(some.items())
    ]
    return CountedSeries(panes, texts.sketches(key, at))


def write(pin: Pin, path: Path) -> None:
    """Write a file that appears only when it is whole.

    Raises:
        UnreadableInput: it cannot be written.
    """
    with suppress(OSError):  # said better when the file cannot be written
        path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_output(path) as stream:
        stream.write(pin.model_dump_json(by_alias=True, indent=1) + "\n")


def told(pin: Pin, path: Path, config: Path | None, partition_state: PartitionState) -> Iterator[str]:
    """What was kept, what was not, and what to write into the configuration, line by line."""
    yield (
        f"{path}: {pin.events:,} events from {pin.from_:%Y-%m-%dT%H:%M:%SZ} until {pin.to:%Y-%m-%dT%H:%M:%SZ}"
    )
    names = {
        FeatureKey(feature.service, feature.feature, feature.environment): feature for feature in pin.features
    }
    for key, state in sorted(partition_state.features.items()):
        one = names.get(key)
        segments = (
            ""
            if one is None
            else (
                f", {len(one.segments)} of {len(state.segments.keys() - {UNLABELLED})} segments by themselves"
            )
        )
        what = (
            f"{sum(pane.events for held in state.segments.values() for some in held.panes_by_resolution.values() for pane in some.values()):,}"
            " events"
        )
        yield (
            f"  {key.service}/{key.feature} ({key.environment}):"
            f" {what}{segments if one else f', under {MIN_REFERENCE_EVENTS}: left out'}"
        )
        if state.expired:
            yield (
                f"    {state.expired:,} more came over two hours behind others and were left out; sort the"
                " files by time"
            )
    file = path if config is None else os.path.relpath(path, config.parent)
    yield f"In {config or 'softfail.yaml'}:"
    yield f"  pinned: {{{pin.name}: {{file: {file}}}}}"
    yield f"  drift: [{{name: since-{pin.name}, reference: pinned {pin.name}}}]"


def _parser() -> tuple[argparse.ArgumentParser, argparse.ArgumentParser]:
    parser = argparse.ArgumentParser(
        prog="python -m monitor baseline",
        description="References with names, for `drift: [{reference: pinned NAME}]`.",
    )
    commands = parser.add_subparsers(required=True, metavar="pin")
    pin = commands.add_parser(
        "pin",
        help="keep how features were between two times",
        description="Keep how features were between two times in a file.",
    )
    pin.add_argument("name", metavar="NAME", help="letters, digits, _ . -")
    pin.add_argument(
        "files", nargs="+", metavar="FILE", help="NDJSON events, plain or gzip; - is standard input"
    )
    pin.add_argument(
        "--from",
        dest="since",
        type=instant,
        required=True,
        metavar="TIME",
        help="like 2026-11-01T00:00Z (UTC unless it says otherwise)",
    )
    pin.add_argument(
        "--to", dest="until", type=instant, required=True, metavar="TIME", help="only before this time"
    )
    pin.add_argument("--match", metavar="SERVICE/FEATURE", help="only these features, with * and ?")
    pin.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="softfail.yaml: which dimensions and evaluators there are; by default the defaults",
    )
    pin.add_argument(
        "--output", type=Path, metavar="FILE", help="by default pinned/NAME.json; it must not exist yet"
    )
    return parser, pin


def _refuse_wrong(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    if not PIN_NAME.fullmatch(options.name):
        parser.error(
            f"NAME: {options.name!r} must be letters, digits, _ . - and begin with a letter or digit, at"
            " most 64"
        )
    if options.since >= options.until:
        parser.error("--from must lie before --to; exchange them")
    if options.until - options.since > DAY_RETENTION_US:
        parser.error(f"--from, --to: at most {DAY_RETENTION_US // DAY_US} days can be pinned")
    if options.match is not None and "/" not in options.match:
        parser.error(f"--match: write service/feature, like support-bot/*, not {options.match!r}")
    if options.output.exists():
        parser.error(
            f"--output: {options.output} exists, and a pin stays what it is; take another name, or remove the"
            " file first"
        )


def main(argv: Sequence[str]) -> int:
    """Exit code 0; 1 if a line could not be read as an event; 2 if nothing was pinned, for what is said on
    standard error.
    """
    parser, pin_parser = _parser()
    options = parser.parse_args(argv)
    options.output = options.output or Path("pinned") / f"{options.name}.json"
    _refuse_wrong(pin_parser, options)
    try:
        config = checked(options.config, with_pins=False)
        chosen = EventFilter(options.since, options.until, options.match)
        partition_state, texts, bad = measured(config, Files(options.files), chosen)
        pin = pinned(options.name, chosen, partition_state, texts)
        write(pin, options.output)
    except (InvalidConfig, UnreadableInput) as error:
        print(sanitize(str(error), lines=True), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; nothing was kept", file=sys.stderr)
        return 130
    print("\n".join(map(sanitize, told(pin, options.output, options.config, partition_state))))
    if bad:
        print(
            f"{bad} line{'s' if bad > 1 else ''} could not be read and {'were' if bad > 1 else 'was'}"
            " left out",
            file=sys.stderr,
        )
    return 1 if bad else 0
