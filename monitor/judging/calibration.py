"""Compare the verdicts of a judge with those of people, and make its calibration file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from monitor.judging.ledger import WeightedCount
from monitor.stats.judge_agreement import Matrix
from schemas.config.judges import Calibration, Judge

_Response = tuple[str, str, str]
"""Service, feature and id: two features may use the same ids."""


class Labelled(NamedTuple):
    """An answer with both verdicts."""

    feature: str
    judge_failed: bool
    human_failed: bool


class Comparison(NamedTuple):
    """Labels compared with verdicts of one identity of a judge.

    Attributes:
        identity: of the judge.
        labels: counts.
        judged: effective number of all verdicts, and of failed ones; (0, 0) if only labelled answers are known.
        by_feature: both by `service/feature`, of features with labels.
        unmatched: labels without a verdict of the judge.
        others: verdicts of other identities that were labelled: identity -> number.
        last_us: time of the newest label, microseconds since 1970.
    """

    identity: str
    labels: Matrix
    judged: tuple[float, float]
    by_feature: dict[str, tuple[Matrix, tuple[float, float]]]
    unmatched: int
    others: dict[str, int]
    last_us: int


def compare(judge: Judge, evaluations: Iterable[tuple[Any, int]]) -> Comparison:
    """Join the evaluation events of a judge and of people on the response: its id within its feature.

    If several people labelled an answer, the majority counts, and of a tie the failure. The identity with the most
    labelled verdicts is compared.

    Args:
        judge: its name and question say which events count.
        evaluations: decoded evaluation events, and their times in microseconds since 1970; others are left out.
    """
    verdicts: dict[_Response, tuple[bool, str, str, float]] = {}
    labels: dict[_Response, list[bool]] = {}
    last_us = 0
    for event, time_us in evaluations:
        if event.kind != "evaluation" or event.passed is None:
            continue
        response = event.service, event.feature, event.response_id
        if event.evaluator in (judge.name, judge.uncalibrated_name):
            verdicts[response] = (
                not event.passed,
                event.evaluator_version,
                f"{event.service}/{event.feature}",
                event.sample_probability,
            )
        elif event.evaluator == judge.label_evaluator:
            labels.setdefault(response, []).append(not event.passed)
            last_us = max(last_us, time_us)
    counts = Counter(verdicts[response][1] for response in labels if response in verdicts)
    identity = counts.most_common(1)[0][0] if counts else ""
    total, judged = Matrix(), WeightedCount()
    by_feature, judged_by = dict[str, Matrix](), dict[str, WeightedCount]()
    for response, (judge_failed, version, feature, probability) in verdicts.items():
        if version != identity:
            continue
        judged.add(probability, judge_failed)
        judged_by.setdefault(feature, WeightedCount()).add(probability, judge_failed)
        if response in labels:
            human_failed = 2 * sum(labels[response]) >= len(labels[response])
            total = total.add(judge_failed, human_failed)
            by_feature[feature] = by_feature.get(feature, Matrix()).add(judge_failed, human_failed)
    has_others = sum(version == identity for _, version, _, _ in verdicts.values()) > total.n
    unmatched = sum(response not in verdicts for response in labels)
    others = {version: n for version, n in counts.items() if version != identity}
    nothing = 0.0, 0.0
    features = {
        feature: (counts, judged_by[feature].effective() if has_others else nothing)
        for feature, counts in by_feature.items()
    }
    everything = judged.effective() if has_others else nothing
    return Comparison(identity, total, everything, features, unmatched, others, last_us)


def calibration_of(judge: Judge, comparison: Comparison, time: Any) -> Calibration:
    """Return the calibration file of a comparison. ``time``: of the newest label, an aware time."""
    return Calibration(
        record="judge_calibration",
        judge=judge.name,
        identity=comparison.identity,
        time=time,
        labels=tuple(comparison.labels),
        judged=comparison.judged,
    )
