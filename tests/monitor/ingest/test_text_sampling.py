"""The choice of responses whose texts are read: a budget of each feature and minute."""

from __future__ import annotations

import doctest
import json
from collections import Counter
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.ingest import text_sampling
from monitor.ingest.text_sampling import MAX_TEXTS, MIN_SEGMENT_TEXTS, segment_quota
from monitor.protocol.messages import FileRecord
from monitor.watch import Watch
from monitor.windows.text_blocks import TEXT_NAMES
from schemas.config.monitor_config import Config
from tests.monitor.event_values import event

ENGLISH = "Your order was shipped on Tuesday and arrives on Friday."


def records(rows: Sequence[tuple[float, str, bool]]) -> list[FileRecord]:
    """Return responses at these seconds, of these models, with or without an answer."""
    return [
        FileRecord(event(second, model=model, output=ENGLISH if has_text else None), offset)
        for offset, (second, model, has_text) in enumerate(rows)
    ]


def read_texts(
    log: list[FileRecord], cuts: Sequence[int] = (), *, restart: bool = False
) -> Counter[tuple[str, int]]:
    """Return the answers that were read by model and minute, of a log cut into bundles."""
    watch, state, windows = Watch(Config()), dict[bytes, bytes | None](), {}
    for begin, end in zip((0, *cuts), (*cuts, len(log)), strict=True):
        outputs = [watch.apply(log[begin:end])]
        if restart:
            state |= dict(watch.changed())
            watch = Watch(Config())
            watch.restore(state.items())
        if end == len(log):
            outputs.append(watch.finish())
        for out in outputs:
            for message in out.messages.get("windows", ()):
                window = json.loads(message.value)
                windows[window["level"], window["model"], window["start"]] = window
    return Counter(
        {
            (model, int(start[14:16])): round(window["metrics"]["output_language"]["n"])
            for (level, model, start), window in windows.items()
            if level == "segment" and "output_language" in window["metrics"]
        }
    )


def steady(minutes: int, by_model: dict[str, int]) -> Iterator[tuple[float, str, bool]]:
    """Yield responses with text, evenly over each minute."""
    for minute in range(minutes):
        times = [
            (60 * (minute + nth / rate), model, True)
            for model, rate in by_model.items()
            for nth in range(rate)
        ]
        yield from sorted(times)


@pytest.mark.parametrize(
    ("by_model", "expected"),
    [
        ({"a": 8}, {"a": 8}),
        ({"a": 20}, {"a": 12}),
        ({"a": 60}, {"a": 20}),
        ({"a": 400}, {"a": 24}),
        ({str(nth): 10 for nth in range(8)}, {str(nth): 3 for nth in range(8)}),
        ({"main": 400, "canary": 10}, {"main": 14, "canary": 10}),
        ({"main": 400, "canary": 60}, {"main": 12, "canary": 12}),
    ],
    ids=["few", "one segment", "a third", "many", "eight segments", "a canary", "a larger canary"],
)
def test_a_feature_has_a_budget_of_texts_that_small_segments_share_with_large_ones(
    by_model: dict[str, int], expected: dict[str, int]
) -> None:
    read = read_texts(records(list(steady(6, by_model))))
    for model, number in expected.items():
        for minute in range(1, 6):
            assert abs(read[model, minute] - number) <= 2, (model, minute, read)


def test_each_of_many_segments_is_read_every_second_minute() -> None:
    assert segment_quota([10] * 200) == MIN_SEGMENT_TEXTS
    read = read_texts(records(list(steady(9, {str(nth): 6 for nth in range(60)}))))
    for model in range(60):
        assert 2 <= sum(read[str(model), minute] for minute in range(1, 9)) <= 7


def test_a_burst_after_a_quiet_minute_is_read_less_and_less_densely() -> None:
    burst = [(60 * (1 + nth / 2000), "a", True) for nth in range(2000)]
    read = read_texts(records([*steady(1, {"a": 3}), *burst]))
    assert MAX_TEXTS / 2 < read["a", 1] < 6 * MAX_TEXTS


def test_responses_without_text_take_nothing_from_the_budget() -> None:
    rows = [(second / 20, "a", second % 20 == 0) for second in range(60 * 20 * 4)]
    read = read_texts(records(rows))
    assert [read["a", minute] for minute in (1, 2, 3)] == pytest.approx([20] * 3, abs=1)


def test_a_pattern_that_repeats_each_minute_has_no_fixed_part_of_the_sample() -> None:
    """Ten calls a minute, the third one always of the same job: it is read in some minutes, not in all."""
    rows = [(60 * minute + 6 * nth, "a", True) for minute in range(40) for nth in range(10)]
    others = [(60 * minute + nth / 2, f"m{nth % 7}", True) for minute in range(40) for nth in range(100)]
    log = sorted([*rows, *others])
    values = [
        event(second, model=model, output="Votre commande arrivera vendredi matin." if job else ENGLISH)
        for second, model, _ in log
        for job in [model == "a" and second % 60 == 12]
    ]
    watch = Watch(Config())
    watch.apply([FileRecord(value, offset) for offset, value in enumerate(values)])
    (feature,) = watch.partition_state.features.values()
    counts: Counter[str] = Counter()
    for key, segment in feature.segments.items():
        for pane in segment.panes.values() if key.model == "a" else ():
            for label, n in pane.unpacked().categories["output_language"].classes[1_000_000].items():
                counts[label] += n
    assert 0.03 < counts["fr"] / counts.total() < 0.25


@given(
    st.lists(
        st.tuples(st.integers(0, 150), st.sampled_from("abc"), st.booleans()), min_size=30, max_size=160
    ),
    st.lists(st.integers(0, 160), max_size=4),
    st.booleans(),
)
def test_the_responses_that_are_read_depend_on_the_log_alone(
    rows: list[tuple[float, str, bool]], cuts: list[int], restart: bool
) -> None:
    """Times go back and forth, so minutes mix."""
    log = records([*steady(1, {"a": 30, "b": 9}), *((60 + second, *rest) for second, *rest in rows)])
    assert read_texts(log, sorted(min(cut, len(log)) for cut in cuts), restart=restart) == read_texts(log)


def test_a_late_text_is_counted_but_not_sketched() -> None:
    """Only rules read sketches, and no rule reads an event that is half an hour late."""
    late = FileRecord(event(0, output=ENGLISH), 10_000)
    log = records(list(steady(60, {"a": 2})))
    sketched = []
    for values in (log, [*log, late]):
        watch = Watch(Config())
        watch.apply(values)
        (feature,) = watch.partition_state.features.values()
        sketched.append(
            sum(
                sketch.n
                for segment in feature.segments.values()
                for blocks in segment.texts.values()
                for block in blocks.values()
                for name in TEXT_NAMES
                if (sketch := block.sketch(name)) is not None
            )
        )
    assert sketched[0] == sketched[1] == 120


def test_the_doctests_pass() -> None:
    assert doctest.testmod(text_sampling).failed == 0
