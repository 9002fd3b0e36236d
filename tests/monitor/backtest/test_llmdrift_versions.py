"""GPT-4 of March and of June 2023 as two versions that run side by side: what moved is named, and nothing else."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from monitor.backtest.arm_reader import ArmReader, Selection
from monitor.backtest.release_looks import unit_of
from monitor.compare.comparison import Comparison, compare_arms
from monitor.protocol.messages import FileRecord
from monitor.windows.segment_keys import FeatureKey
from schemas.config.monitor_config import Config
from tests.llmdrift import JUNE, MARCH, measurements_of, rows_of

BEGIN = datetime(2023, 6, 1, tzinfo=UTC)
FEATURE = FeatureKey("survey", "answer", "production")

pytestmark = pytest.mark.llmdrift


def compared(arms: Sequence[tuple[str, Sequence[dict[str, str]]]], seed: int) -> Comparison:
    """Compare the versions ``march`` and ``june``, whose rows come in random order, one a second."""
    rows = [(version, row) for version, some in arms for row in some]
    random.Random(seed).shuffle(rows)
    records = []
    for number, (version, row) in enumerate(rows):
        event: dict[str, Any] = {
            "event_id": str(number),
            "time": (BEGIN + timedelta(seconds=number)).isoformat(),
            "service": FEATURE.service,
            "feature": FEATURE.feature,
            "model": "gpt-4",
            "prompt_version": version,
            **measurements_of(row),
        }
        records.append(FileRecord(json.dumps(event).encode(), number + 1))
    reader = ArmReader(Config(), Selection(FEATURE, "prompt_version", "march", "june"))
    reader.take(records, lambda record, error: pytest.fail(error))
    a, b = reader.arms()
    return compare_arms(a, b, unit=unit_of)


def moved(comparison: Comparison) -> set[str]:
    return {metric.metric for metric in comparison.metrics if metric.moved}


def months(name: str) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    return rows_of(name, MARCH), rows_of(name, JUNE)


def test_the_survey_names_refusals_length_and_latency():
    march, june = months("OPINIONQA")
    names = moved(compared([("march", march), ("june", june)], seed=1))
    assert {
        "evaluator.refusal.fail_rate",
        "pass_rate",
        "output_chars.mean",
        "output_tokens.mean",
        "duration_s.mean",
    } <= names


def test_the_primes_name_length_and_latency_and_no_refusal():
    march, june = months("PRIME_FULL")
    names = moved(compared([("march", march), ("june", june)], seed=2))
    assert {"output_chars.mean", "output_tokens.mean", "duration_s.mean"} <= names
    assert "evaluator.refusal.fail_rate" not in names


@pytest.mark.parametrize("name", ["OPINIONQA", "PRIME_FULL"])
def test_nothing_moved_between_shuffled_months(name):
    march, june = months(name)
    for seed in range(4):
        rows = [*march, *june]
        random.Random(100 + seed).shuffle(rows)
        half = len(rows) // 2
        assert moved(compared([("march", rows[:half]), ("june", rows[half:])], seed)) == set()
