"""Whether a judge may page: calibrated against people, recently, as the same judge, and unchanged since."""

from __future__ import annotations

from typing import NamedTuple

from monitor.stats.judge_agreement import Agreement, Matrix, agreement_of, exact_share
from schemas.config.judges import Judge
from schemas.times import microseconds

VALID_DAYS = 90
"""How long labels count."""
LEAST_FAILURES = 10
"""Labels *failed* without which nothing is known of a judge's sensitivity."""
_DAY_US = 86_400_000_000


class Evidence(NamedTuple):
    """Labels of one identity of a judge.

    Attributes:
        labels: counts.
        judged: as in ``agreement_of``.
        last_us: when the newest label was made, microseconds since 1970; 0: there is none.
    """

    labels: Matrix
    judged: tuple[float, float]
    last_us: int


class Trust(NamedTuple):
    """``reasons``: why a judge is uncalibrated, each with its remedy; empty: it is calibrated."""

    agreement: Agreement
    labels: int
    reasons: tuple[str, ...]

    @property
    def calibrated(self) -> bool:
        """Whether its verdicts may page."""
        return not self.reasons


def evidence_of(
    judge: Judge, identity: str, more: Matrix, last_us: int, judged: tuple[float, float] = (0.0, 0.0)
) -> Evidence:
    """Return the evidence for an identity: its calibration file, and labels that came since.

    Args:
        judge: with its calibration file.
        identity: of the judge that answers now.
        more: labels that came since, of this identity; ``last_us``: time of the newest.
        judged: all that was judged since, as in ``agreement_of``: labels need no random sample then.
    """
    file = judge.calibration
    if file is None or file.identity != identity:
        return Evidence(more, judged, last_us)
    return Evidence(
        Matrix(*file.labels).plus(more),
        judged if more.n else file.judged,
        max(microseconds(file.time), last_us),
    )


def trust_of(judge: Judge, identity: str, evidence: Evidence, now_us: int, doubt: str = "") -> Trust:
    """Decide whether a judge may page.

    Args:
        judge: its bar, calibration file and anchors count.
        identity: of the judge that answers now; empty: it has not answered yet.
        evidence: labels of that identity.
        now_us: wall clock, microseconds since 1970.
        doubt: what the anchors say against it; empty: nothing.
    """
    agreement = agreement_of(evidence.labels, evidence.judged)
    failures = evidence.labels.both_failed + evidence.labels.passed_failed
    reasons = []
    if not identity:
        reasons.append("it has not answered yet")
    elif not evidence.labels.n and judge.calibration is not None:
        reasons.append(
            f"it is another judge ({identity}) than the one compared with people ({judge.calibration.identity}):"
            " another model, rubric or parameters; label some of its verdicts"
        )
    elif not evidence.labels.n:
        reasons.append("nobody has labelled its verdicts; run python -m monitor judge calibrate")
    else:
        reasons += _shortfalls(judge, agreement, evidence, failures)
        if now_us - evidence.last_us > VALID_DAYS * _DAY_US:
            reasons.append(f"its labels are older than {VALID_DAYS} days; label new verdicts")
    if not judge.anchors:
        reasons.append(
            "it has no anchors, so a change of the judge would look like one of the answers; set anchors"
        )
    if doubt:
        reasons.append(doubt)
    return Trust(agreement, evidence.labels.n, tuple(reasons))


def feature_doubt(judge: Judge, feature: str, labels: Matrix, judged: tuple[float, float]) -> str:
    """Return why a calibrated judge may not page about one feature: people contradict it there; empty: nothing.

    Args:
        feature: `service/feature`, for the text.
        labels: of this feature.
        judged: as in ``agreement_of``, of this feature.
    """
    share = agreement_of(labels, judged).agreement
    if share.high >= judge.bar:
        return ""
    return (
        f"in {feature} it agrees with people on {share.value:.0%} of answers (at most {share.high:.0%}), below the bar"
        f" of {judge.bar:.0%}; give this feature a judge with a rubric of its own"
    )


def are_enough(labels: Matrix) -> bool:
    """Return whether labels of one feature say enough of a judge: at least 10 failed and 10 passed answers."""
    return min(labels.both_failed + labels.passed_failed, labels.failed_passed + labels.both_passed) >= (
        LEAST_FAILURES
    )


def _shortfalls(judge: Judge, agreement: Agreement, evidence: Evidence, failures: int) -> list[str]:
    share, more = agreement.agreement, "label more answers"
    reasons = []
    if share.high < judge.bar:
        reasons.append(
            f"it agrees with people on {share.value:.0%} of answers (at most {share.high:.0%}), below the bar of"
            f" {judge.bar:.0%}; clarify the rubric, or take another model"
        )
    elif share.low < judge.bar:
        reasons.append(
            f"its agreement with people lies between {share.low:.0%} and {share.high:.0%}, the bar is"
            f" {judge.bar:.0%}; {more}"
        )
    if failures < LEAST_FAILURES:
        reasons.append(
            f"people failed only {failures} of the labelled answers (at least {LEAST_FAILURES}); label more answers"
            " that the judge failed"
        )
    elif not _tells_apart(evidence.labels):
        reasons.append(f"nothing shows that it fails bad answers more often than good ones; {more}")
    return reasons


def _tells_apart(labels: Matrix) -> bool:
    """Return whether answers judged failed are really failed more often than those judged passed, beyond chance."""
    right = exact_share(labels.both_failed, labels.both_failed + labels.failed_passed)
    missed = exact_share(labels.passed_failed, labels.passed_failed + labels.both_passed)
    return right.low > missed.high
