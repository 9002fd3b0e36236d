"""Run lives of sampled features through the screen and the core."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks.baseline_bank import Floats
from benchmarks.false_pages.simulated_feature import Feature
from benchmarks.false_pages.traffic import MINUTE_US, MINUTES, START_US
from benchmarks.sampled_pages.designs import DESIGNS, Cell, Day, draw_day
from benchmarks.sampled_pages.meters import PRODUCERS, MeteredDay, apply_meters, draw_meters
from benchmarks.sampled_pages.screen import Screen
from monitor.stats.sampling_weights import to_ppm
from monitor.windows.segment_series import SegmentSeries

DAYS = 7
"""Days that a feature lives, from its first event on."""


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


Days = Iterator[tuple[Day, MeteredDay | None]]


def drawn_days(cell: Cell, lives: int, seed: int, nth_round: int, days: int) -> Days:
    """Draw the days of some lives, with their meters if the design has any."""
    for nth in range(days):
        key = seed, nth_round, nth
        day = draw_day(cell, lives, key)
        yield day, draw_meters(cell, day, key) if cell.has_meters else None


def pages_of(cell: Cell, days: Days, life: int) -> list[dict[str, Any]]:
    """Run one life through the core; return its pages."""
    feature, known, pages, seen = SampledFeature(cell), set(), [], [0] * PRODUCERS
    for nth, (day, meters) in enumerate(days):
        counts = np.stack([kind[:, :, life] for kind in day], 1)
        for minute, row in enumerate(counts):
            start_us = START_US + (nth * MINUTES + minute) * MINUTE_US
            feature.count_minute(start_us, row)
            if meters is not None:
                producers = feature.partition_state.feature(feature.key).producers
                apply_meters(producers, seen, meters, minute, life, start_us + MINUTE_US)
            for episode in feature.close(start_us + MINUTE_US):
                if episode["urgency"] == "high" and episode["episode_id"] not in known:
                    known.add(episode["episode_id"])
                    rules = sorted(item["rule"] for item in episode["incidents"])
                    pages.append({"minute": nth * MINUTES + minute, "rules": rules})
    return pages


def run_cells(
    cells: Sequence[Cell], lives: int, seed: int, nth_round: int, checked: int, days: int = DAYS
) -> list[dict[str, Any]]:
    """Simulate one round of some cells of one design."""
    begun, screen, out = time.process_time(), Screen(cells, lives), []
    for nth, drawn in enumerate(
        zip(*(drawn_days(cell, lives, seed, nth_round, days) for cell in cells), strict=True)
    ):
        screen.add(nth, [day for day, _ in drawn], [meters for _, meters in drawn if meters is not None])
    for cell in cells:
        marked = screen.marked(cell)
        rng = np.random.default_rng([seed, nth_round])
        others = rng.permutation(np.flatnonzero(~marked))[:checked]
        pages = []
        for life in [*np.flatnonzero(marked), *others]:
            life_pages = pages_of(cell, drawn_days(cell, lives, seed, nth_round, days), int(life))
            assert marked[life] or not life_pages, (cell, life, life_pages)
            pages += [{"life": int(life), "round": nth_round, **page} for page in life_pages]
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
