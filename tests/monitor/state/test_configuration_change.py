"""Changes of the configuration with durable state, as `docs/semantics.md` describes them."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from monitor.incidents.incident import Incident
from monitor.protocol.messages import FileRecord, Outputs
from monitor.watch import Watch
from schemas.config.monitor_config import Config
from tests.monitor import event_values
from tests.monitor.delivery.outbox_core import OutboxCore
from tests.monitor.event_values import NINE

REFUSAL, ANSWER = "I'm sorry, but I can't help with that.", "It ships on Tuesday. " * 3
PLAIN: dict[str, Any] = {"default_rules": False, "no_data": {"severity": None}}
ERRORS = {"name": "errors", "on": "error_rate", "above": 0.1, "severity": "critical"}
SHORT = {"name": "short", "on": "evaluator.length.fail_rate", "above": 0.2, "severity": "critical"}


def event(second: float, **more: Any) -> bytes:
    return event_values.event(second, **{"output": ANSWER, **more})


def minutes(start: int, stop: int, **more: Any) -> list[bytes]:
    """Twenty events a minute."""
    return [event(second, **more) for second in range(start * 60, stop * 60, 3)]


def config(**more: Any) -> Config:
    return Config.model_validate(PLAIN | more)


class Partition:
    """A partition whose configuration changes: its outputs and the log of its state."""

    def __init__(self) -> None:
        self.state: dict[bytes, bytes | None] = {}
        self.alerts: list[dict[str, Any]] = []
        self.windows: list[dict[str, Any]] = []
        self._offset = 0

    def run(self, configuration: Config, values: list[bytes]) -> Watch:
        """Restore the partition with a configuration, apply events, and release it."""
        watch = Watch(configuration)
        watch.restore(self.state.items())
        self._note(
            watch.apply([FileRecord(value, self._offset + number) for number, value in enumerate(values)])
        )
        self._offset += len(values)
        self.state |= dict(watch.changed())
        return watch

    def _note(self, out: Outputs) -> None:
        for topic, message in out.order:
            {"alerts": self.alerts, "windows": self.windows}.get(topic, []).append(json.loads(message.value))

    def states_of(self, kind: str) -> list[tuple[str, str]]:
        return [
            (alert["state"], alert["reason"])
            for alert in self.alerts
            if alert["record"] == kind and alert.get("level", "feature") == "feature"
        ]


# ---- what is refused


@pytest.mark.parametrize("change", [{"time": {"pane": "30s"}}, {"time": {"pane": "5m"}}])
def test_a_changed_pane_length_is_refused_with_the_remedy(change):
    partition = Partition()
    partition.run(config(), minutes(0, 3))
    with pytest.raises(ValueError, match=r"counted with pane 60 s.*set it back, or use a new kafka\.prefix"):
        partition.run(config(**change), [])


def test_a_changed_histogram_scale_is_refused_with_the_remedy(monkeypatch):
    partition = Partition()
    partition.run(config(), minutes(0, 3))
    monkeypatch.setattr("monitor.watch.MAX_SCALE", 4)
    with pytest.raises(ValueError, match=r"histogram scale 5, the configuration says .*scale 4; set it back"):
        partition.run(config(), [])


# ---- rules


@pytest.mark.parametrize(
    "rules",
    [
        [],
        [ERRORS | {"above": 0.2}],
        [ERRORS | {"name": "renamed"}],
        [ERRORS | {"severity": "warning"}],
        [ERRORS | {"match": "other/*"}],
        [ERRORS | {"environments": ["staging"]}],
    ],
)
def test_an_edited_or_removed_rule_ends_its_incident_and_a_remaining_breach_joins_or_opens_an_episode(
    rules,
):
    partition = Partition()
    partition.run(config(rules=[ERRORS]), minutes(0, 10, error_type="timeout", output=None))
    assert partition.states_of("transition")[-1][0] == "firing"
    partition.run(config(rules=rules), minutes(10, 13, error_type="timeout", output=None))
    ended = [alert for alert in partition.alerts if alert.get("reason") == "rule_changed"]
    assert {item["state"] for item in ended} == {"resolved"}
    assert (
        len(ended) == len({item["incident_id"] for item in ended}) == 2
    )  # of the feature and of its segment
    assert {item["episode_id"] for item in ended} == {
        next(alert["episode_id"] for alert in partition.alerts if alert["record"] == "episode")
    }
    goes_on = any(rule.get("match", "*") == "*" and "environments" not in rule for rule in rules)
    # a page of which only a warning is left is over
    is_ticket = any(rule["severity"] == "warning" for rule in rules)
    assert partition.states_of("episode")[-1][0] == (
        "resolved" if not goes_on else "opened" if is_ticket else "updated"
    )
    assert [state for state, _ in partition.states_of("episode")].count("opened") == 1 + is_ticket


def test_an_edited_rule_ends_the_incident_of_a_silent_feature():
    partition = Partition()
    partition.run(config(rules=[ERRORS]), minutes(0, 10, error_type="timeout", output=None))
    partition.run(config(), [event(12 * 60, feature="other")])
    assert partition.states_of("episode")[-1] == ("resolved", "errors: rule_changed")


def test_two_alternating_configurations_on_a_partition_lose_and_duplicate_nothing():
    """A rolling update during which the partition moves back and forth."""
    partition, fault = Partition(), {"error_type": "timeout", "output": None}
    old, new = (
        config(rules=[ERRORS]),
        config(rules=[ERRORS | {"for": "1m"}, SHORT], features=[{"match": "*", "dimensions": ["region"]}]),
    )
    for turn in range(8):
        partition.run(
            (old, new)[turn % 2], minutes(turn * 5, turn * 5 + 5, **(fault if 1 <= turn < 6 else {}))
        )
    # what falls silent with the other dimensions is gone after a quarter of an hour
    partition.run(old, minutes(40, 60))
    opened = [
        alert["episode_id"]
        for alert in partition.alerts
        if alert["record"] == "episode" and alert["state"] == "opened"
    ]
    ended = [
        alert["episode_id"]
        for alert in partition.alerts
        if alert["record"] == "episode" and alert["state"] == "resolved"
    ]
    assert opened == ended
    assert len(set(opened)) == len(opened) > 0
    fired = [
        alert["incident_id"]
        for alert in partition.alerts
        if alert["record"] == "transition" and alert["state"] == "firing"
    ]
    resolved = [
        alert["incident_id"]
        for alert in partition.alerts
        if alert["record"] == "transition" and alert["state"] == "resolved"
    ]
    assert len(set(fired)) == len(fired)
    assert set(fired) <= set(resolved)
    last = {window["start"]: window["events"] for window in partition.windows if window["level"] == "feature"}
    assert last == {
        (NINE + timedelta(minutes=minute)).isoformat().replace("+00:00", "Z"): 20 for minute in range(59)
    }


# ---- evaluators


def length(least: int, **more: Any) -> Config:
    return config(
        rules=[
            SHORT | {"keep_firing_for": 0},
            {"name": "floor", "on": "pass_rate", "below": 0.5, "severity": "critical"},
        ],
        features=[{"match": "*", "evaluators": ["refusal", {"length": {"min_chars": least}}], **more}],
    )


def evidence(partition: Partition, configuration: Config, values: list[bytes], rule: str) -> list[float]:
    """Return the effective events of a rule at each edge of its incident."""
    partition.run(configuration, values)
    return [
        alert["evidence"]["n"]
        for alert in partition.alerts
        if alert["record"] == "transition" and alert["rule"] == rule and alert["level"] == "feature"
    ]


def test_counts_of_two_evaluator_versions_are_not_mixed():
    """At 20 events a minute the new evaluator has its first 50 events after three panes."""
    partition = Partition()
    partition.run(length(5), minutes(0, 60))
    assert evidence(partition, length(500), minutes(60, 70), "short")[0] <= 100
    unchanged = Partition()
    unchanged.run(length(5), minutes(0, 60))
    assert evidence(unchanged, length(5), minutes(60, 70), "short") == []


def test_earlier_failures_of_a_relaxed_evaluator_do_not_count():
    partition = Partition()
    partition.run(length(500), minutes(0, 60))
    assert partition.states_of("transition")[-1][0] == "firing"
    partition.run(length(5), minutes(60, 66))
    # within 50 events, and not when the old failures are an hour away
    assert partition.states_of("transition")[-1] == ("resolved", "well again")


def test_a_changed_gating_evaluator_restarts_the_pass_rate_and_an_informative_evaluator_does_not():
    for gating in (True, False):
        partition = Partition()
        before, after = (length(least, gating={"length": gating}) for least in (5, 6))
        partition.run(before, minutes(0, 60))
        watch = Watch(after)
        watch.restore(partition.state.items())
        watch.apply([FileRecord(value) for value in minutes(60, 64)])
        (versions,) = watch.partition_state.evaluators.values()
        assert (versions["pass_rate"][1] > 0) == gating
        assert versions["length"][1] > 0
        assert versions["refusal"][1] == 0


def test_a_change_of_evaluators_is_applied_once_and_survives_restarts():
    partition = Partition()
    partition.run(length(5), minutes(0, 30))
    (first,) = partition.run(length(6), minutes(30, 32)).partition_state.evaluators.values()
    (second,) = partition.run(length(6), minutes(32, 34)).partition_state.evaluators.values()
    assert tuple(first["length"]) == tuple(second["length"])
    (third,) = partition.run(
        config(rules=[SHORT], features=[{"match": "*", "evaluators": ["refusal"]}]), minutes(34, 36)
    ).partition_state.evaluators.values()
    # taken out, and back as another
    (fourth,) = partition.run(length(7), minutes(36, 38)).partition_state.evaluators.values()
    assert fourth["length"][1] > third["length"][1] == first["length"][1]


# ---- dimensions, lateness, environments


def test_changed_dimensions_create_new_segments_of_the_same_feature():
    partition, fault = Partition(), {"error_type": "timeout", "output": None}
    partition.run(
        config(rules=[ERRORS | {"window": "10m"}]), minutes(0, 10, dimensions={"region": "eu"}, **fault)
    )
    more = config(rules=[ERRORS | {"window": "10m"}], features=[{"match": "*", "dimensions": ["region"]}])
    watch = partition.run(more, minutes(10, 30, dimensions={"region": "eu"}, **fault))
    (feature,) = watch.partition_state.features.values()
    assert sorted(segment_key.dimensions for segment_key in feature.segments) == [(), (("region", "eu"),)]
    # the feature counts on over the change
    assert sum(pane.events for pane in feature.window(0, 2**62)) == 600
    resolved = [
        alert
        for alert in partition.alerts
        if alert["record"] == "transition" and alert["reason"] == "segment_gone"
    ]
    assert [item["dimensions"] for item in resolved] == [{}]
    assert partition.states_of("episode")[-1][0] == "updated"  # the fault lasts, so its one episode does
    assert [state for state, _ in partition.states_of("episode")].count("opened") == 1


@pytest.mark.parametrize("lateness", ["0s", "5m"])
def test_a_changed_lateness_never_moves_the_watermark_back_nor_counts_a_window_twice(lateness):
    partition = Partition()
    before = partition.run(config(time={"lateness": "1m"}), minutes(0, 10)).watermark_us
    after = partition.run(config(time={"lateness": lateness}), minutes(10, 20)).watermark_us
    assert before is not None
    assert after is not None
    assert after >= before
    revisions = [
        (window["start"], window["revision"]) for window in partition.windows if window["level"] == "feature"
    ]
    assert len(set(revisions)) == len(revisions)
    assert {window["events"] for window in partition.windows} == {20}


def test_an_open_episode_keeps_its_urgency_when_its_environment_stops_paging():
    partition, fault = Partition(), {"error_type": "timeout", "output": None}
    partition.run(config(rules=[ERRORS]), minutes(0, 10, **fault))
    partition.run(config(rules=[ERRORS], page_environments=[]), minutes(10, 30))
    assert {alert["urgency"] for alert in partition.alerts if alert["record"] == "episode"} == {"high"}
    assert partition.states_of("episode")[-1][0] == "resolved"


# ---- delivery


PAGERDUTY = {"routing_key": "0123456789abcdef0123456789abcdef"}


@pytest.mark.parametrize(
    "routes", [[], [{"to": ["console"]}], [{"severity": ["info"], "to": ["pagerduty"]}, {"to": ["console"]}]]
)
def test_an_open_episode_is_resolved_on_the_channel_that_was_triggered_after_routes_change(
    routes, episode_of, nine_us
):
    channels = {"pagerduty": PAGERDUTY, "console": {}}
    outbox = OutboxCore(config(channels=channels, routes=[{"to": ["pagerduty"]}]))
    outbox.apply([FileRecord(episode_of().model_dump_json().encode(), 1)], nine_us)
    trigger = outbox.due("pagerduty", nine_us)
    assert trigger is not None
    outbox.delivered(trigger, nine_us)
    later = OutboxCore(config(channels=channels, routes=routes, kafka={"prefix": "softfail"}))
    later.restore(outbox.changed())
    later.apply(
        [FileRecord(episode_of(state="resolved", minute=9).model_dump_json().encode(), 2)],
        nine_us + 540_000_000,
    )
    resolve = later.due("pagerduty", nine_us + 540_000_000)
    assert resolve is not None
    assert (resolve.action, resolve.dedup_key) == ("resolve", trigger.dedup_key)
    assert later.due("console", nine_us + 540_000_000) is None


# ---- records that were dropped or rebuilt


def firing() -> Partition:
    partition = Partition()
    partition.run(config(rules=[ERRORS]), minutes(0, 10, error_type="timeout", output=None))
    return partition


def dropped(partition: Partition, kind: bytes) -> None:
    partition.state = {
        key: value for key, value in partition.state.items() if not key.startswith(b'["%s"' % kind)
    }


def test_an_episode_without_incidents_in_the_state_ends_at_the_next_edge():
    partition = firing()
    dropped(partition, b"incident")
    partition.run(config(), minutes(10, 12))
    assert partition.states_of("episode")[-1] == ("resolved", "an incident of it is gone from the state")


def test_incidents_without_their_episode_in_the_state_open_another_one():
    partition = firing()
    first = partition.alerts[-1]["episode_id"]
    dropped(partition, b"episode")
    partition.run(config(rules=[ERRORS]), minutes(10, 12, error_type="timeout", output=None))
    (again,) = [
        alert
        for alert in partition.alerts
        if alert["record"] == "episode" and alert["state"] == "opened" and alert["episode_id"] != first
    ]
    partition.run(config(rules=[ERRORS]), minutes(12, 30))
    assert partition.alerts[-1]["episode_id"] == again["episode_id"]
    assert partition.states_of("episode")[-1][0] == "resolved"


def test_an_incident_rebuilt_under_another_id_replaces_its_predecessor_in_the_episode():
    partition = firing()
    watch = Watch(config(rules=[ERRORS]))
    watch.restore(partition.state.items())
    for feature_key, incidents in watch.partition_state.incidents.items():
        for (segment, rule), incident in list(incidents.items()):
            incidents[segment, rule] = Incident.from_state_values(
                ["x" + incident.incident_id, *incident.state_values()[1:]]
            )
            watch.partition_state.mark_incident(feature_key, segment, rule)
    partition.state |= dict(watch.changed())
    partition.run(config(rules=[ERRORS]), minutes(10, 12, error_type="timeout", output=None))
    partition.run(config(rules=[ERRORS]), minutes(12, 30))
    assert len({alert["episode_id"] for alert in partition.alerts if alert["record"] == "episode"}) == 1
    assert partition.states_of("episode")[-1][0] == "resolved"


def test_a_state_of_features_incidents_and_episodes_alone_is_accepted():
    """The worker starts although other records are missing."""
    partition = firing()
    for kind in (b"feature", b"pane"):
        dropped(partition, kind)
        partition.run(config(rules=[ERRORS]), minutes(10, 11))
    partition.run(config(), minutes(11, 13))
    assert partition.states_of("episode")[-1][0] == "resolved"
