"""Laws of incidents, episodes and PagerDuty under any events, restarts and losses."""

from __future__ import annotations

import json
import random
import re

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.tiers import examples

MINUTE, HOUR = 60.0, 3600.0
_QUICK = {"window": "1m", "min_events": 5, "confidence": 0.9, "keep_firing_for": "1m"}
ERRORS = {"name": "errors", "on": "error_rate", "above": 0.3, **_QUICK}
LASTING = {
    "name": "lasting",
    "on": "error_rate",
    "above": 0.5,
    "for": "1m",
    "level": "segment",
    "severity": "critical",
    **_QUICK,
}
LONG = {"name": "long", "on": "output_tokens.mean", "above": 50, "severity": "warning", **_QUICK}
CONFIGURATIONS = [
    {"rules": [ERRORS, LASTING, LONG]},
    {"rules": [ERRORS | {"above": 0.4}, LONG]},  # one edited, one removed
    {
        "rules": [
            ERRORS | {"name": "renamed"},
            LASTING | {"match": "bot/answer"},
            LONG | {"severity": "error"},
        ]
    },
    {"rules": [ERRORS | {"severity": "info"}], "no_data": {"severity": None}},
    {"rules": [ERRORS, LONG], "page_environments": []},
]
USUAL = {
    "default_rules": False,
    "no_data": {"window": "2m", "min_expected": 3},
    "page_environments": ["production"],
}
TRAFFIC = {"good": (0.0, 10), "bad": (1.0, 10), "half": (0.5, 10), "long": (0.0, 200), "both": (0.9, 200)}
FATES = ("taken", "taken", "lost on the way", "answer lost", "crash after sending")
HANDS_OFF = ("clock", "pane", "texts")  # what was counted is not what is tried here


