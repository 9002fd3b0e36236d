"""A worker with chosen partitions, with a watch of realistic numbers."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from agents.runtime.counters import Counters, PartitionStatus
from agents.runtime.process_counters import ProcessCounters
from monitor.protocol.metrics import METRICS, SUM, Measure


class FakeCore:
    def __init__(self, measures=(), status=None):
        self._measures, self._status = measures, status

    def measures(self):
        return iter(self._measures)

    def status(self):
        return self._status or {"watermark": None, "features": [], "episodes": [], "recent": []}


class FakeWorker:
    def __init__(self, parts=(), *, ready=True, healthy=True, assigned=True, missing_topics=()):
        self.parts, self.ready, self.healthy = list(parts), ready, healthy
        self.missing_topics = missing_topics
        self.running = ProcessCounters()
        self.counters = Counters(checkpoints=12, checkpoint_seconds=0.5, records=1000)
        self.store = SimpleNamespace(
            agents={"events": SimpleNamespace(name="watch"), "alerts": SimpleNamespace(name="notify")},
            assigned=assigned,
        )

    def partitions(self):
        return list(self.parts)


def _part(core, partition=0, agent="watch", restoring=False, position=100, end=100):
    return PartitionStatus(
        agent,
        "softfail.events",
        partition,
        core,
        position,
        position,
        end,
        position == end,
        restoring,
        0,
        0,
        None,
    )


@pytest.fixture
def fake_core():
    return FakeCore


@pytest.fixture
def fake_worker():
    return FakeWorker


@pytest.fixture
def part():
    return _part


@pytest.fixture
def every_measure():
    """One measure of each metric that there is; of a histogram one above all bounds."""
    return [
        Measure(name, (*(f"a {label}" for label in metric.labels), *last), 1 if last else 0.5)
        for name, metric in METRICS.items()
        for last in ([("+Inf",), (SUM,)] if metric.kind == "histogram" else [()])
    ]


def _iso(time):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def _rate(value, n):
    half = 1.96 * math.sqrt(max(value * (1 - value), 0.001) / n)
    return {"value": value, "low": max(0, value - half), "high": min(1, value + half), "n": n}


def _feature(now, rng, service, feature, environment, rate, per_min, falls=False):
    series = []
    for minute in range(60):
        bad = falls and minute > 47
        series.append(
            {
                "start": _iso(now - timedelta(minutes=60 - minute)),
                "events": int(rng.gauss(per_min, per_min / 8)),
                "pass_rate": None
                if minute == 20
                else min(1, max(0, rng.gauss(0.42 if bad else rate, 0.015))),
            }
        )
    now_rate = 0.42 if falls else rate
    return {
        "service": service,
        "feature": feature,
        "environment": environment,
        "events_5m": per_min * 5,
        "pass_rate": _rate(now_rate, per_min * 5),
        "error_rate": _rate(0.004 if not falls else 0.03, per_min * 5),
        "refusal_rate": _rate(0.006 if not falls else 0.51, per_min * 5),
        "duration_p90_s": {"value": 0.84 if not falls else 3.92, "low": 0.8, "high": 0.9, "n": per_min * 5},
        "output_tokens_mean": {
            "value": 212.4 if not falls else 48.0,
            "low": 205.0,
            "high": 219.0,
            "n": per_min * 5,
        },
        "segments": 3,
        "series": series,
        "account": _account(per_min * 50, falls),
    }


def _account(received, losing):
    calls = {"seen": 10 * received, "sampled": received + 2, "sent": received + 1, "dropped": 1}
    if losing:
        calls |= {"sampled": 2 * received, "sent": received + 40, "dropped": received - 40}
    skipped = {
        "refusal": {"no output text": received // 2},
        "length": {"neither min_chars nor max_chars is configured": received},
    }
    return {
        **calls,
        "received": received,
        "missing": 40 if losing else 0,
        "late": 3,
        "expired": 0,
        "verdicts": {"error": received, "refusal": received // 2},
        "skipped": skipped,
        "errors": {"json": 4} if losing else {},
    }


def _labels(service, feature, environment="production", level="feature", model=""):
    return {
        "level": level,
        "service": service,
        "feature": feature,
        "environment": environment,
        "model": model,
        "prompt_version": "7" if model else "",
        "variant": "",
        "dimensions": {"region": "eu"} if model else {},
    }


def realistic_status(now, hostile=""):
    rng = random.Random(7)
    evidence = {
        "metric": "pass_rate",
        "value": 0.418,
        "low": 0.39,
        "high": 0.447,
        "n": 1140.0,
        "above": None,
        "below": 0.5,
        "window_s": 300.0,
    }
    refusals = {
        **evidence,
        "metric": "evaluator.refusal.fail_rate",
        "value": 0.51,
        "low": 0.48,
        "high": 0.54,
        "above": 0.1,
        "below": None,
    }
    since = now - timedelta(minutes=12)
    reason = "pass_rate 0.418 is below 0.5 with certainty, since 2 panes"
    incidents = [
        {
            **_labels("support-bot", "answer"),
            "incident_id": "a1",
            "rule": "pass-rate-floor",
            "severity": "critical",
            "state": "firing",
            "since": _iso(since),
            "evidence": evidence,
        },
        {
            **_labels("support-bot", "answer", level="segment", model="gpt-4-0613"),
            "incident_id": "a2",
            "rule": "refusals",
            "severity": "error",
            "state": "firing",
            "since": _iso(since + timedelta(minutes=1)),
            "evidence": refusals,
        },
    ]
    episode = {
        "record": "episode",
        "episode_id": "e1",
        "dedup_key": "softfail/e1",
        "state": "updated",
        "reason": reason + hostile,
        "service": "support-bot",
        "feature": "answer" + hostile,
        "environment": "production",
        "severity": "critical",
        "urgency": "high",
        "muted": "",
        "started_at": _iso(since),
        "time": _iso(now),
        "decided_at": _iso(now),
        "incidents": incidents,
        "findings": [
            {"state": "firing", "rule": "pass-rate-floor", "text": "only 42 % of answers pass" + hostile},
            {"state": "firing", "rule": "refusals", "text": "51 % of answers refused" + hostile},
        ],
        "causes": [
            "new prompt version 7 (since 2 Mar 08:55 UTC): 51 % of its answers refused, 2 % of the others"
            + hostile,
            "gpt-4-0613 answers, and never did before",
        ],
        "headline": "58 % of answers failed (should stay under 50 %), 1,140 events in 5 min" + hostile,
        "next_step": "Read the failing answers; compare prompt versions and models, roll back a new one.",
        "examples": [
            {
                "event_id": "resp-9f31",
                "time": _iso(now),
                "model": "gpt-4-0613",
                "evaluator": "refusal",
                "reason": "I'm sorry, but I cannot",
                "output": "I'm sorry, I cannot help with refunds for order <NUMBER>." + hostile,
            }
        ],
    }
    slow = {
        "metric": "duration_s.p90",
        "value": 5.9,
        "low": 5.4,
        "high": 6.6,
        "n": 310.0,
        "above": 5.0,
        "below": None,
        "window_s": 600.0,
    }
    moved = {
        "metric": "response_model=gpt-4-0613" + hostile,
        "value": 0.94,
        "low": None,
        "high": None,
        "n": 300.0,
        "window_s": 60.0,
        "reference": 0.0,
        "test": "never_seen",
        "findings": [{"metric": "response_model"}, {"metric": "output_tokens.p50" + hostile}],
    }
    low = {
        **episode,
        "causes": [],
        "headline": "",
        "examples": [],
        "severity": "warning",
        "urgency": "low",
        "episode_id": "e2",
        "service": "search",
        "feature": "summarise",
        "reason": "duration_s.p90 5.9 s is above its budget of 5 s",
        "started_at": _iso(now - timedelta(hours=3)),
        "findings": [
            {"state": "firing", "rule": "slow", "text": "90 % of calls take up to 5.9 s"},
            {
                "state": "firing",
                "rule": "drift",
                "text": f"94 % of calls are answered by the model gpt-4-0613{hostile} (was 0 %)",
            },
        ],
        "incidents": [
            {
                **_labels("search", "summarise"),
                "incident_id": "a3",
                "rule": "slow",
                "severity": "warning",
                "state": "firing",
                "since": _iso(now - timedelta(hours=3)),
                "evidence": slow,
            },
            {
                **_labels("search", "summarise"),
                "incident_id": "a4",
                "rule": "drift",
                "severity": "warning",
                "state": "firing",
                "since": _iso(now - timedelta(hours=3)),
                "evidence": moved,
            },
        ],
    }
    recent = [
        {
            "record": "transition",
            "incident_id": "a1",
            "episode_id": "e1",
            "rule": rule,
            "severity": "critical",
            "state": state,
            "reason": why,
            "time": _iso(now - timedelta(minutes=ago)),
            "decided_at": _iso(now),
            **_labels("support-bot", "answer"),
            "evidence": evidence,
        }
        for rule, state, why, ago in (
            ("refusals", "firing", "0.51 is above 0.1 with certainty", 11),
            ("pass-rate-floor", "firing", reason, 12),
            ("pass-rate-floor", "pending", "the first breaching edge", 13),
            ("error-rate", "resolved", "well for 2 min", 260),
        )
    ]
    features = [
        _feature(now, rng, "support-bot", "answer" + hostile, "production", 0.972, 240, falls=True),
        _feature(now, rng, "support-bot", "classify", "production", 0.995, 1250),
        _feature(now, rng, "support-bot", "answer", "staging", 0.93, 12),
        _feature(now, rng, "search", "summarise", "production", 0.964, 61),
        _feature(now, rng, "checkout", "fraud-explanation", "production", 0.988, 33),
        {
            **_feature(now, rng, "notes", "title", "production", 0.99, 2),
            "pass_rate": None,
            "refusal_rate": None,
            "duration_p90_s": None,
            "account": {**_account(100, False), **dict.fromkeys(("seen", "sampled", "sent", "dropped"))},
        },
    ]
    return {
        "watermark": _iso(now - timedelta(seconds=32)),
        "features": features,
        "episodes": [low, episode],
        "recent": recent,
        "dead_letters": {"invalid": 12, "future": 1},
        "forwarded": 7,
    }


@pytest.fixture
def status():
    return realistic_status


@pytest.fixture
def realistic_worker():
    def build(hostile=""):
        now = datetime.now(UTC).replace(microsecond=0)
        watch = FakeCore(status=realistic_status(now, hostile))
        silenced = {
            "episodes": [],
            "silences": [
                {
                    "silence_id": "1a2b3c4d",
                    "match": "search/*" + hostile,
                    "environments": ["production"],
                    "severity": ["warning"],
                    "author": "ann" + hostile,
                    "reason": "new index" + hostile,
                    "until": _iso(now + timedelta(hours=2)),
                    "holds": 1,
                }
            ],
        }
        other_parts = [
            _part(FakeCore(), 7, end=140),
            _part(FakeCore(), 11, restoring=True),
            _part(FakeCore(status=silenced), 0, agent="notify"),
        ]
        return FakeWorker([_part(watch, 3), *other_parts])

    return build
