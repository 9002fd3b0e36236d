"""Writes ``layoutN.*``: real records of a release's state, and what they mean to that release.

Run it once a layout, with the checkout of the release that has the layout: ``PYTHONPATH=CHECKOUT python
make_golden.py N [notify]``. The files stay as they are. ``notify`` has had layouts of its own since the
fourth.
"""

from __future__ import annotations

import base64
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from monitor.notifier import Notifier
from monitor.protocol.messages import FileRecord, Outputs
from monitor.watch import Watch
from monitor.windows.record import complete_metrics
from schemas.config.monitor_config import Config

HERE = Path(__file__).parent
BEGAN = datetime(2026, 3, 2, 9, tzinfo=UTC)
DAY_S = 86_400.0
CONFIG = Config.model_validate(
    {
        "features": [{"match": "bot/answer", "dimensions": ["region"], "interaction": "sync"}],
        "rules": [
            {
                "name": "refusals",
                "on": "evaluator.refusal.fail_rate",
                "above": 0.1,
                "window": "5m",
                "severity": "critical",
            },
            {
                "name": "slow",
                "on": "duration_s.p90",
                "above": "budget",
                "window": "10m",
                "for": "2m",
                "severity": "warning",
                "min_events": 20,
            },
            {
                "name": "lasting",
                "on": "pass_rate",
                "below": 0.9,
                "window": "5m",
                "for": "30m",
                "severity": "error",
            },
        ],
        "channels": {"console": {}, "pagerduty": {"routing_key": "0123456789abcdef0123456789abcdef"}},
    }
)
METRICS = (
    "pass_rate",
    "error_rate",
    "evaluator.refusal.fail_rate",
    "evaluator.judge.fail_rate",
    "feedback.acceptance_rate",
    "duration_s.p90",
    "duration_s.mean",
    "output_tokens.mean",
    "cost_usd.p50",
    "feedback.rating.mean",
)
REFUSAL, ANSWER = "I'm sorry, but I can't help with that.", "It ships on Tuesday."


def event(second: float, number: int, **more: Any) -> bytes:
    """One event; equal arguments give equal bytes."""
    time = (BEGAN + timedelta(seconds=second)).isoformat().replace("+00:00", "Z")
    fields = {
        "event_id": f"e{number}",
        "time": time,
        "service": "bot",
        "feature": "answer",
        "environment": "production",
        "model": "m1",
        "output": ANSWER,
        "duration_s": 0.25 + number % 7 / 10,
        "output_tokens": 40 + number % 90,
        "cost_usd": 0.0001 * (number % 13),
    }
    return json.dumps({key: value for key, value in (fields | more).items() if value is not None}).encode()


def early() -> list[bytes]:
    """Twelve days of low traffic, which are rolled up, and then a fault that lasts."""
    values: list[bytes] = [b"garbage", event(0, 0, duration_s=-1)]
    for day in range(12):
        for number in range(60):
            second, n = day * DAY_S + number * 90, day * 1000 + number
            region = {"dimensions": {"region": ("eu", "us")[number % 2]}}
            values.append(
                event(
                    second,
                    n,
                    prompt_version=f"v{day // 4}",
                    **region,
                    **({"error_type": "timeout", "output": None} if number % 30 == 0 else {}),
                )
            )
            if number % 3 == 0:
                values.append(
                    event(
                        second,
                        n + 100,
                        feature="rank",
                        variant="b",
                        sample_probability=0.125,
                        content_probability=0.5,
                    )
                )
            if number % 5 == 0:
                values.append(
                    event(
                        second + 1,
                        n + 200,
                        kind="feedback",
                        output=None,
                        duration_s=None,
                        output_tokens=None,
                        cost_usd=None,
                        accepted=number % 2 == 0,
                        rating=0.5,
                        response_id="r",
                    )
                )
                values.append(
                    event(
                        second + 1,
                        n + 300,
                        kind="evaluation",
                        output=None,
                        duration_s=None,
                        output_tokens=None,
                        cost_usd=None,
                        evaluator="judge",
                        passed=number % 4 != 0,
                        score=0.7,
                        response_id="r",
                    )
                )
    values += [meter(11 * DAY_S + 5400, 4000)]
    return (
        values
        + [
            event(second, 20_000 + second, output=REFUSAL if second % 4 else ANSWER, duration_s=3.5)
            for second in _seconds(11, 7200, 480, 2)
        ]
        + [event(11 * DAY_S + 3600, 30_000), event(3600, 30_001)]
    )  # late; expired


