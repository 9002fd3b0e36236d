from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from schemas.records import Episode, EpisodeIncident, Evidence, Example


@pytest.fixture(scope="session")
def episode_of():
    """Makes an episode: ``episode_of("e1", "opened", minute=3, urgency="low", rules=("a", "b"))``; minutes since 2 March 2026, 09:00 UTC."""
    began = datetime(2026, 3, 2, 9, tzinfo=UTC)

    def make(name="e1", state="opened", *, minute=0.0, urgency="high", severity=None, rules=("refusals",), muted="", environment="production", **more):
        severity = severity or ("critical" if urgency == "high" else "warning")
        time = began + timedelta(minutes=minute)
        evidence = Evidence(metric="evaluator.refusal.fail_rate", value=0.23, low=0.19, high=0.28, n=310, above=0.02, window_s=300)
        incidents = [
            EpisodeIncident(level="feature", service="support-bot", feature="answer", environment=environment, incident_id=f"{name}-{rule}", rule=rule,
                            severity=severity, state="resolved" if state == "resolved" else "firing", since=began, evidence=evidence)
            for rule in rules
        ]
        example = Example(event_id="r1", time=began, model="gpt-x", evaluator="refusal", reason="says that it cannot", output="I'm sorry, I can't help.")
        fields = {
            "record": "episode", "episode_id": name, "dedup_key": f"softfail/{name}", "state": state, "reason": "refusals fired",
            "service": "support-bot", "feature": "answer", "environment": environment, "severity": severity, "urgency": urgency, "muted": muted,
            "started_at": began, "time": time, "decided_at": time, "incidents": incidents, "examples": [example],
        }
        return Episode(**(fields | more))

    return make


@pytest.fixture(scope="session")
def nine_us():
    """2 March 2026, 09:00 UTC in microseconds since 1970."""
    return int(datetime(2026, 3, 2, 9, tzinfo=UTC).timestamp()) * 1_000_000
