"""Attribution of an episode to a provider and a model: the one with most of the excess failures; nothing
uncertain is named.
"""

from __future__ import annotations

import json
import random
from datetime import timedelta
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.diagnosis.attribution import PANES, origin_of
from monitor.incidents.origin import NO_ORIGIN, Origin
from monitor.incidents.records import ShownIncident
from monitor.rules.evidence import Evidence, StatisticFinding, evidence_of, no_evidence
from monitor.stats.sampling_weights import MILLION
from monitor.windows.feature_series import FeatureState
from monitor.windows.pane import Pane, merge_panes
from monitor.windows.segment_keys import OVERFLOW, UNLABELLED, FeatureKey, SegmentKey, segment_labels
from monitor.windows.segment_series import HOUR, SegmentSeries
from schemas.config.monitor_config import Config
from schemas.records import Episode
from tests.monitor import event_values
from tests.monitor.event_values import NINE
from tests.monitor.restarted_watch import run_watch

MINUTE_US = 60_000_000
KEY = FeatureKey("bot", "answer", "production")
BEGUN, NOW = 60, 65  # minutes


class Traffic(NamedTuple):
    """Traffic of a segment per minute: calls, failures before and since the start; the provider, or several
    with their calls.
    """

    model: str
    provider: str | dict[str, int]
    calls: int
    before: int = 0
    since: int = 0
    sent: int = MILLION
    labels: SegmentKey | None = None


def feature_of(
    *several: Traffic, minutes: int = NOW, metric: str = "error_rate", pane_type: type[Pane] = Pane
) -> FeatureState:
    feature = FeatureState(KEY)
    for item in several:
        segment = SegmentSeries(item.labels or SegmentKey(item.model))
        feature.segments[segment.key] = segment
        for minute in range(minutes):
            pane = segment.panes[minute * MINUTE_US] = pane_type(minute * MINUTE_US)
            pane.events = item.calls
            pane.rate(metric).add(item.sent, item.calls, item.since if minute >= BEGUN - 1 else item.before)
            if metric != "error_rate":
                pane.rate("error_rate").add(item.sent, item.calls, 0)
            if item.provider:
                pane.category("provider").add(
                    item.sent,
                    {item.provider: item.calls} if isinstance(item.provider, str) else item.provider,
                )
    return feature


def incident(
    metric: str = "error_rate",
    model: str | None = None,
    *,
    severity: str = "critical",
    state: str = "firing",
    evidence: Evidence | None = None,
    **changes: Any,
) -> ShownIncident:
    limit = msgspec.structs.replace(no_evidence(metric, 300.0), above=0.02)
    return ShownIncident(
        incident_id="i",
        rule="r",
        severity=severity,
        state=state,
        since="2026-03-02T09:00:00Z",
        evidence=evidence or msgspec.structs.replace(limit, **changes),
        **segment_labels(KEY, None if model is None else SegmentKey(model)),
    )


def drift(metric: str, value: float, reference: float) -> ShownIncident:
    finding = StatisticFinding(
        metric=metric,
        value=value,
        n=100.0,
        low=None,
        high=None,
        reference=reference,
        reference_n=1000.0,
        test="g",
        p_value=0.0,
        effect=1.0,
        window_s=300.0,
    )
    return incident(evidence=evidence_of(finding, "trailing 24h", (finding,)))


def attributed(feature: FeatureState, *several: ShownIncident) -> Origin:
    return origin_of(
        feature,
        {str(nth): traffic for nth, traffic in enumerate(several or (incident(),))},
        BEGUN * MINUTE_US,
        NOW * MINUTE_US,
    )


def test_the_failing_provider_is_the_origin_although_another_has_more_calls() -> None:
    assert attributed(feature_of(Traffic("m", "one", 100, 1, 1), Traffic("n", "two", 10, 0, 8))) == (
        "two",
        "n",
    )


def test_an_outage_of_two_models_of_a_provider_has_the_provider_as_origin() -> None:
    assert attributed(
        feature_of(Traffic("m", "one", 20, 0, 9), Traffic("n", "one", 20, 0, 9), Traffic("o", "two", 40))
    ) == ("one", "")


def test_an_outage_of_two_providers_has_no_provider_as_origin() -> None:
    assert attributed(feature_of(Traffic("m", "one", 20, 0, 9), Traffic("n", "two", 20, 0, 6))) == NO_ORIGIN


