"""Records of every format version keep their meaning; unreadable records are named and never misread."""

from __future__ import annotations

import base64
import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.delivery import outbox
from monitor.delivery.episode_delivery import EpisodeDelivery
from monitor.evaluators import suite
from monitor.incidents.state_change import CHANGED
from monitor.notifier import Notifier
from monitor.state.partition_state import MAX_MIGRATED, PartitionState
from monitor.watch import Watch
from monitor.windows import format_versions
from monitor.windows.feature_series import FeatureState
from monitor.windows.segment_keys import FeatureKey
from schemas.config.rules import DEFAULT_RULES

HERE = Path(__file__).parent
NEWEST = format_versions.LAYOUT


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


golden = _module(HERE / "make_golden.py")


def golden_records(layout: int, agent: str = "watch") -> dict[bytes, bytes]:
    lines = (HERE / f"layout{layout}.{agent}.ndjson").read_text().splitlines()
    return {base64.b64decode(key): base64.b64decode(value) for key, value in map(json.loads, lines)}


def golden_meaning(layout: int) -> dict:
    return json.loads((HERE / f"layout{layout}.meaning.json").read_text())


# Layout 1 knew two of the default rules; what the others find is no matter of how its records are read.
RULES = {
    1: golden.CONFIG.model_copy(
        update={"default_rules": False, "rules": (*DEFAULT_RULES[:2], *golden.CONFIG.rules)}
    )
}


def restored(records: dict[bytes, bytes], layout: int = NEWEST) -> Watch:
    watch = Watch(RULES.get(layout, golden.CONFIG))
    watch.restore(records.items())
    return watch


@pytest.fixture
def recorded_evaluators(monkeypatch):
    """Evaluators have the versions of the golden files: a newer one is another statistic, not another layout."""

    def restore(layout: int) -> Watch:
        known = restored(RECORDS[layout], layout).partition_state.evaluators.values()
        recorded = [(name, identity) for names in known for name, (identity, _) in names.items()]
        newest, by_name = suite.identity_of, dict(recorded)

        def identity_of(evaluator: Any) -> str:
            identity = newest(evaluator)
            return (
                identity if (evaluator.name, identity) in recorded else by_name.get(evaluator.name, identity)
            )

        monkeypatch.setattr(suite, "identity_of", identity_of)
        return restored(RECORDS[layout], layout)

    return restore


def without_changes(outcome: list[list]) -> list[list]:
    """Leave out what only says that a figure changed, which releases before layout 8 did not write, and that
    a reason was written twice.
    """
    rows = []
    for row in outcome:
        if row[0] == "episode":
            reasons = dict.fromkeys(part for part in row[2].split("; ") if not part.endswith(CHANGED))
            row = [*row[:2], "; ".join(reasons), *row[3:]]
        if row[0] != "episode" or row[2]:
            rows.append(row)
    return rows


ALL = range(1, NEWEST + 1)
RECORDS = {layout: golden_records(layout) for layout in ALL}
SAMPLE = {
    layout: [
        max(
            (item for item in records.items() if item[0].startswith(b'["%s"' % kind)),
            key=lambda item: len(item[1]),
        )
        for kind in (b"clock", b"feature", b"pane", b"incident", b"episode")
    ]
    for layout, records in RECORDS.items()
}


@pytest.mark.parametrize("layout", ALL)
def test_the_golden_files_contain_every_record_kind_of_their_version(layout):
    kinds = {json.loads(key)[0] for key in RECORDS[layout]}
    later = {1: {"baselines", "texts", "weights"}, 2: {"weights"}, 3: {"weights"}}
    assert kinds == set(format_versions.SHAPES) - later.get(layout, set())
    assert {json.loads(key)[5] for key in RECORDS[layout] if key.startswith(b'["pane"')} == {
        "pane",
        "hour",
        "day",
        *(["late"] if layout > 4 else []),
    }
    assert {format_versions.record_layout(value) for value in RECORDS[layout].values()} == {layout}


NOTIFIED = range(1, outbox.LAYOUT + 1)


@pytest.mark.parametrize("layout", NOTIFIED)
def test_the_golden_files_contain_every_record_kind_of_the_notifier(layout):
    more = ({b"silence"} if layout > 2 else set()) | ({b"change"} if layout > 3 else set())
    assert {key.partition(b"/")[0] for key in golden_records(layout, "notify")} == {
        b"delivery",
        b"counts",
    } | more


@pytest.mark.parametrize("layout", ALL)
def test_every_format_version_restores_its_meaning_and_continues_identically(layout, recorded_evaluators):
    watch, then = recorded_evaluators(layout), golden_meaning(layout)
    assert golden.meaning(watch) == then["meaning"]
    outcome = golden.outcome(watch.apply(golden.records(golden.later(), 10_000), None))
    assert without_changes(outcome) == without_changes(then["next"])


@pytest.mark.parametrize("layout", NOTIFIED)
def test_the_notifier_continues_with_the_deliveries_of_every_format_version(layout):
    notifier = Notifier(golden.CONFIG)
    notifier.restore(golden_records(layout, "notify").items())
    deliveries = [
        EpisodeDelivery.from_state(value)
        for key, value in golden_records(layout, "notify").items()
        if key.startswith(b"delivery/")
    ]
    now_us = max(delivery.sent_us for delivery in deliveries) + 1
    assert notifier.outbox.due("console", now_us) is None  # it was told
    step = notifier.outbox.due("pagerduty", now_us)
    assert step is not None
    assert (step.action, step.urgency) == ("trigger", "high")
    assert [member.feature for member in step.episode.members] == (
        ["answer", "moderate", "search", "title"] if layout > 3 else []
    )
    # a page goes first
    assert notifier.change_due("pagerduty", now_us) is None
    assert not any(key.startswith(b"change/") for key, _ in notifier.changed())
    assert notifier.outbox.counts["console"]["delivered"] == 1
    assert [silence["silence_id"] for silence in notifier.outbox.silences()] == (
        ["ab12"] if layout > 2 else []
    )


