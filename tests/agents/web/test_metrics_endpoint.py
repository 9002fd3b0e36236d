from __future__ import annotations

import asyncio
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from agents.runtime.backend import WriteResult
from agents.web.metrics_endpoint import exposition
from monitor.protocol.metrics import METRICS, Measure

_OPENMETRICS = "application/openmetrics-text; version=1.0.0"
NOW_S = 1_800_000_000.0


def _samples(body: bytes, parse=parse_text) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """(name, labels sorted by name) -> value."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parse(body.decode())
        for sample in family.samples
    }


def _scrape(worker, accept=""):
    return asyncio.run(exposition(worker, accept, NOW_S))


def test_every_listed_metric_is_exported_under_its_exact_name_in_both_formats(
    fake_worker, fake_core, part, every_measure
):
    worker = fake_worker([part(fake_core(every_measure))])
    for accept, parse, kind in (
        ("", parse_text, "text/plain"),
        (_OPENMETRICS, parse_openmetrics, "application/openmetrics-text"),
    ):
        body, content_type = _scrape(worker, accept)
        assert content_type.startswith(kind)
        histograms = {name for name, metric in METRICS.items() if metric.kind == "histogram"}
        parts = {f"{name}_{part}" for name in histograms for part in ("bucket", "count", "sum")}
        assert {name for name, _ in _samples(body, parse)} == set(METRICS) - histograms | parts


def test_each_metric_has_its_type_and_help(fake_worker, fake_core, part, every_measure):
    body, _ = _scrape(fake_worker([part(fake_core(every_measure))]))
    described = {
        family.name + ("_total" if family.type == "counter" else ""): (family.type, family.documentation)
        for family in parse_text(body.decode())
    }
    assert described == {name: (metric.kind, metric.help) for name, metric in METRICS.items()}


def test_records_above_their_limit_are_counted_by_checkpoint(fake_worker):
    worker = fake_worker()
    worker.counters.count_checkpoint(("t.events", 0), WriteResult(1_000_000, oversized=2, large=3), 0.1)
    worker.counters.count_checkpoint(("t.events", 1), WriteResult(10, oversized=0, large=1), 0.1)
    samples = _samples(_scrape(worker)[0])
    assert samples["softfail_oversized_outputs_total", ()] == 2
    assert samples["softfail_oversized_state_records_total", ()] == 4


def test_measures_of_equal_name_and_labels_are_summed_over_partitions(fake_worker, fake_core, part):
    def reason(why, count):
        return Measure("softfail_dead_letters_total", (why,), count)

    parts = [
        part(fake_core([reason("json", 2), reason("field", 1)]), 0),
        part(fake_core([reason("json", 40)]), 1),
    ]
    samples = _samples(_scrape(fake_worker(parts))[0])
    assert samples["softfail_dead_letters_total", (("reason", "json"),)] == 42
    assert samples["softfail_dead_letters_total", (("reason", "field"),)] == 1


def test_the_series_of_a_revoked_partition_vanish(fake_worker, fake_core, part):
    first, second = (
        part(fake_core([Measure("softfail_watermark_seconds", (str(number),), NOW_S - 30)]), number)
        for number in (4, 5)
    )
    worker = fake_worker([first, second])
    assert b'softfail_watermark_seconds{partition="4"}' in _scrape(worker)[0]
    worker.parts.remove(first)
    body = _scrape(worker)[0]
    assert b'partition="4"' not in body
    assert b'softfail_watermark_seconds{partition="5"}' in body


def test_a_partition_revoked_during_the_scrape_is_not_read(fake_worker, fake_core, part):
    class Taking(fake_core):
        def measures(self):
            worker.parts = worker.parts[:1]
            return super().measures()

    revoked = part(fake_core([Measure("softfail_watermark_seconds", ("1",), 1)]), 1)
    worker = fake_worker([part(Taking(), 0), revoked])
    assert b"softfail_watermark_seconds" not in _scrape(worker)[0]


def test_a_partition_under_restore_exports_nothing(fake_worker, fake_core, part):
    worker = fake_worker(
        [part(fake_core([Measure("softfail_segments", ("s", "f", "e"), 3)]), 2, restoring=True)]
    )
    samples = _samples(_scrape(worker)[0])
    assert not [name for name, _ in samples if name == "softfail_segments"]
    assert samples["softfail_restoring_partitions", (("agent", "watch"),)] == 1
    assert samples["softfail_owned_partitions", (("agent", "watch"),)] == 0


def test_the_lag_of_a_watermark_is_the_clock_minus_the_watermark(fake_worker, fake_core, part):
    samples = _samples(
        _scrape(
            fake_worker([part(fake_core([Measure("softfail_watermark_seconds", ("3",), NOW_S - 32.5)]), 3)])
        )[0]
    )
    assert samples["softfail_watermark_lag_seconds", (("partition", "3"),)] == 32.5


def test_consumer_lag_is_the_end_minus_the_position_and_absent_while_the_end_is_unknown(
    fake_worker, fake_core, part
):
    samples = _samples(
        _scrape(
            fake_worker(
                [part(fake_core(), 0, position=60, end=100), part(fake_core(), 1, position=5, end=None)]
            )
        )[0]
    )
    assert samples["softfail_consumer_lag_records", (("agent", "watch"), ("partition", "0"))] == 40
    assert ("softfail_consumer_lag_records", (("agent", "watch"), ("partition", "1"))) not in samples


def test_a_worker_without_partitions_exports_zero_partitions_for_each_agent(fake_worker):
    samples = _samples(_scrape(fake_worker([]))[0])
    assert samples["softfail_owned_partitions", (("agent", "watch"),)] == 0
    assert samples["softfail_owned_partitions", (("agent", "notify"),)] == 0


@given(st.lists(st.text(st.characters(exclude_categories=[]), max_size=40), min_size=2, max_size=2))
def test_labels_with_any_characters_are_exported_unchanged(labels):
    from agents.web.metrics_endpoint import ScrapeCollector, Totals, add_up, choose_encoder

    totals: Totals = {}
    add_up([Measure("softfail_late_events_total", tuple(labels), 7)], totals)
    # a lone surrogate has no UTF-8
    encoded = tuple(label.encode("utf-8", "replace").decode() for label in labels)
    for accept, parse in (("", parse_text), (_OPENMETRICS, parse_openmetrics)):

        class Registry:
            def collect(self):
                return ScrapeCollector(totals).collect()

        (family,) = parse(choose_encoder(accept)[0](Registry()).decode("utf-8"))
        (sample,) = family.samples
        assert ((sample.labels["service"], sample.labels["feature"]), sample.value) == (encoded, 7)


@pytest.mark.parametrize(
    "wrong", [Measure("softfail_unheard_of", (), 1), Measure("softfail_segments", ("only one label",), 1)]
)
def test_an_unlisted_measure_is_logged_and_the_rest_is_exported(
    fake_worker, fake_core, part, caplog, monkeypatch, wrong
):
    monkeypatch.setattr("agents.web.metrics_endpoint._complained", set())
    body = _scrape(fake_worker([part(fake_core([wrong, Measure("softfail_segments", ("s", "f", "e"), 3)]))]))[
        0
    ]
    assert (
        _samples(body)["softfail_segments", (("environment", "e"), ("feature", "f"), ("service", "s"))] == 3
    )
    assert wrong.name in caplog.text


def test_infinite_and_undefined_values_do_not_break_the_scrape(fake_worker, fake_core, part):
    labels = ("feature", "s", "f", "e", "", "", "", "")
    measures = [
        Measure("softfail_pass_rate", labels, math.nan),
        Measure("softfail_watermark_seconds", ("0",), -math.inf),
    ]
    samples = _samples(_scrape(fake_worker([part(fake_core(measures))]))[0])
    assert any(name == "softfail_pass_rate" and math.isnan(value) for (name, _), value in samples.items())
    assert not any(name == "softfail_watermark_lag_seconds" for name, _ in samples)


def test_the_event_loop_runs_between_partitions_and_while_the_text_is_rendered(fake_worker, fake_core, part):
    measures = [Measure("softfail_late_events_total", ("s", str(number)), 1) for number in range(2000)]
    worker = fake_worker([part(fake_core(measures), number) for number in range(8)])

    async def beats_during_a_scrape() -> int:
        beats = 0

        async def beat():
            nonlocal beats
            while True:
                beats += 1
                await asyncio.sleep(0)

        heart = asyncio.create_task(beat())
        await exposition(worker, "", NOW_S)
        heart.cancel()
        return beats

    assert asyncio.run(beats_during_a_scrape()) >= 9  # 8 partitions, then the thread
