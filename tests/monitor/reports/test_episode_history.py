from __future__ import annotations

from datetime import timedelta

from monitor.reports.config_comparison import differences
from monitor.reports.episode_history import AlertHistory, by_rule
from monitor.reports.report_text import length, place


def history_of(*episodes):
    findings = AlertHistory()
    for episode in episodes:
        findings.take_episode(episode)
    return findings


def episode(episode_of, name, minutes, *, urgency="high", rules=("refusals",), feature="answer", ends=True):
    """Return the records of an episode that starts and ends at these minutes."""
    began = episode_of().started_at + timedelta(minutes=minutes[0])
    made = [
        episode_of(
            name,
            "opened",
            minute=minutes[0] + 1,
            urgency=urgency,
            rules=rules,
            feature=feature,
            started_at=began,
        )
    ]
    if ends:
        made.append(
            episode_of(
                name,
                "resolved",
                minute=minutes[1],
                urgency=urgency,
                rules=rules,
                feature=feature,
                started_at=began,
            )
        )
    return made


def test_incidents_keep_their_values_at_firing_and_the_episode_ends_at_its_resolve(episode_of):
    opened = episode_of("e", "opened", minute=3, urgency="low")
    resolved_incident = opened.incidents[0].model_copy(
        update={
            "state": "resolved",
            "evidence": opened.incidents[0].evidence.model_copy(update={"value": 0.001}),
        }
    )
    history = history_of(
        opened,
        episode_of("e", "escalated", minute=9),
        episode_of("e", "resolved", minute=30, incidents=[resolved_incident]),
    ).episodes["e"]
    assert [incident.evidence.value for incident in history.as_fired().incidents] == [0.23]
    assert history.until == episode_of(minute=30).time
    assert history.paged == episode_of(minute=9).time


def test_episodes_of_low_urgency_are_tickets_and_muted_episodes_are_not_pages(episode_of):
    findings = history_of(
        *episode(episode_of, "a", (0, 9)),
        *episode(episode_of, "b", (0, 9), urgency="low"),
        episode_of("c", muted="over 24 h old"),
    )
    assert (findings.pages, findings.tickets) == (1, 2)


def test_overlapping_incidents_of_a_feature_and_its_segments_count_once(
    run_backtest, hours, rules_only, errors_rule
):
    trial = run_backtest(rules_only(errors_rule, {**errors_rule, "name": "never", "above": 0.99}), hours)
    errors, never = trial.rules()
    assert (errors.rule, errors.pages, errors.tickets) == ("errors", 1, 0)
    assert [place(feature) for feature in errors.features] == ["support-bot/answer"]
    assert errors.fired == 1  # the feature, and its one segment with it
    assert len(trial.alerts.firings) == 2
    each = [firing.until - firing.since for firing in trial.alerts.firings.values()]
    assert max(each) <= errors.firing < sum(each, timedelta())
    assert (never.fired, never.pages, never.firing) == (0, 0, timedelta())
    key, margin = trial.near_misses.closest_feature("never", never.features)
    assert key.feature == "answer"
    assert 0.3 < margin.evidence.value < 0.7
    assert trial.near_misses.closest_feature("errors", errors.features)[0].feature == "rerank"


def test_the_near_miss_is_the_smallest_distance_over_all_edges_and_no_breach_where_nothing_fired(
    run_backtest, hours, rules_only, errors_rule
):
    loose = run_backtest(rules_only(errors_rule), hours).near_misses
    assert all(margin.distance > 0 for (_, key), margin in loose.closest.items() if key.feature == "rerank")
    assert any(margin.distance < 0 for (_, key), margin in loose.closest.items() if key.feature == "answer")


def test_breaches_that_end_before_the_incident_fires_are_counted_separately(
    run_backtest, hours, rules_only, errors_rule
):
    (count,) = run_backtest(rules_only({**errors_rule, "for": "3h"}), hours).rules()
    assert count.fired == 0
    assert count.brief >= 1


def test_a_firing_incident_is_cut_at_the_end_of_the_input(run_backtest, week, rules_only, errors_rule):
    events = week.events(2, 20, ("a/b",), seed=1, troubles=(week.Trouble("a/b", 1, 9, "errors", 0.5),))
    trial = run_backtest(rules_only(errors_rule), events)
    assert [history.until for history in trial.alerts.in_order()] == [None]
    assert timedelta(minutes=50) < trial.rules()[0].firing < timedelta(minutes=60)


def test_rules_that_fired_are_counted_although_they_are_not_configured(
    run_backtest, hours, rules_only, errors_rule
):
    findings = run_backtest(rules_only(errors_rule), hours).alerts
    assert [item.rule for item in by_rule(findings, ["other"], None)] == ["other", "errors"]


def kinds(first, second):
    return [difference.kind for difference in differences(first, second)]


def test_overlapping_episodes_of_both_configurations_form_one_difference(episode_of):
    first = history_of(*episode(episode_of, "a", (0, 10)), *episode(episode_of, "b", (100, 110)))
    second = history_of(
        *episode(episode_of, "c", (5, 12)),
        *episode(episode_of, "d", (200, 210)),
        *episode(episode_of, "e", (0, 10), feature="other"),
    )
    assert [(difference.kind, difference.feature[1]) for difference in differences(first, second)] == [
        ("changed", "answer"),
        ("only_there", "other"),
        ("only_here", "answer"),
        ("only_there", "answer"),
    ]


def test_episodes_that_differ_only_in_their_id_are_the_same(episode_of):
    assert kinds(
        history_of(*episode(episode_of, "a", (0, 10))), history_of(*episode(episode_of, "b", (0, 10)))
    ) == ["same"]


def test_differences_in_urgency_severity_time_or_rules_are_listed(episode_of):
    first = history_of(*episode(episode_of, "a", (0, 10)))
    for other, named in (
        (episode(episode_of, "a", (0, 10), urgency="low"), {"paged", "urgency", "severity"}),
        (episode(episode_of, "a", (0, 20)), {"until"}),
        (episode(episode_of, "a", (0, 20), ends=False), {"until"}),
        (episode(episode_of, "a", (0, 10), rules=("errors",)), {"rules"}),
    ):
        (difference,) = differences(first, history_of(*other))
        assert difference.kind == "changed"
        assert {name for name, _, _ in difference.changes()} == named


def test_a_long_episode_and_two_overlapping_episodes_form_one_difference(episode_of):
    first = history_of(*episode(episode_of, "a", (0, 100)))
    second = history_of(*episode(episode_of, "b", (10, 20)), *episode(episode_of, "c", (50, 60)))
    (difference,) = differences(first, second)
    assert (len(difference.here), len(difference.there)) == (1, 2)
    assert ("episodes", "1", "2") in difference.changes()


def test_an_open_episode_overlaps_all_later_episodes(episode_of):
    first, second = (
        history_of(*episode(episode_of, "a", (0, 0), ends=False)),
        history_of(*episode(episode_of, "b", (5000, 5010))),
    )
    assert kinds(first, second) == ["changed"]


def test_durations_have_at_most_two_units():
    assert [length(timedelta(seconds=item)) for item in (0, 119, 120, 3600, 86_400 * 6.99, 90_000)] == [
        "0 s",
        "119 s",
        "2 min",
        "1 h",
        "7 days",
        "1 day 1 h",
    ]
