from __future__ import annotations

import doctest
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.wording import episode_text, finding_text, incident_text, number_format
from monitor.wording.finding_text import measure
from monitor.wording.incident_importance import by_importance
from monitor.wording.incident_text import sentence
from schemas.evidence_record import Evidence
from schemas.records import EpisodeIncident, Figure


def incident(
    metric,
    value,
    *,
    rule="r",
    severity="critical",
    state="firing",
    level="feature",
    minute=0,
    kind="",
    **evidence,
):
    given = {"low": None, "high": None, "n": 100, "window_s": 60} | evidence
    return EpisodeIncident(
        level=level,
        service="s",
        feature="f",
        environment="production",
        model="m-1" if level == "segment" else "",
        incident_id=rule,
        rule=rule,
        severity=severity,
        state=state,
        since=datetime(2026, 3, 2, 9, minute, tzinfo=UTC),
        kind=kind,
        evidence=Evidence(metric=metric, value=value, **given),
    )


def with_figures(finding, *, state="firing", **figures):
    """Return an incident with figures of its metric: decided, worst, present."""
    metric, time = finding.evidence.metric, finding.since
    shown = {
        name: None if value is None else Figure(metric=metric, value=value, n=60, window_s=60, time=time)
        for name, value in figures.items()
    }
    return finding.model_copy(update={"state": state, **shown})


def with_two_findings(episode):
    return episode.model_copy(
        update={"incidents": [*episode.incidents, incident("error_rate", 0.1, above=0.02)]}
    )


def test_doctests_pass():
    results = [
        doctest.testmod(module) for module in (episode_text, finding_text, incident_text, number_format)
    ]
    assert sum(item.failed for item in results) == 0
    assert sum(item.attempted for item in results) > 20


@pytest.mark.parametrize(
    ("metric", "value", "evidence", "says"),
    [
        ("error_rate", 0.031, {"above": 0.02}, "3.1 % of calls failed (1 to 9 %; should stay under 2 %)"),
        (
            "pass_rate",
            0.4,
            {"below": 0.5},
            "only 40 % of answers pass (31 to 49.8 %; should be at least 50 %)",
        ),
        (
            "evaluator.json.fail_rate",
            1.0,
            {"above": 0.1},
            "100 % of answers were not valid JSON (96 to 100 %; should stay under 10 %)",
        ),
        (
            "evaluator.my-own.fail_rate",
            0.2,
            {"above": 0.1},
            "20 % of answers failed the evaluator my-own (13 to 29 %; should stay under 10 %)",
        ),
        (
            "output_tokens.mean",
            51_234.4,
            {"above": 300},
            "mean of output length is 51,234 tokens (should stay under 300 tokens)",
        ),
        (
            "cost_usd.mean",
            0.012,
            {"above": 0.01},
            "mean of cost of a call is 0.012 US dollars (should stay under 0.01 US dollars)",
        ),
        ("duration_s.p90", None, {}, "90th percentile of duration is ?"),
        (
            "events",
            3.0,
            {"expected": 50, "window_s": 300},
            "only 3 events for 5 min, where about 50 were expected",
        ),
    ],
)
def test_each_kind_of_metric_has_a_text(metric, value, evidence, says):
    assert measure(incident(metric, value, **evidence).evidence) == says


@pytest.mark.parametrize(
    ("metric", "value", "evidence", "says"),
    [
        (
            "feedback.regeneration_rate",
            0.3,
            {"reference": 0.1},
            "30 % of answers were asked for anew (22 to 40 %; was 10 %)",
        ),
        ("feedback.rating.mean", 2.1, {"reference": 4.4}, "mean of people's rating is 2.1 (was 4.4)"),
        (
            "stage.retrieve_s.p90",
            4.0,
            {"above": 1},
            "90th percentile of duration of stage retrieve is 4 s (should stay under 1 s)",
        ),
        (
            "error_type=none",
            0.8,
            {"reference": 0.99},
            "only 80 % of calls succeed without an error (71 to 87 %; was 99 %)",
        ),
        (
            "finish_reason=",
            0.5,
            {"reference": 0.1},
            "50 % of answers end with the finish reason empty (40 to 60 %; was 10 %)",
        ),
        (
            "degradation_level=3",
            0.5,
            {"test": "g"},
            "50 % of calls run at the degradation level 3 (40 to 60 %)",
        ),
        (
            "of_my_own=x",
            0.5,
            {"reference": 0.7},
            "only 50 % of calls have the of_my_own x (40 to 60 %; was 70 %)",
        ),
        (
            "output_text",
            0.5,
            {"effect": 0.41},
            "the texts of answers differ from before (by 0.41 on a scale from 0 to 1)",
        ),
    ],
)
def test_a_shifted_category_is_described_with_its_old_and_new_share(metric, value, evidence, says):
    assert measure(incident(metric, value, **evidence).evidence) == says


def test_the_segment_of_a_feature_is_separated_from_a_preceding_clause():
    finding = incident("response_model=n", 1.0, level="segment", reference=0.0, test="never_seen")
    assert sentence(finding).startswith(
        "100 % of calls are answered by the model n (96 to 100 %), which was never seen before, asked for"
        " model m-1, since"
    )


