"""From heartbeats to episodes about softfail itself, through the common outbox."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.notifier import Notifier
from monitor.protocol.messages import FileRecord, Outputs
from monitor.protocol.metrics import METRICS
from monitor.protocol.read_progress import ReadProgress
from monitor.self_health.share_checks import HealthFinding
from monitor.watch import Watch
from monitor.wording.episode_text import next_step
from schemas.config.monitor_config import Config
from schemas.records import Episode
from schemas.times import rfc3339
from tests.tiers import examples

SECOND, MINUTE = 1_000_000, 60_000_000
BEGAN = int(datetime(2026, 3, 2, 9, tzinfo=UTC).timestamp()) * SECOND
PAGERDUTY = {"channels": {"pagerduty": {"routing_key": "0123456789abcdef0123456789abcdef"}, "console": {}}}
DEAD = HealthFinding(
    "dead-letters", "error", "12 % of records could not be read in 5 min (mostly: unreadable)", BEGAN, 0.12
)
FEW = DEAD._replace(severity="warning", value=0.02)
LAG = HealthFinding("lag", "error", "records wait", BEGAN, 900.0)


class Bench:
    """A notifier, a log of alerts, a clock, and a receiver that accepts everything. State becomes durable
    together with the outputs.
    """

    def __init__(self, config=None, partitions=4):
        self.config = Config.model_validate(config or PAGERDUTY)
        self.partitions, self.now_us = partitions, BEGAN
        self.notifier, self.log, self.position = Notifier(self.config), [], 0
        self.durable, self.durable_position = {}, 0
        self.findings, self.silent, self.observed_s = {}, set(), 300.0
        self.sent, self.counts = [], {}

    def write(self, value):
        self.log.append(FileRecord(value, len(self.log)))

    def beat(self):
        for partition in set(range(self.partitions)) - self.silent:
            findings = [msgspec.to_builtins(finding.record()) for finding in self.findings.get(partition, ())]
            self.write(
                json.dumps(
                    {
                        "record": "health",
                        "agent": "watch",
                        "partition": partition,
                        "partitions": self.partitions,
                        "time": rfc3339(self.now_us),
                        "observed_s": self.observed_s,
                        "counts": self.counts.get(partition, {}),
                        "findings": findings,
                    },
                    separators=(",", ":"),
                ).encode()
            )

    def read(self):
        self.notifier.apply(self.log[self.position :], self.now_us)
        self.position = len(self.log)

    def look(self):
        self.checkpoint(self.notifier.check_health(self.now_us))

    def checkpoint(self, outputs):
        for message in outputs.messages.get("alerts", ()):
            self.write(message.value)
        self.durable.update(self.notifier.changed())
        self.durable_position = self.position

    def crash(self):
        self.notifier, self.position = Notifier(self.config), self.durable_position
        self.notifier.restore([(key, value) for key, value in self.durable.items() if value is not None])

    def deliver(self, verdict="delivered"):
        for channel in self.config.channels.names():
            while (step := self.notifier.outbox.due(channel, self.now_us)) is not None:
                if verdict == "delivered" or channel != "pagerduty":
                    self.notifier.outbox.delivered(step, self.now_us)
                    self.sent.append((channel, step.action, step.urgency, step.episode.feature, step.reason))
                elif verdict == "refused":
                    self.notifier.outbox.refused(step, "400: no such key", self.now_us)
                elif verdict == "unexpected":
                    self.notifier.outbox.failed(step, self.now_us, 0.0, reason="404: <html>", unexpected=True)
                else:
                    self.notifier.outbox.failed(step, self.now_us, 0.0, reason="no answer")

    def pass_time(self, seconds, verdict="delivered"):
        for second in range(0, seconds, 2):
            self.now_us += 2 * SECOND
            if second % 60 == 0:
                self.beat()
            self.read()
            self.look()
            self.read()
            self.deliver(verdict)

    def episodes(self):
        return [
            episode
            for record in self.log
            if record.value.startswith(b'{"record":"episode"') and (episode := json.loads(record.value))
        ]


@pytest.fixture
def bench():
    return Bench()


def test_a_finding_becomes_one_page_of_the_deployment_and_ends_when_no_partition_reports_it(bench):
    bench.pass_time(120)
    bench.findings = {1: [DEAD], 3: [DEAD]}
    bench.pass_time(600)
    bench.findings = {}
    bench.pass_time(120)
    paged = [message for message in bench.sent if message[0] == "pagerduty"]
    assert [(action, urgency, feature) for _, action, urgency, feature, _ in paged] == [
        ("trigger", "high", "monitor"),
        ("resolve", "high", "monitor"),
    ]
    opened, *_, resolved = bench.episodes()
    assert (opened["service"], opened["environment"], opened["state"], resolved["state"]) == (
        "softfail",
        "production",
        "opened",
        "resolved",
    )
    assert opened["incidents"][0]["text"] == f"{DEAD.text}, in partitions 1, 3"
    for episode in bench.episodes():
        Episode.model_validate_json(json.dumps(episode))


def test_several_findings_share_an_episode_and_a_worse_finding_escalates_it(bench):
    bench.findings = {1: [FEW]}
    bench.pass_time(120)
    bench.findings = {1: [DEAD], 2: [LAG]}
    bench.pass_time(120)
    assert [episode["state"] for episode in bench.episodes()] == ["opened", "escalated"]
    assert len({episode["episode_id"] for episode in bench.episodes()}) == 1
    assert [(action, urgency) for channel, action, urgency, *_ in bench.sent if channel == "pagerduty"] == [
        ("trigger", "low"),
        ("trigger", "high"),
        ("resolve", "low"),
    ]


def test_the_configured_severity_caps_that_of_findings():
    for severity, sent in (("warning", [("trigger", "low")]), (None, [])):
        bench = Bench(PAGERDUTY | {"health": {"severity": severity}})
        bench.findings = {1: [DEAD]}
        bench.pass_time(120)
        assert [
            (action, urgency) for channel, action, urgency, *_ in bench.sent if channel == "pagerduty"
        ] == sent


def test_without_a_paging_environment_it_is_a_ticket():
    bench = Bench(PAGERDUTY | {"page_environments": []})
    bench.findings = {1: [DEAD]}
    bench.pass_time(120)
    assert {urgency for _, _, urgency, _, _ in bench.sent} == {"low"}


def test_a_new_owner_without_a_full_window_ends_nothing(bench):
    bench.findings = {1: [DEAD]}
    bench.pass_time(120)
    bench.findings, bench.observed_s = {}, 60.0
    bench.pass_time(240)
    assert [episode["state"] for episode in bench.episodes()] == ["opened"]
    bench.observed_s = 300.0
    bench.pass_time(120)
    assert [episode["state"] for episode in bench.episodes()] == ["opened", "resolved"]


def test_a_loss_stays_open_for_an_hour(bench):
    bench.findings = {1: [LAG._replace(name="lost-records")]}
    bench.pass_time(60)
    bench.findings = {}
    bench.pass_time(3540)
    assert [episode["state"] for episode in bench.episodes()] == ["opened"]
    bench.pass_time(180)
    assert [episode["state"] for episode in bench.episodes()] == ["opened", "resolved"]


@pytest.mark.parametrize(
    ("finding", "stays"),
    [
        (HealthFinding("recovery", "warning", "reading the state took 95 s", BEGAN, 95.0), True),
        (
            HealthFinding(
                "evaluator-silence",
                "warning",
                "truncation has judged none of the last 280 answers of bot/answer",
                BEGAN,
                280.0,
            ),
            False,
        ),
    ],
)
def test_a_long_recovery_lasts_an_hour_and_a_silent_evaluator_until_its_next_verdict_both_as_tickets(
    bench, finding, stays
):
    bench.findings = {2: [finding]}
    bench.pass_time(120)
    bench.findings = {}
    bench.pass_time(1800)
    opened, *over = bench.episodes()
    assert (opened["state"], opened["urgency"]) == ("opened", "low")
    assert "its status page" not in next_step(Episode.model_validate_json(json.dumps(opened)))
    assert bool(over) is not stays
    bench.pass_time(2000)
    assert [episode["state"] for episode in bench.episodes()] == ["opened", "resolved"]


def test_a_silent_partition_is_an_error_after_five_minutes_until_its_next_heartbeat(bench):
    bench.pass_time(120)
    bench.silent = {2}
    bench.pass_time(220)
    assert bench.episodes() == []
    bench.pass_time(40)
    (opened,) = bench.episodes()
    assert opened["urgency"] == "high"
    assert opened["incidents"][0]["text"].startswith("no heartbeat for 5 min")
    assert opened["incidents"][0]["text"].endswith(", in partition 2")
    bench.silent = set()
    bench.pass_time(120)
    assert bench.episodes()[-1]["state"] == "resolved"


def test_no_heartbeat_of_any_partition_is_a_finding(bench):
    bench.silent = set(range(4))
    bench.pass_time(400)
    assert [incident["rule"] for incident in bench.episodes()[0]["incidents"]] == ["no-heartbeat"]


def test_partitions_do_not_count_as_silent_for_downtime_of_the_notifier(bench):
    bench.pass_time(600)
    bench.now_us += 20 * MINUTE  # it was stopped, and nobody wrote meanwhile
    bench.look()
    bench.pass_time(60)
    bench.crash()
    bench.now_us += 20 * MINUTE
    bench.look()
    bench.pass_time(600)
    assert bench.episodes() == []


def test_dead_letters_spread_over_all_partitions_are_a_finding_although_none_has_ten(bench):
    bench.counts = {
        partition: {"records": 100, "dead-letters": 4, "dead-letters/unreadable": 4} for partition in range(4)
    }
    bench.pass_time(60)
    (opened,) = bench.episodes()
    assert opened["incidents"][0]["text"] == "4 % of records could not be read in 5 min (mostly: unreadable)"
    assert opened["urgency"] == "low"


def test_unreadable_records_beside_good_ones_are_a_ticket_with_the_share_of_all_and_the_partitions(bench):
    bench.counts = {partition: {"records": 580} for partition in range(3)}
    bench.counts[3] = {"records": 110, "dead-letters": 100, "dead-letters/unreadable": 100}
    bench.findings = {3: [DEAD._replace(value=0.91, text="91 % of records could not be read in 5 min")]}
    bench.pass_time(400)
    (opened,) = bench.episodes()
    (incident,) = opened["incidents"]
    assert (opened["urgency"], incident["evidence"]["value"]) == ("low", 0.054054)
    assert (
        incident["text"] == "5.4 % of records could not be read in 5 min (mostly: unreadable), in partition 3"
    )


def test_a_ticket_about_all_records_stays_when_one_partition_finds_a_large_share_too(bench):
    bench.counts = {partition: {"records": 580, "dead-letters": 8} for partition in range(4)}
    bench.pass_time(120)
    assert [episode["state"] for episode in bench.episodes()] == ["opened"]
    bench.counts[3] = {"records": 60, "dead-letters": 40}
    bench.findings = {3: [DEAD]}
    bench.pass_time(400)
    assert {episode["state"] for episode in bench.episodes()} <= {"opened", "updated"}


def test_unreadable_records_that_are_much_of_all_page(bench):
    bench.counts = {partition: {"records": 300} for partition in range(3)}
    bench.counts[3] = {"records": 500, "dead-letters": 400}
    bench.findings = {3: [DEAD]}
    bench.pass_time(120)
    assert bench.episodes()[-1]["urgency"] == "high"
    assert bench.episodes()[-1]["incidents"][0]["text"].startswith("28.6 % of records could not be read")


def test_after_a_restart_no_share_over_all_is_taken_before_all_partitions_were_heard(bench):
    bench.counts = {3: {"records": 110, "dead-letters": 100}}
    bench.findings = {3: [DEAD]}
    bench.silent = {0, 1, 2}
    bench.pass_time(50)
    assert bench.episodes() == []
    bench.pass_time(30)
    assert [episode["urgency"] for episode in bench.episodes()] == ["low"]


def test_unreadable_records_in_all_partitions_are_one_page_although_partitions_report_one_by_one(bench):
    bench.pass_time(120)
    for partition in range(4):
        bench.counts[partition] = {"records": 500, "dead-letters": 100, "dead-letters/unreadable": 100}
        bench.findings[partition] = [DEAD]
        bench.silent = {0, 1, 2, 3} - {partition}  # each says at once what it finds
        bench.beat()
        bench.silent = set()
        for _ in range(2):
            bench.now_us += 2 * SECOND
            bench.read()
            bench.look()
            bench.read()
            bench.deliver()
    opened = [step for step in bench.sent if step[0] == "pagerduty"]
    assert opened == [("pagerduty", "trigger", "high", "monitor", "opened")]


def test_a_channel_down_for_five_minutes_is_reported_through_the_other_channels_only(bench):
    bench.write(_quality("q"))
    bench.pass_time(480, "failed")
    down = [message for message in bench.sent if message[3] == "channel-pagerduty"]
    assert [(channel, action, urgency) for channel, action, urgency, *_ in down] == [
        ("console", "trigger", "high")
    ]
    assert "pagerduty takes nothing: no answer" in bench.episodes()[-1]["incidents"][0]["text"]
    bench.pass_time(180)
    assert [
        (channel, action) for channel, action, _, feature, _ in bench.sent if feature == "channel-pagerduty"
    ] == [("console", "trigger"), ("console", "resolve")]
    assert ("pagerduty", "trigger", "high", "answer", "opened") in bench.sent


def test_a_refusal_is_reported_through_the_other_channels_only(bench):
    bench.write(_quality("q"))
    bench.pass_time(10, "refused")
    bench.pass_time(7200)
    about = [
        (channel, action) for channel, action, _, feature, _ in bench.sent if feature == "channel-pagerduty"
    ]
    assert about == [("console", "trigger"), ("console", "resolve")]  # an hour later
    assert (
        "400: no such key"
        in next(episode for episode in bench.episodes() if episode["feature"] == "channel-pagerduty")[
            "incidents"
        ][0]["text"]
    )


def test_an_answer_of_something_else_is_reported_at_once_until_the_receiver_confirms_a_step(bench):
    bench.write(_quality("q"))
    bench.pass_time(6, "unexpected")
    (opened,) = [episode for episode in bench.episodes() if episode["feature"] == "channel-pagerduty"]
    assert [incident["rule"] for incident in opened["incidents"]] == ["unexpected-answer"]
    assert "404: <html>" in opened["incidents"][0]["text"]
    assert ("console", "trigger", "high", "channel-pagerduty", "opened") in bench.sent
    bench.pass_time(7200, "unexpected")
    assert not [channel for channel, *_ in bench.sent if channel == "pagerduty"]
    bench.pass_time(70)
    assert ("pagerduty", "trigger", "high", "answer", "opened") in bench.sent
    assert ("console", "resolve", "high", "channel-pagerduty", "resolved") in bench.sent


def test_a_restart_does_not_end_the_report_of_an_unexpected_answer(bench):
    bench.write(_quality("q"))
    bench.pass_time(60, "unexpected")
    bench.crash()
    bench.read()
    for _ in range(9):
        bench.look()
    bench.pass_time(60, "unexpected")
    about = [episode["state"] for episode in bench.episodes() if episode["feature"] == "channel-pagerduty"]
    assert about == ["opened"]


def test_the_only_channel_gets_no_page_about_its_own_outage_after_it():
    bench = Bench({"channels": {"pagerduty": PAGERDUTY["channels"]["pagerduty"]}})
    bench.write(_quality("q"))
    bench.pass_time(900, "failed")
    assert any(episode["feature"] == "channel-pagerduty" for episode in bench.episodes())
    bench.pass_time(120)
    assert {feature for _, _, _, feature, _ in bench.sent} == {"answer"}


def test_refusals_counted_by_a_release_without_self_health_are_not_reported():
    bench = Bench()
    bench.notifier.restore([(b"counts", b'{"pagerduty": {"refused": 7}}')])
    bench.pass_time(60)
    assert bench.episodes() == []


def test_a_resolve_is_as_durable_as_an_opening(bench):
    bench.findings = {1: [FEW, LAG]}
    bench.pass_time(60)
    for left in ([FEW], []):
        bench.findings = {1: left}
        bench.pass_time(60)
        written = len(bench.episodes())
        bench.crash()
        bench.pass_time(60)
        assert len(bench.episodes()) == written
    assert [episode["state"] for episode in bench.episodes()] == ["opened", "updated", "resolved"]


STEPS = st.lists(
    st.sampled_from(
        ["beat", "read", "look", "look", "crash", "time", "bad", "worse", "well", "lag", "deliver"]
    ),
    max_size=60,
)


@settings(max_examples=examples(2))
@given(steps=STEPS)
def test_a_restart_at_any_record_opens_and_resolves_each_episode_once(steps):
    bench = Bench()
    for step in steps:
        if step in ("bad", "worse", "well", "lag"):
            bench.findings = {1: {"bad": [FEW], "worse": [DEAD], "well": [], "lag": [LAG, FEW]}[step]}
        elif step == "time":
            bench.now_us += 20 * SECOND
        else:
            getattr(bench, step)()
    bench.findings = {}
    bench.pass_time(180)
    states = {}
    for episode in bench.episodes():
        states.setdefault(episode["episode_id"], []).append(episode["state"])
    assert all(
        (states[name].count("opened"), states[name][0], states[name].count("resolved"), states[name][-1])
        == (1, "opened", 1, "resolved")
        for name in states
    )
    runs = [episode["state"] for episode in bench.episodes() if episode["state"] in ("opened", "resolved")]
    assert runs == ["opened", "resolved"] * (len(runs) // 2)  # never two at once
    assert not list(bench.notifier.status()["episodes"])


@given(steps=STEPS)
def test_a_restored_notifier_behaves_like_the_original(steps):
    bench = Bench()
    for step in steps:
        if step in ("bad", "worse", "well", "lag"):
            bench.findings = {1: {"bad": [FEW], "worse": [DEAD], "well": [], "lag": [LAG, FEW]}[step]}
        elif step == "time":
            bench.now_us += 20 * SECOND
        elif step != "crash":
            getattr(bench, step)()
    bench.read()
    bench.look()
    bench.read()
    bench.checkpoint(bench.notifier.check_health(bench.now_us))
    again = Notifier(bench.config)
    again.restore([(key, value) for key, value in bench.durable.items() if value is not None])
    again._now_us = bench.now_us
    assert again.status() == bench.notifier.status()
    later_us = bench.now_us + 2 * SECOND
    assert again.check_health(later_us) == bench.notifier.check_health(later_us)


@pytest.mark.parametrize(
    "value",
    [
        b'{"record":"health"',
        b'{"record":"health"}',
        b'{"record":"health","agent":"watch","partition":"x"}',
        b'{"record":"health","agent":"watch","partition":0,"partitions":4,"observed_s":1,"counts":{},"findings":[{"name":"a"}]}',
    ],
)
def test_an_unreadable_heartbeat_is_ignored(bench, value):
    bench.write(value)
    bench.pass_time(60)
    assert bench.episodes() == []


@pytest.mark.parametrize(
    "record",
    [
        (b"health/what", b"{}"),
        (b"health/finding/monitor/lag", b"{}"),
        (b"health/episode/monitor", b"[1]"),
        (b"health/seen", b"[]"),
    ],
)
def test_an_unreadable_state_record_is_named_in_the_error(record):
    with pytest.raises(ValueError, match=record[0].decode()):
        Notifier(Config()).restore([record])


def test_findings_of_a_thousand_partitions_fit_into_a_record():
    bench = Bench(partitions=1000)
    bench.findings = {partition: [DEAD, LAG] for partition in range(1000)}
    bench.beat()
    bench.read()
    bench.look()
    assert all(len(value) < 128 << 10 for value in bench.durable.values() if value)
    assert bench.episodes()[0]["incidents"][0]["text"].endswith(", in all partitions")


def test_only_the_first_partition_of_the_alerts_topic_has_self_health():
    second = Notifier(Config(), partition=1)
    assert not second.check_health(BEGAN)
    assert not second.check_health(BEGAN + 600 * SECOND)
    assert second.status() == {"episodes": []}


def test_open_episodes_are_on_the_status_page_and_in_the_metrics(bench):
    bench.findings = {1: [DEAD]}
    bench.pass_time(60)
    (episode,) = bench.notifier.status()["episodes"]
    assert episode.pop("headline").startswith("12 % of records could not be read")
    assert episode.pop("next_step").endswith("python -m agents deadletters.")
    assert [finding["rule"] for finding in episode.pop("findings")] == ["dead-letters"]
    Episode.model_validate_json(json.dumps(episode))
    shown = {(measure.name, *measure.labels): measure.value for measure in bench.notifier.measures()}
    assert shown["softfail_incidents", "softfail", "monitor", "production", "dead-letters", "error"] == 1
    assert shown["softfail_episodes", "softfail", "monitor", "production", "high"] == 1
    for name, *labels in shown:
        assert len(labels) == len(METRICS[name].labels)


def _quality(name):
    time = rfc3339(BEGAN)
    return json.dumps(
        {
            "record": "episode",
            "episode_id": name,
            "dedup_key": f"softfail/{name}",
            "state": "opened",
            "reason": "fired",
            "service": "bot",
            "feature": "answer",
            "environment": "production",
            "severity": "critical",
            "urgency": "high",
            "started_at": time,
            "time": time,
            "decided_at": time,
            "incidents": [],
            "examples": [],
        },
        separators=(",", ":"),
    ).encode()


@pytest.mark.parametrize("step_s", [86_400, 3600, -86_400])
def test_a_partition_that_falls_silent_is_noticed_although_the_clock_was_wrong_for_a_moment(step_s):
    config = Config.model_validate({"kafka": {"partitions": 1}})
    notifier, watch, start_us, second_us = (
        Notifier(config),
        Watch(config, 0, 1),
        1_800_000_000_000_000,
        1_000_000,
    )
    opened: list[tuple[int, str]] = []

    def tick(second: int, *, is_alive: bool, step_s: int = 0) -> None:
        now_us = start_us + (second + step_s) * second_us
        beats = watch.heartbeat(ReadProgress(True, 0, 0.0), now_us) if is_alive else Outputs()
        outputs = notifier.check_health(now_us)
        for message in [*beats.messages.get("alerts", ()), *outputs.messages.get("alerts", ())]:
            record = json.loads(message.value)
            if record["record"] == "episode" and record["state"] == "opened":
                opened.append((second, record["incidents"][0]["rule"]))
            notifier.apply([FileRecord(message.value, second, now_us // 1000)], now_us)

    for second in range(600):
        tick(second, is_alive=True)
    for second in range(600, 630):
        tick(second, is_alive=True, step_s=step_s)
    for second in range(630, 1500):
        tick(second, is_alive=True)
    assert opened == []
    for second in range(1500, 2400):
        tick(second, is_alive=False)
    assert [rule for _, rule in opened] == ["no-heartbeat"]
