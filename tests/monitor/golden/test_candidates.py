from __future__ import annotations

from typing import Any

from monitor.golden.candidates import Failure, failure_of_sample, make_candidates
from monitor.golden.case_set import read_case


def sample(text: str | None, number: int = 1, **fields: Any) -> dict[str, Any]:
    return {
        "record": "sample",
        "failed": {"refusal": "refusal: cannot_help"},
        "input": text,
        "context": None,
        "service": "support-bot",
        "feature": "answer",
        "event_id": f"e{number}",
        "time": "2026-11-30T00:00:00Z",
        "model": "m",
        "prompt_version": "12",
        **fields,
    }


def failures(*samples: dict[str, Any]) -> list[Failure]:
    return [failure for each in samples if (failure := failure_of_sample(each)) is not None]


ORDERS = [
    sample(f"Where is my order {40_000 + n}? I ordered a {thing} last week.", n)
    for n, thing in enumerate(("lamp", "kettle", "tent"))
]


def test_similar_failures_become_one_candidate_of_the_most_typical_with_its_origin() -> None:
    made = make_candidates(failures(sample("How do I return a kettle?", 9), *ORDERS), (), "samples")
    assert [case.origin.similar for case in made] == [3, 1]
    case = made[0]
    assert (case.status, case.must_pass, case.evaluators, case.feature) == (
        "candidate",
        False,
        ("refusal",),
        "support-bot/answer",
    )
    assert case.origin.failed == {"refusal": "refusal: cannot_help"}
    assert (case.origin.prompt_version, case.origin.redacted) == ("12", True)
    assert read_case(case.model_dump_json().encode()) == case


def test_other_features_and_other_evaluators_are_other_candidates() -> None:
    text = ORDERS[0]["input"]
    made = make_candidates(
        failures(sample(text), sample(text, feature="other"), sample(text, failed={"empty": "no text"})),
        (),
        "samples",
    )
    assert len(made) == 3
    assert len({case.id for case in made}) == 3


def test_failures_that_the_set_has_already_make_no_candidate() -> None:
    known = make_candidates(failures(*ORDERS), (), "samples")
    assert (
        make_candidates(
            failures(*ORDERS, sample("Where is my order 77? I ordered a sofa last week.")), known, "s"
        )
        == []
    )


def test_texts_are_redacted_and_failures_without_input_are_left_out() -> None:
    made = make_candidates(
        failures(sample("Mail me at ann@example.com please"), sample(None), sample("")), (), "samples"
    )
    assert ["ann@example.com" in case.model_dump_json() for case in made] == [False]


def test_evaluators_that_need_a_configuration_are_those_of_the_feature() -> None:
    (case,) = make_candidates(failures(sample("q", failed={"json_schema": "breaks required"})), (), "samples")
    assert case.evaluators is None
    assert case.feature == "support-bot/answer"


def test_confirmed_at_once_they_are_active_and_must_pass() -> None:
    (case,) = make_candidates(failures(sample("q")), (), "samples", active=True)
    assert (case.status, case.must_pass) == ("active", True)