def test_incidents_that_page_and_fire_come_before_warnings_and_those_that_are_over_last(episode_of):
    order = [
        incident("error_rate", 0.1, rule="d", severity="warning"),
        incident("error_rate", 0.1, rule="c", state="resolved"),
        incident("error_rate", 0.1, rule="b", level="segment"),
        incident("error_rate", 0.1, rule="a", minute=5),
    ]
    episode = episode_of().model_copy(update={"incidents": order})
    assert [item.rule for item in by_importance(episode)] == ["a", "b", "d", "c"]


def test_the_likely_cause_is_in_the_summary_if_it_fits_and_further_findings_follow(episode_of):
    episode = with_two_findings(episode_of(causes=["new prompt version\nv8", "another"]))
    assert episode_text.likely_causes(episode) == ["new prompt version v8", "another"]
    assert episode_text.summary(episode).endswith("; likely: new prompt version v8; and 1 more finding")
    assert "likely" not in episode_text.summary(episode, most=130)


def test_the_next_step_follows_from_the_worst_firing_incident_and_softfail_has_its_own_steps(episode_of):
    def step(metric, service="s"):
        return episode_text.next_step(
            episode_of(service=service).model_copy(update={"incidents": [incident(metric, 0.1, rule="lag")]})
        )

    assert step("evaluator.truncation.fail_rate").startswith("Compare max_tokens")
    assert step("events").startswith("Check that the service runs")
    assert step("lag", "softfail").startswith("See whether the workers run")
    assert (
        step("of my own") == episode_text.next_step(episode_of().model_copy(update={"incidents": []})) != ""
    )


def test_an_incident_that_started_before_detection_states_its_start():
    finding = incident(
        "evaluator.refusal.fail_rate",
        0.3,
        minute=15,
        reference=0.02,
        reference_n=900.0,
        began="2026-03-02T09:02:00Z",
    )
    assert "since 2 Mar 09:02 UTC" in sentence(finding)
    assert "since 2 Mar 09:15 UTC" in sentence(incident("error_rate", 0.3, minute=15))


def test_a_segment_is_named_and_a_resolved_incident_is_marked():
    assert (
        sentence(incident("error_rate", 0.1, level="segment", above=0.02, state="resolved"))
        == "10 % of calls failed (6 to 17 %; should stay under 2 %) with model m-1, began 2 Mar 09:00 UTC,"
        " 100 events in 60 s, over now"
    )


@given(value=st.floats(0, 1))
def test_a_share_below_100_percent_is_never_shown_as_100_percent_nor_a_positive_share_as_zero(value):
    shown = number_format.share(value)
    assert (shown == "100 %") == (value * 100 == 100)
    assert (shown == "0 %") == (value == 0)


@given(
    most=st.integers(200, 1024),
    left_out=st.integers(0, 500),
    text=st.text(min_size=1, max_size=256),
    causes=st.lists(st.text(), max_size=3),
)
def test_a_summary_is_a_single_line_within_its_limit_for_any_labels(episode_of, most, left_out, text, causes):
    line = episode_text.summary(
        with_two_findings(episode_of(service=text, feature=text, environment=text, causes=causes)),
        left_out,
        most,
    )
    assert len(line) <= most
    assert line.splitlines() == [line]
    assert line.endswith("more finding" if left_out == 0 else "more findings")


@pytest.mark.parametrize(("present", "says"), [(0.0, True), (0.5, False)])
def test_a_finding_that_still_fires_and_is_normal_again_says_so(episode_of, present, says):
    (finding,) = episode_of().incidents
    figures = {
        name: Figure(metric=finding.evidence.metric, value=value, n=60, window_s=60, time=finding.since)
        for name, value in (("decided", 0.5), ("worst", 0.5), ("present", present))
    }
    text = sentence(finding.model_copy(update=figures))
    assert text.endswith(", normal now") == says


def test_what_began_to_drift_under_an_open_incident_has_no_start():
    """The incident is since 09:00, when another of its findings began; when this one did is not known."""
    finding = incident("output_tokens.p50", 144.0, rule="drift", severity="warning", reference=26.0)
    decided = Figure(metric="output_chars.mean", value=83.0, n=60, window_s=60, time=finding.since)
    assert ", since 2 Mar 09:00 UTC" in sentence(finding)
    assert "since" not in sentence(finding.model_copy(update={"decided": decided}))
    same = decided.model_copy(update={"metric": "output_tokens.mean"})
    assert ", since 2 Mar 09:00 UTC" in sentence(finding.model_copy(update={"decided": same}))


@pytest.mark.parametrize(("state", "present"), [("firing", 0.3), ("firing", 1.0), ("resolved", 1.0)])
def test_a_fall_of_the_pass_rate_names_what_fails_most_beside_the_figure_that_it_explains(state, present):
    finding = incident("pass_rate", 0.3, state=state, reference=1.0, reference_n=900.0, kind="json")
    text = sentence(with_figures(finding, decided=0.3, worst=0.3, present=present))
    at_worst = "" if present == 0.3 else ", at worst 30 %"
    assert f"){at_worst}, mostly because answers were not valid JSON, " in text


