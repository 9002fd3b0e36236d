"""Run logs of events through the core, without Kafka."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from monitor.backtest.run import BacktestRun
from monitor.protocol.messages import Outputs, Record
from monitor.watch import Watch
from schemas.config.monitor_config import Config

BUNDLE = 5000  # records that are applied together
BUNDLE_BYTES = 64 << 20  # and about so many bytes


def replay(config: Config, records: Iterable[Record]) -> Iterator[Outputs]:
    """Run a ``Watch`` over records; the last step closes every open pane."""
    watch = Watch(config)
    for bundle in bundles(records):
        yield watch.apply(bundle)
    yield watch.finish()


def bundles(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Split records into lists of at most ``BUNDLE`` records, which end at ``BUNDLE_BYTES``."""
    bundle: list[Record] = []
    size = 0
    for record in records:
        bundle.append(record)
        size += len(record.value or b"")
        if len(bundle) == BUNDLE or size >= BUNDLE_BYTES:
            yield bundle
            bundle, size = [], 0
    if bundle:
        yield bundle


def run_side_by_side(
    runs: Sequence[BacktestRun], records: Iterable[Record], until_us: int | None
) -> Iterator[Outputs]:
    """Apply the same records to several runs; yield the outputs of the first, step by step.

    Args:
        runs: at least one.
        records: in the order of the log.
        until_us: time to which the watermark advances after the last record, microseconds since 1970; None:
            it stays at the last record.
    """
    for bundle in bundles(records):
        outputs, *_ = [run.apply(bundle) for run in runs]
        yield outputs
    outputs, *_ = [run.finish(until_us) for run in runs]
    yield outputs
