"""Episodes of one provider or model are one page, and no failure leaves one of them undelivered."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.delivery.page_grouping import WAIT_US
from monitor.protocol.messages import FileRecord
from monitor.wording import episode_text
from schemas.config.monitor_config import Config
from schemas.times import rfc3339
from tests.monitor.delivery.outbox_core import OutboxCore
from tests.tiers import examples

KEY = "0123456789abcdef0123456789abcdef"
CONFIG = Config.model_validate({"channels": {"pagerduty": {"routing_key": KEY}}})
SECOND, MINUTE = 1_000_000, 60_000_000
NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.fixture
def make_episode(episode_of):
    """Make an episode of a feature of the same name."""

    def make(name, state="opened", *, minute=0.0, provider="acme", began=None, **more):
        began = NINE + timedelta(minutes=minute if began is None else began)
        made = episode_of(
            name, state, minute=minute, feature=name, provider=provider, started_at=began, **more
        )
        incidents = [
            incident.model_copy(update={"feature": name, "since": began}) for incident in made.incidents
        ]
        return made.model_copy(update={"incidents": incidents})

    return make


@pytest.fixture
def outbox():
    return OutboxCore(CONFIG)


def put(outbox, *episodes, now_us=None):
    outbox.apply(
        [FileRecord(episode.model_dump_json().encode(), nth) for nth, episode in enumerate(episodes)], now_us
    )


def send_due(outbox, now_us, channel="pagerduty"):
    steps = []
    while (step := outbox.due(channel, now_us)) is not None:
        outbox.delivered(step, now_us)
        steps.append(step)
    return steps


def brief(steps):
    return [(step.action, step.dedup_key.removeprefix("softfail/"), step.reason) for step in steps]


def names(step):
    return [member.feature for member in step.episode.members]


def test_a_provider_outage_in_six_features_is_one_page_that_lists_the_features(outbox, make_episode, nine_us):
    put(outbox, make_episode("a"), now_us=nine_us)
    assert brief(send_due(outbox, nine_us)) == [("trigger", "a/high", "opened")]
    put(
        outbox,
        make_episode("b"),
        make_episode("c"),
        make_episode("d", minute=0.1),
        now_us=nine_us + 6 * SECOND,
    )
    put(outbox, make_episode("e", minute=1), make_episode("f", minute=2), now_us=nine_us + 2 * MINUTE)
    (step,) = send_due(outbox, nine_us + 2 * MINUTE)
    assert (step.action, step.dedup_key, step.reason, step.episode.features) == (
        "trigger",
        "softfail/a/high",
        "more features",
        6,
    )
    assert names(step) == list("abcdef")
    line = episode_text.summary(step.episode)
    assert line.startswith(
        "6 features with provider acme: support-bot/a, support-bot/b, support-bot/c, support-bot/d and 2"
        " more; support-bot/"
    )
    put(outbox, *(make_episode(name, "resolved", minute=9) for name in "abcde"), now_us=nine_us + 9 * MINUTE)
    assert send_due(outbox, nine_us + 9 * MINUTE) == []
    put(outbox, make_episode("f", "resolved", minute=9), now_us=nine_us + 9 * MINUTE)
    assert brief(send_due(outbox, nine_us + 9 * MINUTE)) == [("resolve", "a/high", "resolved")]
    assert send_due(outbox, nine_us + 900 * MINUTE) == []


def test_two_episodes_of_a_provider_are_two_pages_and_the_second_waits_briefly_for_a_third(
    outbox, make_episode, nine_us
):
    put(outbox, make_episode("a"), make_episode("b"), now_us=nine_us)
    assert brief(send_due(outbox, nine_us)) == [("trigger", "a/high", "opened")]
    assert send_due(outbox, nine_us + WAIT_US - 1) == []
    assert brief(send_due(outbox, nine_us + WAIT_US)) == [("trigger", "b/high", "opened")]


def test_a_third_episode_joins_the_first_page_and_the_second_keeps_its_page(outbox, make_episode, nine_us):
    put(outbox, make_episode("a"), make_episode("b"), now_us=nine_us)
    send_due(outbox, nine_us)
    send_due(outbox, nine_us + 2 * MINUTE)
    put(outbox, make_episode("c", minute=3), now_us=nine_us + 3 * MINUTE)
    (step,) = send_due(outbox, nine_us + 3 * MINUTE)
    assert (step.dedup_key, names(step)) == ("softfail/a/high", ["a", "b", "c"])
    put(
        outbox,
        make_episode("a", "resolved", minute=9),
        make_episode("b", "resolved", minute=9),
        now_us=nine_us + 9 * MINUTE,
    )
    assert brief(send_due(outbox, nine_us + 9 * MINUTE)) == [("resolve", "b/high", "resolved")]
    put(outbox, make_episode("c", "resolved", minute=10), now_us=nine_us + 10 * MINUTE)
    assert brief(send_due(outbox, nine_us + 10 * MINUTE)) == [("resolve", "a/high", "resolved")]


@pytest.mark.parametrize(
    "third",
    [
        {"provider": "other"},
        {"provider": ""},
        {"minute": 6},
        {"environment": "staging"},
        {"muted": "over 24 h old on arrival"},
    ],
)
def test_episodes_without_a_common_cause_and_late_or_unsent_episodes_are_not_grouped(
    outbox, make_episode, nine_us, third
):
    put(outbox, make_episode("a"), make_episode("b"), make_episode("c", **third), now_us=nine_us + 6 * MINUTE)
    steps = send_due(outbox, nine_us + 10 * MINUTE)
    assert not any(step.episode.members for step in steps)
    assert len(steps) == (2 if "muted" in third else 3)


def test_a_common_model_groups_episodes_of_unknown_provider(outbox, make_episode, nine_us):
    put(outbox, *(make_episode(name, provider="", model="m-1") for name in "abc"), now_us=nine_us)
    (step,) = send_due(outbox, nine_us)
    assert (names(step), step.episode.model, step.episode.provider) == (["a", "b", "c"], "m-1", "")
    assert episode_text.place(step.episode) == "3 features with model m-1"


def test_tickets_are_never_grouped_and_join_no_page(outbox, make_episode, nine_us):
    put(outbox, *(make_episode(name, urgency="low") for name in "abcd"), now_us=nine_us)
    assert [key for _, key, _ in brief(send_due(outbox, nine_us))] == ["a/low", "b/low", "c/low", "d/low"]
    put(outbox, *(make_episode(name) for name in "efg"), make_episode("h", urgency="low"), now_us=nine_us)
    page, ticket = send_due(outbox, nine_us)
    assert (names(page), ticket.dedup_key) == (["e", "f", "g"], "softfail/h/low")


def test_a_ticket_that_becomes_a_page_joins_a_group_and_its_ticket_is_resolved(outbox, make_episode, nine_us):
    put(outbox, make_episode("a", urgency="low"), make_episode("b"), make_episode("c"), now_us=nine_us)
    send_due(outbox, nine_us)
    put(outbox, make_episode("a", "escalated", minute=0.5), now_us=nine_us + 30 * SECOND)
    assert brief(send_due(outbox, nine_us + 30 * SECOND)) == [
        ("trigger", "b/high", "more features"),
        ("resolve", "a/low", "is a page now"),
    ]


def test_a_group_has_the_page_that_was_sent_and_not_that_of_an_older_ticket_that_waits(
    outbox, make_episode, nine_us
):
    put(outbox, make_episode("a", urgency="low"), now_us=nine_us)
    send_due(outbox, nine_us)
    later = nine_us + 30 * SECOND
    put(outbox, make_episode("b", minute=0.5), now_us=later)
    assert brief(send_due(outbox, later)) == [("trigger", "b/high", "opened")]
    put(outbox, make_episode("a", "escalated", minute=0.5), now_us=later)
    put(outbox, make_episode("c", minute=0.5), now_us=later)
    steps = send_due(outbox, later + 31 * SECOND)
    assert {step.dedup_key for step in steps if step.action == "trigger"} == {"softfail/b/high"}


def test_a_page_does_not_wait_behind_a_ticket(outbox, make_episode, nine_us):
    put(outbox, make_episode("a", urgency="low"), make_episode("b"), now_us=nine_us)
    assert brief(send_due(outbox, nine_us)) == [
        ("trigger", "b/high", "opened"),
        ("trigger", "a/low", "opened"),
    ]
    put(
        outbox,
        make_episode("c", urgency="low", provider="x"),
        make_episode("d", urgency="low", provider="x"),
        now_us=nine_us,
    )
    assert [key for _, key, _ in brief(send_due(outbox, nine_us))] == ["c/low", "d/low"]
    put(outbox, make_episode("d", "escalated", provider="x"), now_us=nine_us)
    assert brief(send_due(outbox, nine_us)) == [
        ("trigger", "d/high", "escalated"),
        ("resolve", "d/low", "is a page now"),
    ]


def test_the_second_episode_does_not_wait_for_a_resolved_episode(outbox, make_episode, nine_us):
    put(outbox, make_episode("a"), make_episode("b"), now_us=nine_us)
    send_due(outbox, nine_us)
    put(outbox, make_episode("a", "resolved", minute=0.2), now_us=nine_us + 12 * SECOND)
    assert brief(send_due(outbox, nine_us + 12 * SECOND)) == [
        ("trigger", "b/high", "opened"),
        ("resolve", "a/high", "resolved"),
    ]


def test_each_episode_is_sent_separately_after_a_refused_group_page(outbox, make_episode, nine_us):
    put(outbox, make_episode("a"), make_episode("b"), make_episode("c"), now_us=nine_us)
    step = outbox.due("pagerduty", nine_us)
    assert step.episode.features == 3
    outbox.refused(step, "400", nine_us)
    assert brief(send_due(outbox, nine_us)) == [
        ("trigger", "b/high", "opened"),
        ("trigger", "c/high", "opened"),
    ]
    put(outbox, make_episode("d"), now_us=nine_us)
    (step,) = send_due(outbox, nine_us + 2 * MINUTE)
    assert (step.dedup_key, names(step)) == ("softfail/b/high", ["b", "c", "d"])  # of what the receiver takes


def test_a_channel_with_its_own_grouping_gets_each_episode(make_episode, nine_us):
    outbox = OutboxCore(
        Config.model_validate({"channels": {"alertmanager": {"url": "http://127.0.0.1:9093"}}})
    )
    put(outbox, make_episode("a"), make_episode("b"), make_episode("c"), now_us=nine_us)
    assert [key for _, key, _ in brief(send_due(outbox, nine_us, "alertmanager"))] == [
        "a/high",
        "b/high",
        "c/high",
    ]


def test_an_episode_that_started_and_ended_since_the_last_trigger_is_sent_before_the_resolve(
    outbox, make_episode, nine_us
):
    put(outbox, make_episode("a"), make_episode("b"), make_episode("c"), now_us=nine_us)
    send_due(outbox, nine_us)
    put(
        outbox,
        make_episode("d"),
        *(make_episode(name, "resolved", minute=0.1) for name in "abcd"),
        now_us=nine_us + 6 * SECOND,
    )
    first, second = send_due(outbox, nine_us + 6 * SECOND)
    assert (first.reason, names(first), second.action) == ("more features", ["d", "a", "b", "c"], "resolve")


def test_an_outage_that_ended_before_delivery_is_one_note_that_lists_its_episodes(
    outbox, make_episode, nine_us
):
    put(
        outbox,
        *(make_episode(name) for name in "abcdef"),
        *(make_episode(name, "resolved", minute=5) for name in "abcdef"),
        now_us=nine_us + 200 * MINUTE,
    )
    steps = send_due(outbox, nine_us + 200 * MINUTE)
    notes = [step for step in steps if step.action == "note"]
    assert [(len(names(step)), step.urgency) for step in notes] == [(6, "low")]
    assert not [step for step in steps if step.action == "trigger"]


def test_a_notifier_after_downtime_sends_one_page_and_resolves_a_possibly_delivered_second_page(
    outbox, make_episode, nine_us
):
    put(outbox, make_episode("a"), make_episode("b"), make_episode("c"), now_us=nine_us + 10 * MINUTE)
    assert brief(send_due(outbox, nine_us + 10 * MINUTE)) == [("trigger", "a/high", "opened")]
    put(outbox, *(make_episode(name, "resolved", minute=20) for name in "abc"), now_us=nine_us + 20 * MINUTE)
    assert brief(send_due(outbox, nine_us + 20 * MINUTE)) == [
        ("resolve", "a/high", "resolved"),
        ("resolve", "b/high", "resolved"),
    ]


def test_the_page_lists_episodes_that_have_ended(outbox, make_episode, nine_us):
    put(outbox, make_episode("a"), make_episode("b"), make_episode("c"), now_us=nine_us)
    send_due(outbox, nine_us)
    put(outbox, make_episode("b", "resolved", minute=1), now_us=nine_us + MINUTE)
    send_due(outbox, nine_us + MINUTE)
    put(outbox, make_episode("d", minute=2), now_us=nine_us + 2 * MINUTE)
    (step,) = send_due(outbox, nine_us + 2 * MINUTE)
    assert names(step) == ["a", "c", "d", "b"]
    assert episode_text.member_lines(step.episode, 10)[3].endswith("; over")


def test_an_episode_under_an_active_silence_leads_no_group(outbox, make_episode, nine_us):
    put(outbox, make_episode("a"), now_us=nine_us)
    send_due(outbox, nine_us)
    quiet = (
        f'{{"record":"silence","silence_id":"s","match":"support-bot/a","starts_at":"{rfc3339(nine_us)}",'
        f'"ends_at":"{rfc3339(nine_us + 60 * MINUTE)}","reason":"r","time":"{rfc3339(nine_us)}"}}'
    )
    outbox.apply([FileRecord(quiet.encode(), 9)], nine_us)
    put(outbox, make_episode("b", minute=1), make_episode("c", minute=1), now_us=nine_us + MINUTE)
    assert brief(send_due(outbox, nine_us + 3 * MINUTE)) == [
        ("trigger", "b/high", "opened"),
        ("trigger", "c/high", "opened"),
    ]


def test_a_silence_of_one_feature_does_not_suppress_the_group_page(outbox, make_episode, nine_us):
    put(outbox, make_episode("a"), make_episode("b"), make_episode("c"), now_us=nine_us)
    send_due(outbox, nine_us)
    quiet = (
        f'{{"record":"silence","silence_id":"s","match":"support-bot/a","starts_at":"{rfc3339(nine_us)}",'
        f'"ends_at":"{rfc3339(nine_us + 60 * MINUTE)}","reason":"r","time":"{rfc3339(nine_us)}"}}'
    )
    outbox.apply([FileRecord(quiet.encode(), 9)], nine_us)
    put(outbox, make_episode("d", minute=1), now_us=nine_us + MINUTE)
    assert brief(send_due(outbox, nine_us + MINUTE)) == [("trigger", "a/high", "more features")]


def test_an_episode_that_starts_under_a_silence_joins_no_page(outbox, make_episode, nine_us):
    quiet = (
        f'{{"record":"silence","silence_id":"s","match":"support-bot/c","starts_at":"{rfc3339(nine_us)}",'
        f'"ends_at":"{rfc3339(nine_us + 60 * MINUTE)}","reason":"r","time":"{rfc3339(nine_us)}"}}'
    )
    outbox.apply([FileRecord(quiet.encode(), 9)], nine_us)
    put(outbox, make_episode("a"), make_episode("b"), make_episode("c"), now_us=nine_us)
    assert brief(send_due(outbox, nine_us)) == [("trigger", "a/high", "opened")]
    assert brief(send_due(outbox, nine_us + 61 * MINUTE)) == [
        ("trigger", "b/high", "opened"),
        ("trigger", "c/high", "opened"),
    ]


def test_a_page_of_hundreds_of_features_stays_within_every_limit(outbox, make_episode, nine_us):
    put(outbox, *(make_episode(f"feature-{nth}-{'x' * 200}") for nth in range(300)), now_us=nine_us)
    (step,) = send_due(outbox, nine_us)
    assert (step.episode.features, len(step.episode.members)) == (300, 50)
    assert len(episode_text.summary(step.episode)) <= 1024
    assert episode_text.member_lines(step.episode, 10)[-1] == "and 290 more features"
    state = dict(outbox.changed())
    assert max(map(len, state.values())) < 256 * 1024
    restored = OutboxCore(CONFIG)
    restored.restore(state.items())
    assert send_due(restored, nine_us) == []


class World:
    """Six features that fail at different times, a failing channel, and a notifier that restarts from its
    durable state.
    """

    def __init__(self, make_episode, lives):
        self.now_us = int(NINE.timestamp()) * SECOND
        self.start_us = self.now_us
        self.coming = sorted(
            (second, nth, state)
            for nth, (_, begins, lasts, _) in enumerate(lives)
            for second, state in ((begins, "opened"), (begins + lasts, "resolved"))
            if lasts or state == "opened"
        )
        self.lives, self.make_episode, self.log = lives, make_episode, []
        self.outbox, self.position, self.durable, self.durable_position = OutboxCore(CONFIG), 0, {}, 0
        self.open, self.sent_features, self.opened = {}, set(), Counter()

    def tick(self, seconds):
        """Advance the time, and write and read its records."""
        self.now_us += seconds * SECOND
        while self.coming and self.coming[0][0] * SECOND <= self.now_us - self.start_us:
            second, nth, state = self.coming.pop(0)
            provider, begins, _, urgency = self.lives[nth]
            episode = self.make_episode(
                f"f{nth}", state, minute=second / 60, began=begins / 60, provider=provider, urgency=urgency
            )
            self.log.append(FileRecord(episode.model_dump_json().encode(), len(self.log)))
        self.read()

    def read(self):
        self.outbox.apply(self.log[self.position :], self.now_us)
        self.position = len(self.log)

    def checkpoint(self):
        for key, value in self.outbox.changed():
            self.durable.pop(key, None) if value is None else self.durable.update({key: value})
        self.durable_position = self.position

    def crash(self):
        self.outbox, self.position = OutboxCore(CONFIG), self.durable_position
        self.outbox.restore(self.durable.items())
        self.read()  # nothing is sent before all is read

    def send(self, fate):
        step = self.outbox.due("pagerduty", self.now_us)
        if step is None:
            return False
        if fate != "lost":
            self.take(step)
        if fate == "crash":
            self.crash()
        elif fate == "taken":
            self.outbox.delivered(step, self.now_us)
            self.checkpoint()
        else:
            self.outbox.failed(step, self.now_us, 0.3)
        return True

    def take(self, step):
        if step.action == "resolve":
            self.open.pop(step.dedup_key, None)
            return
        if step.dedup_key not in self.open:
            self.opened[step.dedup_key] += 1
        listed = {member.episode_id for member in step.episode.members} or {step.episode_id}
        self.open[step.dedup_key] = listed
        self.sent_features |= listed


LIVES = st.lists(
    st.tuples(
        st.sampled_from(["acme", "acme", "acme", "other", ""]),
        st.integers(0, 500),
        st.sampled_from([0, 20, 130, 400, 900]),
        st.sampled_from(["high", "high", "low"]),
    ),
    min_size=6,
    max_size=6,
)
FATES = st.lists(
    st.sampled_from(
        ["taken", "taken", "taken", "lost", "answer lost", "crash", "restart", "checkpoint", "wait"]
    ),
    max_size=60,
)


@settings(max_examples=examples(3), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lives=LIVES, fates=FATES)
def test_under_any_failures_each_episode_is_sent_and_exactly_the_firing_episodes_are_on_an_open_page(
    make_episode, lives, fates
):
    world = World(make_episode, lives)
    for fate in fates:
        world.tick(7)
        if fate == "restart":
            world.crash()
        elif fate == "checkpoint":
            world.checkpoint()
        elif fate == "wait":
            world.tick(40)
        else:
            world.send(fate)
    for _ in range(150):  # the channel works now; longer than any wait
        world.tick(30)
        while world.send("taken"):
            pass
    lasting = {f"f{nth}" for nth, (_, _, lasts, _) in enumerate(lives) if not lasts}
    assert {name for listed in world.open.values() for name in listed} >= lasting
    assert all(listed & lasting for listed in world.open.values())
    assert world.sent_features == {f"f{nth}" for nth in range(6)}
    assert all(times == 1 for times in world.opened.values())


@settings(max_examples=examples(2), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lives=LIVES)
def test_without_failures_three_episodes_of_a_provider_within_the_wait_are_one_page(make_episode, lives):
    world = World(make_episode, lives)
    for _ in range(300):
        world.tick(10)
        while world.send("taken"):
            pass
    begun = sorted(
        (begins, nth)
        for nth, (provider, begins, lasts, urgency) in enumerate(lives)
        if (provider, lasts, urgency) == ("acme", 0, "high")
    )
    if (
        len(begun) >= 3
        and begun[2][0] - begun[0][0] < 60
        and not any(provider == "acme" and lasts for provider, _, lasts, _ in lives)
    ):
        assert sum(f"softfail/f{nth}/high" in world.opened for _, nth in begun[:3]) <= 1
    assert world.sent_features == {f"f{nth}" for nth in range(6)}


def test_a_provider_outage_in_six_features_is_one_page_from_events_to_delivery(make_world, call):
    """From events to pages with the default rules; a seventh feature of another provider is healthy, an
    eighth fails later.
    """
    world, begins, ends = make_world(), 45 * 60, 65 * 60
    calls = []
    for nth, a_minute in enumerate((4, 10, 20, 30, 60, 90, 30, 30)):
        provider, is_hit = ("acme", True) if nth < 6 else ("other", False)
        for index in range(140 * a_minute):
            second = index * 60 / a_minute + nth * 0.37
            failed = (is_hit and begins <= second < ends and index % 10 < 8) or (
                nth == 7 and second >= 70 * 60
            )
            calls.append(
                call(
                    second,
                    event_id=f"{nth}-{index}",
                    feature=f"f{nth}",
                    provider=provider,
                    model=f"m{nth % 2}",
                    error_type="timeout" if failed else None,
                    output=None if failed else "It ships on Tuesday.",
                )
            )
    calls.sort()
    world.run([call for call in calls if call[0] < begins + 15 * 60], begins + 15 * 60)
    first, *later_pages = world.times_of("page")
    assert (first - begins < 180, later_pages) == (True, [])
    (key,) = (key for key in world.pagerduty.open if key.endswith("/high"))
    step = world.pagerduty.last[key]
    assert sorted(names(step)) == [f"f{nth}" for nth in range(6)]
    assert (step.episode.provider, step.episode.model) == ("acme", "")
    assert "the provider does not answer" in episode_text.summary(step.episode)
    world.run([call for call in calls if call[0] >= begins + 15 * 60], 141 * 60)
    # the eighth alone, which is a page of its own
    assert [key for key in world.pagerduty.open if key.endswith("/high")] == [world.pagerduty.received[-1][2]]
    assert len(world.times_of("page")) == 2