def test_constant_failures_are_not_part_of_the_excess() -> None:
    assert attributed(feature_of(Traffic("m", "one", 100, 20, 20), Traffic("n", "two", 20, 0, 10))) == (
        "two",
        "n",
    )


def test_without_excess_failures_the_origin_follows_the_calls() -> None:
    assert attributed(feature_of(Traffic("m", "one", 90, 5, 5), Traffic("n", "two", 10, 5, 5))) == (
        "one",
        "m",
    )
    assert attributed(
        feature_of(Traffic("m", "one", 20, 5, 5, sent=10_000), Traffic("n", "two", 90, 5, 5))
    ) == (
        "one",
        "m",
    ), "most were not sent to us"


def test_a_segment_that_improved_does_not_increase_the_share_of_others() -> None:
    assert (
        attributed(
            feature_of(
                Traffic("m", "one", 20, 0, 10), Traffic("n", "two", 20, 0, 6), Traffic("o", "three", 20, 8, 0)
            )
        )
        == NO_ORIGIN
    )


def test_attribution_uses_the_data_at_the_start_and_not_an_hour_later() -> None:
    first = feature_of(Traffic("m", "one", 20, 0, 0), Traffic("n", "two", 20, 0, 9), minutes=BEGUN)
    assert origin_of(first, {"a": incident()}, BEGUN * MINUTE_US, BEGUN * MINUTE_US) == ("two", "n")
    later = feature_of(Traffic("m", "one", 200, 0, 0), Traffic("n", "two", 20, 0, 9), minutes=240)
    for start_us, pane in later.segments[SegmentKey("m")].panes.items():
        pane.rate("error_rate").add(MILLION, 200, 200 if start_us >= (BEGUN + 60) * MINUTE_US else 0)
    assert origin_of(later, {"a": incident()}, BEGUN * MINUTE_US, 240 * MINUTE_US) == ("two", "n")


def test_the_hour_of_the_start_is_excluded_from_the_usual_rate() -> None:
    feature = feature_of(Traffic("m", "one", 90), Traffic("n", "two", 20, 0, 9), minutes=120)
    for segment in feature.segments.values():
        for hour in (0, 60):
            minutes = [segment.panes.pop(minute * MINUTE_US) for minute in range(hour, hour + 60)]
            segment.panes_by_resolution[HOUR][hour * MINUTE_US] = merge_panes(minutes, hour * MINUTE_US)
    del feature.segments[SegmentKey("n")].panes_by_resolution[HOUR][0]
    assert origin_of(feature, {"a": incident()}, 70 * MINUTE_US, 120 * MINUTE_US) == ("two", "n")


def test_a_new_segment_is_compared_with_the_usual_rate_of_the_feature() -> None:
    new, old = Traffic("n", "two", 40, 0, 4), Traffic("m", "one", 40, 4, 16)
    feature = feature_of(new, old)
    panes = feature.segments[SegmentKey("n")].panes
    for start_us in [start_us for start_us in panes if start_us < (BEGUN - 1) * MINUTE_US]:
        del panes[start_us]
    assert attributed(feature) == ("one", "m")


def test_unsampled_calls_count_by_their_probability() -> None:
    assert attributed(
        feature_of(Traffic("m", "one", 20, 0, 4, sent=10_000), Traffic("n", "two", 20, 0, 16))
    ) == (
        "one",
        "m",
    )
    assert attributed(
        feature_of(Traffic("m", "one", 20, 4, 4, sent=10_000), Traffic("n", "two", 20, 0, 16))
    ) == (
        "two",
        "n",
    ), "as always"


@pytest.mark.parametrize(
    "fired",
    [
        incident("pass_rate", above=None, below=0.5),
        drift("pass_rate", 0.7, 0.99),
        drift("evaluator.refusal.fail_rate", 0.3, 0.01),
    ],
)
def test_failures_of_any_rate_are_counted_in_their_segment(fired: ShownIncident) -> None:
    metric = fired.evidence.metric
    feature = feature_of(Traffic("m", "one", 100, 1, 1), Traffic("n", "two", 10, 0, 8), metric=metric)
    assert attributed(feature, fired) == ("two", "n")


