"""The comparison table of the bench (``tests/durability/soak``) detects differences."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.durability.soak import oracle, report
from tests.durability.soak.corpus import Corpus
from tests.durability.soak.faults import KINDS, duration_s, schedule
from tests.durability.soak.fleet import seeded
from tests.durability.soak.publisher import SentEvent

ROOT = Path(__file__).parents[3]


PREFIX = "softfail-a"


@pytest.fixture(scope="module")
def exact() -> dict[str, Any]:
    """Input of the report for a run without a difference: Kafka equals the oracle."""
    corpus = Corpus(1, 2, speed=20.0, length_s=40.0, jump_at=None)
    events, sent_events = [], []
    ends = [0, 0]
    for number in range(4000):
        sent = corpus.message(number / 100)
        # no worker forwards records here, so every event goes to the partition of its feature
        try:
            event = json.loads(sent.value or b"")
            partition = oracle.events.partition_of(event["service"], event["feature"], 2)
        except (ValueError, TypeError, KeyError):
            partition = 0
        record = SimpleNamespace(
            topic="events",
            partition=partition,
            offset=ends[partition],
            timestamp=1_795_000_000_000,
            key=sent.key,
            value=sent.value,
            headers=[],
        )
        ends[partition] += 1
        events.append(record)
        sent_events.append(SentEvent(sent.key, sent.value, (partition, record.offset)))
    return {
        "corpus": corpus,
        "events": events,
        "sent_events": sent_events,
        "truth": oracle.compute(events, corpus.settings(), 2),
    }


def contents_of(exact: dict[str, Any], core: Any) -> report.TopicContents:
    """Return the contents of Kafka that equal the outputs of ``core``, a run of the product."""
    incidents = [
        SimpleNamespace(
            dedup_key=f"{PREFIX}/{episode['episode_id']}/{episode['urgency']}",
            resolved_at=1.0 if episode["resolved"] else None,
            triggers=1,
            payload={"source": f"{episode['service']}/{episode['feature']}", "summary": "bad"},
        )
        for episode in exact["truth"].episodes
    ]
    return report.TopicContents(
        exact["events"], core["windows"], core["deadletter"], core["alerts"], incidents, PREFIX
    )


@pytest.fixture(scope="module")
def written(exact: dict[str, Any]) -> dict[str, list[Any]]:
    """Return the outputs of the product for these events."""
    from monitor.watch import Watch
    from schemas.config.monitor_config import Config

    config = Config.model_validate(exact["corpus"].settings())
    comparison: dict[str, list[Any]] = {"windows": [], "deadletter": [], "alerts": []}
    for partition in (0, 1):
        core = Watch(config, partition, 2)
        outputs = core.apply(
            [record for record in exact["events"] if record.partition == partition], 1_795_000_000_000_000
        )
        outputs.extend(core.finish())
        for suffix in comparison:
            comparison[suffix] += [
                SimpleNamespace(
                    topic=suffix,
                    partition=partition,
                    offset=offset,
                    timestamp=0,
                    key=message.key,
                    value=message.value,
                    headers=[],
                )
                for offset, message in enumerate(outputs.messages.get(suffix, ()))
            ]
    # enough windows to detect each kind of difference, compared window by window
    keys = sorted({record.key for record in comparison["windows"]})[::6]
    comparison["windows"] = [record for record in comparison["windows"] if record.key in set(keys)]
    exact["truth"].windows = {key: exact["truth"].windows[key] for key in keys}
    return comparison


def findings(
    exact: dict[str, Any], contents: report.TopicContents, sent_events: Any = None
) -> report.Comparison:
    return report.compare_run(
        contents, exact["truth"], exact["sent_events"] if sent_events is None else sent_events, {}, []
    )


def differing(comparison: report.Comparison) -> list[str]:
    """Return the names of the rows that differ. Faults of the corpus are ignored: the short run cuts some."""
    names = [line.split(":")[0] for line in comparison.wrong if not line.startswith(" ")]
    return [name for name in names if not name.startswith("true faults")]


def test_a_run_that_equals_the_oracle_has_no_findings(exact, written):
    comparison = findings(exact, contents_of(exact, written))
    assert differing(comparison) == []
    assert len(exact["truth"].windows) > 500
    assert exact["truth"].dead_letters
    assert exact["truth"].episodes


def windows_with(written: dict[str, list[Any]], change: int, field: str = "events") -> dict[str, list[Any]]:
    """Change the number of events, or another field, of one window of a segment."""
    changed = {**written, "windows": [copy.copy(item) for item in written["windows"]]}
    record = next(
        item for item in reversed(changed["windows"]) if b'"level":"segment"' in item.value.replace(b" ", b"")
    )
    window = json.loads(record.value)
    window[field] += change
    record.value = json.dumps(window).encode()
    return changed


@pytest.mark.parametrize(("change", "shown"), [(-1, "1 / 0"), (2, "0 / 2")])
def test_a_lost_or_duplicated_event_is_a_finding_in_the_table(exact, written, change, shown):
    comparison = findings(exact, contents_of(exact, windows_with(written, change)))
    assert differing(comparison) == ["windows differing"]
    assert dict(comparison.rows)["events lost / counted twice"] == shown


def test_an_additional_revision_is_a_finding_except_in_an_outage_and_a_missing_revision_always(
    exact, written
):
    for change, outages, expected in (
        (1, False, ["windows differing"]),
        (1, True, []),
        (-1, True, ["windows differing"]),
    ):
        changed = windows_with(written, change, "revision")
        comparison = report.compare_run(
            contents_of(exact, changed), exact["truth"], exact["sent_events"], {}, [], outages
        )
        assert differing(comparison) == expected


def test_a_transition_with_different_numbers_is_a_finding_except_with_fewer_events_in_an_outage(
    exact, written
):
    index = next(
        nth
        for nth, message in enumerate(written["alerts"])
        if json.loads(message.value)["record"] == "transition"
    )
    for less, outages, expected in (
        (1, False, ["transitions differing"]),
        (1, True, []),
        (-1, True, ["transitions differing"]),
    ):
        changed = {**written, "alerts": [copy.copy(item) for item in written["alerts"]]}
        record = json.loads(changed["alerts"][index].value)
        record["evidence"]["n"] -= less
        record["evidence"]["value"] /= 1.01
        changed["alerts"][index].value = json.dumps(record).encode()
        assert (
            differing(
                report.compare_run(
                    contents_of(exact, changed), exact["truth"], exact["sent_events"], {}, [], outages
                )
            )
            == expected
        )


def test_a_page_beside_a_note_is_a_finding_unless_the_page_was_not_confirmed(exact, written):
    contents = contents_of(exact, written)
    key = contents.incidents[-1].dedup_key
    note = copy.copy(contents.incidents[-1])
    note.dedup_key, note.resolved_at = f"{key.rpartition('/')[0]}/missed", 1.0
    contents.incidents = [*contents.incidents, note]
    for answers, expected in (
        ([("trigger", key, 202)], ["episodes delivered wrongly"]),
        ([("trigger", key, 503)], []),
    ):
        contents.answers = answers
        assert differing(findings(exact, contents)) == expected


def test_a_missing_window_is_a_finding(exact, written):
    changed = {
        **written,
        "windows": [item for item in written["windows"] if item.key != written["windows"][-1].key],
    }
    assert differing(findings(exact, contents_of(exact, changed))) == ["windows differing"]


def test_a_duplicated_dead_letter_and_a_missing_transition_are_findings(exact, written):
    changed = {**written, "deadletter": [*written["deadletter"], written["deadletter"][0]]}
    assert differing(findings(exact, contents_of(exact, changed))) == ["dead letters differing"]
    cut = next(item for item in written["alerts"] if json.loads(item.value)["record"] == "transition")
    changed = {**written, "alerts": [item for item in written["alerts"] if item is not cut]}
    assert differing(findings(exact, contents_of(exact, changed))) == ["transitions differing"]


def test_a_missing_repeated_or_unresolved_page_is_a_finding(exact, written):
    for change in (
        lambda incidents: incidents.pop(),
        lambda incidents: incidents.append(incidents[-1]),
        lambda incidents: setattr(incidents[-1], "resolved_at", None),
    ):
        contents = contents_of(exact, written)
        contents.incidents = copy.copy(contents.incidents)
        change(contents.incidents)
        assert differing(findings(exact, contents)) == ["episodes delivered wrongly"]


def test_losses_of_the_broker_are_attributed_to_the_broker(exact, written):
    sent_events = [*exact["sent_events"], SentEvent(b"shop/f1", b"{}", (0, 10**6))]
    assert differing(findings(exact, contents_of(exact, written), sent_events)) == [
        "acknowledged and not in the topic (the broker's)"
    ]


def test_a_schedule_is_deterministic_and_contains_each_kind_once_before_any_twice():
    names = schedule(list(KINDS), seeded(5, "schedule"), 40, None)
    assert names == schedule(list(KINDS), seeded(5, "schedule"), 40, None)
    assert set(names[: len(KINDS)]) == KINDS.keys()
    assert names != schedule(list(KINDS), seeded(6, "schedule"), 40, None)
    assert schedule(["kill"], seeded(5, "schedule"), 50, None) == ["kill"] * 50
    assert duration_s(schedule(list(KINDS), seeded(5, "schedule"), None, 600)) <= 600


def test_an_unknown_kind_is_refused_by_name():
    done = subprocess.run(
        [sys.executable, "-m", "tests.durability.soak", "--kinds", "kill,meteor"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "meteor is none of kill" in done.stderr
