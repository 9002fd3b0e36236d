"""A killed service rings within three minutes; what only looks like one waits for the whole window, or is
quiet.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import pytest

from tests.scenarios.deployment import START, WARM, Deployment, calls_of
from tests.scenarios.producers import Process, Timed, metered

SHOP, OTHER = ("shop-bot/answer", "shop-bot/search"), ("docs/summary",)
FEATURES = (*SHOP, *OTHER)
A_MINUTE = 60
BEGIN, UNTIL = -40.0, 12.0
KILL = 2.3
MINUTE_0 = START + timedelta(minutes=WARM)
BESIDE = Process("docs", BEGIN, UNTIL)
SHOP_LIVES = Process("shop-bot", BEGIN, UNTIL)


def run(
    processes: Sequence[Process],
    *,
    features: Sequence[str] = FEATURES,
    begin: float = BEGIN,
    a_minute: int = A_MINUTE,
    idle: Sequence[str] = (),
    arrive: Callable[[datetime, bytes], datetime] = lambda moment, _: moment,
    lags: Sequence[tuple[float, float]] = (),
) -> Deployment:
    """Run processes from 40 minutes before to 12 after minute 0.

    ``idle``: features without calls from ``KILL`` on. ``arrive``: when a record arrives. ``lags``: of the worker.
    """
    calls = [
        (moment, value)
        for moment, value in calls_of(features, begin, UNTIL, a_minute=a_minute)
        if moment < MINUTE_0 + timedelta(minutes=KILL)
        or f"shop-bot/{json.loads(value)['feature']}" not in idle
    ]
    records = [(arrive(*record), record[1]) for record in metered(calls, processes, MINUTE_0)]
    deployment = Deployment()
    deployment.second = (WARM + begin) * 60.0
    deployment.run(sorted(records, key=lambda record: record[0]), UNTIL, lags=lags)
    return deployment


def silences(deployment: Deployment) -> list[float]:
    """Return when a page or ticket first said that a feature is silent, minutes after the kill."""
    return [
        round(ring.minute - KILL, 1)
        for ring in deployment.pagerduty.incidents
        if any("no events" in text for text in (ring.text, *ring.updates, *ring.lines))
    ]


def killed(minute: float = KILL, **more: bool) -> Process:
    return Process("shop-bot", BEGIN, minute, **more)


@pytest.mark.parametrize("minute", [2.02, 2.3, 2.6, 2.95])
def test_a_killed_service_rings_within_three_minutes(minute: float) -> None:
    deployment = run([BESIDE, killed(minute)])
    first = deployment.pagerduty.rings[0]
    assert first.minute - minute < 3
    assert "its producers are gone since" in first.text
    assert {ring.text.partition(":")[0] for ring in deployment.pagerduty.rings} == set(SHOP)


def test_a_service_that_is_alone_in_its_partition_rings_too() -> None:
    assert silences(run([killed()], features=SHOP))[0] < 3


def test_a_service_that_returns_within_a_minute_of_its_kill_is_quiet() -> None:
    assert silences(run([BESIDE, killed(), Process("shop-bot", KILL + 1, UNTIL)])) == []


def test_a_clean_restart_that_takes_four_minutes_is_quiet() -> None:
    assert silences(run([BESIDE, killed(closes=True), Process("shop-bot", KILL + 4, UNTIL)])) == []


def test_a_deployment_of_which_one_process_closes_waits_for_the_window() -> None:
    first = Process("shop-bot", BEGIN, KILL - 1, closes=True)
    fired = silences(run([BESIDE, first, killed()]))
    assert min(fired) >= 5


def test_a_feature_and_a_service_that_go_idle_while_their_producers_live_are_quiet() -> None:
    assert silences(run([BESIDE, SHOP_LIVES], idle=SHOP[:1])) == []
    assert silences(run([BESIDE, SHOP_LIVES], idle=SHOP)) == []


def test_a_service_of_which_another_process_lives_waits_for_the_window() -> None:
    processes = [
        BESIDE,
        Process("shop-bot", BEGIN, KILL, features=SHOP[:1]),
        Process("shop-bot", BEGIN, UNTIL, features=SHOP[1:]),
    ]
    fired = silences(run(processes))
    assert len(fired) == 1
    assert min(fired) >= 5


def test_a_worker_that_lags_by_four_minutes_reports_no_silence() -> None:
    assert silences(run([BESIDE, SHOP_LIVES], lags=[(KILL, KILL + 4)])) == []


@pytest.mark.parametrize("features", [FEATURES, SHOP])
@pytest.mark.parametrize("slower_s", [5, 50])
def test_a_broker_that_was_down_is_no_silence_although_a_service_returns_later_than_another(
    features: Sequence[str], slower_s: int
) -> None:
    begin, end = (MINUTE_0 + timedelta(minutes=KILL + minutes) for minutes in (0, 3))

    def arrive(moment: datetime, value: bytes) -> datetime:
        again = end if b"docs" in value else end + timedelta(seconds=slower_s)
        return max(moment, again) if begin <= moment else moment

    deployment = run([BESIDE, SHOP_LIVES], features=features, arrive=arrive, lags=[(KILL, KILL + 3)])
    assert silences(deployment) == []


@pytest.mark.parametrize("every_s", [120, 150])
def test_records_that_are_delivered_in_batches_are_no_silence(every_s: int) -> None:
    def arrive(moment: datetime, value: bytes) -> datetime:
        late_s = every_s - (moment - START).total_seconds() % every_s
        return moment + timedelta(seconds=late_s if b"shop-bot" in value else 0)

    assert silences(run([BESIDE, SHOP_LIVES], arrive=arrive)) == []


def test_a_sparse_feature_and_a_new_one_wait_for_the_window_at_least() -> None:
    sparse = silences(run([BESIDE, killed()], a_minute=8))
    new = silences(run([BESIDE, killed()], begin=-20.0))
    assert all(minutes >= 5 for minutes in (*sparse, *new))


def test_producers_without_meters_wait_for_the_window() -> None:
    deployment = Deployment()
    deployment.second = (WARM + BEGIN) * 60.0
    calls: list[Timed] = calls_of(OTHER, BEGIN, UNTIL, a_minute=A_MINUTE)
    calls += calls_of(SHOP, BEGIN, KILL, a_minute=A_MINUTE)
    deployment.run(sorted(calls), UNTIL)
    fired = silences(deployment)
    assert len(fired) == 2
    assert min(fired) >= 5
