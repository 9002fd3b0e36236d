"""A page rings again for what is worse or of another kind, and for nothing else."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from monitor.protocol.messages import FileRecord
from schemas.config.monitor_config import Config
from schemas.records import EpisodeIncident, Figure
from schemas.times import rfc3339
from tests.monitor.delivery.outbox_core import OutboxCore
from tests.tiers import by_profile

CONFIG = Config.model_validate(
    {"channels": {"pagerduty": {"routing_key": "0123456789abcdef0123456789abcdef"}}}
)
SECOND, MINUTE = 1_000_000, 60_000_000


@pytest.fixture
def make_page(episode_of):
    """Make an episode with ``kinds``: kind -> (minute at which it began, failing share)."""

    def make(kinds, minute, name="e1", state=None, **more):
        episode = episode_of(name, state or "updated", minute=minute, **more)
        (like,) = episode.incidents
        incidents = [
            shown(like, f"{name}-{kind}", kind, episode.started_at + timedelta(minutes=began), share, episode)
            for kind, (began, share) in kinds.items()
        ]
        return episode.model_copy(update={"incidents": incidents or [like]})

    return make


def shown(like: EpisodeIncident, name, kind, since, share, episode) -> EpisodeIncident:
    metric = "error_rate" if kind == "errors" else f"evaluator.{kind}.fail_rate"
    figure = Figure(metric=metric, value=share, n=60, window_s=60, time=episode.time)
    evidence = like.evidence.model_copy(update={"metric": metric, "value": share})
    update = {"incident_id": name, "kind": kind, "since": since, "evidence": evidence, "present": figure}
    return like.model_copy(update={**update, "decided": figure, "worst": figure, "feature": episode.feature})


@pytest.fixture
def outbox():
    return OutboxCore(CONFIG)


def put(outbox, now_us, *episodes):
    outbox.apply(
        [FileRecord(episode.model_dump_json().encode(), nth) for nth, episode in enumerate(episodes)], now_us
    )


def send_due(outbox, now_us):
    steps = []
    while (step := outbox.due("pagerduty", now_us)) is not None:
        outbox.delivered(step, now_us)
        steps.append((step.action, step.dedup_key.removeprefix("softfail/"), step.reason))
    return steps


WORSE = [("trigger", "e1/high/2", "got worse"), ("resolve", "e1/high", "got worse")]
ANOTHER = [("trigger", "e1/high/2", "another failure"), ("resolve", "e1/high", "another failure")]


@pytest.mark.parametrize(
    ("first", "then", "minute", "sent"),
    [
        ({"errors": (0, 0.03)}, {"errors": (0, 1.0)}, 20, WORSE),
        ({"errors": (0, 0.1)}, {"errors": (0, 0.4)}, 20, WORSE),
        ({"errors": (0, 0.1)}, {"errors": (0, 0.15)}, 20, []),
        ({"errors": (0, 0.5)}, {"errors": (0, 1.0)}, 1, []),  # it settles
        ({"errors": (0, 0.5)}, {"errors": (0, 0.5), "refusal": (18, 0.4)}, 20, ANOTHER),
        ({"errors": (0, 0.5)}, {"errors": (0, 0.5), "refusal": (1, 0.4)}, 20, []),  # it began with it
        ({"errors": (0, 0.5)}, {"errors": (0, 0.5), "refusal": (18, 0.0)}, 20, []),  # it is good now
        ({"errors": (0, 0.5)}, {"refusal": (18, 0.4)}, 20, ANOTHER),
    ],
)
def test_a_page_rings_again_for_what_is_twice_as_bad_or_of_another_kind(
    outbox, make_page, nine_us, first, then, minute, sent
):
    put(outbox, nine_us, make_page(first, 0, state="opened"))
    assert send_due(outbox, nine_us) == [("trigger", "e1/high", "opened")]
    put(outbox, nine_us + minute * MINUTE, make_page(then, minute))
    steps = send_due(outbox, nine_us + minute * MINUTE)
    assert [step for step in steps if step[2] != "updated"] == sent
    put(outbox, nine_us + 60 * MINUTE, make_page({}, 60, state="resolved"))
    key = "e1/high/2" if sent else "e1/high"
    assert send_due(outbox, nine_us + 60 * MINUTE) == [("resolve", key, "resolved")]


def test_a_ring_waits_for_15_minutes_and_is_dropped_if_it_is_over_by_then(outbox, make_page, nine_us):
    errors, both = {"errors": (0, 0.5)}, {"errors": (0, 0.5), "refusal": (6, 0.4)}
    put(outbox, nine_us, make_page(errors, 0, state="opened"))
    send_due(outbox, nine_us)
    put(outbox, nine_us + 7 * MINUTE, make_page(both, 7))
    assert [step[2] for step in send_due(outbox, nine_us + 7 * MINUTE)] == []
    put(outbox, nine_us + 9 * MINUTE, make_page(errors, 9))
    assert [step for step in send_due(outbox, nine_us + 16 * MINUTE) if step[2] != "updated"] == []
    put(outbox, nine_us + 17 * MINUTE, make_page(both | {"refusal": (16, 0.4)}, 17))
    assert send_due(outbox, nine_us + 17 * MINUTE) == ANOTHER


def test_at_most_four_rings_in_an_hour(outbox, make_page, nine_us):
    rings = []
    for minute in range(90):
        kinds = {f"kind{minute // 5}": (minute // 5 * 5, 0.5)}
        put(outbox, nine_us + minute * MINUTE, make_page(kinds, minute, state=None if minute else "opened"))
        rings += [
            minute
            for step in send_due(outbox, nine_us + minute * MINUTE)
            if step[0] == "trigger" and step[2] in ("opened", "another failure")
        ]
    assert len(rings) >= 4
    assert all(later - sooner >= 15 for sooner, later in itertools.pairwise(rings))
    assert max(sum(first <= ring < first + 60 for ring in rings) for first in rings) <= 4


def test_a_second_episode_of_a_feature_is_a_ticket_until_15_minutes_after_its_last_ring(
    outbox, make_page, nine_us
):
    def page(name, minute, state):
        kinds = {} if state == "resolved" else {"errors": (minute, 0.5)}
        return make_page(kinds, minute, name=name, feature="answer", state=state)

    def steps(minute, *episodes):
        put(outbox, nine_us + minute * MINUTE, *episodes)
        return send_due(outbox, nine_us + minute * MINUTE)

    assert steps(0, page("e1", 0, "opened")) == [("trigger", "e1/high", "opened")]
    assert steps(4, page("e1", 4, "resolved")) == [("resolve", "e1/high", "resolved")]
    assert steps(6, page("e2", 6, "opened")) == [("trigger", "e2/low", "opened")]
    assert steps(14) == []
    assert steps(15) == [("trigger", "e2/high", "escalated"), ("resolve", "e2/low", "is a page now")]
    assert steps(16, page("e2", 16, "resolved")) == [("resolve", "e2/high", "resolved")]
    # what is over before the time has come is a ticket only
    assert steps(20, page("e3", 20, "opened")) == [("trigger", "e3/low", "opened")]
    assert steps(24, page("e3", 24, "resolved")) == [("resolve", "e3/low", "resolved")]
    assert steps(40) == []
    # another feature waits for nothing
    assert ("trigger", "e4/high", "opened") in steps(24, make_page({"errors": (24, 0.5)}, 24, name="e4"))


def test_a_feature_rings_at_most_four_times_in_an_hour_over_all_its_episodes(outbox, make_page, nine_us):
    rings = []
    for minute in range(120):
        turn, state = minute // 6, {0: "opened", 5: "resolved"}.get(minute % 6)
        kinds = {} if state == "resolved" else {f"kind{turn}": (turn * 6, 0.5)}
        page = make_page(kinds, minute, name=f"e{turn}", feature="answer", state=state)
        put(outbox, nine_us + minute * MINUTE, page)
        steps = send_due(outbox, nine_us + minute * MINUTE)
        rings += [minute for action, key, _ in steps if action == "trigger" and "/high" in key]
    assert len(rings) >= 4
    assert all(later - sooner >= 15 for sooner, later in itertools.pairwise(rings))
    assert max(sum(first <= ring < first + 60 for ring in rings) for first in rings) <= 4


def test_features_whose_pages_are_open_share_the_page_of_a_new_cause(outbox, make_page, nine_us):
    """Two features failed, each in its own way; then their provider fails for them and a third."""

    def page(feature, kinds, minute, state=None):
        return make_page(kinds, minute, name=feature, feature=feature, provider="acme", state=state)

    put(outbox, nine_us, page("a", {"refusal": (0, 0.5)}, 0, "opened"))
    put(outbox, nine_us + MINUTE, page("b", {"empty": (1, 0.5)}, 1, "opened"))
    assert [step[1] for step in send_due(outbox, nine_us + MINUTE)] == ["a/high", "b/high"]
    outage = {"errors": (7, 1.0)}
    put(outbox, nine_us + 8 * MINUTE, page("a", {"refusal": (0, 0.0)} | outage, 8))
    assert [step for step in send_due(outbox, nine_us + 8 * MINUTE) if step[2] != "updated"] == []
    put(
        outbox,
        nine_us + 8 * MINUTE,
        page("b", {"empty": (1, 0.0)} | outage, 8),
        page("c", outage, 8, "opened"),
    )
    steps = send_due(outbox, nine_us + 8 * MINUTE)
    assert [step for step in steps if step[2] != "updated"] == [
        ("trigger", "c/high", "opened"),
        ("resolve", "a/high", "another failure"),
        ("resolve", "b/high", "another failure"),
    ]
    ends = [page(feature, {}, 20, "resolved") for feature in "abc"]
    put(outbox, nine_us + 20 * MINUTE, *ends)
    assert send_due(outbox, nine_us + 20 * MINUTE) == [("resolve", "c/high", "resolved")]


def test_a_page_of_several_features_whose_first_waits_moves_to_the_page_of_a_new_cause(
    outbox, make_page, nine_us
):
    """Three features refuse; then the provider fails for all of them while the first may not ring again."""

    def page(feature, kinds, minute, state=None):
        return make_page(kinds, minute, name=feature, feature=feature, provider="acme", state=state)

    put(outbox, nine_us, *(page(feature, {"refusal": (0, 0.5)}, 0, "opened") for feature in "abc"))
    assert [step[1] for step in send_due(outbox, nine_us)] == ["a/high"]
    outage = {"refusal": (0, 0.0), "errors": (7, 1.0)}
    put(outbox, nine_us + 8 * MINUTE, *(page(feature, outage, 8) for feature in "abc"))
    steps = [step for step in send_due(outbox, nine_us + 8 * MINUTE) if step[2] != "updated"]
    assert steps == [("trigger", "b/high", "opened"), ("resolve", "a/high", "another failure")]
    put(outbox, nine_us + 20 * MINUTE, *(page(feature, {}, 20, "resolved") for feature in "abc"))
    assert send_due(outbox, nine_us + 20 * MINUTE) == [("resolve", "b/high", "resolved")]


@pytest.mark.parametrize("kind", ["errors", "duration_s"])
def test_a_ticket_about_errors_is_sent_70_s_later_if_it_is_no_page_by_then(outbox, make_page, nine_us, kind):
    def steps(seconds, name, urgency, state):
        kinds = {} if state == "resolved" else {kind: (0, 0.5)}
        page = make_page(kinds, seconds / 60, name=name, feature=name, urgency=urgency, state=state)
        put(outbox, nine_us + seconds * SECOND, page)
        return send_due(outbox, nine_us + seconds * SECOND)

    waits = kind == "errors"
    opened = [] if waits else [("trigger", "a/low", "opened")]
    assert steps(0, "a", "low", "opened") == opened
    page = [("trigger", "a/high", "opened")]
    if not waits:
        page = [("trigger", "a/high", "escalated"), ("resolve", "a/low", "is a page now")]
    assert steps(60, "a", "high", "escalated") == page
    assert steps(100, "b", "low", "opened") == ([] if waits else [("trigger", "b/low", "opened")])
    late = send_due(outbox, nine_us + 171 * SECOND)
    assert late == ([("trigger", "b/low", "opened")] if waits else [])
    # what is over before it was sent is a ticket all the same
    steps(200, "c", "low", "opened")
    ends = steps(230, "c", "low", "resolved")
    assert ends[-1] == ("resolve", "c/low", "resolved")
    assert (("trigger", "c/low", "opened") in ends) == waits


def test_an_upgrade_under_an_open_page_rings_nothing(outbox, make_page, episode_of, nine_us):
    """Records and state of the release before have no figures and no account of what was said."""
    put(outbox, nine_us, episode_of())
    send_due(outbox, nine_us)
    state = {key: value for key, value in outbox.changed() if value is not None}
    for name in ('"said"', '"rings_us"'):
        assert any(name.encode() in value for value in state.values())
    old = {key: without(value, "said", "rings_us") for key, value in state.items()}
    upgraded = OutboxCore(CONFIG)
    upgraded.restore(old.items())
    put(upgraded, nine_us + 30 * MINUTE, make_page({"refusal": (0, 1.0)}, 30))
    assert [step[2] for step in send_due(upgraded, nine_us + 30 * MINUTE)] in ([], ["updated"])


def test_after_an_upgrade_no_feature_waits_for_the_rings_of_others(outbox, make_page, nine_us):
    put(outbox, nine_us, make_page({"errors": (0, 0.5)}, 0, state="opened"))
    put(outbox, nine_us + 18 * MINUTE, make_page({"errors": (18, 0.5)}, 18, name="e2", state="opened"))
    send_due(outbox, nine_us + 18 * MINUTE)
    state = {key: value for key, value in outbox.changed() if value is not None}
    assert any(b'"feature":"support-bot/answer/production"' in value for value in state.values())
    old = {key: without(value, "feature") for key, value in state.items()}
    upgraded = OutboxCore(CONFIG)
    upgraded.restore(old.items())
    both = {"errors": (0, 0.5), "refusal": (18, 0.4)}
    put(upgraded, nine_us + 20 * MINUTE, make_page(both, 20))
    assert [step for step in send_due(upgraded, nine_us + 20 * MINUTE) if step[2] != "updated"] == ANOTHER


def without(value: bytes, *names: str) -> bytes:
    fields = json.loads(value)
    return json.dumps({name: field for name, field in fields.items() if name not in names}).encode()


def test_a_listed_feature_that_fails_in_another_way_rings_under_its_own_title(outbox, make_page, nine_us):
    def page(feature, kinds, minute, state=None):
        return make_page(kinds, minute, name=feature, feature=feature, provider="acme", state=state)

    refused = {"refusal": (0, 0.5)}
    put(outbox, nine_us, *(page(feature, refused, 0, "opened") for feature in "abc"))
    assert [step[1] for step in send_due(outbox, nine_us)] == ["a/high"]
    put(outbox, nine_us + 8 * MINUTE, page("b", refused | {"empty": (7, 1.0)}, 8))
    steps = send_due(outbox, nine_us + 8 * MINUTE)
    assert ("trigger", "b/high", "opened") in steps
    put(outbox, nine_us + 9 * MINUTE, page("d", refused | {"refusal": (4, 0.5)}, 9, "opened"))
    assert ("trigger", "d/high", "opened") in send_due(outbox, nine_us + 11 * MINUTE)  # the group is closed


def test_a_silenced_feature_leaves_the_list_and_rings_when_the_silence_ends(outbox, make_page, nine_us):
    def page(feature, state="opened", minute=0):
        kinds = {} if state == "resolved" else {"refusal": (0, 0.5)}
        return make_page(kinds, minute, name=feature, feature=feature, provider="acme", state=state)

    put(outbox, nine_us, *(page(feature) for feature in "abc"))
    send_due(outbox, nine_us)
    quiet = (
        f'{{"record":"silence","silence_id":"s","match":"support-bot/b","starts_at":"{rfc3339(nine_us)}",'
        f'"ends_at":"{rfc3339(nine_us + 30 * MINUTE)}","reason":"r","time":"{rfc3339(nine_us)}"}}'
    )
    outbox.apply([FileRecord(quiet.encode(), 9)], nine_us + MINUTE)
    assert send_due(outbox, nine_us + MINUTE) == []
    put(outbox, nine_us + 9 * MINUTE, page("a", "resolved", 9), page("c", "resolved", 9))
    assert send_due(outbox, nine_us + 9 * MINUTE) == [("resolve", "a/high", "resolved")]
    assert send_due(outbox, nine_us + 31 * MINUTE) == [("trigger", "b/high", "opened")]


# random worlds


class World:
    """Six features with failures that come and go, a channel that fails, and a notifier that crashes."""

    def __init__(self, make_page, lives, start_us):
        self.make_page, self.lives, self.start_us, self.now_us = make_page, lives, start_us, start_us
        self.log, self.position, self.kept_position, self.state = [], 0, 0, {}
        self.outbox, self.was = OutboxCore(CONFIG), {}
        self.open, self.opened, self.rung, self.reported = {}, Counter(), [], set()

    def firing(self, nth, minute):
        """Return the kinds of failure of a feature that last at a minute."""
        return {
            kind: (begins, share)
            for kind, begins, lasts, share in self.lives[nth]
            if begins <= minute and (not lasts or minute < begins + lasts)
        }

    def tick(self, seconds):
        self.now_us += seconds * SECOND
        minute = (self.now_us - self.start_us) / MINUTE
        for nth in range(len(self.lives)):
            kinds, before = self.firing(nth, minute), self.was.get(nth, {})
            if kinds == before:
                continue
            state = "resolved" if not kinds else "opened" if not before else "updated"
            turn = sum(
                f"f{nth}t".encode() in record.value and b'"opened"' in record.value for record in self.log
            )
            name = f"f{nth}t{turn + (state == 'opened')}"
            episode = self.make_page(
                kinds,
                minute,
                name=name,
                feature=f"f{nth}",
                provider="acme" if nth < 4 else "other",
                state=state,
            )
            self.log.append(FileRecord(episode.model_dump_json().encode(), len(self.log)))
            self.was[nth] = kinds
        self.read()

    def read(self):
        self.outbox.apply(self.log[self.position :], self.now_us)
        self.position = len(self.log)

    def checkpoint(self):
        for key, value in self.outbox.changed():
            self.state.pop(key, None) if value is None else self.state.update({key: value})
        self.kept_position = self.position

    def crash(self):
        self.outbox, self.position = OutboxCore(CONFIG), self.kept_position
        self.outbox.restore(self.state.items())
        self.read()

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
        listed = {member.episode_id for member in step.episode.members} or {step.episode_id}
        if step.dedup_key not in self.open:
            self.opened[step.dedup_key] += 1
            self.rung.append((self.now_us, step.episode.dedup_key))
        self.open[step.dedup_key] = listed
        self.reported |= listed


LIFE = st.lists(
    st.tuples(
        st.sampled_from(["errors", "errors", "refusal", "empty"]),
        st.integers(0, 40),
        st.sampled_from([0, 3, 12, 30]),
        st.sampled_from([0.2, 0.5, 1.0]),
    ),
    max_size=3,
)
FATES = st.lists(
    st.sampled_from(["taken", "taken", "lost", "answer lost", "crash", "restart", "checkpoint", "wait"]),
    max_size=40,
)


@settings(
    max_examples=by_profile(60, 4000),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(lives=st.lists(LIFE, min_size=6, max_size=6), fates=FATES)
@example(lives=[[]] * 5 + [[("errors", 2, 12, 0.2), ("errors", 17, 3, 0.2)]], fates=["taken", "wait"])
def test_under_any_crashes_all_is_sent_what_lasts_is_open_nothing_else_and_nothing_opens_twice(
    make_page, nine_us, lives, fates
):
    world = World(make_page, lives, nine_us)
    for fate in fates:
        world.tick(30)
        if fate == "restart":
            world.crash()
        elif fate == "checkpoint":
            world.checkpoint()
        elif fate == "wait":
            world.tick(240)
        else:
            world.send(fate)
    for _ in range(100):  # the channel works now; longer than any wait
        world.tick(60)
        while world.send("taken"):
            pass
    lasting = {
        episode_id
        for episode_id in {record_id(record) for record in world.log}
        if last_state(world.log, episode_id) != "resolved"
    }
    shown_now = [name for listed in world.open.values() for name in listed & lasting]
    assert set(shown_now) == lasting
    assert all(listed & lasting for listed in world.open.values())
    assert world.reported == {record_id(record) for record in world.log}
    assert all(times == 1 for times in world.opened.values())
    pages = Counter(key.rpartition("/high")[0] for key in world.open)
    assert all(count == 1 for count in pages.values()), "one page has two open keys"


def record_id(record):
    return fields_of(record)["episode_id"]


def last_state(log, episode_id):
    return [fields_of(record)["state"] for record in log if record_id(record) == episode_id][-1]


def fields_of(record):
    return json.loads(record.value)
