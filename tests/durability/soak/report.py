"""Compare the topics of a run with the oracle; collect differences and a table of counts."""

from __future__ import annotations

import collections
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.durability.soak import truth as truths
from tests.durability.soak.publisher import SentEvent

Rows = list[tuple[str, str]]
SHOWN = 5  # examples shown per kind of difference


@dataclass
class TopicContents:
    """The contents of Kafka and of the receiver of a deployment at the end."""

    events: Sequence[Any]
    windows: Sequence[Any]
    deadletter: Sequence[Any]
    alerts: Sequence[Any]
    incidents: Sequence[Any]
    prefix: str
    answers: Sequence[tuple[str, str, int | None]] = ()  # of the receiver: action, key, status


@dataclass
class Comparison:
    """Rows of the table, and the differences: each kind with its first examples."""

    rows: Rows = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def row(self, name: str, *values: object) -> None:
        """Add a row to the table."""
        self.rows.append((name, " / ".join(str(value) for value in values)))

    def equal(self, name: str, differences: Sequence[str], count: int | None = None) -> None:
        """Add a row that must be 0.

        Args:
            name: of the row.
            differences: a line per difference.
            count: number of items that differ, if an item may have several lines; None: a line per item.
        """
        self.row(name, len(differences) if count is None else count)
        self.wrong += (
            [f"{name}: {len(differences)} lines", *(f"    {line[:600]}" for line in differences[:SHOWN])]
            if differences
            else []
        )


def compare_run(
    contents: TopicContents,
    expected: Any,
    sent_events: Sequence[SentEvent],
    failed: Mapping[int, str],
    faults: Sequence[Any],
    outages: bool = False,
) -> Comparison:
    """Compare everything that a run wrote with the oracle.

    Args:
        outages: whether the broker or workers stopped for seconds, so that windows may differ in revisions.
    """
    comparison = Comparison()
    _publishing(comparison, contents, expected, sent_events, failed)
    # all records of a key are in the same partition
    last = {record.key: record for record in contents.windows}
    _windows(comparison, truths.windows_of(last.values()), expected.windows, outages)
    comparison.row("late / expired by the oracle", expected.late, expected.expired)
    letters = truths.letters_of(contents.deadletter)
    comparison.row("dead letters expected / got", len(expected.dead_letters), len(letters))
    comparison.equal("dead letters differing", truths.compare(letters, expected.dead_letters))
    until = expected.compared_until
    transitions = truths.transitions_of(contents.alerts, until)
    expected_transitions, episodes = (
        truths.before(expected.transitions, until),
        truths.before(expected.episodes, until),
    )
    comparison.row("transitions expected / got", len(expected_transitions), len(transitions))
    _transitions(comparison, transitions, expected_transitions, outages)
    comparison.equal(
        "episodes differing", truths.compare(truths.episodes_of(contents.alerts, until), episodes)
    )
    comparison.row("true faults", len(faults))
    comparison.equal(
        "true faults without exactly one episode, and episodes without a fault",
        truths.faults_found(episodes, faults),
    )
    _pages(comparison, contents, episodes)
    return comparison


def _publishing(
    comparison: Comparison,
    contents: TopicContents,
    expected: Any,
    sent_events: Sequence[SentEvent],
    failed: Mapping[int, str],
) -> None:
    """Compare sent events with the events topic; a loss there is no fault of softfail."""
    holds = {(record.partition, record.offset): (record.key, record.value) for record in contents.events}
    acknowledged = {
        item.position: (item.key, item.value) for item in sent_events if item.position is not None
    }
    comparison.row(
        "published / acknowledged / in the topic", len(sent_events), len(acknowledged), len(contents.events)
    )
    comparison.row("refused to the publisher", len(failed))
    comparison.row("sent on to their partition / copies", len(expected.forwarded), len(expected.copies))
    missing = [
        f"{position} {value!r}" for position, value in acknowledged.items() if holds.get(position) != value
    ]
    comparison.equal("acknowledged and not in the topic (the broker's)", missing)
    copies = set(expected.copies)
    unknown = [
        f"{position}"
        for position in holds
        if position not in acknowledged and "{}-{}".format(*position) not in copies
    ]
    comparison.row("in the topic and never acknowledged", len(unknown))
    comparison.equal("sent on and lost", expected.lost_forwards)
    comparison.equal("sent on twice", expected.doubled_forwards)


def _windows(
    comparison: Comparison, actual: Mapping[bytes, Any], expected: Mapping[bytes, Any], outages: bool
) -> None:
    """Compare windows; all fields must be equal.

    Revisions may be higher only where the broker was away or a worker was suspended. Such a worker considers
    itself caught up for up to 3 s, the age of its last end offset, and its clock advances. Here a second is
    three pane edges: it may close an edge early. Late events at that edge are then written in two revisions
    instead of one.
    """
    comparison.row("windows expected / got", len(expected), len(actual))
    comparison.row("windows revised", sum(window["revision"] > 1 for window in expected.values()))
    # fast; only unequal windows are compared in detail
    unequal = [key for key in actual.keys() | expected.keys() if actual.get(key) != expected.get(key)]
    unequal_actual, unequal_expected = (
        {key: windows[key] for key in unequal if key in windows} for windows in (actual, expected)
    )
    differing = {
        key: truths.compare(
            {key: unequal_actual[key]} if key in unequal_actual else {},
            {key: unequal_expected[key]} if key in unequal_expected else {},
        )
        for key in unequal
    }
    more = {
        key
        for key, lines in differing.items()
        if outages and lines and _is_only_revised_more(unequal_actual.get(key), unequal_expected.get(key))
    }
    comparison.row("windows revised more often, in an outage", len(more))
    wrong = {key: lines for key, lines in differing.items() if lines and key not in more}
    comparison.equal("windows differing", [line for lines in wrong.values() for line in lines], len(wrong))
    surplus = [
        _events(actual.get(key)) - _events(expected.get(key))
        for key in actual.keys() | expected.keys()
        if b'"segment"' in key
    ]
    comparison.row(
        "events in windows of segments",
        sum(_events(window) for window in expected.values() if window["level"] == "segment"),
    )
    comparison.row(
        "events lost / counted twice", -sum(n for n in surplus if n < 0), sum(n for n in surplus if n > 0)
    )