class Life(RuleBasedStateMachine):
    """A deployment in which anything may happen at any time; ``World`` checks the laws at each record and
    after each step.
    """

    make_world = call = None

    @initialize(number=st.integers(0, 3), seed=st.integers(0, 99))
    def begin(self, number, seed):
        self.world = type(self).make_world(USUAL | CONFIGURATIONS[number])
        self.rng = random.Random(seed)
        # so that silence is a surprise
        self.live(
            [
                event
                for feature in ("answer", "search")
                for event in self.events(feature, "ab", "good", 40, 0)
            ],
            40,
        )

    def events(self, feature, models, kind, minutes, delay):
        share, tokens = TRAFFIC[kind]
        for _ in range(int(minutes * 8)):
            second = max(0.0, self.world.second + self.rng.random() * minutes * MINUTE - delay)
            yield type(self).call(
                second,
                feature=feature,
                model=self.rng.choice(models),
                output_tokens=tokens,
                error_type="timeout" if self.rng.random() < share else None,
            )

    def live(self, events, minutes):
        """Events arrive for this many minutes, with any event time."""
        events = sorted(events)
        arrivals = sorted(
            (self.world.second + self.rng.random() * minutes * MINUTE, value) for _, value in events
        )
        self.world.run(arrivals, self.world.second + minutes * MINUTE)

    @rule(
        feature=st.sampled_from(["answer", "search"]),
        models=st.sampled_from(["a", "b", "ab", "abc"]),
        kind=st.sampled_from(sorted(TRAFFIC)),
        minutes=st.integers(1, 4),
        delay=st.sampled_from([0, 0, 0, 90, 1200]),
    )
    def traffic(self, feature, models, kind, minutes, delay):
        self.live(self.events(feature, models, kind, minutes, delay), minutes)

    @rule(
        kinds=st.tuples(st.sampled_from(sorted(TRAFFIC)), st.sampled_from(sorted(TRAFFIC))),
        minutes=st.integers(1, 4),
    )
    def traffic_of_both(self, kinds, minutes):
        self.live(
            [
                event
                for feature, kind in zip(("answer", "search"), kinds, strict=True)
                for event in self.events(feature, "ab", kind, minutes, 0)
            ],
            minutes,
        )

    @rule(minutes=st.sampled_from([1, 3, 20, 70]))
    def silence(self, minutes):
        self.world.run([], self.world.second + minutes * MINUTE)

    @rule(
        hours=st.sampled_from([0.5, 3, 26]),
        kinds=st.lists(st.sampled_from(sorted(TRAFFIC)), max_size=4),
        bundle=st.sampled_from([7, 1000]),
    )
    def the_worker_is_down(self, hours, kinds, bundle):
        """Services write for five minutes at a time; then the restarted worker reads the backlog in
        bundles.
        """
        world, log = self.world, []
        for nth, kind in enumerate(kinds):
            begin = world.second + (nth + self.rng.random()) / len(kinds) * hours * HOUR
            share, tokens = TRAFFIC[kind]
            log += [
                type(self).call(
                    begin + number * 6.0,
                    model="a",
                    output_tokens=tokens,
                    error_type="timeout" if self.rng.random() < share else None,
                )
                for number in range(50)
            ]
        world.restart()
        world.second += hours * HOUR + 400
        log.sort()
        for start in range(0, len(log), bundle):
            world.read(log[start : start + bundle])
        world.pass_time()

    @rule()
    def the_worker_restarts(self):
        self.world.restart()

    @rule(number=st.integers(0, len(CONFIGURATIONS) - 1))
    def the_configuration_changes(self, number):
        self.world.restart(**(USUAL | CONFIGURATIONS[number]))

    @precondition(lambda self: self.world.laws.open_at)
    @rule(data=st.data())
    def a_record_of_state_is_dropped(self, data):
        world = self.world
        names = sorted(key for key in world.keep() if json.loads(key)[0] not in HANDS_OFF)
        if not names:
            return
        world.drop(data.draw(st.sampled_from(names)))
        world.second += MINUTE
        world.pass_time()

    @rule(fates=st.lists(st.sampled_from(FATES), min_size=1, max_size=4))
    def the_next_deliveries_fare_badly(self, fates):
        self.world.fates = list(fates)

    @rule(minutes=st.sampled_from([1, 10, 90]))
    def the_notifier_is_down(self, minutes):
        self.world.is_up = False
        self.silence(minutes)
        self.world.crash_notifier()
        self.world.is_up = True

    @rule()
    def the_notifier_checkpoints(self):
        self.world.keep_deliveries()

    def teardown(self):
        if not hasattr(self, "world"):
            return
        world, pagerduty = self.world, self.world.pagerduty
        world.fates = []
        self.silence(20)  # longer than any wait
        assert sorted(map(without_ring, pages(pagerduty))) == sorted(
            {
                f"{episode['dedup_key']}/{episode['urgency']}"
                for episode in world.laws.episodes.values()
                if not episode["muted"]
            }
            | {
                key
                for episode in world.laws.episodes.values()
                if episode["muted"]
                for key in pages(pagerduty)
                if key.startswith(episode["dedup_key"])
            }
        )
        # nobody asks any more: everything ends
        world.restart(**(USUAL | {"rules": [], "no_data": {"severity": None}}))
        self.silence(20)
        assert world.laws.open_at == {}
        assert world.laws.episodes == {}
        assert pages(pagerduty) == set()
        assert all(count == 1 for count in pagerduty.openings.values()), (
            "a key that was closed was opened again"
        )
        assert all(pagerduty.ended[key] == 1 for key in pagerduty.openings if not key.endswith("/missed"))
        keys = {record["dedup_key"] for record in world.records if record["record"] == "episode"}
        assert {
            without_ring(key).rpartition("/")[0] for key in (*pagerduty.openings, *pagerduty.never_open)
        } <= keys


def without_ring(key):
    """Return the key of the first ring of a page."""
    return re.sub(r"/high/\d+$", "/high", key)


def pages(pagerduty):
    """Return the open keys that are not for a person to close."""
    return {key for key in pagerduty.open if not key.endswith("/missed")}


@pytest.mark.long_form
def test_under_any_events_and_restarts_incidents_and_episodes_open_and_end_once_and_match_pagerduty(
    make_world, call
):
    machine = type("Life", (Life,), {"make_world": staticmethod(make_world), "call": staticmethod(call)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples(1 / 8), stateful_step_count=25, suppress_health_check=list(HealthCheck)
        ),
    )
