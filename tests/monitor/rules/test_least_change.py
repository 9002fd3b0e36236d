"""The least change that a drift needs, in the unit of its metric."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from monitor.incidents.rule_digest import digest_of
from monitor.rules.drift_effect import EFFECTS
from monitor.rules.drift_evidence import NEVER_SEEN, DriftResult
from monitor.rules.least_change import LEAST_CHANGES, is_large_enough
from monitor.stats.exponential_buckets import bucket_codes
from monitor.windows.pane import Pane
from schemas.config.monitor_config import Config
from schemas.config.rules import Drift
from tests.monitor.event_values import event
from tests.monitor.restarted_watch import alerts_of, firing_transitions

RULE = Drift.model_validate({"name": "d"})


def firing_metrics(field: str, before: float, after: float, **rule: Any) -> set[str]:
    """Return the metrics of the findings where a constant becomes another one after 80 of 100 minutes."""
    values = [event(6 * nth, output=None, **{field: before if nth < 800 else after}) for nth in range(1000)]
    config = Config.model_validate({"default_rules": False, "drift": [{"name": "d", **rule}]})
    return {record["evidence"]["metric"] for record in firing_transitions(alerts_of(values, config))}


@pytest.mark.parametrize(
    ("field", "before", "after"),
    [
        ("output_tokens", 100, 101),
        ("output_tokens", 1000, 1030),
        ("duration_s", 1.0, 1.04),
        ("cost_usd", 0.01, 0.0101),
    ],
)
def test_a_constant_that_changes_by_less_than_a_twentieth_is_not_a_finding(
    field: str, before: float, after: float
) -> None:
    assert firing_metrics(field, before, after) == set()


@pytest.mark.parametrize(
    ("field", "before", "after"),
    [("output_tokens", 100, 112), ("tool_calls", 0, 1), ("duration_s", 1.0, 0.9)],
)
def test_a_constant_that_changes_by_more_is_a_finding(field: str, before: float, after: float) -> None:
    assert {metric.rpartition(".")[0] for metric in firing_metrics(field, before, after)} == {field}


def test_a_rule_configures_its_least_change() -> None:
    assert firing_metrics("output_tokens", 100, 103, least_change=0.02) == {"output_tokens.mean"}
    assert firing_metrics("output_tokens", 100, 112, least_change=0.2) == set()


def pane(values: list[int] | None = None, labels: dict[str, int] | None = None, failed: int = 0) -> Pane:
    """Return a pane of 1,000 events with these output tokens, finish reasons and failures."""
    out = Pane(0)
    out.rate("evaluator.length.fail_rate").add(1_000_000, 1000, failed)
    if labels:
        out.category("finish_reason").add(1_000_000, labels)
    for value in values or ():
        code = int(bucket_codes(np.array([value]))[0])
        out.number("output_tokens").add(1_000_000, 1, value, {code: 1})
    return out


def result(statistic: str, test: str = "g") -> DriftResult:
    return DriftResult(statistic, test, 0.0, 1.0, 300.0, 1000, 1000)


@pytest.mark.parametrize(("changed", "expected"), [(15, False), (25, True)])
def test_a_label_must_move_by_two_points(changed: int, expected: bool) -> None:
    now, before = pane(labels={"stop": 1000 - changed, "length": changed}), pane(labels={"stop": 1000})
    assert is_large_enough(RULE, result("finish_reason"), now, before) is expected


@pytest.mark.parametrize(("failed", "expected"), [(8, False), (12, True)])
def test_a_rate_must_move_by_one_point(failed: int, expected: bool) -> None:
    name = "evaluator.length.fail_rate"
    assert is_large_enough(RULE, result(name), pane(failed=failed), pane()) is expected


def test_a_new_model_has_no_least_change() -> None:
    assert is_large_enough(RULE, result("response_model", NEVER_SEEN), pane(), pane())


def test_neighbouring_buckets_of_a_wide_histogram_are_not_a_change() -> None:
    """Over 61 octaves a bucket is 9 % wide: two values within a bucket's width can differ by that much."""
    wide = [1, 2**61]
    for value in range(1000, 1090, 10):
        now, before = pane([*wide, *[value + 5] * 500]), pane([*wide, *[value] * 500])
        assert not is_large_enough(RULE, result("output_tokens"), now, before)


def test_every_kind_of_statistic_has_a_least_change() -> None:
    assert LEAST_CHANGES.keys() == EFFECTS.keys() - {"text"}


def test_the_new_key_ends_no_incident_of_a_rule_that_does_not_have_it() -> None:
    assert digest_of(RULE) == digest_of(RULE.model_copy(update={"least_change": None}))
    assert digest_of(RULE) != digest_of(RULE.model_copy(update={"least_change": 0.1}))
    assert digest_of(RULE) == "0e9bbdfeee94a810"  # of the release without the key
