"""Findings of several segments are one line; nothing is repeated or lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from monitor.wording import episode_text
from monitor.wording.incident_grouping import group_incidents
from schemas.records import EpisodeIncident

NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)


def make_incident(
    rule: str,
    value: float | None,
    model: str = "",
    *,
    metric: str = "error_rate",
    state: str = "firing",
    minute: int = 0,
    n: float = 100.0,
    text: str = "",
) -> EpisodeIncident:
    evidence = {
        "metric": metric,
        "value": value,
        "low": None,
        "high": None,
        "n": n,
        "window_s": 60.0,
        "above": 0.02,
    }
    fields: dict[str, Any] = {
        "level": "segment" if model else "feature",
        "service": "s",
        "feature": "f",
        "environment": "production",
        "model": model,
        "text": text,
        "incident_id": f"{rule} {model} {state} {minute}",
        "rule": rule,
        "severity": "error",
        "state": state,
        "since": NINE + timedelta(minutes=minute),
        "evidence": evidence,
    }
    return EpisodeIncident.model_validate(fields)


def lines(episode_of: Any, *incidents: EpisodeIncident) -> list[str]:
    return episode_text.finding_lines(episode_of().model_copy(update={"incidents": list(incidents)}))


def test_twelve_segments_and_the_whole_feature_share_a_line_that_names_three(episode_of: Any) -> None:
    several = [make_incident("errors", nth / 100, f"m{nth}", minute=1, n=30.0) for nth in range(20, 32)]
    assert lines(episode_of, make_incident("errors", 0.25), *several) == [
        "25 % of calls failed (18 to 34 %; should stay under 2 %), since 2 Mar 09:00 UTC, 100 events in 60 s; "
        "by segment: model m20 20 %, model m21 21 %, model m22 22 % and 9 more"
    ]


def test_a_segment_equal_to_its_feature_is_not_listed_separately(episode_of: Any) -> None:
    whole, part = make_incident("errors", 0.25), make_incident("errors", 0.25, "m")
    assert lines(episode_of, whole, part) == lines(episode_of, whole)


def test_findings_of_the_summary_are_not_repeated_in_the_list(episode_of: Any) -> None:
    def listed(*incidents: EpisodeIncident) -> int:
        return len(episode_text.detail_lines(episode_of().model_copy(update={"incidents": list(incidents)})))

    assert (
        listed()
        == listed(make_incident("errors", 0.25))
        == listed(make_incident("errors", 0.25), make_incident("errors", 0.25, "m"))
        == 0
    )
    assert listed(make_incident("errors", 0.25), make_incident("errors", 0.26, "m")) == 1
    assert listed(make_incident("errors", 0.25), make_incident("slow", 9.0, metric="duration_s.p90")) == 2


def test_segments_without_the_feature_share_a_line_that_describes_the_first_in_full(episode_of: Any) -> None:
    (line,) = lines(
        episode_of,
        make_incident("slow", 8.3, "m", metric="duration_s.p90"),
        make_incident("slow", 7.0, "n", metric="duration_s.p50", minute=1),
    )
    assert line.startswith(
        "90th percentile of duration is 8.3 s (should stay under 0.02 s) with model m, since"
    )
    assert line.endswith("; by segment: model n 7 s")


def test_incidents_that_differ_in_rule_statistic_or_state_are_separate_lines(episode_of: Any) -> None:
    apart = [
        make_incident("a", 0.2, "m"),
        make_incident("b", 0.2, "n"),
        make_incident("a", 0.2, "n", state="resolved"),
        make_incident("a", 9.0, "n", metric="duration_s.p90"),
        make_incident("a", 0.3, "n", metric="error_type=timeout"),
        make_incident("a", 0.3, "n", metric="error_type=reset"),
    ]
    assert len(lines(episode_of, *apart)) == len(apart)


def test_a_segment_lists_only_what_its_feature_does_not_list(episode_of: Any) -> None:
    def findings(*metrics: str) -> list[dict[str, Any]]:
        names = ("low", "high", "reference", "p_value")
        figures = {
            "value": 9.0,
            "n": 100.0,
            "window_s": 60.0,
            "reference_n": 9.0,
            "effect": 1.0,
            "test": "ks",
        }
        return [{"metric": metric} | figures | dict.fromkeys(names) for metric in metrics]

    def incident(model: str, *metrics: str) -> EpisodeIncident:
        made = make_incident("drift", 9.0, model, metric=metrics[0])
        evidence = type(made.evidence).model_validate(
            made.evidence.model_dump() | {"findings": findings(*metrics)}
        )
        return made.model_copy(update={"evidence": evidence})

    shown = lines(
        episode_of,
        incident("", "duration_s.p50", "output_chars.p50"),
        incident("m", "output_chars.p90", "output_tokens.p50", "duration_s.p90"),
    )
    assert [line.split(" is ")[0] for line in shown] == [
        "median of duration",
        "median of output length",
        "median of output length",
    ]
    assert [("characters" in line, "tokens" in line, "with model m" in line) for line in shown[1:]] == [
        (True, False, False),
        (False, True, True),
    ]


def test_findings_about_softfail_are_listed_by_their_text(episode_of: Any) -> None:
    shown = lines(
        episode_of,
        make_incident("lag", 9.0, metric="lag", text="one lags"),
        make_incident("lag", 9.0, metric="lag", minute=1, text="another lags"),
    )
    assert [line.partition(",")[0] for line in shown] == ["one lags", "another lags"]


def test_the_summary_counts_the_remaining_lines(episode_of: Any) -> None:
    several = [make_incident("errors", nth / 100, f"m{nth}") for nth in range(20, 30)]
    incidents = [
        make_incident("errors", 0.25),
        *several,
        make_incident("slow", 9.0, metric="duration_s.p90", minute=1),
    ]
    assert episode_text.summary(episode_of().model_copy(update={"incidents": incidents})).endswith(
        "; and 1 more finding"
    )


@given(
    st.lists(
        st.builds(
            make_incident,
            st.sampled_from("ab"),
            st.just(0.2),
            st.sampled_from(["", "m", "n"]),
            state=st.sampled_from(["firing", "resolved"]),
            metric=st.sampled_from(["error_rate", "duration_s.p90", "duration_s.p50"]),
            text=st.sampled_from(["", "it lags"]),
        )
    )
)
def test_each_incident_is_in_one_group_and_a_whole_feature_only_at_its_start(
    incidents: list[EpisodeIncident],
) -> None:
    groups = group_incidents(incidents)
    assert sorted(map(id, (item for group in groups for item in group))) == sorted(map(id, incidents))
    assert all(
        item.level == "segment"
        and item.rule == group[0].rule
        and (item.state == group[0].state or (group[0].level, group[0].state) == ("feature", "firing"))
        for group in groups
        for item in group[1:]
    )
    places = [next(nth for nth, incident in enumerate(incidents) if incident is group[0]) for group in groups]
    assert places == sorted(places)
