"""An evaluator that stopped judging is reported; one that never judged, or has no applicable responses, is
not.
"""

from __future__ import annotations

import json

import pytest

from monitor.protocol.messages import FileRecord
from monitor.protocol.read_progress import ReadProgress
from monitor.watch import Watch
from schemas.config.monitor_config import Config
from schemas.times import rfc3339
from softfail.evaluator import Verdict
from softfail.evaluator_runner import CUT_OFF, NO_TIME

SECOND, MINUTE, HOUR = 1_000_000, 60_000_000, 3_600_000_000
BEGAN_US = 1_772_442_000 * SECOND  # 2 March 2026, 09:00 UTC
WELL = {"output": "It ships on Tuesday.", "finish_reason": "stop", "duration_s": 0.4}
NO_REASON = {"output": "It ships on Tuesday.", "duration_s": 0.4}


class World:
    """A partition with traffic, checked this many times a minute, without the default rules: they do not
    look at what an evaluator skips, and reading them takes half of the time.
    """

    def __init__(self, looks=4, **config):
        self.looks, self.config = looks, Config.model_validate({"default_rules": False, **config})
        self.watch, self.now_us, self.offset, self.findings = Watch(self.config, 0, 1), BEGAN_US, 0, []

    def pass_minutes(self, minutes, *streams):
        """Each stream: (feature, calls a minute, fields)."""
        for _ in range(minutes):
            for look in range(self.looks):
                records = []
                for feature, a_minute, fields in streams:
                    share = a_minute * (look + 1) // self.looks - a_minute * look // self.looks
                    records += [self._record(feature, fields) for _ in range(share)]
                self.watch.apply(records, self.now_us)
                self.now_us += MINUTE // self.looks
                if self.watch.watermark_us is not None:
                    self.watch.advance(self.now_us - 30 * SECOND, self.now_us)
                for message in self.watch.heartbeat(ReadProgress(True, 0), self.now_us).messages.get(
                    "alerts", ()
                ):
                    self.findings = [
                        finding
                        for finding in json.loads(message.value)["findings"]
                        if finding["name"] == "evaluator-silence"
                    ]

    def restart(self):
        state = self.watch.changed()
        self.durable = {**getattr(self, "durable", {}), **dict(state)}
        self.watch = Watch(self.config, 0, 1)
        self.watch.restore(self.durable.items())

    def _record(self, feature, fields):
        self.offset += 1
        event = {
            "event_id": str(self.offset),
            "time": rfc3339(self.now_us),
            "service": "bot",
            "feature": feature,
            "model": "m",
            **fields,
        }
        return FileRecord(json.dumps(event).encode(), self.offset, self.now_us // 1000)


@pytest.fixture
def world():
    return World()


def test_an_evaluator_whose_field_is_no_longer_sent_is_reported_after_a_window_with_count_and_reason(
    world,
):
    world.pass_minutes(60, ("answer", 40, WELL))
    assert world.findings == []
    world.pass_minutes(4, ("answer", 40, NO_REASON))
    assert world.findings == []
    world.pass_minutes(4, ("answer", 40, NO_REASON))
    (finding,) = world.findings
    assert finding["severity"] == "warning"
    assert finding["text"].endswith("; and 1 more like it")  # the content filter reads the finish reason, too
    assert finding["text"].startswith("truncation has judged none of the last ")
    assert " answers of bot/answer (no finish reason); before, it judged 100 %;" in finding["text"]


def test_the_finding_ends_with_the_first_verdict(world):
    world.pass_minutes(30, ("answer", 40, WELL))
    world.pass_minutes(8, ("answer", 40, NO_REASON))
    assert world.findings
    world.pass_minutes(1, ("answer", 40, WELL))
    assert world.findings == []


def test_the_finding_ends_without_answers_and_starts_again_with_answers(world):
    world.pass_minutes(30, ("answer", 40, WELL))
    world.pass_minutes(8, ("answer", 40, NO_REASON))
    assert world.findings
    world.pass_minutes(8, ("other", 4, WELL))
    assert world.findings == []
    world.pass_minutes(30, ("answer", 40, NO_REASON))
    assert world.findings


def test_the_finding_ends_after_a_day():
    world = World(looks=1, time={"pane": "5m"})
    world.pass_minutes(30, ("answer", 40, WELL))
    world.pass_minutes(10 * 60, ("answer", 4, NO_REASON))
    assert world.findings
    world.pass_minutes(16 * 60, ("answer", 4, NO_REASON))
    assert world.findings == []


def test_a_new_owner_detects_it_from_durable_state(world):
    world.pass_minutes(30, ("answer", 40, WELL))
    world.pass_minutes(8, ("answer", 40, NO_REASON))
    world.restart()
    world.pass_minutes(8, ("answer", 40, NO_REASON))
    assert [finding["text"].split(" has")[0] for finding in world.findings] == ["truncation"]


NOTHING_TO_JUDGE = {
    "every call fails": {"error_type": "timeout"},
    "texts are sampled no more": {"finish_reason": "stop", "duration_s": 0.4},
}


@pytest.mark.parametrize("fields", NOTHING_TO_JUDGE.values(), ids=NOTHING_TO_JUDGE)
def test_an_evaluator_without_applicable_responses_is_not_silent(world, fields):
    whole = {**WELL, "finish_reason": None, "duration_s": None}
    world.pass_minutes(60, ("answer", 40, whole))
    world.pass_minutes(20, ("answer", 40, fields))
    assert world.findings == []


def test_an_evaluator_that_never_judged_a_feature_is_not_silent_for_it(world):
    world.pass_minutes(90, ("answer", 40, NO_REASON), ("search", 40, WELL))
    assert world.findings == []


@pytest.mark.parametrize("often", [10, 25, 40])
def test_an_evaluator_that_judges_few_responses_is_not_silent_by_chance(world, often):
    """Where several services share a feature, some never send the field that it reads."""
    world.pass_minutes(120, ("answer", 1, WELL), ("answer", often, NO_REASON))
    assert world.findings == []
    world.pass_minutes(8, ("answer", often, NO_REASON))
    assert world.findings == []  # of some hundred answers too few verdicts were to be expected


def test_a_nightly_job_with_fewer_fields_is_not_silent_once_it_is_part_of_history():
    world = World(looks=1, time={"pane": "5m"})
    day, night = ("answer", 3, WELL), ("answer", 3, NO_REASON)
    world.pass_minutes(8 * 60, day)
    world.pass_minutes(120, night)
    world.pass_minutes(8 * 60, day)
    assert world.findings == []
    world.pass_minutes(90, night)
    assert world.findings == []


def test_a_few_answers_are_insufficient(world):
    world.pass_minutes(240, ("answer", 2, WELL))
    world.pass_minutes(24, ("answer", 2, NO_REASON))
    assert world.findings == []
    world.pass_minutes(6, ("answer", 2, NO_REASON))
    assert world.findings


def test_the_worst_evaluator_is_named_and_the_others_are_counted():
    world = World(features=[{"match": "*", "evaluators": ["error", "truncation"]}])
    world.pass_minutes(30, ("answer", 40, WELL), ("search", 60, WELL))
    world.pass_minutes(8, ("answer", 40, NO_REASON), ("search", 60, NO_REASON))
    (finding,) = world.findings
    assert "of bot/search (no finish reason)" in finding["text"]
    assert finding["text"].endswith("; and 1 more like it")


def test_all_silent_evaluators_are_reported_although_each_check_reads_the_history_of_a_single_evaluator():
    world = World(features=[{"match": "*", "evaluators": ["error", "truncation"]}])
    names = [f"f{number}" for number in range(8)]
    world.pass_minutes(10, *((name, 12, WELL) for name in names))
    world.pass_minutes(10, *((name, 12, NO_REASON) for name in names))
    assert world.findings[0]["text"].endswith("; and 7 more like it")


class Always(dict):
    """The same verdict on every response."""

    def __init__(self, verdict):
        super().__init__()
        self.verdict = verdict

    def get(self, key, default=None):
        return self.verdict


@pytest.mark.parametrize(
    ("verdict", "is_silent"),
    [(Verdict("skipped", "not about prices"), True), (CUT_OFF, False), (NO_TIME, False)],
)
def test_an_evaluator_of_a_user_that_is_not_asked_is_not_silent(verdict, is_silent):
    world = World(features=[{"match": "*", "evaluators": [{"use": "checks:Cites"}]}])
    world.watch.give(Always(Verdict("passed")))
    world.pass_minutes(20, ("answer", 30, WELL))
    world.watch.give(Always(verdict))
    world.pass_minutes(12, ("answer", 30, WELL))
    assert bool(world.findings) is is_silent
