"""The oracle of the bench and the product compute the same figures over the whole corpus, and the comparison
can fail.
"""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from datetime import datetime
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from monitor.protocol.messages import FileRecord
from monitor.watch import Watch
from schemas.config.monitor_config import Config
from tests.durability.soak import corpus, oracle, oracle_events, oracle_partition, truth
from tests.tiers import nightly

SOAK = Path(__file__).parents[1] / "soak"


NOW_MS = 1_795_000_000_000  # months after the events, as in the bench
BUNDLE = 400
RUNS: dict[str, tuple[int, int, float, float | None, bool]] = {
    # name -> seed, messages, seconds of the publisher's clock, share of it at which a week is skipped,
    # whether append time is that of the event clock
    "months late": (1, 20_000, 40.0, 0.5, False),
    "in time": (2, 6_000, 24.0, 0.75, True),
    "without a jump": (3, 12_000, 62.0, None, False),
}
NAMES = tuple(RUNS) if nightly() else ("in time",)
pytestmark = pytest.mark.long_form


class Run(NamedTuple):
    """Published events, contents of the topic, and outputs of the product."""

    corpus: Any
    meant: Counter[str]
    topic: list[FileRecord]
    written: dict[str, list[FileRecord]]


class Topic:
    """Topic of several partitions with a core on each. A forwarded record is appended again."""

    def __init__(self, settings: dict[str, Any], partitions: int) -> None:
        config = Config.model_validate(settings)
        self.cores = [Watch(config, number, partitions) for number in range(partitions)]
        self.logs: list[list[FileRecord]] = [[] for _ in range(partitions)]
        self.applied = [0] * partitions
        self.written: dict[str, list[FileRecord]] = {
            "windows": [],
            "alerts": [],
            "deadletter": [],
            "samples": [],
        }

    def append(
        self, partition: int, key: bytes | None, value: bytes | None, headers: Any, append_ms: int
    ) -> None:
        log = self.logs[partition]
        log.append(FileRecord(value, len(log), append_ms, key, "softfail.events", partition, headers))

    def apply(self, append_ms: int) -> None:
        while any(done < len(log) for done, log in zip(self.applied, self.logs, strict=True)):
            for number, core in enumerate(self.cores):
                begin, self.applied[number] = self.applied[number], len(self.logs[number])
                self.write(core.apply(self.logs[number][begin:]), append_ms)

    def write(self, outputs: Any, append_ms: int) -> None:
        for topic, message in outputs.order:
            if topic == "events":
                self.append(message.partition, message.key, message.value, message.headers, append_ms)
            else:
                self.written[topic].append(
                    FileRecord(message.value, len(self.written[topic]), append_ms, message.key)
                )


@cache
def cached_run(name: str) -> Run:
    return run(*RUNS[name])


def run(seed: int, messages: int, length_s: float, jump_at: float | None, in_time: bool) -> Run:
    made, rng, meant = (
        corpus.Corpus(seed, length_s=length_s, jump_at=jump_at),
        random.Random(seed),
        Counter[str](),
    )
    topic = Topic(made.settings(), made.partitions)
    for number in range(messages):
        elapsed_s = number / messages * length_s
        message = made.message(elapsed_s)
        meant[message.meant] += 1
        world_ms = round((corpus.BEGIN.timestamp() + made._event_s(elapsed_s * made.speed)) * 1000)
        append_ms = world_ms if in_time else NOW_MS + number
        partition = message.partition
        if partition is None:
            named = None if message.key is None else message.key.decode().split("/")
            partition = (
                rng.randrange(made.partitions)
                if named is None
                else oracle_events.partition_of(*named, made.partitions)
            )
        topic.append(partition, message.key, message.value, message.headers, append_ms)
        if number % BUNDLE == 0:
            topic.apply(append_ms)
    topic.apply(append_ms)
    for core in topic.cores:
        topic.write(core.finish(), append_ms)
    return Run(made, meant, [record for log in topic.logs for record in log], topic.written)


