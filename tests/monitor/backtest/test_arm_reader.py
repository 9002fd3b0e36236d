"""Which events count in which version, and as what."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from monitor.backtest.arm_reader import ArmReader, Selection
from monitor.backtest.engine import replay
from monitor.compare.comparison import compare_arms
from monitor.protocol.messages import FileRecord
from monitor.windows.metric_definitions import unit_of
from monitor.windows.pane import merge_panes
from monitor.windows.segment_keys import FeatureKey
from schemas.config.monitor_config import Config

FEATURE = FeatureKey("bot", "answer", "production")
START = datetime(2026, 3, 2, 9, tzinfo=UTC)


def event(number, version="p1", **fields):
    return {
        "event_id": f"e{number}",
        "time": (START + timedelta(seconds=number)).isoformat(),
        "service": "bot",
        "feature": "answer",
        "model": "m",
        "prompt_version": version,
        "output": "It is sunny.",
        "finish_reason": "stop",
    } | fields


def read(events, by="prompt_version", a="p1", b="p2", config=None, **keys):
    config = Config() if config is None else config
    reader = ArmReader(config, Selection(FEATURE, by, a, b, **keys))
    records = [FileRecord(json.dumps(one).encode(), number + 1) for number, one in enumerate(events)]
    for start in range(0, len(records), 7):  # bundles of seven
        reader.take(records[start : start + 7], lambda record, error: pytest.fail(error))
    return (reader, *reader.arms())


def whole(arm):
    return merge_panes(arm.cells.values(), 0)


def test_counts_are_those_of_the_windows_of_a_worker():
    events = [
        event(n, ("p1", "p2")[n % 3 == 0], error_type="timeout" if n % 11 == 0 else "", duration_s=n / 100,
              sample_probability=0.5 if n % 2 else 1.0)
        for n in range(400)
    ]  # fmt: skip
    _, a, b = read(events)
    records = [FileRecord(json.dumps(one).encode(), number + 1) for number, one in enumerate(events)]
    windows = [
        json.loads(message.value)
        for outputs in replay(Config(), records)
        for topic, message in outputs.order
        if topic == "windows"
    ]
    for arm in (a, b):
        of_worker = [w for w in windows if w["level"] == "segment" and w["prompt_version"] == arm.name]
        pane = whole(arm)
        for name in ("pass_rate", "error_rate", "evaluator.refusal.fail_rate"):
            counts: dict[float, list[int]] = {}
            for window in of_worker:
                for p, n, failures in window["metrics"][name]["classes"]:
                    total = counts.setdefault(round(p * 1e6), [0, 0])
                    total[0] += n
                    total[1] += failures
            assert pane.rates[name].classes == counts, name
        assert pane.numbers["duration_s"].weighted_sum() == pytest.approx(
            sum(window["metrics"]["duration_s.mean"]["sum"] for window in of_worker)
        )


@pytest.mark.parametrize(
    "by", ["model", "response_model", "variant", "service_version", "provider", "region"]
)
def test_any_label_distinguishes_versions(by):
    def label(value):
        return {"dimensions": {"region": value}} if by == "region" else {by: value}

    events = [event(n, **label("x" if n % 4 else "y")) for n in range(40)]
    _, a, b = read(events, by=by, a="x", b="y")
    assert (a.events, b.events) == (30, 10)


def test_feedback_without_the_label_is_assigned_by_its_response():
    events = [event(n, service_version="v1" if n % 2 else "v2") for n in range(20)]
    events += [
        {"kind": "feedback", "event_id": f"f{n}", "response_id": f"e{n}", "accepted": n % 2 == 1}
        | {key: events[n][key] for key in ("time", "service", "feature")}
        for n in range(20)
    ]
    _, a, b = read(events, by="service_version", a="v1", b="v2")
    assert whole(a).rates["feedback.acceptance_rate"].classes == {1_000_000: [10, 0]}
    assert whole(b).rates["feedback.acceptance_rate"].classes == {1_000_000: [10, 10]}


def test_verdicts_of_judges_are_rates_of_their_version():
    events = [event(n, ("p1", "p2")[n % 2]) for n in range(20)]
    events += [
        {"kind": "evaluation", "event_id": f"v{n}", "response_id": f"e{n}", "evaluator": "grounded", "passed": n % 4 == 0,
         "sample_probability": 0.1, "model": "m"}
        | {key: events[n][key] for key in ("time", "service", "feature", "prompt_version")}
        for n in range(20)
    ]  # fmt: skip
    _, a, b = read(events)
    assert whole(a).rates["evaluator.grounded.fail_rate"].classes == {100_000: [10, 5]}
    assert whole(b).rates["evaluator.grounded.fail_rate"].classes == {100_000: [10, 10]}


def test_outcomes_of_failures_only_mean_that_the_other_calls_were_ok():
    events = [event(n, outcome="parse_error" if n % 10 == 0 else None) for n in range(100)]
    _, a, _ = read(events)
    assert whole(a).rates["evaluator.outcome.fail_rate"].classes == {1_000_000: [100, 10]}
    with_ok = [*events, event(100, outcome="ok")]
    _, a, _ = read(with_ok)
    assert whole(a).rates["evaluator.outcome.fail_rate"].classes == {1_000_000: [11, 10]}


def test_absent_labels_are_a_value_of_their_category():
    events = [event(n, fallback="cache" if n % 5 == 0 else None) for n in range(50)]
    _, a, _ = read(events)
    assert whole(a).categories["fallback"].weighted_counts() == {"cache": 10, "none": 40}
    assert "guardrail" not in whole(a).categories


def test_a_mix_of_a_configured_dimension_is_watched_unless_versions_are_compared_within_it():
    config = Config.model_validate({"features": [{"match": "*", "dimensions": ["region"]}]})
    events = [
        event(n, ("p1", "p2")[n % 2], dimensions={"region": "eu" if n % 3 else "us"}) for n in range(60)
    ]
    _, a, b = read(events, config=config)
    assert whole(a).categories["dimension.region"].weighted_counts() == {"eu": 20, "us": 10}
    _, a, b = read(events, config=config, within=("region",))
    assert "dimension.region" not in whole(a).categories
    assert {key.stratum for key in a.cells} == {("eu",), ("us",)} == {key.stratum for key in b.cells}


def test_sessions_are_counted_in_groups_only_if_events_name_them():
    _, a, b = read([event(n, ("p1", "p2")[n % 2]) for n in range(40)])
    assert (a.session_groups, a.session_size) == ([], 1.0)
    _, a, b = read([event(n, ("p1", "p2")[n // 4 % 2], session_id=f"s{n // 4}") for n in range(400)])
    assert a.session_size == b.session_size == 4.0
    assert sum(group.events for group in a.session_groups) == a.events == 200
    effect = compare_arms(a, b, unit=unit_of).find("error_rate")
    assert effect is not None
    assert effect.design_effect == 1.0  # nothing failed


def test_other_features_environments_and_times_do_not_count():
    events = [event(0), event(1, feature="other"), event(2, environment="staging"), event(600), event(3)]
    reader, a, _ = read(events, end_us=int(START.timestamp() * 1e6) + 60_000_000)
    assert a.events == 2
    assert reader.features == {
        ("bot/answer", "production"): 3,
        ("bot/other", "production"): 1,
        ("bot/answer", "staging"): 1,
    }
