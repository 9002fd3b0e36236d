"""The last change of an episode is said in sentences, without the words of rules."""

from __future__ import annotations

import pytest

from monitor.wording.last_change import last_change
from schemas.evidence_record import Moved
from schemas.records import EpisodeIncident

REFUSED, PASSING = "evaluator.refusal.fail_rate", "pass_rate"


@pytest.fixture
def make(episode_of):
    """Make an episode with ``incidents``: (rule, metric, state), and a reason."""

    def episode(reason, *incidents, **more):
        made = episode_of(minute=2, rules=("r",))
        (like,) = made.incidents
        return made.model_copy(
            update={"reason": reason, "incidents": [incident(like, *item, **more) for item in incidents]}
        )

    return episode


def incident(like: EpisodeIncident, rule, metric, state="firing", **more) -> EpisodeIncident:
    evidence = like.evidence.model_copy(update={"metric": metric, **more})
    kind = "refusal" if metric in (REFUSED, PASSING) else ""
    update = {"rule": rule, "incident_id": rule, "state": state, "kind": kind, "evidence": evidence}
    return like.model_copy(update=update)


FALL, RISE = ("pass-rate-fell", PASSING), ("failures-rose", REFUSED)
SLOW = ("drift", "duration_s.p90")


@pytest.mark.parametrize(
    ("reason", "incidents", "text"),
    [
        (
            "pass-rate-fell: breached; failures-rose: breached for 1 min",
            (FALL, RISE),
            "new: 23 % of answers refused (should stay under 2 %)",
        ),
        ("failures-rose: well for 2 min", ((*RISE, "resolved"),), "over: answers refused"),
        (
            "failures-rose: evaluator.refusal.fail_rate changed by a factor of two",
            (RISE,),
            "now: 23 % of answers refused (should stay under 2 %)",
        ),
        (
            "failures-rose: fails again after it had been well",
            (RISE,),
            "again: 23 % of answers refused (should stay under 2 %)",
        ),
        ("drift: well for 10 min", ((*SLOW, "resolved"),), "over: 90th percentile of duration"),
        ("no-data: well again", (("no-data", "events", "resolved"),), "over: no events"),
        (
            "drift: became_normal: it has been so for a day, and is the reference from now on",
            ((*SLOW, "resolved"),),
            "it has been so for a day and counts as normal from now on: 90th percentile of duration",
        ),
        ("state_reset", (RISE,), "over, because the state was reset"),
        ("refusals fired", (RISE,), "refusals fired"),
    ],
)
def test_the_last_change_is_a_sentence_about_what_failed(make, reason, incidents, text):
    assert last_change(make(reason, *incidents)) == f"2 Mar 09:02 UTC: {text}"


def test_what_moved_beside_is_named_and_not_what_moved_before(make):
    evidence = make("", RISE).incidents[0].evidence.model_copy(update={"reference": 26.0})
    findings = [
        Moved.model_construct(
            **{name: getattr(evidence, name) for name in Moved.model_fields}
            | {"metric": metric, "value": value}
        )
        for metric, value in (("duration_s.p90", 30.0), ("output_tokens.p50", 144.0))
    ]
    episode = make("drift: also output_tokens.p50", SLOW, findings=findings)
    assert (
        last_change(episode) == "2 Mar 09:02 UTC: new: median of output length is 144 tokens (was 26 tokens)"
    )


def test_of_a_page_over_several_features_each_change_names_its_feature(make):
    episode = make("support-bot/answer: failures-rose: well for 2 min", (*RISE, "resolved"))
    assert last_change(episode) == "2 Mar 09:02 UTC: support-bot/answer: over: answers refused"
