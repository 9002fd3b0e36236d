"""Findings of self-health about judges: tickets, never pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.judging.standing import CHANGED_US
from monitor.self_health.heartbeat import HeartbeatRecord
from monitor.self_health.share_checks import HealthFinding
from schemas.times import rfc3339
from softfail.redact import redact
from softfail.sanitize import sanitize

if TYPE_CHECKING:
    from monitor.judging.core import JudgeCore
    from monitor.judging.standing import Standing


def heartbeat(core: JudgeCore, now_us: int) -> HeartbeatRecord:
    """Return the heartbeat of a partition of judges, with what its process finds. ``now_us``: wall clock."""
    findings = [
        finding for standing in core.standings.values() for finding in judge_findings(standing, now_us)
    ]
    by_name: dict[str, HealthFinding] = {}
    for finding in findings:  # a name stands once in a heartbeat
        previous = by_name.get(finding.name)
        by_name[finding.name] = (
            finding
            if previous is None
            else previous._replace(
                text=f"{previous.text}; {finding.text}", since_us=min(previous.since_us, finding.since_us)
            )
        )
    return HeartbeatRecord(
        agent="judge",
        partition=core.partition,
        partitions=core.partitions,
        time=rfc3339(now_us),
        observed_s=3600.0,
        counts={},
        findings=[finding.record() for finding in by_name.values()],
    )


def judge_findings(standing: Standing, now_us: int) -> list[HealthFinding]:
    """Return what is wrong with a judge: it changed, it does not answer, or it lost its calibration."""
    judge, trust, findings = standing.judge, standing.trust(now_us), list[HealthFinding]()
    if standing.changed_us and not trust.calibrated and now_us - standing.changed_us < CHANGED_US:
        text = (
            f"the judge {judge.name} changed: {standing.change}; its verdicts page for nothing until people have"
            " labelled new ones"
        )
        findings.append(HealthFinding("judge-changed", "warning", text, standing.changed_us))
    elif judge.calibration is not None and standing.identity and not trust.calibrated and not standing.doubt:
        text = f"the judge {judge.name} is not calibrated any more: {trust.reasons[0]}"
        findings.append(HealthFinding("judge-uncalibrated", "warning", text, now_us))
    if standing.breaker.open_since_us is not None:
        reason = sanitize(redact(standing.breaker.reason), 200)  # of the provider, who may quote the key
        text = f"the judge {judge.name} does not answer: {reason}"
        findings.append(HealthFinding("judge-down", "warning", text, standing.breaker.open_since_us))
    return findings
