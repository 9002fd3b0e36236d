"""A series that counts as quiet has no finding of drift; nearly all steady series are quiet."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from monitor.rules.drift import DriftReader
from monitor.rules.quiet_drift import is_boundable, quiet_rows
from monitor.stats.exponential_buckets import bucket_codes
from monitor.windows.count_columns import CountColumns
from monitor.windows.feature_series import FeatureState
from monitor.windows.pane import Pane, merge_panes
from monitor.windows.segment_keys import FeatureKey, SegmentKey
from monitor.windows.segment_series import FINE_RETENTION_US, HOUR, HOUR_US, SegmentSeries
from schemas.config.rules import Drift

MINUTE_US = 60_000_000
START_US = 1_772_438_400_000_000
RULE = Drift(name="drift")
GATING = ("refusal",)
CHANGES = ("nothing", "tokens", "reason", "error", "model", "language", "judge", "absent")


class World:
    """Four segments of different traffic; from ``since`` on the last but one changes in one way."""

    def __init__(self, seed: int, change: str, since: int, first: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.change, self.since = change, since
        self.feature = FeatureState(FeatureKey("shop", "answer", "production"))
        self.keys = [SegmentKey(f"m{index}", "1", "", ()) for index in range(4)]
        self.minutes = first
        self.feature.first_us = self.edge_us

    @property
    def edge_us(self) -> int:
        return START_US + self.minutes * MINUTE_US

    def minute(self) -> None:
        start_us = self.edge_us
        for key, mean in zip(self.keys, (3, 10, 25, 120), strict=True):
            n = int(self.rng.poisson(mean))
            if n:
                segment = self.feature.segments.setdefault(key, SegmentSeries(key))
                is_changed = self.minutes >= self.since and key == self.keys[2]
                segment.panes[start_us] = self._pane(start_us, n, self.change if is_changed else "nothing")
                segment.active_us = start_us
        self.feature.active_us = start_us
        self.minutes += 1
        until_us = (self.edge_us - FINE_RETENTION_US) // HOUR_US * HOUR_US
        for segment in self.feature.segments.values():
            for begin_us in [begin_us for begin_us in segment.panes if begin_us < until_us]:
                hours, hour_us = segment.panes_by_resolution[HOUR], begin_us // HOUR_US * HOUR_US
                pane = segment.panes.pop(begin_us)
                hours[hour_us] = merge_panes([*([hours[hour_us]] if hour_us in hours else []), pane], hour_us)
                self.feature.invalidate_pane(segment, begin_us, is_moved=True)

    def _pane(self, start_us: int, n: int, change: str) -> Pane:
        rng, pane = self.rng, Pane(start_us)
        pane.events = n
        failures = int(rng.binomial(n, 0.4 if change == "error" else 0.02))
        pane.rate("error_rate").add(1_000_000, n, failures)
        pane.rate("evaluator.refusal.fail_rate").add(1_000_000, n, failures)
        pane.rate("evaluator.judge.fail_rate").add(
            1_000_000, n, int(rng.binomial(n, 0.5 if change == "judge" else 0.1))
        )
        values = rng.lognormal(8 if change == "tokens" else 5, 0.5, n).astype(np.int64)
        codes, counts = np.unique(bucket_codes(values), return_counts=True)
        pane.number("output_tokens").add(
            1_000_000, n, int(values.sum()), dict(zip(codes.tolist(), counts.tolist(), strict=True))
        )
        stopped = int(rng.binomial(n, 0.5 if change == "reason" else 0.97))
        pane.category("finish_reason").add(1_000_000, {"stop": stopped, "length": n - stopped})
        if failures:
            pane.category("error_type").add(1_000_000, {"timeout": failures})
        if change != "absent":
            pane.category("fallback").add(1_000_000, {"cache": n // 3})
        pane.category("response_model").add(1_000_000, {"new" if change == "model" else "old": n})
        known = min(n, 20)
        other = int(rng.binomial(known, 0.9 if change == "language" else 0.2))
        pane.category("output_language").add(1_000_000, {"en": known - other, "de": other})
        return pane


def readings(world: World, minutes: range) -> Iterator[tuple[SegmentKey | None, bool, str]]:
    """Yield for each series and minute whether it counts as quiet, and the state of its reading."""
    reader, columns = DriftReader(MINUTE_US), CountColumns()
    while world.minutes < minutes.stop:
        world.minute()
        edge_us, feature = world.edge_us, world.feature
        assert columns.update(feature.segments, edge_us, MINUTE_US)
        lengths = reader.windows(RULE, edge_us, None)
        quiet = quiet_rows(RULE, lengths, columns, feature, edge_us, MINUTE_US, GATING)
        if world.minutes not in minutes:
            continue
        for key, is_quiet in zip(columns.rows, quiet.tolist(), strict=True):
            yield key, is_quiet, reader.read(RULE, feature, key, edge_us, None, 0, GATING, {}).state


PHASES = {
    "young": range(12, 56, 8),
    "whole blocks": range(66, 130, 9),
    "hours and none": range(172, 200, 6),
    "a new hour": range(237, 245),
}


@pytest.mark.parametrize(
    ("change", "phase"),
    [
        *(("nothing", phase) for phase in PHASES),
        *((change, "whole blocks") for change in CHANGES[1:]),
        ("tokens", "young"),
        ("model", "hours and none"),
        ("language", "a new hour"),
    ],
)
def test_no_quiet_series_has_a_finding(change: str, phase: str) -> None:
    minutes = PHASES[phase]
    world = World(CHANGES.index(change), change, minutes.stop - 12)
    read = list(readings(world, minutes))
    assert [item for item in read if item[1] and item[2] == "breach"] == []
    loud = {key for key, _, state in read if state == "breach"}
    if change not in ("nothing", "error") and phase != "young":  # errors are the business of other rules
        assert world.keys[2] in loud
    steady = [item for item in read if item[0] == world.keys[1]]
    assert sum(is_quiet for _, is_quiet, _ in steady) >= 0.9 * len(steady)


@pytest.mark.parametrize("reference", ["same hours last week", "previous prompt version", "pinned spring"])
def test_only_trailing_references_have_bounds(reference: str) -> None:
    assert is_boundable(RULE)
    assert not is_boundable(RULE.model_copy(update={"reference": reference}))
    assert not is_boundable(RULE.model_copy(update={"on": ("output_tokens",)}))
    assert not is_boundable(RULE.model_copy(update={"confidence": 0.9}))