def test_a_rate_that_must_not_fall_is_attributed_to_the_segment_where_it_fell() -> None:
    feature = feature_of(
        Traffic("m", "one", 100, 50, 50), Traffic("n", "two", 20, 18, 2), metric="feedback.regeneration_rate"
    )
    assert attributed(feature, drift("feedback.regeneration_rate", 0.43, 0.57)) == (
        "two",
        "n",
    )


def test_slow_calls_are_attributed_to_the_provider_that_became_slow() -> None:
    feature = feature_of(Traffic("m", "one", 70), Traffic("n", "two", 30))
    for key, segment in feature.segments.items():
        for start_us, pane in segment.panes.items():
            slow = key.model == "n" and start_us >= (BEGUN - 1) * MINUTE_US
            pane.number("duration_s").add(
                MILLION, pane.events, pane.events * (8_000_000 if slow else 2_000_000), {600: pane.events}
            )
    assert attributed(feature, incident("duration_s.p90", above=5.0)) == ("two", "n")


def test_a_label_that_became_frequent_is_attributed_to_its_segment() -> None:
    feature = feature_of(Traffic("m", "one", 70), Traffic("n", "two", 30))
    for start_us, pane in feature.segments[SegmentKey("n")].panes.items():
        if start_us >= (BEGUN - 1) * MINUTE_US:
            pane.category("fallback").add(MILLION, {"cache": 15})
    assert attributed(feature, drift("fallback=cache", 0.15, 0.0)) == ("two", "n")
    assert attributed(feature, drift("fallback=none", 0.85, 1.0)) == (
        "two",
        "n",
    ), "what became rare"


def test_without_countable_failures_the_origin_follows_the_calls() -> None:
    few, many = Traffic("n", "two", 10), Traffic("m", "one", 90)
    assert attributed(feature_of(few, many), incident("output_text", above=None)) == ("one", "m")
    assert (
        attributed(feature_of(few, many._replace(calls=25)), incident("output_text", above=None)) == NO_ORIGIN
    ), "seven tenths are not enough"


def test_incidents_of_segments_use_only_those_segments() -> None:
    feature = feature_of(Traffic("m", "one", 100, 0, 90), Traffic("n", "two", 10, 0, 5))
    assert attributed(feature, incident(model="n")) == ("two", "n")
    assert attributed(feature, incident("output_text", model="n"), incident()) == (
        "one",
        "m",
    ), "the whole feature says more"
    assert attributed(feature, incident(model="gone")) == NO_ORIGIN


def test_the_open_incidents_of_highest_severity_determine_the_urgency() -> None:
    feature = feature_of(Traffic("m", "one", 40, 0, 20), Traffic("n", "two", 40, 0, 20))
    assert attributed(feature, incident(model="n", severity="warning"), incident(model="m")) == ("one", "m")
    assert attributed(feature, incident(model="n"), incident(model="m", state="resolved")) == ("two", "n")
    assert attributed(feature, incident(model="n", state="resolved")) == ("two", "n"), "all is over"


def test_a_no_data_incident_has_no_origin() -> None:
    silent = incident("events", above=None, below=1.0)
    feature = feature_of(Traffic("m", "one", 40, 0, 20))
    assert attributed(feature, silent) == NO_ORIGIN
    assert attributed(feature, silent, incident(severity="warning")) == NO_ORIGIN, (
        "the page is about the silence"
    )
    assert attributed(feature, silent, incident()) == ("one", "m")


@pytest.mark.parametrize(
    ("labels", "provider", "says"),
    [
        (UNLABELLED, "one", ("one", "")),
        (OVERFLOW, "one", ("one", "")),
        (OVERFLOW, "other", NO_ORIGIN),
        (UNLABELLED, "", NO_ORIGIN),
        (SegmentKey("m"), "", ("", "m")),
    ],
)
def test_placeholders_are_never_the_origin(labels: SegmentKey, provider: str, says: Origin) -> None:
    assert attributed(feature_of(Traffic("", provider, 40, 0, 20, labels=labels))) == says


def test_a_segment_belongs_to_the_provider_that_answers_most_of_its_labelled_calls() -> None:
    assert attributed(feature_of(Traffic("m", {"one": 6, "two": 4}, 40, 0, 20))) == ("one", "m")
    assert attributed(feature_of(Traffic("m", {"one": 5, "two": 5}, 40, 0, 20))) == ("", "m")