def _transitions(
    comparison: Comparison, actual: Sequence[Any], expected: Sequence[Any], outages: bool
) -> None:
    """Compare the transitions.

    After an outage an edge may precede the last events of its pane, which arrive with a later revision. Then
    the same transition at the same edge has fewer events.
    """
    lines = truths.compare(actual, expected)
    fewer = (
        [line for line in lines if re.search(r"\)\.evidence\.(n|value|low|high): got ", line)]
        if outages
        else []
    )
    sent_events = {line.partition(").evidence.")[0] for line in fewer if _says_fewer(line)}
    fewer = [line for line in fewer if line.partition(").evidence.")[0] in sent_events]
    comparison.row("transitions with fewer events, in an outage", len(sent_events))
    comparison.equal("transitions differing", [line for line in lines if line not in fewer])


def _says_fewer(line: str) -> bool:
    match = re.search(r"\.evidence\.n: got ([\d.]+), expected ([\d.]+)", line)
    return match is not None and float(match[1]) < float(match[2])


def _is_only_revised_more(actual: Any, expected: Any) -> bool:
    same = (
        bool(actual)
        and bool(expected)
        and not truths.compare({b"": actual}, {b"": expected}, revisions=False)
    )
    return same and actual["revision"] > expected["revision"]


def _events(window: Any) -> int:
    return 0 if window is None else int(window["events"])


def _pages(comparison: Comparison, contents: TopicContents, episodes: Sequence[Mapping[str, Any]]) -> None:
    """Compare the incidents at the receiver with the episodes.

    Each episode has a single incident under the key of its urgency, resolved if the episode is, or a note if
    it was over on delivery. Further rings of a page have keys of their own, each opened once and resolved.
    """
    by_key = collections.defaultdict(list)
    # about softfail: these depend on wall time
    health = [
        incident for incident in contents.incidents if incident.payload["source"].startswith("softfail/")
    ]
    for incident in contents.incidents:
        if incident not in health:
            by_key[incident.dedup_key].append(incident)
    comparison.row(
        "pages about softfail itself", ", ".join(incident.payload["summary"][:60] for incident in health) or 0
    )
    wrong, missed = [], 0
    for episode in episodes:
        key = f"{contents.prefix}/{episode['episode_id']}"
        pages, note = by_key.pop(f"{key}/{episode['urgency']}", []), by_key.pop(f"{key}/missed", [])
        again = {name: by_key.pop(name) for name in sorted(by_key) if name.startswith(f"{key}/high/")}
        wrong += [f"{name}: opened {len(rings)} times" for name, rings in again.items() if len(rings) > 1]
        lower = by_key.pop(f"{key}/low", []) if episode["urgency"] == "high" else []
        missed += bool(note)
        unconfirmed = (
            len(pages) == len(note) == 1
            and ("trigger", f"{key}/{episode['urgency']}", 202) not in contents.answers
        )
        # its ring waited for 15 minutes after the last ring of its feature, and it was over by then
        stayed_ticket = not pages and len(lower) == 1
        # accepted, but with a 503 or no response: an additional note is allowed
        if len(pages) + len(note) != 1 and not unconfirmed and not stayed_ticket:
            wrong.append(f"{key} ({episode['urgency']}): opened {len(pages)} times, {len(note)} notes")
        rings = [ring for several in again.values() for ring in several]
        open_ones = [item for item in (*pages, *lower, *rings) if item.resolved_at is None]
        if open_ones and episode["resolved"] is not None:
            wrong.append(f"{key} ({episode['urgency']}): is over and was not resolved at the receiver")
        if len(lower) > 1:
            wrong.append(f"{key}/low: opened {len(lower)} times")
    wrong += [f"{key}: no episode of this name is expected" for key in by_key]
    over, high = (
        sum(episode["resolved"] is not None for episode in episodes),
        sum(episode["urgency"] == "high" for episode in episodes),
    )
    comparison.row("episodes / over / of high urgency", len(episodes), over, high)
    comparison.row(
        "triggers / resolves / notes",
        sum(incident.triggers for incident in contents.incidents),
        sum(incident.resolved_at is not None for incident in contents.incidents),
        missed,
    )
    comparison.equal("episodes delivered wrongly", wrong)


def table(columns: Sequence[str], rows: Sequence[Rows]) -> str:
    """Return the rows of each column side by side.

    >>> print(table(["a", "b"], [[("events", "5")], [("events", "17"), ("lost", "0")]]))
    |        | a | b  |
    |--------|---|----|
    | events | 5 | 17 |
    | lost   |   | 0  |
    """
    names = list(dict.fromkeys(name for row in rows for name, _ in row))
    values = [dict(row) for row in rows]
    lines = [["", *columns], *([name, *(row.get(name, "") for row in values)] for name in names)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    shown = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in lines
    ]
    return "\n".join([shown[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *shown[1:]])