def test_records_of_an_older_version_are_rewritten_gradually_at_checkpoints():
    log = dict(RECORDS[1])
    watch, sizes = restored(log), []
    for _ in range(20):
        changed = watch.changed()
        sizes.append(len(changed))
        log |= {key: value for key, value in changed if value is not None}
        mixed = restored(log)  # as a worker finds it that takes over in the middle
        assert golden.meaning(mixed) == golden_meaning(1)["meaning"]
        if len(changed) == 1:
            break
    assert max(sizes) <= MAX_MIGRATED + 1
    assert {format_versions.record_layout(value) for value in log.values()} == {NEWEST}
    assert watch.changed()[:-1] == []


def test_a_feature_of_version_1_keeps_its_meters_as_producers():
    (feature,) = (
        feature
        for key, feature in restored(RECORDS[1]).partition_state.features.items()
        if key.feature == "answer"
    )
    assert feature.producer_totals() == (4000, 3950, 3940, 10)
    assert (feature.verdicts, feature.skipped) == ({}, {})


def test_a_written_feature_has_the_structure_of_its_version():
    """Whoever adds a value must raise the format version and define its default for older records."""
    partition_state = PartitionState(60_000_000, "d")
    feature = partition_state.feature(FeatureKey("s", "f", "e"))
    assert len(feature.state()) + 1 == len(format_versions.SHAPES["feature"].__args__)
    fresh = PartitionState(60_000_000, "d")
    fresh.restore(partition_state.changed())
    assert fresh.features[feature.key].state() == FeatureState(feature.key).state()


def assert_refused_by_name(key: bytes, value: bytes, match: str = "state record") -> None:
    with pytest.raises(ValueError, match=match) as caught:
        restored({key: value})
    assert repr(key) in str(caught.value)


@pytest.mark.parametrize("layout", ALL)
@given(data=st.data())
def test_a_truncated_record_is_refused_by_its_key(layout, data):
    key, value = data.draw(st.sampled_from(SAMPLE[layout]))
    cut = data.draw(st.integers(0, len(value) - 1))
    assert_refused_by_name(key, value[:cut])


@pytest.mark.parametrize("layout", ALL)
@given(data=st.data())
def test_trailing_bytes_are_refused(layout, data):
    key, value = data.draw(st.sampled_from(SAMPLE[layout]))
    assert_refused_by_name(key, value + data.draw(st.binary(min_size=1, max_size=4)))


@pytest.mark.parametrize("layout", ALL)
def test_a_record_that_is_nested_too_deep_is_refused_by_its_key(layout):
    for key, value in SAMPLE[layout]:
        assert_refused_by_name(key, value[: 2 if layout > 1 else 0] + b"\x91" * 5000)


@given(
    number=st.integers(0, 255).filter(lambda number: not 2 <= number <= NEWEST),
    index=st.integers(0, 4),
    layout=st.sampled_from(list(ALL)),
)
def test_a_record_of_an_unknown_version_is_refused_by_its_key(number, index, layout):
    key, value = SAMPLE[layout][index]
    body = value[2:] if layout > 1 else value
    assert_refused_by_name(
        key,
        bytes((format_versions.MARK, number)) + body,
        f"layout {number}, this release reads 1 to {NEWEST}",
    )


@pytest.mark.parametrize("number", [0, 2, 7, "x"])
def test_a_clock_record_without_version_mark_contains_its_version(number):
    key, value = SAMPLE[1][0]
    values = msgspec.msgpack.decode(value)
    assert_refused_by_name(key, msgspec.msgpack.encode([number, *values[1:]]))
    assert_refused_by_name(key, msgspec.msgpack.encode([number, *values[1:], "more"]), "layout")


@given(data=st.data())
def test_an_additional_missing_or_mistyped_value_is_refused(data):
    key, value = data.draw(st.sampled_from(SAMPLE[1] + SAMPLE[NEWEST]))
    body, prefix = (value[2:], value[:2]) if format_versions.record_layout(value) > 1 else (value, b"")
    values = msgspec.msgpack.decode(body)
    index = data.draw(st.integers(0, len(values) - 1))
    change = data.draw(st.sampled_from(["more", "less", "other"]))
    if change == "more":
        values.insert(index, values[index])
    elif change == "less":
        del values[index]
    else:
        values[index] = 1.5
    assert_refused_by_name(key, prefix + msgspec.msgpack.encode(values))


def test_a_release_before_format_versions_cannot_read_a_current_record():
    """That release refuses the header; without the header, it finds no MessagePack."""
    for _, value in SAMPLE[NEWEST]:
        with pytest.raises(msgspec.DecodeError):
            msgspec.msgpack.decode(value)


@given(
    key=st.one_of(
        st.binary(max_size=40),
        st.recursive(
            st.none() | st.integers() | st.text(max_size=5) | st.just("pane"), st.lists, max_leaves=8
        ).map(lambda plain: json.dumps(plain).encode()),
    )
)
def test_an_unknown_key_is_refused_by_name(key):
    assert_refused_by_name(key, SAMPLE[NEWEST][2][1])


def test_the_documentation_lists_every_layout():
    page = (Path(__file__).parents[3] / "docs" / "operations.md").read_text()
    table = page.partition("| layout of `watch` |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| (\d+) \|", table, re.M) == [str(layout) for layout in range(1, NEWEST + 1)]
