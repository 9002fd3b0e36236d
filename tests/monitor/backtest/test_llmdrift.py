"""Recorded answers of GPT-4 of March and June 2023: the change is detected after it happened, and nothing
before.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from monitor.backtest.engine import replay
from monitor.protocol.messages import FileRecord
from monitor.wording.episode_text import summary
from schemas.config.monitor_config import Config
from schemas.records import Episode
from tests.llmdrift import JUNE, MARCH, measurements_of, rows_of
from tests.tiers import by_profile

BEGIN = datetime(2023, 6, 1, tzinfo=UTC)

pytestmark = pytest.mark.llmdrift


def events_of(rows: list[dict[str, Any]], offset: int = 0) -> list[FileRecord]:
    """One response a second of event time, starting at this second of a full minute."""
    records = []
    for nth, row in enumerate(rows):
        event = {
            "event_id": str(nth),
            "time": (BEGIN + timedelta(seconds=nth + offset)).isoformat(),
            "service": "survey",
            "feature": "answer",
            "model": "gpt-4",
            **measurements_of(row),
        }
        records.append(FileRecord(json.dumps(event).encode(), nth + 1))
    return records


def alerts_of(config: Config, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        json.loads(message.value)
        for outputs in replay(config, iter(events_of(rows)))
        for topic, message in outputs.order
        if topic != "samples"
    ]


LENGTH = {
    "rules": [
        {"name": "length", "on": "output_chars.mean", "above": 60, "window": "5m", "severity": "warning"}
    ]
}
SHORT = {
    "rules": [
        {"name": "length", "on": "output_chars.mean", "below": 200, "window": "5m", "severity": "warning"}
    ]
}


@pytest.mark.parametrize(("name", "settings"), [("OPINIONQA", LENGTH), ("PRIME_FULL", SHORT)])
def test_a_rule_on_mean_length_fires_at_the_first_certain_edge_after_the_change_only(
    name: str, settings: dict[str, Any]
) -> None:
    march, june = rows_of(name, MARCH), rows_of(name, JUNE)
    change = BEGIN + timedelta(seconds=len(march))
    transitions = [
        r for r in alerts_of(Config.model_validate(settings), march + june) if r["record"] == "transition"
    ]
    fired = [r for r in transitions if r["rule"] == "length" and r["level"] == "feature"]
    assert [r["state"] for r in fired][:1] == ["firing"]
    fired_at = datetime.fromisoformat(fired[0]["time"])
    assert change < fired_at < change + timedelta(minutes=6)
    evidence = fired[0]["evidence"]
    beyond = evidence["low"] > 60 if name == "OPINIONQA" else evidence["high"] < 200
    assert beyond


@pytest.mark.parametrize("name", ["OPINIONQA", "PRIME_FULL"])
def test_shuffled_answers_of_march_open_no_episode_with_the_default_configuration(name: str) -> None:
    rows = rows_of(name, MARCH)
    for seed in range(3):
        random.Random(seed).shuffle(rows)
        assert [r for r in alerts_of(Config(), rows) if r["record"] != "window"] == []


def test_the_refusals_of_june_open_an_episode_that_names_them() -> None:
    march, june = rows_of("OPINIONQA", MARCH), rows_of("OPINIONQA", JUNE)
    change = BEGIN + timedelta(seconds=len(march))
    episodes = [r for r in alerts_of(Config(), march + june) if r["record"] == "episode"]
    assert episodes[0]["state"] == "opened"
    assert datetime.fromisoformat(episodes[0]["time"]) > change
    # it opens with what drifted, of which there are no examples
    named = next(r for r in episodes if r["examples"])
    assert {example["evaluator"] for example in named["examples"]} == {"refusal"}
    assert {"evaluator.refusal.fail_rate", "pass_rate"} & {
        item["evidence"]["metric"] for item in named["incidents"]
    }


def test_every_answer_is_in_a_window() -> None:
    rows = rows_of("PRIME_FULL", MARCH)
    windows = [r for r in alerts_of(Config(), rows) if r["record"] == "window" and r["level"] == "feature"]
    assert sum(window["events"] for window in windows) == len(rows)
    assert sum(window["metrics"]["output_tokens.mean"]["sum"] for window in windows) == sum(
        int(row["answer_token"]) for row in rows
    )


SAID = {
    "OPINIONQA": ("output_chars", "output_tokens", "evaluator.refusal.fail_rate", "output_text"),
    "PRIME_FULL": ("output_chars", "output_tokens", "duration_s", "cost_usd", "output_text"),
}


@pytest.mark.long_form
@pytest.mark.parametrize("offset", by_profile([7, 50], [0, 7, 25, 31, 50]))
@pytest.mark.parametrize("name", ["OPINIONQA", "PRIME_FULL"])
def test_the_default_configuration_opens_an_episode_within_100_answers_and_one_pane_of_the_change(
    name: str, offset: int
) -> None:
    march, june = rows_of(name, MARCH), rows_of(name, JUNE)
    change = BEGIN + timedelta(seconds=len(march) + offset)
    alerts = [
        json.loads(message.value)
        for outputs in replay(Config(), iter(events_of(march + june, offset)))
        for message in outputs.messages.get("alerts", ())
    ]
    opened = next(item for item in alerts if item["record"] == "episode")
    assert opened["state"] == "opened"
    assert all(datetime.fromisoformat(item["time"]) > change for item in alerts)
    assert datetime.fromisoformat(opened["decided_at"]) <= change + timedelta(seconds=100 + 60 + 30)
    metrics = {
        item["metric"] for incident in opened["incidents"] for item in incident["evidence"]["findings"]
    }
    assert any(metric.startswith(SAID[name]) for metric in metrics)
    text = summary(Episode.model_validate_json(json.dumps(opened)))
    assert "output length" in text
    assert any(before in text for before in ("(was ", "; was "))


@pytest.mark.long_form
@pytest.mark.parametrize("name", ["OPINIONQA", "PRIME_FULL"])
def test_march_followed_by_shuffled_march_opens_no_episode_and_no_warning(name: str) -> None:
    rows = rows_of(name, MARCH)
    for seed in range(by_profile(5, 100)):  # five see false alarms of 45 % with 95 %, 100 of 3 %
        first, second = list(rows), list(rows)
        random.Random(seed).shuffle(first)
        random.Random(1000 + seed).shuffle(second)
        assert [r for r in alerts_of(Config(), first + second) if r["record"] != "window"] == [], seed


Mix = Callable[[int, float, random.Random], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def mixed() -> Mix:
    """Draw answers of which a share are refusals of June and the others answers of March."""

    def refuses(row: dict[str, Any]) -> bool:
        return any(words in row["answer"].lower() for words in ("subjective", "as an ai"))

    refused = [row for row in rows_of("OPINIONQA", JUNE) if refuses(row)]
    answered = [row for row in rows_of("OPINIONQA", MARCH) if not refuses(row)]

    def draw(n: int, share: float, rng: random.Random) -> list[dict[str, Any]]:
        return [rng.choice(refused if rng.random() < share else answered) for _ in range(n)]

    return draw


def pages_of(rows: list[dict[str, Any]]) -> list[float]:
    """Seconds from the first answer to the edges at which episodes of high urgency were written."""
    return [
        (datetime.fromisoformat(record["time"]) - BEGIN).total_seconds()
        for record in alerts_of(Config(), rows)
        if record["record"] == "episode" and record["urgency"] == "high"
    ]


@pytest.mark.parametrize(
    ("before", "after", "learnt", "events"),
    [
        (0.1, 0.7, 1000, 100),
        (0.3, 0.95, 1000, 100),
        (0.5, 1.0, 1000, 100),
        (0.64, 1.0, 3600, 140),
        (0.64, 0.89, 1000, 540),  # no detector finds so small a change in 100 (decision 100)
    ],
)
def test_a_set_of_bad_answers_pages_within_a_minute_after_its_rate_rises(
    mixed: Mix, before: float, after: float, learnt: int, events: int
) -> None:
    rng = random.Random(7)
    pages = pages_of(mixed(learnt, before, rng) + mixed(events + 60, after, rng))
    assert pages
    assert learnt < pages[0] <= learnt + events + 60


@pytest.mark.long_form
@pytest.mark.parametrize("share", [0.1, 0.4])  # at 0.5 the floor of the pass rate is breached
def test_a_constant_rate_of_bad_answers_from_the_start_never_pages(mixed: Mix, share: float) -> None:
    for seed in range(by_profile(2, 50)):
        assert pages_of(mixed(1500, share, random.Random(seed))) == [], seed
