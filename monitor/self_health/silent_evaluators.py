"""Evaluators that gave verdicts and now give none, while answers come that they could judge: what they watch
is watched no more.

As a rule services have stopped to send what the evaluator reads (a finish reason, a duration). Of the past
only the panes are asked, so a new owner knows it too; since when nothing is judged it learns anew. Wall time
is an argument.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from monitor.evaluators.verdict import SKIPPED_ERROR
from monitor.self_health.partition_health import Found
from monitor.state.partition_state import PartitionState
from monitor.windows.feature_series import DAY_US, FINE, HOUR, HOUR_US, FeatureState
from monitor.windows.segment_keys import OTHER
from monitor.wording.number_format import share
from softfail.sanitize import sanitize

LEAST = 50  # answers in a row without a verdict
# verdicts that the past leads to expect of them: none at all is chance once in e^20 silences
LEAST_EXPECTED = 20.0
# answers of an hour, and a share of what is judged as a rule: where the last day had such an hour, it is this
# feature's way
USUAL, SELDOM = 100, 0.1
SEGMENTS = 40  # the past of so many, those active last, stands for all
PAST_US = DAY_US + HOUR_US  # so that what comes every night has come
AGAIN_US = 600_000_000  # the past of what is silent is asked for so often: to build panes of a day costs

NAME = "evaluator-silence"


@dataclass(slots=True)
class _Silence:
    """Of one evaluator on one feature, since its last verdict."""

    judged: int
    skipped: dict[str, int]
    since_us: int
    grew_us: int
    reasons: Mapping[str, int]
    n: int = 0  # answers since then that it might have judged
    asked_us: int | None = None
    past: float | None = None


class SilentEvaluators:
    """Of one partition.

    Args:
        window_us: how long a silence must last before it is a finding, and how long it lasts once nothing
            comes any more, microseconds.
    """

    def __init__(self, window_us: int) -> None:
        self._window_us = window_us
        self._silences: dict[tuple[str, ...], _Silence] = {}

    def look(self, partition_state: PartitionState, now_us: int) -> list[Found]:
        """One finding for all that are silent, or none. ``now_us``: wall clock, microseconds since 1970."""
        known, self._silences = self._silences, {}
        silent = []
        for feature in partition_state.features.values():
            if feature.key.service == OTHER:  # a mixture that changes by itself
                continue
            for evaluator, judged in feature.verdicts.items():
                if not (reasons := feature.skipped.get(evaluator)):
                    continue
                at = (*feature.key, evaluator)
                self._silences[at] = one = self._followed(
                    known.get(at), judged + feature.evaluator_errors.get(evaluator, 0), reasons, now_us
                )
                if self._is_silent(one, now_us):
                    silent.append((feature, evaluator, one))
        self._ask(silent, partition_state.watermark_us or 0, now_us)
        told = [item for item in silent if (item[2].past or 0.0) * item[2].n >= LEAST_EXPECTED]
        found = [(one.n, one.since_us, _said(feature, evaluator, one)) for feature, evaluator, one in told]
        if not found:
            return []
        n, _, text = max(found)
        more = f"; and {len(found) - 1} more like it" if len(found) > 1 else ""
        return [Found(NAME, "warning", text + more, min(since_us for _, since_us, _ in found), float(n))]

    def _ask(self, silent: list[tuple[FeatureState, str, _Silence]], mark_us: int, now_us: int) -> None:
        """Hold one of them against its past, the one that waits for it longest: a day of a feature with many
        segments takes a tenth of a second.
        """
        due = [
            item
            for item in silent
            if item[2].asked_us is None or not 0 <= now_us - item[2].asked_us < AGAIN_US
        ]
        if due:
            feature, evaluator, one = min(due, key=lambda item: item[2].asked_us or 0)
            one.asked_us, one.past = now_us, judged_share(feature, evaluator, mark_us)

    def _followed(
        self, before: _Silence | None, judged: int, reasons: Mapping[str, int], now_us: int
    ) -> _Silence:
        if before is None or before.judged != judged or now_us < before.grew_us:
            return _Silence(judged, dict(reasons), now_us, now_us, reasons)
        n = sum(count - before.skipped.get(reason, 0) for reason, count in reasons.items() if _tells(reason))
        if n > before.n:
            before.n, before.grew_us = n, now_us
        return before

    def _is_silent(self, silence: _Silence, now_us: int) -> bool:
        lasts, goes_on = (
            now_us - silence.since_us >= self._window_us,
            now_us - silence.grew_us <= self._window_us,
        )
        return lasts and goes_on and silence.n >= LEAST


def judged_share(feature: FeatureState, evaluator: str, mark_us: int) -> float | None:
    """Of which share of answers an evaluator judged, in the day before ``mark_us`` and up to its last
    verdict; None: of none, or of next to none in some hour with traffic.

    Args:
        feature: with its panes.
        evaluator: its name.
        mark_us: event time, microseconds since 1970.
    """
    metric, hours = f"evaluator.{evaluator}.fail_rate", dict[int, list[int]]()
    latest = sorted(feature.segments.values(), key=lambda one: (-one.active_us, one.key))[:SEGMENTS]
    for segment in latest:
        for resolution in (FINE, HOUR):
            for start_us, pane in segment.panes_by_resolution[resolution].items():
                if start_us > mark_us - PAST_US:
                    hour = hours.setdefault(start_us // HOUR_US, [0, 0])
                    hour[0] += pane.events
                    hour[1] += rate.events if (rate := pane.unpacked().rates.get(metric)) is not None else 0
    last = max((at for at, (_, judged) in hours.items() if judged), default=None)
    if last is None:
        return None
    before = {at: counts for at, counts in hours.items() if at <= last}
    past = min(
        1.0,
        sum(judged for _, judged in before.values()) / max(1, sum(events for events, _ in before.values())),
    )
    seldom = any(
        events >= USUAL and judged < SELDOM * past * events
        for at, (events, judged) in before.items()
        if at < last
    )
    return None if seldom else past


@lru_cache(maxsize=1024)
def _tells(reason: str) -> bool:
    """Whether an answer that was skipped for this could be judged if its service sent what it did before.

    A failed call has nothing to judge, text is sampled, and what is not configured is not wanted.
    """
    return not (reason in (SKIPPED_ERROR.reason, OTHER) or "output text" in reason or "configur" in reason)


def _said(feature: FeatureState, evaluator: str, one: _Silence) -> str:
    reason = max(
        (reason for reason in one.reasons if _tells(reason)),
        key=lambda reason: (one.reasons[reason] - one.skipped.get(reason, 0), reason),
    )
    where, past = (
        sanitize(f"{feature.key.service}/{feature.key.feature}", 80),
        share(round(one.past or 0.0, 3)),
    )
    return (
        f"{sanitize(evaluator, 40)} has judged none of the last {one.n:,} answers of {where}"
        f" ({sanitize(reason, 80)}); before, it judged {past}"
    )