def test_a_normal_pass_rate_that_was_never_clearly_worse_has_no_reason():
    finding = incident("pass_rate", 0.97, reference=1.0, reference_n=900.0, kind="json")
    assert "because" not in sentence(with_figures(finding, decided=0.95, worst=0.95, present=1.0))


def test_what_fails_again_states_when_it_returned_and_when_it_failed_first():
    finding = incident("error_rate", 0.8, above=0.02)
    again = finding.model_copy(update={"returned": finding.since.replace(hour=11, minute=41)})
    wrong = with_figures(again, worst=1.0, present=0.8)
    assert sentence(wrong).endswith(", again since 2 Mar 11:41 UTC (first at 09:00), 60 events in 60 s")
    later = wrong.model_copy(update={"returned": finding.since.replace(day=3, hour=1)})
    assert ", again since 3 Mar 01:00 UTC (first at 2 Mar 09:00 UTC), " in sentence(later)
    normal = with_figures(again, worst=1.0, present=0.0)
    assert ", at worst 100 %, began 2 Mar 09:00 UTC, " in sentence(normal)
    over = with_figures(again, state="resolved", worst=1.0, present=None)
    assert ", at worst 100 %, began 2 Mar 09:00 UTC, " in sentence(over)


def test_a_segment_that_has_no_calls_any_more_is_not_called_normal():
    finding = incident("pass_rate", 0.3, level="segment", below=0.5)
    assert sentence(with_figures(finding, decided=0.3)).endswith(", no calls there now")


def test_two_rules_on_one_rate_are_one_line_with_the_earlier_start(episode_of):
    rose = {"rule": "rose", "severity": "error", "reference": 0.0, "minute": 3}
    name = "evaluator.error.fail_rate"
    incidents = [
        incident("error_rate", 0.25, above=0.02, rule="error-rate", minute=5),
        incident(name, 0.25, began="2026-03-02T09:01:00Z", **rose),
        incident(name, 0.25, level="segment", **rose),
        incident("error_rate", 0.2, above=0.1, rule="own", state="resolved", minute=2),
    ]
    episode = episode_of().model_copy(update={"incidents": incidents[::-1]})
    (line,) = episode_text.finding_lines(episode)
    assert line == (
        "25 % of calls failed (18 to 34 %; should stay under 2 %), since 2 Mar 09:01 UTC, 100 events in 60 s"
    )
    assert episode_text.summary(episode).endswith(line)
    assert episode_text.detail_lines(episode) == []


def test_an_incident_that_leads_with_a_further_finding_has_the_start_of_that(episode_of):
    names = {
        "evaluator.error.fail_rate": "2026-03-02T09:01:00Z",
        "evaluator.empty.fail_rate": "2026-03-02T09:07:00Z",
    }
    findings = [
        {"metric": name, "value": 0.5, "low": None, "high": None, "n": 60, "reference": 0.0, "began": began}
        | {"reference_n": 900, "test": "t", "p_value": None, "effect": 1.0, "window_s": 60}
        for name, began in names.items()
    ]
    rose = incident("evaluator.error.fail_rate", 0.5, reference=0.0, findings=findings, kind="errors")
    episode = episode_of().model_copy(update={"incidents": [rose], "lead": "empty"})
    first, second = episode_text.finding_lines(episode)
    assert first.startswith("50 % of answers were empty")
    assert ", since 2 Mar 09:07 UTC, " in first
    assert second.startswith("50 % of calls failed")
    assert ", since 2 Mar 09:01 UTC, " in second


def test_further_findings_that_are_normal_say_so_and_do_not_show_a_change_that_is_none(episode_of):
    names = {"input_tokens.p50": 900.0, "output_tokens.mean": 132.0}
    findings = [
        {"metric": name, "value": value, "low": None, "high": None, "n": 60, "reference": 20.8}
        | {"reference_n": 900, "test": "t", "p_value": 0.0, "effect": 1.0, "window_s": 60}
        for name, value in names.items()
    ]
    finding = incident("input_tokens.p50", 900.0, reference=20.8, severity="warning", findings=findings)
    time = finding.since
    also = Figure(metric="output_tokens.mean", value=20.799, n=60, window_s=60, time=time)
    normal = with_figures(finding, present=900.0).model_copy(update={"also_present": [also]})
    lines = episode_text.finding_lines(episode_of().model_copy(update={"incidents": [normal]}))
    assert lines[1].startswith("mean of output length is 21 tokens (as before)")
    assert lines[1].endswith(", normal now")


def test_the_format_empty_is_left_out_while_it_fires_that_answers_are_empty(episode_of):
    empty = incident("evaluator.empty.fail_rate", 1.0, reference=0.0, rule="rose")
    lagging = incident("output_format=empty", 0.7, reference=0.0, rule="drift", severity="warning")
    both = episode_of().model_copy(update={"incidents": [empty, lagging]})
    assert len(episode_text.finding_lines(both)) == 1
    over = both.model_copy(update={"incidents": [empty.model_copy(update={"state": "resolved"}), lagging]})
    assert len(episode_text.finding_lines(over)) == 2