@cache
def expected(name: str) -> Any:
    run = cached_run(name)
    return oracle.compute(run.topic, run.corpus.settings(), run.corpus.partitions)


@cache
def small() -> Run:
    return run(7, 1600, 6.0, 0.5, False)


def counted(records: list[FileRecord], run: Run) -> Any:
    """The truth without transitions and episodes: rules read windows and change none."""
    return oracle.compute(records, run.corpus.settings() | {"rules": []}, run.corpus.partitions)


def differences(records: list[FileRecord], run: Run) -> list[str]:
    truths = counted(records, run)
    windows = truth.compare(truth.windows_of(run.written["windows"]), truths.windows)
    return windows + truth.compare(truth.letters_of(run.written["deadletter"]), truths.dead_letters)


@pytest.mark.parametrize("name", NAMES)
def test_every_number_of_every_window_equals_the_oracles(name):
    windows = truth.windows_of(cached_run(name).written["windows"])
    assert truth.compare(windows, expected(name).windows) == []
    assert len(windows) > 3000
    assert sum(window["revision"] > 1 for window in windows.values()) > 150
    assert sum(window["level"] == "feature" for window in windows.values()) > 1000


@pytest.mark.parametrize("name", NAMES)
def test_every_refused_record_is_one_dead_letter_of_its_class(name):
    letters = truth.letters_of(cached_run(name).written["deadletter"])
    assert truth.compare(letters, expected(name).dead_letters) == []
    assert {why for _, why in letters} >= {
        "empty",
        "unreadable",
        "future",
        "invalid:kind",
        "invalid:time",
        "invalid:sample_probability",
    }
    assert len(letters) == sum(
        n for meant, n in cached_run(name).meant.items() if meant.startswith("poison:")
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_transition_and_episode_equals_the_oracles_and_each_fault_pages_once(name):
    alerts, computed = cached_run(name).written["alerts"], expected(name)
    assert truth.compare(truth.transitions_of(alerts), computed.transitions) == []
    assert truth.compare(truth.episodes_of(alerts), computed.episodes) == []
    assert truth.faults_found(computed.episodes, cached_run(name).corpus.faults) == []
    assert {"firing", "resolved", "pending"} <= {transition["state"] for transition in computed.transitions}
    assert all(
        episode["resolved"] and episode["resolved"] < computed.compared_until for episode in computed.episodes
    )


@pytest.mark.skipif(not nightly(), reason="a long form: make soak")
def test_a_rolled_back_segment_ends_its_page():
    assert any(
        transition["reason"] == "segment_gone" for transition in expected("without a jump").transitions
    )


def test_a_fast_clock_counts_no_more_than_that_of_the_broker():
    run = cached_run("in time")
    assert run.meant["ahead"] > 0
    unstamped = counted([record._replace(timestamp=None) for record in run.topic], run)
    assert unstamped.late > expected("in time").late + 50


@pytest.mark.parametrize("name", NAMES)
def test_a_misplaced_event_is_forwarded_once_to_its_partition(name):
    computed = expected(name)
    assert len(computed.forwarded) == len(computed.copies) > 50
    assert (computed.lost_forwards, computed.doubled_forwards) == ([], [])


def test_a_lost_or_duplicated_copy_is_detected():
    run = small()
    copies = [
        record for record in run.topic if any(name == "softfail-forwarded" for name, _ in record.headers)
    ]
    lost = [record for record in run.topic if record is not copies[0]]
    assert len(counted(lost, run).lost_forwards) == 1
    assert len(counted([*run.topic, copies[0]], run).doubled_forwards) == 1


def test_the_corpus_contains_every_kind_of_fault():
    run, computed = cached_run("in time"), expected("in time")
    kinds = {
        "late",
        "very late",
        "behind",
        "ahead",
        "expired",
        "misplaced",
        "without key",
        "wrong key",
        "meter",
        "feedback",
        "evaluation",
    }
    poison = {
        "bytes",
        "truncated",
        "array",
        "type",
        "missing",
        "future",
        "empty",
        "kind",
        "bound",
        "time",
        "blank",
    }
    assert set(run.meant) >= kinds | {f"poison:{name}" for name in poison}
    assert computed.expired > 0 < computed.late
    assert {fault.metric for fault in run.corpus.faults} >= {"errors", "refusals"}
    starts = sorted(window["start"] for window in computed.windows.values())
    assert starts[-1][:10] == "2026-03-09" > starts[0][:10]
    classes = [
        metric["classes"]
        for window in computed.windows.values()
        for metric in window["metrics"].values()
        if "classes" in metric
    ]
    assert {p for pairs in classes for p, *_ in pairs} >= {1, 0.5, 0.1, 0.01, 0.05, 0.005}
    assert {0.4, 0.001} & {p for pairs in classes for p, *_ in pairs}, (
        "no rate had more than eight classes of weight, which makes them coarser"
    )


def test_after_its_length_the_corpus_is_healthy_and_in_order():
    made = corpus.Corpus(5, length_s=10.0)
    messages = [made.message(10.0 + number / 500) for number in range(2000)]
    assert {message.meant for message in messages} == {"plain", "feedback", "evaluation", "meter"}
    assert all(message.partition is None and message.key is not None for message in messages)
    times = [oracle_events.parsed(message.value)["time_us"] for message in messages]
    assert all(later - earlier > -1_000_000 for earlier, later in pairwise(times))


def test_a_corpus_is_determined_by_its_seed():
    first, second, other = (corpus.Corpus(seed) for seed in (1, 1, 2))
    runs = [[made.message(number / 100) for number in range(500)] for made in (first, second, other)]
    assert runs[0] == runs[1] != runs[2]
    assert first.faults == second.faults != other.faults


def test_the_unmodified_small_run_equals_the_oracle():
    assert differences(small().topic, small()) == []


@pytest.mark.seeds(1, nightly=4)
def test_one_lost_event_is_detected(seed):
    records = list(small().topic)
    records.remove(random.Random(seed).choice(countable(records)))
    assert differences(records, small()) != []


@pytest.mark.seeds(1, nightly=4)
def test_one_duplicated_event_is_detected(seed):
    again = random.Random(seed).choice(countable(small().topic))
    assert differences([*small().topic, again], small()) != []


@pytest.mark.parametrize("partition", range(4 if nightly() else 1))
def test_two_events_swapped_across_a_pane_edge_are_detected(partition):
    log = [record for record in small().topic if record.partition == partition]
    closing, before = across_an_edge(log, small())
    log[closing], log[before] = log[before]._replace(offset=closing), log[closing]._replace(offset=before)
    other_records = [record for record in small().topic if record.partition != partition]
    assert differences([*other_records, *log], small()) != []


def test_an_additional_or_missing_dead_letter_or_page_is_detected():
    letters, page = (
        [("0-1", "empty"), ("0-2", "future")],
        {"episode_id": "a", "opened": "2026-03-02T09:00:00Z", "resolved": None},
    )
    assert truth.compare(letters, letters) == truth.compare([page], [page]) == []
    for got, expected_value in (
        (letters[:1], letters),
        ([*letters, letters[0]], letters),
        ([page, page], [page]),
        ([], [page]),
        ([{**page, "resolved": "x"}], [page]),
    ):
        assert len(truth.compare(got, expected_value)) == 1


def test_numbers_are_compared_with_their_tolerance():
    assert truth.compare({b"k": {"n": 1.0 + 1e-12, "events": 3}}, {b"k": {"n": 1.0, "events": 3}}) == []
    assert truth.compare({b"k": {"n": 1.0 + 1e-8}}, {b"k": {"n": 1.0}}) == [
        "k.n: got 1.00000001, expected 1.0"
    ]
    assert truth.compare({b"k": {"events": 10**15 + 1}}, {b"k": {"events": 10**15}}) != []
    assert truth.compare({b"k": {"low": None}}, {b"k": {"low": 0.0}}) != []
    assert truth.compare({b"k": {"revision": 2}}, {b"k": {"revision": 1}}, revisions=False) == []


def test_the_oracle_uses_only_the_standard_library_and_no_product_module():
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import types\nfrom"
        " tests.durability.soak import corpus, oracle, truth\nmade ="
        " corpus.Corpus(1, length_s=5)\nrecords = [types.SimpleNamespace(partition=0, offset=n,"
        " timestamp=None, headers=(), key=None, value=made.message(n / 100).value) for n in"
        " range(500)]\nassert oracle.compute(records, made.settings(),"
        " 1).windows\nprint(*sorted({name for name in sys.modules if name.partition('.')[0]"
        " not in sys.stdlib_module_names}))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, str(SOAK.parents[2])],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stdout.split()) - {"__main__"}
    stems = {path.stem for path in [*SOAK.glob("oracle*.py"), *SOAK.glob("corpus*.py")]} | {"truth"}
    packages = {"tests", "tests.durability", "tests.durability.soak"}
    assert loaded == packages | {f"tests.durability.soak.{stem}" for stem in stems}


def countable(records: list[FileRecord]) -> list[FileRecord]:
    """Return the responses that are in their own partition and in time."""
    counted_records = []
    for record in records:
        try:
            event = oracle_events.parsed(record.value)
        except oracle_events.Refused:
            continue
        is_own = oracle_events.partition_of(event["service"], event["feature"], 4) == record.partition
        if (
            event["kind"] == "response"
            and is_own
            and event["time_us"] / 1e6 > corpus.BEGIN.timestamp() - 400
            and event["time"][:4] == "2026"
        ):
            counted_records.append(record)
    return counted_records


def across_an_edge(log: list[FileRecord], run: Run) -> tuple[int, int]:
    """Return the indices of an event that closes a pane and of an earlier event in that pane, without late
    events in their windows.
    """
    own = {
        (window["service"], window["feature"], window["environment"], window["start"]): window["revision"]
        for window in truth.windows_of(run.written["windows"]).values()
        if window["level"] == "feature"
    }
    alone = Counter(
        (window["service"], window["feature"], window["environment"], window["start"])
        for window in truth.windows_of(run.written["windows"]).values()
        if window["level"] == "segment"
    )
    events = {
        index: oracle_events.parsed(record.value) for index, record in enumerate(log) if countable([record])
    }
    closed_s, places = 0, list(events)
    for closing in places:
        edge_s = (events[closing]["time_us"] // 10**6 - corpus.LATENESS_S) // 10 * 10
        if edge_s > closed_s > 0:
            for before in [index for index in places if index < closing]:
                event = events[before]
                start = oracle_partition.rfc3339((edge_s - 10) * 10**6)
                pane_key = event["service"], event["feature"], event["environment"], start
                if (
                    edge_s - 10 <= event["time_us"] / 1e6 < edge_s
                    and own[pane_key] == 1
                    and alone[pane_key] == 1
                    and has_earlier(events, before, pane_key)
                ):
                    return closing, before
        closed_s = max(closed_s, edge_s)
    raise AssertionError("no event closes a pane")


def has_earlier(events: dict[int, Any], place: int, pane_key: tuple[str, ...]) -> bool:
    """Return whether the pane had an earlier event. Then it is written in time, and a late event is its
    second revision.
    """
    begin_s = datetime.fromisoformat(pane_key[3]).timestamp()
    pane_events = [
        event
        for before, event in events.items()
        if before < place and (event["service"], event["feature"], event["environment"]) == pane_key[:3]
    ]
    return any(begin_s <= event["time_us"] / 1e6 < begin_s + 10 for event in pane_events)
