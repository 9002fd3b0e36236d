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
    """The records of an episode that begins and ends at these minutes."""
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


def test_an_episode_keeps_what_broke_as_it_broke_and_ends_when_it_resolves(episode_of):
    opened = episode_of("e", "opened", minute=3, urgency="low")
    well = opened.incidents[0].model_copy(
        update={
            "state": "resolved",
            "evidence": opened.incidents[0].evidence.model_copy(update={"value": 0.001}),
        }
    )
    told = history_of(
        opened,
        episode_of("e", "escalated", minute=9),
        episode_of("e", "resolved", minute=30, incidents=[well]),
    ).episodes["e"]
    assert [incident.evidence.value for incident in told.as_fired().incidents] == [0.23]
    assert told.until == episode_of(minute=30).time
    assert told.paged == episode_of(minute=9).time


def test_what_never_had_high_urgency_is_a_ticket_and_what_was_muted_woke_nobody(episode_of):
    findings = history_of(
        *episode(episode_of, "a", (0, 9)),
        *episode(episode_of, "b", (0, 9), urgency="low"),
        episode_of("c", muted="over 24 h old"),
    )
    assert (findings.pages, findings.tickets) == (1, 2)


def test_a_rule_is_told_with_its_firings_at_features_and_the_time_of_overlapping_segments_once(
    tried, hours, rules_only, errors_rule
):
    trial = tried(rules_only(errors_rule, {**errors_rule, "name": "never", "above": 0.99}), hours)
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


def test_the_nearest_margin_is_the_least_over_all_edges_and_is_no_breach_where_nothing_fired(
    tried, hours, rules_only, errors_rule
):
    loose = tried(rules_only(errors_rule), hours).near_misses
    assert all(margin.distance > 0 for (_, key), margin in loose.closest.items() if key.feature == "rerank")
    assert any(margin.distance < 0 for (_, key), margin in loose.closest.items() if key.feature == "answer")


def test_a_breach_that_does_not_last_is_counted_beside_the_firings(tried, hours, rules_only, errors_rule):
    (count,) = tried(rules_only({**errors_rule, "for": "3h"}), hours).rules()
    assert count.fired == 0
    assert count.brief >= 1


def test_what_still_fires_at_the_end_fires_until_then(tried, week, rules_only, errors_rule):
    events = week.events(2, 20, ("a/b",), seed=1, troubles=(week.Trouble("a/b", 1, 9, "errors", 0.5),))
    trial = tried(rules_only(errors_rule), events)
    assert [told.until for told in trial.alerts.in_order()] == [None]
    assert timedelta(minutes=50) < trial.rules()[0].firing < timedelta(minutes=60)


def test_a_rule_that_is_not_configured_and_fired_is_told_too(tried, hours, rules_only, errors_rule):
    findings = tried(rules_only(errors_rule), hours).alerts
    assert [item.rule for item in by_rule(findings, ["other"], None)] == ["other", "errors"]


def kinds(here, there):
    return [difference.kind for difference in differences(here, there)]


def test_episodes_of_both_that_overlap_are_one_difference_and_others_are_of_one_side_only(episode_of):
    here = history_of(*episode(episode_of, "a", (0, 10)), *episode(episode_of, "b", (100, 110)))
    there = history_of(
        *episode(episode_of, "c", (5, 12)),
        *episode(episode_of, "d", (200, 210)),
        *episode(episode_of, "e", (0, 10), feature="other"),
    )
    assert [(difference.kind, difference.feature[1]) for difference in differences(here, there)] == [
        ("changed", "answer"),
        ("only_there", "other"),
        ("only_here", "answer"),
        ("only_there", "answer"),
    ]


def test_what_is_the_same_but_for_its_name_is_no_difference(episode_of):
    assert kinds(
        history_of(*episode(episode_of, "a", (0, 10))), history_of(*episode(episode_of, "b", (0, 10)))
    ) == ["same"]


def test_another_urgency_severity_time_or_rule_is_a_difference_and_is_named(episode_of):
    here = history_of(*episode(episode_of, "a", (0, 10)))
    for other, named in (
        (episode(episode_of, "a", (0, 10), urgency="low"), {"paged", "urgency", "severity"}),
        (episode(episode_of, "a", (0, 20)), {"until"}),
        (episode(episode_of, "a", (0, 20), ends=False), {"until"}),
        (episode(episode_of, "a", (0, 10), rules=("errors",)), {"rules"}),
    ):
        (one,) = differences(here, history_of(*other))
        assert one.kind == "changed"
        assert {what for what, _, _ in one.changes()} == named


def test_one_long_episode_and_the_two_that_another_configuration_makes_of_it_stand_together(episode_of):
    here = history_of(*episode(episode_of, "a", (0, 100)))
    there = history_of(*episode(episode_of, "b", (10, 20)), *episode(episode_of, "c", (50, 60)))
    (one,) = differences(here, there)
    assert (len(one.here), len(one.there)) == (1, 2)
    assert ("episodes", "1", "2") in one.changes()


def test_an_episode_that_is_still_open_overlaps_all_that_comes_later(episode_of):
    here, there = (
        history_of(*episode(episode_of, "a", (0, 0), ends=False)),
        history_of(*episode(episode_of, "b", (5000, 5010))),
    )
    assert kinds(here, there) == ["changed"]


def test_lengths_of_time_are_told_in_at_most_two_units():
    assert [length(timedelta(seconds=item)) for item in (0, 119, 120, 3600, 86_400 * 6.99, 90_000)] == [
        "0 s",
        "119 s",
        "2 min",
        "1 h",
        "7 days",
        "1 day 1 h",
    ]
