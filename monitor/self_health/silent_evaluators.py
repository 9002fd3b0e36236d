"""Find evaluators that gave verdicts and now give none although there are responses that they could judge:
what they watch is watched no more.

As a rule services have stopped sending what the evaluator reads (a finish reason, a duration). The past comes
from panes alone, so a new owner of the partition knows it too; since when nothing is judged it learns anew.
The wall clock is an argument.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from monitor.evaluators.user_evaluator import UNASKED
from monitor.evaluators.verdict import SKIPPED_ERROR
from monitor.self_health.share_checks import HealthFinding
from monitor.state.partition_state import PartitionState
from monitor.windows.feature_series import FeatureState
from monitor.windows.segment_keys import OTHER
from monitor.windows.segment_series import DAY_US, FINE, HOUR, HOUR_US
from monitor.wording.number_format import share
from softfail.sanitize import sanitize

LEAST = 50  # responses in a row without a verdict
# verdicts that the past leads to expect among them: none at all is chance once in e^20 cases
LEAST_EXPECTED = 20.0
# responses of an hour, and a share of the usual share of verdicts: if the last day had an hour with so many
# responses and so few verdicts, that is usual for this feature
USUAL, SELDOM = 100, 0.1
SEGMENTS = 40  # the past of so many, those active last, stands for all
PAST_US = DAY_US + HOUR_US  # long enough to contain what comes every night
PAST_AGAIN_US = 600_000_000  # least time between two looks at the past: building the panes of a day costs

NAME = "evaluator-silence"


@dataclass(slots=True)
class _Gap:
    """One evaluator on one feature since its last verdict.

    ``judged``: verdicts and errors when the gap began. ``skipped``: skipped responses then, by reason;
    ``reasons``: the same now. ``responses``: that it might have judged since. ``past_share``: the share that
    it judged before.
    """

    judged: int
    skipped: dict[str, int]
    since_us: int
    grew_us: int
    reasons: Mapping[str, int]
    responses: int = 0
    past_read_us: int | None = None
    past_share: float | None = None


_Silent = tuple[FeatureState, str, _Gap]
"""Feature, evaluator, and its gap."""


class SilentEvaluators:
    """Silent evaluators of one partition.

    Args:
        window_us: how long a gap must last before it is a finding, and how long it stays one once no more
            responses come, microseconds.
    """

    def __init__(self, window_us: int) -> None:
        self._window_us = window_us
        self._gaps: dict[tuple[str, ...], _Gap] = {}

    def look(self, partition_state: PartitionState, now_us: int) -> list[HealthFinding]:
        """Return one finding for all silent evaluators, or none. ``now_us``: wall clock, microseconds since
        1970.
        """
        previous, self._gaps = self._gaps, {}
        silent: list[_Silent] = []
        for feature in partition_state.features.values():
            if feature.key.service == OTHER:  # a mixture that changes by itself
                continue
            for evaluator, verdicts in feature.verdicts.items():
                if not (reasons := feature.skipped.get(evaluator)):
                    continue
                key = (*feature.key, evaluator)
                judged = verdicts + feature.evaluator_errors.get(evaluator, 0)
                gap = self._gaps[key] = _continued(previous.get(key), judged, reasons, now_us)
                if self._is_silent(gap, now_us):
                    silent.append((feature, evaluator, gap))
        _read_past(silent, partition_state.watermark_us or 0, now_us)
        gaps = [
            (gap.responses, gap.since_us, _text(feature, evaluator, gap))
            for feature, evaluator, gap in silent
            if (gap.past_share or 0.0) * gap.responses >= LEAST_EXPECTED
        ]
        if not gaps:
            return []
        responses, _, text = max(gaps)
        more = f"; and {len(gaps) - 1} more like it" if len(gaps) > 1 else ""
        since_us = min(since_us for _, since_us, _ in gaps)
        return [HealthFinding(NAME, "warning", text + more, since_us, float(responses))]

    def _is_silent(self, gap: _Gap, now_us: int) -> bool:
        lasts = now_us - gap.since_us >= self._window_us
        goes_on = now_us - gap.grew_us <= self._window_us
        return lasts and goes_on and gap.responses >= LEAST


def _continued(previous: _Gap | None, judged: int, reasons: Mapping[str, int], now_us: int) -> _Gap:
    """Return the gap brought up to date, or a new one after a verdict."""
    if previous is None or previous.judged != judged or now_us < previous.grew_us:
        return _Gap(judged, dict(reasons), now_us, now_us, reasons)
    responses = sum(
        count - previous.skipped.get(reason, 0) for reason, count in reasons.items() if _is_judgeable(reason)
    )
    if responses > previous.responses:
        previous.responses, previous.grew_us = responses, now_us
    return previous


def _read_past(silent: list[_Silent], watermark_us: int, now_us: int) -> None:
    """Read the past of one evaluator, the one that has waited longest: a day of a feature with many segments
    takes a tenth of a second.
    """
    due = [
        (feature, evaluator, gap)
        for feature, evaluator, gap in silent
        if gap.past_read_us is None or not 0 <= now_us - gap.past_read_us < PAST_AGAIN_US
    ]
    if due:
        feature, evaluator, gap = min(due, key=lambda item: item[2].past_read_us or 0)
        gap.past_read_us, gap.past_share = now_us, judged_share(feature, evaluator, watermark_us)


def judged_share(feature: FeatureState, evaluator: str, watermark_us: int) -> float | None:
    """Return the share of responses that an evaluator judged in the day before, up to its last verdict.

    None: there is no verdict, or an hour with traffic and next to none, so that gaps are usual.

    Args:
        feature: with its panes.
        evaluator: its name.
        watermark_us: event time at which the day ends, microseconds since 1970.
    """
    metric, hours = f"evaluator.{evaluator}.fail_rate", dict[int, list[int]]()
    segments = sorted(feature.segments.values(), key=lambda segment: (-segment.active_us, segment.key))
    for segment in segments[:SEGMENTS]:
        for resolution in (FINE, HOUR):
            for start_us, pane in segment.panes_by_resolution[resolution].items():
                if start_us > watermark_us - PAST_US:
                    hour = hours.setdefault(start_us // HOUR_US, [0, 0])
                    rate = pane.unpacked().rates.get(metric)
                    hour[0] += pane.events
                    hour[1] += rate.events if rate is not None else 0
    last_hour = max((hour for hour, (_, judged) in hours.items() if judged), default=None)
    if last_hour is None:
        return None
    past = {hour: counts for hour, counts in hours.items() if hour <= last_hour}
    events = sum(events for events, _ in past.values())
    judged_share = min(1.0, sum(judged for _, judged in past.values()) / max(1, events))
    gaps_are_usual = any(
        events >= USUAL and judged < SELDOM * judged_share * events
        for hour, (events, judged) in past.items()
        if hour < last_hour
    )
    return None if gaps_are_usual else judged_share


@lru_cache(maxsize=1024)
def _is_judgeable(reason: str) -> bool:
    """Return whether a response that was skipped for this reason could be judged if its service sent what it
    sent before.

    A failed call has nothing to judge, text is sampled, what is not configured is not wanted, and that an
    evaluator of a user is cut off is a finding of its own.
    """
    return not (
        reason in (SKIPPED_ERROR.reason, OTHER, *UNASKED) or "output text" in reason or "configur" in reason
    )


def _text(feature: FeatureState, evaluator: str, gap: _Gap) -> str:
    reason = max(
        (reason for reason in gap.reasons if _is_judgeable(reason)),
        key=lambda reason: (gap.reasons[reason] - gap.skipped.get(reason, 0), reason),
    )
    where = sanitize(f"{feature.key.service}/{feature.key.feature}", 80)
    past = share(round(gap.past_share or 0.0, 3))
    return (
        f"{sanitize(evaluator, 40)} has judged none of the last {gap.responses:,} answers of {where}"
        f" ({sanitize(reason, 80)}); before, it judged {past}"
    )
