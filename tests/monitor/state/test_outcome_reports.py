"""Features that report outcomes of failures only: calls without an outcome are then ``ok``."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.protocol.messages import FileRecord
from monitor.state.outcome_reports import KEPT_US, MIN_ABSENT, MIN_FAILURES
from monitor.watch import Watch
from schemas.config.monitor_config import Config
from tests.tiers import examples

NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)
RATE = "evaluator.outcome.fail_rate"
Outcome = Callable[[int], str | None]


def records_of(n: int, outcome: Outcome, a_minute: float = 30, **fields: Any) -> list[FileRecord]:
    """Return n responses; ``outcome`` returns the outcome of each, None where it is absent."""
    records = []
    for nth in range(n):
        time = (NINE + timedelta(seconds=60 * nth / a_minute)).isoformat().replace("+00:00", "Z")
        event = {"event_id": str(nth), "time": time, "service": "s", "feature": "f", "model": "m", **fields}
        if (value := outcome(nth)) is not None:
            event["outcome"] = value
        records.append(FileRecord(json.dumps(event).encode(), nth))
    return records


def rates(messages: dict[str, list[Any]], metric: str = RATE) -> list[tuple[int, int]]:
    """Return events and failures of the windows of the feature, in their order."""
    windows = [json.loads(message.value) for message in messages["windows"]]
    rates_by_window = [window["metrics"].get(metric) for window in windows if window["level"] == "feature"]
    return [
        (sum(n for _, n, _ in item["classes"]), sum(f for *_, f in item["classes"]))
        for item in rates_by_window
        if item
    ]


def replayed(records: list[FileRecord], config: dict[str, Any] | None = None) -> Any:
    watch = Watch(Config.model_validate(config or {}))
    out = watch.apply(records)
    out.extend(watch.finish())
    return out.messages


def sixtieth(nth: int) -> str | None:
    return "schema_error" if nth % 60 == 7 else None


def test_failures_only_read_as_their_share_of_all_calls() -> None:
    counted = rates(replayed(records_of(1200, sixtieth)))
    assert counted[-1] == (30, 0)
    assert sum(n for n, _ in counted[10:]) == 30 * len(counted[10:])
    assert sum(failures for _, failures in counted[10:]) == len(counted[10:]) // 2


def test_fewer_reports_than_the_minimum_count_as_reported() -> None:
    before = MIN_FAILURES - 1
    counted = rates(
        replayed(records_of(900, lambda nth: "schema_error" if nth % 60 == 7 and nth < 60 * before else None))
    )
    assert counted == [(1, 1)] * before
    mostly = rates(
        replayed(records_of(MIN_ABSENT + 39, lambda nth: None if nth % 3 == 0 else "schema_error", 10))
    )
    assert {n == failures for n, failures in mostly} == {True}


def test_a_feature_that_reports_every_outcome_is_read_as_before() -> None:
    def outcome(nth: int) -> str | None:
        return "schema_error" if nth % 60 == 7 else ("ok" if nth % 2 else None)

    counted = rates(replayed(records_of(900, outcome)))
    assert {n for n, _ in counted} == {15}


def test_the_first_ok_ends_the_reading_as_failures_only() -> None:
    records = records_of(1800, lambda nth: sixtieth(nth) or ("ok" if nth >= 900 and nth % 10 == 0 else None))
    counted = rates(replayed(records))
    assert counted[20] == (30, 1)
    assert {n for n, _ in counted[-20:]} == {3, 4}


def test_seven_days_without_ok_restart_the_reading_as_failures_only() -> None:
    days = KEPT_US // 86_400_000_000
    n = 24 * 6 * (days + 2)
    records = records_of(
        n, lambda nth: "ok" if nth < 10 else ("schema_error" if nth % 6 == 0 else None), a_minute=0.1
    )
    counted = rates(replayed(records, {"time": {"pane": "1h"}}))
    assert counted[24 * (days - 1)] == (1, 1)
    assert counted[-1] == (6, 1)


def test_a_failed_call_without_an_outcome_remains_unknown() -> None:
    records = records_of(600, sixtieth) + [
        FileRecord(
            record.value.replace(b'"feature": "f"', b'"feature": "f", "error_type": "Timeout"'), 1000 + nth
        )
        for nth, record in enumerate(records_of(30, lambda _: None)[-30:])
    ]
    records.sort(key=lambda record: json.loads(record.value)["time"])
    counted = rates(replayed(records))
    assert counted[-1][0] == 30
    assert counted[0][0] < 30


def test_every_response_is_judged_skipped_or_broken() -> None:
    watch = Watch(Config())
    watch.apply(records_of(900, sixtieth))
    (feature,) = watch.partition_state.features.values()
    skipped = sum(feature.skipped["outcome"].values())
    assert feature.verdicts["outcome"] + skipped == 900
    assert feature.verdicts["outcome"] > 600


def test_the_pass_rate_continues_unchanged() -> None:
    messages = replayed(records_of(1200, sixtieth))
    assert {n for n, _ in rates(messages, "pass_rate")} == {30}
    assert sum(failures for _, failures in rates(messages, "pass_rate")) == 20


def test_a_rule_on_the_evaluator_reads_only_panes_that_count_all_calls() -> None:
    rule = {"name": "unusable", "on": RATE, "above": 0.1, "min_events": 1, "severity": "error"}
    messages = replayed(records_of(3600, sixtieth, 120), {"rules": [rule]})
    assert not messages.get("alerts")
    broken = records_of(
        6000, lambda nth: "schema_error" if nth % 60 == 7 or (nth > 4800 and nth % 3 == 0) else None, 120
    )
    rules = {
        json.loads(message.value).get("rule") for message in replayed(broken, {"rules": [rule]})["alerts"]
    }
    assert {"unusable", "pass-rate-fell", "failures-rose"} <= rules


@settings(max_examples=examples(1 / 4))
@given(
    st.lists(
        st.sampled_from([None, None, None, None, "schema_error", "parse_error"]), min_size=80, max_size=200
    ),
    st.sampled_from([None, 60, 120]),
    st.lists(st.integers(0, 200), max_size=4),
    st.booleans(),
)
def test_bundles_and_restarts_change_nothing(
    outcomes: list[str | None], ok_at: int | None, cuts: list[int], restart: bool
) -> None:
    records = records_of(len(outcomes), lambda nth: "ok" if nth == ok_at else outcomes[nth], 10)
    expected = rates(replayed(records))
    watch, state, counted = Watch(Config()), {}, []
    bounds = [0, *sorted(min(cut, len(records)) for cut in cuts), len(records)]
    for begin, end in pairwise(bounds):
        counted += watch.apply(records[begin:end]).messages.get("windows", [])
        if restart:
            state |= dict(watch.changed())
            watch = Watch(Config())
            watch.restore(state.items())
    counted += watch.finish().messages["windows"]
    assert rates({"windows": counted}) == expected


def test_the_last_ok_is_searched_in_state_that_does_not_record_it() -> None:
    """A release before this law counted ``ok`` without a note."""
    watch = Watch(Config())
    watch.apply(records_of(300, lambda nth: "ok" if nth % 2 else None))
    (evaluators,) = watch.partition_state.evaluators.values()
    del evaluators["outcome=ok"]
    out = watch.apply(
        [
            FileRecord(record.value.replace(b"T09:", b"T11:"), 300 + nth)
            for nth, record in enumerate(records_of(300, lambda nth: "schema_error" if nth % 2 else None))
        ]
    )
    out.extend(watch.finish())
    assert {n == failures for n, failures in rates(out.messages)[-5:]} == {True}


@pytest.mark.parametrize("named", [["length"], ["outcome", "length"]])
def test_only_a_feature_with_the_evaluator_has_the_rate(named: list[str]) -> None:
    config = {"features": [{"match": "*", "evaluators": named}]}
    assert bool(rates(replayed(records_of(300, sixtieth), config))) == ("outcome" in named)
