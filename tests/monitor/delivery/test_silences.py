"""When a silence is active, for which episodes, and until when. An independent computation, minute by minute,
agrees, also on days of a clock change.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.delivery.silences import KEPT_US, MOST, ScheduledSilence, Silences, silence_subject
from schemas.config.silences import PlannedSilence
from schemas.records import Silence
from schemas.times import microseconds
from tests.tiers import examples

MINUTE, HOUR, DAY = 60_000_000, 3_600_000_000, 86_400_000_000
NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)  # a Monday
NOW = microseconds(NINE)
BOT = ("bot", "answer", "production", "critical")
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia")


def silence(name="s1", match="bot/*", minutes=(0, 60), **more):
    start, end = (NINE + timedelta(minutes=minute) for minute in minutes)
    return Silence(
        record="silence",
        silence_id=name,
        match=match,
        starts_at=start,
        ends_at=end,
        reason="r",
        time=NINE,
        **more,
    )


def weekly(**fields):
    return ScheduledSilence.from_config(
        PlannedSilence.model_validate({"match": "*", "reason": "r", "at": "22:00", "for": "2h"} | fields),
        "silences[0]",
    ).window


def us(text, zone):
    return microseconds(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)))


@pytest.mark.parametrize(
    ("fields", "subject", "matches"),
    [
        ({"match": "bot/*"}, BOT, True),
        ({"match": "*"}, BOT, True),
        ({"match": "bot/rank"}, BOT, False),
        ({"match": "bo?/a*"}, BOT, True),
        ({"environments": ["prod*"]}, BOT, True),
        ({"environments": ["staging"]}, BOT, False),
        ({"severity": ["warning"]}, BOT, False),
        ({"severity": ["warning", "critical"]}, BOT, True),
        ({"match": "*"}, ("softfail", "monitor", "", "error"), False),
        ({"match": "soft*/*"}, ("softfail", "monitor", "", "error"), False),
        ({"match": "softfail/*"}, ("softfail", "monitor", "", "error"), True),
        ({"match": "softfail/channel-*"}, ("softfail", "monitor", "", "error"), False),
    ],
)
def test_a_silence_matches_its_labels_and_softfail_itself_only_by_name(fields, subject, matches):
    silences = Silences()
    silences.take(silence(**({"match": "bot/*"} | fields)), NOW)
    assert (silences.in_force(subject, NOW) is not None) == matches


def test_a_silence_is_active_from_its_start_until_just_before_its_end():
    silences = Silences()
    silences.take(silence(minutes=(10, 20)), NOW)
    in_force = [
        silences.in_force(BOT, NOW + offset_us) is not None
        for offset_us in (10 * MINUTE - 1, 10 * MINUTE, 20 * MINUTE - 1, 20 * MINUTE)
    ]
    assert in_force == [False, True, True, False]


def test_a_later_record_replaces_the_silence_of_the_same_id():
    silences = Silences()
    silences.take(silence(minutes=(0, 60)), NOW)
    silences.take(silence(minutes=(0, 10)), NOW)
    assert (silences.silenced_until(BOT, NOW), len(silences.records)) == (NOW + 10 * MINUTE, 1)


def test_adjacent_silences_count_as_one():
    silences = Silences(
        [PlannedSilence.model_validate({"match": "bot/*", "reason": "r", "at": "10:30", "for": "1h"})]
    )
    silences.take(silence("a", minutes=(0, 60)), NOW)
    silences.take(silence("b", minutes=(60, 95)), NOW)
    silences.take(silence("c", minutes=(151, 200)), NOW)
    assert silences.silenced_until(BOT, NOW) == NOW + 150 * MINUTE
    assert silences.in_force(BOT, NOW + 61 * MINUTE).name == "b"
    assert silences.silenced_until(BOT, NOW + 150 * MINUTE) is None


def test_an_expired_silence_is_dropped_a_day_after_its_end():
    silences = Silences()
    silences.take(silence(minutes=(0, 60)), NOW)
    assert silences.drop_expired(NOW + HOUR + KEPT_US - 1) == []
    assert silences.drop_expired(NOW + HOUR + KEPT_US) == ["s1"]
    assert (silences.records, silences.take(silence(), NOW + 3 * DAY), silences.records) == ({}, ["s1"], {})


def test_at_most_a_thousand_silences_are_kept_and_expired_silences_are_evicted_first():
    silences = Silences()
    for number in range(MOST):
        silences.take(silence(f"s{number}", minutes=(0, 10 + number)), NOW)
    with pytest.raises(ValueError, match=r"silence_id: 1000 silences are not over yet; end some"):
        silences.take(silence("more"), NOW)
    assert silences.take(silence("s5", minutes=(0, 99)), NOW) == ["s5"]
    assert silences.take(silence("more"), NOW + 11 * MINUTE) == ["more", "s0"]


def test_no_silence_is_longer_than_thirty_days():
    with pytest.raises(ValueError, match=r"ends_at: lies more than 30 d after"):
        Silences().take(silence(minutes=(0, 30 * 1440 + 1)), NOW)
    assert Silences().take(silence(minutes=(0, 30 * 1440)), NOW) == ["s1"]


def test_active_silences_are_listed_with_their_end():
    silences = Silences(
        [
            PlannedSilence.model_validate(
                {"match": "a/b", "reason": "r", "from": NINE, "to": NINE + timedelta(hours=1)}
            )
        ]
    )
    silences.take(silence(minutes=(0, 10)), NOW)
    silences.take(silence("later", minutes=(5, 10)), NOW)
    assert [(silence.name, end_us) for silence, end_us in silences.active(NOW)] == [
        ("s1", NOW + 10 * MINUTE),
        ("silences[0]", NOW + HOUR),
    ]


@pytest.mark.parametrize(
    ("zone", "start", "inside", "outside"),
    [
        # 02:30 does not exist that day
        (
            "Europe/Berlin",
            "02:30",
            ["2026-03-29T03:30", "2026-03-29T05:29"],
            ["2026-03-29T03:29", "2026-03-29T05:30"],
        ),
        # two hours are two hours
        (
            "Europe/Berlin",
            "01:00",
            ["2026-03-29T01:00", "2026-03-29T03:59"],
            ["2026-03-29T00:59", "2026-03-29T04:00"],
        ),
        (
            "Europe/Berlin",
            "22:00",
            ["2026-03-29T22:00", "2026-10-25T22:00"],
            ["2026-03-29T21:59", "2026-10-26T00:00"],
        ),
        (
            "Europe/Berlin",
            "01:30",
            ["2026-10-25T01:30", "2026-10-25T02:29"],
            ["2026-10-25T01:29", "2026-10-25T03:00"],
        ),
    ],
)
def test_a_maintenance_window_follows_local_time_across_clock_changes(zone, start, inside, outside):
    window = weekly(at=start, timezone=zone)
    assert all(window.end(us(text, zone)) is not None for text in inside)
    assert all(window.end(us(text, zone)) is None for text in outside)


def test_a_repeated_local_hour_starts_one_window():
    window = weekly(at="02:30", timezone="Europe/Berlin", **{"for": "30m"})
    first = microseconds(datetime(2026, 10, 25, 0, 30, tzinfo=UTC))
    assert window.end(first) == first + 30 * MINUTE
    assert window.end(first + HOUR) is None


def test_a_window_that_starts_on_saturday_extends_into_sunday():
    window = weekly(days=["sat"], at="23:00", **{"for": "3h"})
    assert window.end(us("2026-03-08T01:59", "UTC")) == us("2026-03-08T02:00", "UTC")
    assert window.end(us("2026-03-08T23:30", "UTC")) is None


RECURRING = st.builds(
    lambda days, hour, minute, length, zone: weekly(
        days=sorted(days), at=f"{hour:02}:{minute:02}", timezone=zone, **{"for": length * 60.0}
    ),
    st.sampled_from([{"sat"}, {"mon", "wed"}, {"sat", "sun"}, {"mon", "tue", "fri"}, {"wed", "sun"}]),
    st.integers(0, 23),
    st.sampled_from([0, 1, 30, 59]),
    st.integers(1, 2 * 1440),
    st.sampled_from(ZONES),
)
AROUND_CHANGES = st.sampled_from(
    [
        (2026, 3, 8),
        (2026, 3, 29),
        (2026, 4, 5),
        (2026, 10, 4),
        (2026, 10, 25),
        (2026, 11, 1),
        (2011, 12, 30),
        (2026, 6, 1),
    ]
)


def found_by_walking_back(window, minute):
    """Search backwards minute by minute for a start in local time: slow, and independent."""
    for back in range(window.length_us // MINUTE):
        utc = datetime.fromtimestamp((minute - back) * 60, UTC)
        local = utc.astimezone(window.zone)
        if (
            local.weekday() in window.days
            and (local.hour, local.minute) == (window.start.hour, window.start.minute)
            and local.fold == 0
        ):
            return True
    return False


@settings(max_examples=examples(1 / 2))
@given(window=RECURRING, day=AROUND_CHANGES, minute=st.integers(-1440, 2880))
def test_a_weekly_window_is_active_exactly_when_a_backward_search_finds_its_start(window, day, minute):
    time = int(datetime(*day, tzinfo=UTC).timestamp()) // 60 + minute
    skipped = any(
        datetime.combine(each, window.start, window.zone).astimezone(UTC).astimezone(window.zone).time()
        != window.start
        for each in (
            datetime.fromtimestamp((time - back * 1440) * 60, UTC).astimezone(window.zone).date()
            for back in range(-1, 6)
        )
    )
    if not skipped:  # a test above covers a start that the clock skips
        assert (window.end(time * MINUTE) is not None) == found_by_walking_back(window, time)


@settings(max_examples=examples(2))
@given(window=RECURRING, day=AROUND_CHANGES, minute=st.integers(-1440, 2880))
def test_the_next_change_is_the_first_start_or_end_of_a_window(window, day, minute):
    time = microseconds(datetime(*day, tzinfo=UTC)) + minute * MINUTE
    change = window.next_change(time)
    assert time < change <= time + 8 * DAY
    assert {window.end(at_us) for at_us in range(time, change, max(MINUTE, (change - time) // 50))} == {
        window.end(time)
    }
    end = window.end(time)
    assert end is None or end >= change
    assert window.end(change) != end or window.end(change - 1) == end


@settings(max_examples=examples(2))
@given(
    spans=st.lists(
        st.tuples(st.integers(0, 300), st.integers(1, 200), st.sampled_from(["bot/*", "*", "other/*"])),
        max_size=6,
    ),
    minutes=st.lists(st.integers(0, 600), min_size=1, max_size=8),
)
def test_active_and_silenced_until_agree_with_each_silence_at_each_minute_in_any_order(spans, minutes):
    silences = Silences()
    for number, (start, length, match) in enumerate(spans):
        silences.take(silence(f"s{number}", match, (start, start + length)), NOW)
    covered = {
        minute
        for start, length, match in spans
        if match != "other/*"
        for minute in range(start, start + length)
    }
    for minute in minutes:
        assert (silences.in_force(BOT, NOW + minute * MINUTE) is not None) == (minute in covered)
        free = next(later for later in range(minute, 10_000) if later not in covered)
        assert silences.silenced_until(BOT, NOW + minute * MINUTE) == (
            NOW + free * MINUTE if free > minute else None
        )


def test_restored_silences_match_like_the_originals(episode_of):
    silences = Silences()
    silences.take(silence(match="support-bot/*"), NOW)
    again = Silences()
    again.restore(silences.records.values())
    assert (
        again.in_force(silence_subject(episode_of()), NOW)
        == silences.in_force(silence_subject(episode_of()), NOW)
        is not None
    )
