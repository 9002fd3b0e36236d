"""Find what keeps a channel from delivering."""

from __future__ import annotations

from monitor.self_health.share_checks import HealthFinding


def channel_findings(
    channel: str,
    open_since_us: int | None,
    open_reason: str,
    refused_reason: str | None,
    unexpected: str | None,
    now_us: int,
) -> list[HealthFinding]:
    """Return the findings about a channel.

    Args:
        channel: its name.
        open_since_us: since when its circuit breaker is open, if that is long enough; else None.
        open_reason: why the last step failed.
        refused_reason: why it refused a step since the last call; None: it refused none.
        unexpected: an answer that was not the receiver's own; empty or None: none.
        now_us: wall clock, microseconds since 1970.
    """
    findings = []
    if unexpected:
        text = f"what answers {channel} is not its receiver: {unexpected}; pages wait and are tried again"
        findings.append(HealthFinding("unexpected-answer", "error", text, now_us))
    if open_since_us is not None:
        text = f"{channel} takes nothing: {open_reason or 'no answer'}"
        findings.append(HealthFinding("channel-down", "error", text, open_since_us))
    if refused_reason is not None:
        text = f"{channel} refused a delivery for good: {refused_reason}; it is in the dead letters"
        findings.append(HealthFinding("refused", "error", text, now_us))
    return findings