def later() -> list[bytes]:
    """The events after the restore: the fault continues, then ends."""
    bad = [
        event(second, 40_000 + second, output=REFUSAL, duration_s=3.5)
        for second in _seconds(11, 7680, 120, 2)
    ]
    return bad + [event(second, 50_000 + second) for second in _seconds(11, 7800, 1200, 2)]


def meter(second: float, seen: int) -> bytes:
    """Make a meter event of a producer."""
    time = (BEGAN + timedelta(seconds=second)).isoformat().replace("+00:00", "Z")
    return json.dumps(
        {
            "kind": "meter",
            "event_id": f"m{seen}",
            "time": time,
            "service": "bot",
            "feature": "answer",
            "environment": "production",
            "producer_id": "p1",
            "started_at": BEGAN.isoformat().replace("+00:00", "Z"),
            "seen": seen,
            "sampled": seen - 50,
            "sent": seen - 60,
            "dropped": 10,
            "sequence": seen,
        }
    ).encode()


def _seconds(day: int, first: int, count: int, step: int) -> list[int]:
    return [round(day * DAY_S) + first + number * step for number in range(count // step)]


def records(values: list[bytes], first: int = 0) -> list[FileRecord]:
    """Return the records as they are in the log."""
    return [FileRecord(value, first + number) for number, value in enumerate(values)]


def meaning(watch: Watch) -> dict[str, Any]:
    """Return the meaning of the state in plain values, in the terms of ``semantics.md``."""
    from monitor.windows.metric_reader import estimate_metric
    from monitor.windows.segment_keys import segment_to_json

    out: dict[str, Any] = {
        "watermark_us": watch.watermark_us,
        "dead_letters": watch.partition_state.dead_letters,
        "features": {},
    }
    for key, feature in sorted(watch.partition_state.features.items()):
        panes = {
            resolution: [
                [segment_to_json(segment.key), key, pane.events, pane.revision, pane.late]
                for segment in feature.segments.values()
                for key, pane in sorted(segment.panes_by_resolution[resolution].items())
            ]
            for resolution in ("pane", "hour", "day")
        }
        read = {metric: list(estimate_metric(feature.window(0, 2**62), metric, 1.96)) for metric in METRICS}
        incidents = {
            f"{segment_to_json(key)} {rule}": [
                incident.incident_id,
                incident.state,
                incident.severity,
                incident.since_us,
                incident.breached_us,
                msgspec.to_builtins(incident.evidence),
            ]
            for (key, rule), incident in watch.partition_state.incidents.get(key, {}).items()
        }
        episode = watch.partition_state.episodes.get(key)
        out["features"]["/".join(key)] = {
            "panes": panes,
            "metrics": read,
            "incidents": incidents,
            "received": feature.received,
            "late": feature.late,
            "expired": feature.expired,
            "episode": episode
            and [
                episode.episode_id,
                episode.severity,
                episode.urgency,
                sorted(episode.firing),
                sorted(episode.incidents),
            ],
            "well": sorted(feature.healthy_rules),
            "hours": {str(hour): n for hour, n in sorted(feature.hourly_responses.items())},
        }
    return json.loads(json.dumps(out))


def outcome(out: Outputs) -> list[Any]:
    """Summarise windows, transitions and episodes."""
    short: list[Any] = []
    for topic, message in out.order:
        record = json.loads(message.value)
        if record.get("record") == "window":
            pass_rate = complete_metrics(record["metrics"]).get("pass_rate")
            short.append(
                [
                    record["level"],
                    record["feature"],
                    record["model"],
                    record["start"],
                    record["revision"],
                    record["events"],
                    pass_rate and {key: n for key, n in pass_rate.items() if key != "known_weights"},
                ]
            )
        elif topic == "alerts":
            short.append(
                [
                    record["record"],
                    record["state"],
                    record["reason"],
                    record["time"],
                    record.get("rule"),
                    record.get("episode_id"),
                ]
            )
    return short


def notify_records(alerts: list[FileRecord]) -> list[tuple[bytes, bytes | None]]:
    """Return the state of a notifier: a delivered and an undelivered page, a page of three features, a
    silence and a change.
    """
    notifier, now_us = (
        Notifier(CONFIG),
        int((BEGAN + timedelta(days=11, hours=2, minutes=9)).timestamp()) * 1_000_000,
    )
    silence = {
        "record": "silence",
        "silence_id": "ab12",
        "match": "bot/rank",
        "environments": ["prod*"],
        "severity": ["warning"],
        "starts_at": "2026-03-13T11:00:00Z",
        "ends_at": "2026-03-13T13:00:00Z",
        "author": "ann",
        "reason": "deploy",
        "time": "2026-03-13T11:00:00Z",
    }
    change = {
        "record": "change",
        "change_id": "c1",
        "service": "bot",
        "feature": "answer",
        "environment": "production",
        "kind": "model",
        "name": "m2",
        "before": "m1",
        "time": "2026-03-13T11:00:00Z",
        "decided_at": "2026-03-13T11:00:00Z",
    }
    episode = next(
        episode
        for record in alerts
        if (episode := json.loads(record.value or b""))["record"] == "episode"
        and episode["state"] == "opened"
    )
    other_episodes = [
        episode | {"feature": name, "episode_id": name, "dedup_key": f"softfail/{name}", "provider": "acme"}
        for name in ("title", "moderate", "search")
    ]
    more = [
        FileRecord(json.dumps(record).encode(), len(alerts) + nth)
        for nth, record in enumerate((silence, change, *other_episodes))
    ]
    notifier.apply([*alerts, *more], now_us)
    outbox = notifier.outbox
    step = outbox.due("console", now_us)
    assert step is not None
    outbox.delivered(step, now_us)
    step = outbox.due("pagerduty", now_us)
    assert step is not None
    outbox.failed(step, now_us, 0.5)
    if (step := outbox.due("console", now_us + 1)) is not None:
        outbox.refused(step, "no", now_us + 1)
    return notifier.changed()


def main(layout: str, agent: str = "") -> None:
    """Write the files of one layout, of one agent if it is named."""
    watch = Watch(CONFIG)
    alerts = watch.apply(records(early()), None).messages["alerts"]
    state = watch.changed()
    states = {"watch": state, "notify": notify_records(records([message.value for message in alerts]))}
    for name, changes in states.items():
        if agent in ("", name):
            lines = [
                json.dumps([base64.b64encode(key).decode(), base64.b64encode(value).decode()])
                for key, value in changes
                if value is not None
            ]
            (HERE / f"layout{layout}.{name}.ndjson").write_text("\n".join(lines) + "\n")
    if agent in ("", "watch"):
        again = Watch(CONFIG)
        again.restore(state)
        expected = {"meaning": meaning(again), "next": outcome(again.apply(records(later(), 10_000), None))}
        (HERE / f"layout{layout}.meaning.json").write_text(json.dumps(expected, indent=1) + "\n")
    kinds = sorted(
        {
            json.loads(key)[0] if key.startswith(b"[") else key.decode().partition("/")[0]
            for changes in states.values()
            for key, value in changes
            if value is not None
        }
    )
    print(kinds, [len(changes) for changes in states.values()])


if __name__ == "__main__":
    main(*sys.argv[1:])
