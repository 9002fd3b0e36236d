"""The dead man's switch is pinged only while everything that could page is healthy: each single defect
withholds pings until it ends.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.delivery.retries import EPISODES
from monitor.notifier import Notifier
from monitor.protocol.messages import FileRecord
from monitor.protocol.metrics import METRICS
from monitor.self_health.dead_mans_switch import REASONS, Withheld
from schemas.config.monitor_config import Config
from schemas.times import rfc3339

SECOND, MINUTE = 1_000_000, 60_000_000
BEGAN = int(datetime(2026, 3, 2, 9, tzinfo=UTC).timestamp()) * SECOND
URL = "https://hc-ping.example/2f6ageheim?rid=1"
CHANNELS = {"pagerduty": {"routing_key": "0123456789abcdef0123456789abcdef"}, "console": {}}
PARTITIONS = 4


class Bench:
    """A notifier, heartbeats, a clock, and a switch that counts pings."""

    def __init__(self, durable=(), now_us=BEGAN, health=None, channels=None):
        self.config = Config.model_validate(
            {"channels": channels or CHANNELS, "health": {"dead_mans_url": URL} if health is None else health}
        )
        self.now_us, self.notifier = now_us, Notifier(self.config)
        self.notifier.restore(durable)
        self.silent, self.pings, self.reason = set(), [], ""

    def pass_time(self, seconds, reading=True):
        """Advance the time: heartbeats every minute, a check every second."""
        for _ in range(seconds):
            self.now_us += SECOND
            if (self.now_us - BEGAN) % MINUTE == SECOND:
                for partition in set(range(PARTITIONS)) - self.silent:
                    self.beat(partition)
            if reading:
                self.notifier.check_health(self.now_us)
            self.ask()

    def beat(self, partition):
        beat = {
            "record": "health",
            "agent": "watch",
            "partition": partition,
            "partitions": PARTITIONS,
            "time": rfc3339(self.now_us),
            "observed_s": 300.0,
            "counts": {},
            "findings": [],
        }
        self.notifier.apply([FileRecord(json.dumps(beat, separators=(",", ":")).encode())], self.now_us)

    def ask(self):
        due = self.notifier.dead_mans_switch.due(self.now_us)
        self.reason = due.reason if isinstance(due, Withheld) else ""
        self.text = due.text if isinstance(due, Withheld) else ""
        self.pings += [] if isinstance(due, Withheld) else [(self.now_us, sign) for sign in due]

    def put(self, episode):
        self.notifier.apply([FileRecord(episode.model_dump_json().encode())], self.now_us)

    def answer(self, verdict):
        """Set the response of PagerDuty to the due step."""
        outbox = self.notifier.outbox
        step = outbox.due("pagerduty", self.now_us)
        assert step is not None
        if verdict == "delivered":
            outbox.delivered(step, self.now_us)
        elif verdict == "refused":
            outbox.refused(step, "400: no such key", self.now_us)
        else:
            outbox.failed(step, self.now_us, 0.0, reason="no route", **verdict)

    def reset(self):
        self.pings.clear()


@pytest.fixture
def bench():
    """A bench that has been healthy for ten minutes."""
    made = Bench()
    made.pass_time(600)
    assert made.reason == ""
    made.reset()
    return made


@pytest.fixture
def put(bench, episode_of, nine_us):
    """Write an episode of the current time."""
    return lambda *args, **more: bench.put(
        episode_of(*args, minute=(bench.now_us - nine_us) / MINUTE, **more)
    )


def test_while_softfail_is_healthy_one_ping_is_due_each_interval(bench):
    bench.pass_time(600)
    times = [at_us for at_us, _ in bench.pings]
    assert {later - earlier for earlier, later in pairwise(times)} == {MINUTE}
    assert len(times) == 10
    request = bench.pings[0][1].request
    assert (request.method, request.url, request.body, request.timeout_s) == ("GET", URL, b"", 10.0)


def test_the_configured_interval_applies():
    bench = Bench(health={"dead_mans_url": URL, "dead_mans_interval": "20s"})
    bench.pass_time(60)
    bench.reset()
    bench.pass_time(60)
    assert len(bench.pings) == 3


def test_no_ping_is_due_before_the_first_heartbeat_of_each_partition():
    bench = Bench()
    bench.pass_time(0)
    bench.notifier.check_health(bench.now_us)
    bench.ask()
    assert bench.text == "waiting for the first heartbeat of any partition"
    bench.silent = {3}
    bench.pass_time(120)
    assert (bench.reason, bench.text, bench.pings) == (
        "waiting",
        "waiting for the first heartbeat of partition 3",
        [],
    )
    bench.beat(3)
    bench.ask()
    assert len(bench.pings) == 1


def test_a_partition_that_never_sends_a_heartbeat_is_silent_after_the_window():
    bench = Bench()
    bench.silent = {1, 3}
    bench.pass_time(302)
    assert (bench.reason, bench.text, bench.pings) == (
        "no-heartbeat",
        "no heartbeat for 5 min of partitions 1, 3",
        [],
    )


@given(partition=st.integers(0, PARTITIONS - 1))
@settings(max_examples=PARTITIONS)
def test_one_silent_partition_withholds_pings_until_its_next_heartbeat(partition):
    bench = Bench()
    bench.pass_time(120)
    bench.silent = {partition}
    bench.pass_time(400)
    bench.reset()
    bench.pass_time(300)
    assert (bench.reason, bench.text, bench.pings) == (
        "no-heartbeat",
        f"no heartbeat for 5 min of partition {partition}",
        [],
    )
    bench.silent = set()
    bench.pass_time(60)
    assert bench.reason == ""
    assert bench.pings


def test_an_open_breaker_withholds_until_the_channel_answers_again(bench, put):
    put()
    for _ in range(EPISODES.failures):
        bench.pass_time(10)
        assert bench.reason == ""
        bench.answer({})
    bench.reset()
    bench.pass_time(120)
    assert (bench.reason, bench.text, bench.pings) == (
        "channel-down",
        "pagerduty takes nothing: no route",
        [],
    )
    bench.answer("delivered")
    bench.pass_time(1)
    assert bench.pings


def test_a_requested_pause_of_a_channel_withholds_pings_for_its_duration(bench, put):
    put()
    bench.answer({"after_s": 600.0, "hold": True})
    bench.reset()
    bench.pass_time(599)
    assert (bench.reason, bench.pings) == ("channel-down", [])
    bench.pass_time(2)
    bench.answer("delivered")
    bench.pass_time(1)
    assert bench.pings


def test_a_refused_step_withholds_pings_although_other_steps_are_delivered(bench, put):
    put("a")
    bench.answer("refused")
    put("b")
    bench.answer("delivered")
    bench.reset()
    bench.pass_time(300)
    assert (bench.reason, bench.text, bench.pings) == (
        "refused",
        "pagerduty refuses what it is told: 400: no such key",
        [],
    )
    put("a", state="resolved")
    bench.notifier.outbox.due("pagerduty", bench.now_us)
    bench.pass_time(1)
    assert bench.pings


def test_a_refusal_withholds_pings_after_its_episode_ended_until_a_delivery_succeeds(bench, put):
    put("a")
    bench.answer("refused")
    put("a", state="resolved")
    bench.notifier.outbox.due("pagerduty", bench.now_us)
    bench.reset()
    bench.pass_time(3600)
    assert (bench.reason, bench.pings) == ("refused", [])
    put("b")
    bench.answer("delivered")
    bench.pass_time(1)
    assert bench.pings


def test_a_notifier_with_a_backlog_withholds_pings(bench):
    bench.pass_time(20, reading=False)
    assert bench.reason == ""
    bench.pass_time(20, reading=False)
    assert bench.reason == "behind"
    bench.pass_time(1)
    assert bench.reason == ""


def test_a_clock_set_back_does_not_make_a_silent_partition_count_as_alive(bench):
    bench.now_us -= 60 * MINUTE
    bench.silent = {2}
    bench.reset()
    bench.pass_time(60)
    assert (bench.reason, bench.pings) == ("no-heartbeat", [])


def test_a_new_owner_waits_for_each_partition_and_then_sends_pings(bench):
    successor = Bench([item for item in bench.notifier.changed() if item[1] is not None], bench.now_us)
    successor.silent = {0}
    successor.pass_time(120)
    assert (successor.reason, successor.text) == ("waiting", "waiting for the first heartbeat of partition 0")
    successor.silent = set()
    successor.pass_time(60)
    assert successor.pings


def test_a_failed_ping_is_counted_and_withholds_nothing(bench):
    bench.pass_time(60)
    ((at_us, sign),) = bench.pings
    bench.notifier.dead_mans_switch.sent(sign, at_us, arrived=False)
    bench.pass_time(60)
    bench.notifier.dead_mans_switch.sent(bench.pings[1][1], bench.now_us, arrived=True)
    assert (bench.reason, len(bench.pings)) == ("", 2)
    measures = {
        (measure.name, *measure.labels): measure.value
        for measure in bench.notifier.measures()
        if "dead_man" in measure.name
    }
    assert measures == {("softfail_dead_man_withheld", why): 0.0 for why in REASONS} | {
        ("softfail_dead_man_pings_total", "url", "sent"): 1,
        ("softfail_dead_man_pings_total", "url", "failed"): 1,
    }
    assert {name for name, *_ in measures} <= METRICS.keys()
    assert bench.notifier.status()["dead_man"] == {"withheld": None, "last": {"url": rfc3339(bench.now_us)}}


def test_the_reason_for_withholding_is_exported_and_shown_without_the_address(bench):
    bench.silent = {3}
    bench.pass_time(400)
    (labels,) = [
        measure.labels
        for measure in bench.notifier.measures()
        if measure.name == "softfail_dead_man_withheld" and measure.value
    ]
    assert labels == ("no-heartbeat",)
    status = bench.notifier.status()
    assert status["dead_man"]["withheld"] == "no heartbeat for 5 min of partition 3"
    assert (
        "geheim" not in f"{status}{bench.pings}{vars(bench.notifier.dead_mans_switch)}"
        f"{list(bench.notifier.measures())}{bench.notifier.changed()}"
    )


def test_the_watchdog_of_alertmanager_is_sent_with_or_without_an_address():
    for health, wanted in (({"dead_mans_url": URL}, {"url", "alertmanager"}), ({}, {"alertmanager"})):
        bench = Bench(
            health=health,
            channels={"alertmanager": {"url": "http://alertmanager:9093", "timeout": 60, "watchdog": True}},
        )
        bench.pass_time(60)
        assert {sign.to for _, sign in bench.pings} == wanted
        (request,) = [sign.request for _, sign in bench.pings if sign.to == "alertmanager"]
        assert (request.url, request.timeout_s) == ("http://alertmanager:9093/api/v2/alerts", 10.0)


def test_without_a_dead_mans_switch_nothing_is_sent_or_measured():
    for channels in (CHANNELS, {"alertmanager": {"url": "http://alertmanager:9093"}}):
        notifier = Notifier(Config.model_validate({"channels": channels}))
        assert not notifier.dead_mans_switch.is_wanted
        assert [measure for measure in notifier.measures() if "dead_man" in measure.name] == []


def test_only_the_first_partition_of_the_alerts_topic_has_a_dead_mans_switch():
    assert Notifier(Config.model_validate({"health": {"dead_mans_url": URL}}), 1).dead_mans_switch is None