def test_an_episode_without_incidents_or_panes_has_no_origin() -> None:
    assert origin_of(feature_of(), {}, BEGUN * MINUTE_US, NOW * MINUTE_US) == NO_ORIGIN
    assert attributed(feature_of(Traffic("m", "one", 40), minutes=5)) == NO_ORIGIN


class Opened(Pane):
    """A pane that counts how often it is read."""

    looked = 0

    def unpacked(self) -> Pane:
        type(self).looked += 1
        return super().unpacked()


def test_at_most_the_allowed_number_of_panes_of_two_hundred_segments_is_read() -> None:
    several = [Traffic(f"m{nth}", "one" if nth % 10 else "two", 5, 0, 2) for nth in range(200)]
    feature = feature_of(*several, minutes=180, pane_type=Opened)
    Opened.looked = 0
    assert origin_of(feature, {"a": incident(window_s=3600.0)}, BEGUN * MINUTE_US, 180 * MINUTE_US) == (
        "one",
        "",
    )
    assert 0 < Opened.looked <= PANES


@given(st.data())
def test_the_order_of_segments_does_not_matter_and_the_origin_has_failing_calls(
    data: st.DataObject,
) -> None:
    traffic_strategy = st.builds(
        lambda provider, calls, since: Traffic("", provider, calls, 0, since),
        st.sampled_from(["", "one", "two", "three"]),
        st.integers(1, 40),
        st.integers(0, 40),
    )
    several = [
        traffic._replace(model=f"m{nth}", since=min(traffic.calls, traffic.since))
        for nth, traffic in enumerate(data.draw(st.lists(traffic_strategy, min_size=1, max_size=6)))
    ]
    origin = attributed(feature_of(*several))
    assert attributed(feature_of(*data.draw(st.permutations(several)))) == origin
    if any(item.since for item in several):
        assert not origin.provider or any(item.since and item.provider == origin.provider for item in several)
        assert not origin.model or any(item.since and item.model == origin.model for item in several)


def event(second: float, **more: Any) -> bytes:
    return event_values.event(second, **{"model": None, **more})


# Of the default rules these two fire here, and reading all takes most of the time.
TWO_RULES = Config.model_validate(
    {
        "default_rules": False,
        "rules": [
            {"name": "errors", "on": "error_rate", "above": 0.1, "severity": "critical"},
            {"name": "refusals", "on": "evaluator.refusal.fail_rate", "above": 0.1},
        ],
    }
)


def alerts_of(values: list[bytes], every: int | None = None) -> list[bytes]:
    """Return all alerts; ``every``: restart the watch after this many minutes."""
    outputs = run_watch(values, 5000 if every is None else 20, every, TWO_RULES)
    return [value for topic, value in outputs if topic == "alerts"]


def test_an_outage_keeps_its_provider_from_first_to_last_record_through_restarts() -> None:
    """The outage lasts until its first hour is rolled up; then a second failure starts."""
    rng = random.Random(3)
    values = []
    for nth in range(255 * 20):
        provider, model = rng.choice([("one", "a"), ("one", "b"), ("two", "c"), ("two", "c"), ("two", "c")])
        failing = provider == "one" and nth / 20 >= 66 and rng.random() < 0.6
        refusal = (
            "I'm sorry, but I can't help with that."
            if nth / 20 >= 245 and rng.random() < 0.5
            else "It ships on Tuesday."
        )
        values.append(
            event(
                nth * 3,
                provider=provider,
                model=model,
                **({"output": "", "error_type": "timeout"} if failing else {"output": refusal}),
            )
        )
    whole = alerts_of(values)
    records = [Episode.model_validate_json(value) for value in whole if b'"record":"episode"' in value]
    first = [item for item in records if item.episode_id == records[0].episode_id]
    assert {item.provider for item in first} == {"one"}
    assert (
        first[-1].model == ""
    )  # the first page comes after a minute, in which one model may have failed most
    assert (first[0].state, first[-1].time >= NINE + timedelta(hours=4)) == ("opened", True)
    assert alerts_of(values, every=7) == whole


def test_a_record_has_only_the_documented_origin_fields() -> None:
    values = [
        event(
            nth * 3, model="a", **({"output": "", "error_type": "timeout"} if nth > 1320 and nth % 2 else {})
        )
        for nth in range(1500)
    ]
    first = next(json.loads(value) for value in alerts_of(values) if b'"record":"episode"' in value)
    assert "provider" not in first
    assert first["model"] == "a"
