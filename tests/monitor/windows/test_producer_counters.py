"""Laws of producer counters: they depend on the received events alone, not on their order or bundles."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from monitor.ingest.feature_settings import MAX_FEATURES
from monitor.protocol.messages import FileRecord
from monitor.watch import Watch
from monitor.windows import producer_counters as module
from monitor.windows.producer_counters import MAX_PRODUCERS, QUIET_US, ProducerTotals, ProducerTracker
from monitor.windows.segment_keys import OTHER, FeatureKey
from tests.monitor.event_values import ANSWER, meter, response
from tests.monitor.quiet_watch import QUIET, watch_of
from tests.monitor.restarted_watch import restarted
from tests.tiers import examples

HOUR_S = 3600.0


def accounts(watch: Watch) -> dict[FeatureKey, Any]:
    return {
        key: (
            feature.received,
            feature.missing,
            feature.producer_totals(),
            feature.producers.state(),
            feature.verdicts,
            feature.skipped,
        )
        for key, feature in watch.partition_state.features.items()
    }


def without_calls(accounts: dict[FeatureKey, Any]) -> dict[FeatureKey, Any]:
    """Return the accounts without calls by pane, which depend on the order of the log."""
    return {
        key: (received, missing, totals, state[:4], *rest)
        for key, (received, missing, totals, state, *rest) in accounts.items()
    }


@st.composite
def traffic(draw: st.DrawFn) -> list[bytes]:
    """Events of a few producers and features within a few minutes of event time, some lost, some without
    number, and meters.
    """
    rng = draw(st.randoms(use_true_random=False))
    values = []
    for producer, feature in [("p", "answer"), ("q", "answer"), ("p", "summary"), ("ü" * 200, "answer")]:
        for number in range(rng.randint(0, 25)):
            if rng.random() < 0.8:
                numbered = rng.random() < 0.95
                values.append(
                    response(
                        rng.uniform(0, 200),
                        producer if numbered else None,
                        number if numbered else None,
                        feature=feature,
                        output=rng.choice([None, "", "It ships."]),
                        error_type=rng.choice(["", "", "timeout"]),
                        finish_reason=rng.choice(["", "stop"]),
                        output_tokens=rng.choice([None, 3]),
                    )
                )
            if rng.random() < 0.2:
                values.append(
                    meter(number, producer, 0, (number * 3, number * 2, number, number // 4), feature=feature)
                )
    return values


@settings(max_examples=examples(1 / 2))
@given(values=traffic(), bundle=st.integers(1, 40), rng=st.randoms(use_true_random=False))
def test_counters_do_not_depend_on_arrival_order_bundles_or_restarts(
    values: list[bytes], bundle: int, rng: random.Random
) -> None:
    in_order = accounts(watch_of(values))
    shuffled = list(values)
    rng.shuffle(shuffled)
    expected = accounts(watch_of(shuffled, bundle))
    assert without_calls(expected) == without_calls(in_order)
    assert accounts(watch_of(shuffled)) == expected
    half = watch_of(shuffled[: len(values) // 2], bundle)
    fresh = restarted(half, QUIET)
    fresh.apply([FileRecord(value, offset) for offset, value in enumerate(shuffled[len(values) // 2 :])])
    assert accounts(fresh) == expected


@settings(max_examples=examples(1 / 2))
@given(n=st.integers(2, 60), data=st.data())
@example(n=2, data=None)
def test_exactly_the_lost_events_of_a_producer_are_missing(n: int, data: Any) -> None:
    lost = data.draw(st.sets(st.integers(1, max(1, n - 2)))) if data and n > 2 else set()
    feature = watch_of(
        [response(number, "p", number) for number in range(n) if number not in lost]
    ).partition_state.features[ANSWER]
    assert feature.missing == len(lost)
    assert feature.received == {"response": n - len(lost)}


def test_a_missing_event_that_arrives_late_is_no_longer_missing_even_if_it_expired() -> None:
    lost = [response(number, "p", number) for number in (3, 4)]
    received = [response(number, "p", number) for number in range(10) if number not in (3, 4)]
    assert watch_of(received).partition_state.features[ANSWER].missing == 2
    assert watch_of(received + lost).partition_state.features[ANSWER].missing == 0
    much_later = [response(5 * HOUR_S, "p", 10)]
    feature = watch_of(received + much_later + lost, 1).partition_state.features[ANSWER]
    assert feature.expired == 2
    assert feature.missing == 0


def test_a_worker_that_starts_in_the_middle_misses_no_earlier_events() -> None:
    assert (
        watch_of([response(number, "p", number) for number in range(500, 520)])
        .partition_state.features[ANSWER]
        .missing
        == 0
    )


def test_each_producer_has_its_own_sequence_and_events_without_number_change_nothing() -> None:
    values = [response(number, f"p{number % 3}", number // 3) for number in range(30)] + [
        response(31, None, None),
        response(32, "p0", None),
    ]
    feature = watch_of(values).partition_state.features[ANSWER]
    assert feature.missing == 0
    assert len(feature.producers.entries) == 3
    # 0 of p0 is only where it begins; 3 of each at the fourth round
    assert watch_of(values[1:9] + values[12:]).partition_state.features[ANSWER].missing == 3


def test_a_lost_meter_loses_no_counts() -> None:
    meters = [
        meter(10 * second, counts=(100 * second, 10 * second, 9 * second, second)) for second in range(1, 30)
    ]
    whole, last = (
        watch_of(meters).partition_state.features[ANSWER],
        watch_of(meters[-1:]).partition_state.features[ANSWER],
    )
    assert whole.producer_totals() == last.producer_totals() == ProducerTotals(2900, 290, 261, 29)


def test_totals_are_sums_over_producers_and_continue_when_a_producer_restarts() -> None:
    values = [
        meter(1, "p", 0, (10, 5, 4, 1)),
        meter(2, "q", 0, (7, 7, 7, 0)),
        meter(30, "p", 20, (2, 1, 1, 0)),
        meter(25, "p", 0, (9, 4, 3, 1)),
    ]
    assert watch_of(values).partition_state.features[ANSWER].producer_totals() == ProducerTotals(
        19, 13, 12, 1
    )


def test_the_counts_of_an_evicted_producer_remain_and_a_returning_producer_is_not_counted_twice() -> None:
    producers, second = ProducerTracker(), 1_000_000
    producers.apply_meter("first", second, 0, (100, 50, 40, 10))
    producers.count_events("first", second, 0, 9, 7)
    for number in range(MAX_PRODUCERS):
        producers.apply_meter(f"p{number}", second + QUIET_US + number, second + 1, (1, 1, 1, 0))
    assert "first" not in producers.entries
    assert len(producers.entries) == MAX_PRODUCERS
    before = ProducerTotals(100 + MAX_PRODUCERS, 50 + MAX_PRODUCERS, 40 + MAX_PRODUCERS, 10)
    assert (producers.totals(), producers.missing) == (before, 3)
    again = second + 3 * QUIET_US
    producers.apply_meter("first", again, 0, (120, 60, 45, 15))
    assert producers.totals() == before
    producers.apply_meter("first", again + second, 0, (130, 61, 46, 15))
    assert producers.totals() == ProducerTotals(
        before.seen + 10, before.sampled + 1, before.sent + 1, before.dropped
    )
    assert producers.missing == 3


def test_active_producers_do_not_evict_each_other() -> None:
    producers, second = ProducerTracker(), 1_000_000
    for turn in range(5):
        for number in range(MAX_PRODUCERS + 200):
            producers.count_events(f"p{number}", turn * 60 * second + number, turn, turn, 1)
            producers.apply_meter(
                f"p{number}", turn * 60 * second + number, 0, (turn + 1, turn + 1, turn + 1, 0)
            )
    assert len(producers.entries) == MAX_PRODUCERS
    assert producers.totals().seen == 5 * MAX_PRODUCERS
    assert producers.missing == 0


@given(rng=st.randoms(use_true_random=False))
def test_totals_never_decrease_when_producers_come_leave_and_restart(rng: random.Random) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MAX_PRODUCERS", 3)
        producers, counted, started, before = (
            ProducerTracker(),
            dict.fromkeys("abcdef", 0),
            dict.fromkeys("abcdef", 0),
            ProducerTotals(),
        )
        reported = 0
        for step in range(80):
            name, now = rng.choice("abcdef"), step * QUIET_US // 2
            if rng.random() < 0.1:
                counted[name], started[name] = 0, now
            more = rng.randint(0, 5)
            counted[name] += more
            reported += more
            producers.apply_meter(name, now, started[name], (counted[name],) * 4)
            if rng.random() < 0.1:
                producers.evict_until(now - 4 * QUIET_US)
            after = producers.totals()
            assert all(new >= old for new, old in zip(after, before, strict=True))
            assert after.seen <= reported
            before = after
            producers = ProducerTracker.from_state(*producers.state())


def test_the_state_of_the_most_producers_with_the_longest_names_fits_into_a_record() -> None:
    values = []
    for number in range(MAX_PRODUCERS + 50):
        name = f"{number:04}" + "\U0001f600" * 250
        values += [meter(1, name, 0, (2**50,) * 4), response(2, name, 2**50), response(3, name, 2**50 + 9)]
    watch = watch_of(values)
    assert watch.partition_state.features[ANSWER].missing == 8 * MAX_PRODUCERS
    assert max(len(value) for _, value in watch.changed() if value) < 200 << 10


def test_meters_and_expired_events_of_invented_features_are_bounded_and_dropped_after_a_day() -> None:
    values = [response(10 * HOUR_S, feature="real")]
    values += [
        meter(10 * HOUR_S, "p", 0, (3, 2, 1, 1), feature=f"m{number}") for number in range(MAX_FEATURES + 500)
    ]
    values += [response(0, "p", number, feature=f"x{number}") for number in range(300)]
    watch = watch_of(values)
    assert len(watch.partition_state.features) == MAX_FEATURES + 1
    other = FeatureKey(OTHER, OTHER, "production")
    totals = [feature.producer_totals() for feature in watch.partition_state.features.values()]
    assert tuple(map(sum, zip(*totals, strict=True))) == (
        3 * (MAX_FEATURES + 500),
        2 * (MAX_FEATURES + 500),
        MAX_FEATURES + 500,
        MAX_FEATURES + 500,
    )
    assert sum(feature.expired for feature in watch.partition_state.features.values()) == 300
    assert watch.partition_state.features[other].producers.entries.keys() >= {f"p bot/m{MAX_FEATURES + 499}"}
    seen_before = sum(total.seen for total in totals)
    watch.apply([FileRecord(response(40 * HOUR_S, feature="real"), 10**6)])
    assert set(watch.partition_state.features) == {FeatureKey("bot", "real", "production"), other}
    assert (
        sum(feature.producer_totals().seen for feature in watch.partition_state.features.values())
        == seen_before
    )


def test_a_producer_has_a_sequence_per_feature_and_environment() -> None:
    keys = [("answer", "production"), ("summary", "production"), ("answer", "staging")]
    features = watch_of(
        [
            response(number, "p", number, feature=name, environment=where)
            for number in range(20)
            for nth, (name, where) in enumerate(keys)
            if number not in range(5, 5 + nth)
        ]
    ).partition_state.features
    assert [features[FeatureKey("bot", *key)].missing for key in keys] == [0, 1, 2]


def test_features_that_share_an_account_have_separate_sequences() -> None:
    fill = [response(1, None, None, feature=f"f{number}") for number in range(MAX_FEATURES)]
    more = [
        response(2 + number, "p", number, feature=feature) for feature in ("a", "b") for number in (0, 1, 4)
    ]
    other = watch_of(fill + more).partition_state.features[FeatureKey(OTHER, OTHER, "production")]
    assert other.received == {"response": 6}
    assert other.missing == 4


def test_every_response_has_a_verdict_of_every_evaluator_or_a_reason() -> None:
    values = [
        response(1),
        response(2, output=None),
        response(3, error_type="timeout"),
        response(4, finish_reason="stop", outcome="ok"),
        response(5, output=None, output_tokens=7),
    ]
    feature = watch_of(values).partition_state.features[ANSWER]
    totals = {
        name: feature.verdicts.get(name, 0) + sum(feature.skipped.get(name, {}).values())
        for name in {*feature.verdicts, *feature.skipped}
    }
    assert set(totals.values()) == {5}
    assert {"error", "refusal", "length", "outcome"} <= totals.keys()
    assert feature.skipped["refusal"] == {"no output text": 2, "the call failed": 1}
    assert feature.skipped["empty"] == {"neither output text nor its size": 1, "the call failed": 1}
    assert feature.skipped["outcome"] == {"no outcome reported": 4}
    assert feature.verdicts["error"] == 5
