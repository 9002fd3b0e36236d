"""What a run was like, in one table; everything that must be equal and is not is a finding."""

from __future__ import annotations

import collections
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import truth as truths
from publisher import Told

Rows = list[tuple[str, str]]
SHOWN = 5  # differences of a kind


@dataclass
class Held:
    """What Kafka and the receiver hold of a deployment at the end."""

    events: Sequence[Any]
    windows: Sequence[Any]
    deadletter: Sequence[Any]
    alerts: Sequence[Any]
    incidents: Sequence[Any]
    prefix: str
    answers: Sequence[tuple[str, str, int | None]] = ()  # of the receiver: action, key, status


@dataclass
class Findings:
    """Rows for the table, and what is wrong: a kind of difference with its first examples."""

    rows: Rows = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def row(self, name: str, *values: object) -> None:
        """A line of the table."""
        self.rows.append((name, " / ".join(str(value) for value in values)))

    def equal(self, name: str, differences: Sequence[str], count: int | None = None) -> None:
        """A line that must be 0. ``count``: of what differs, where each may differ in several ways."""
        self.row(name, len(differences) if count is None else count)
        self.wrong += (
            [f"{name}: {len(differences)} lines", *(f"    {line[:600]}" for line in differences[:SHOWN])]
            if differences
            else []
        )


def examined(
    held: Held,
    expected: Any,
    told: Sequence[Told],
    failed: Mapping[int, str],
    faults: Sequence[Any],
    outages: bool = False,
) -> Findings:
    """Everything compared, whoever is to blame named. ``outages``: whether broker or workers stood still for
    seconds.
    """
    found = Findings()
    _publishing(found, held, expected, told, failed)
    last = {record.key: record for record in held.windows}  # of a key; all of a key lie in one partition
    _windows(found, truths.windows_of(last.values()), expected.windows, outages)
    found.row("late / expired by the oracle", expected.late, expected.expired)
    letters = truths.letters_of(held.deadletter)
    found.row("dead letters expected / got", len(expected.dead_letters), len(letters))
    found.equal("dead letters differing", truths.compare(letters, expected.dead_letters))
    until = expected.compared_until
    transitions = truths.transitions_of(held.alerts, until)
    expected_transitions, episodes = (
        truths.before(expected.transitions, until),
        truths.before(expected.episodes, until),
    )
    found.row("transitions expected / got", len(expected_transitions), len(transitions))
    _transitions(found, transitions, expected_transitions, outages)
    found.equal("episodes differing", truths.compare(truths.episodes_of(held.alerts, until), episodes))
    found.row("true faults", len(faults))
    found.equal(
        "true faults without exactly one episode, and episodes without a fault",
        truths.faults_found(episodes, faults),
    )
    _pages(found, held, episodes)
    return found


def _publishing(
    found: Findings, held: Held, expected: Any, told: Sequence[Told], failed: Mapping[int, str]
) -> None:
    """A loss on the way into the topic is the publisher's or the broker's, and not ours."""
    holds = {(record.partition, record.offset): (record.key, record.value) for record in held.events}
    acknowledged = {item.at: (item.key, item.value) for item in told if item.at is not None}
    found.row("published / acknowledged / in the topic", len(told), len(acknowledged), len(held.events))
    found.row("refused to the publisher", len(failed))
    found.row("sent on to their partition / copies", len(expected.forwarded), len(expected.copies))
    missing = [f"{at} {value!r}" for at, value in acknowledged.items() if holds.get(at) != value]
    found.equal("acknowledged and not in the topic (the broker's)", missing)
    copies = set(expected.copies)
    unknown = [f"{at}" for at in holds if at not in acknowledged and "{}-{}".format(*at) not in copies]
    found.row("in the topic and never acknowledged", len(unknown))
    found.equal("sent on and lost", expected.lost_forwards)
    found.equal("sent on twice", expected.doubled_forwards)


def _windows(found: Findings, got: Mapping[bytes, Any], expected: Mapping[bytes, Any], outages: bool) -> None:
    """All of a window must be equal.

    Only where the broker was away or a worker stood still may a revision be higher. A worker's clock goes on
    for the seconds in which it takes itself to be caught up (what it last heard of the end is up to 3 s old),
    and here a second is three pane edges: it may close one early, and late events around it are then written
    twice and not once.
    """
    found.row("windows expected / got", len(expected), len(got))
    found.row("windows revised", sum(window["revision"] > 1 for window in expected.values()))
    # quick; the rest says how they differ
    unequal = [key for key in got.keys() | expected.keys() if got.get(key) != expected.get(key)]
    some, others = ({key: windows[key] for key in unequal if key in windows} for windows in (got, expected))
    differing = {
        key: truths.compare(
            {key: some[key]} if key in some else {}, {key: others[key]} if key in others else {}
        )
        for key in unequal
    }
    more = {
        key
        for key, lines in differing.items()
        if outages and lines and _is_only_revised_more(some.get(key), others.get(key))
    }
    found.row("windows revised more often, in an outage", len(more))
    wrong = {key: lines for key, lines in differing.items() if lines and key not in more}
    found.equal("windows differing", [line for lines in wrong.values() for line in lines], len(wrong))
    surplus = [
        _events(got.get(key)) - _events(expected.get(key))
        for key in got.keys() | expected.keys()
        if b'"segment"' in key
    ]
    found.row(
        "events in windows of segments",
        sum(_events(window) for window in expected.values() if window["level"] == "segment"),
    )
    found.row(
        "events lost / counted twice", -sum(n for n in surplus if n < 0), sum(n for n in surplus if n > 0)
    )


def _transitions(found: Findings, got: Sequence[Any], expected: Sequence[Any], outages: bool) -> None:
    """Each transition; where something stood still, an edge may have come before the last events of its pane,
    which came with a later revision: then the same was said at the same edge of fewer events.
    """
    lines = truths.compare(got, expected)
    fewer = (
        [line for line in lines if re.search(r"\)\.evidence\.(n|value|low|high): got ", line)]
        if outages
        else []
    )
    told = {line.partition(").evidence.")[0] for line in fewer if _says_fewer(line)}
    fewer = [line for line in fewer if line.partition(").evidence.")[0] in told]
    found.row("transitions told of fewer events, in an outage", len(told))
    found.equal("transitions differing", [line for line in lines if line not in fewer])


def _says_fewer(line: str) -> bool:
    match = re.search(r"\.evidence\.n: got ([\d.]+), expected ([\d.]+)", line)
    return match is not None and float(match[1]) < float(match[2])


def _is_only_revised_more(got: Any, expected: Any) -> bool:
    same = bool(got) and bool(expected) and not truths.compare({b"": got}, {b"": expected}, revisions=False)
    return same and got["revision"] > expected["revision"]


def _events(window: Any) -> int:
    return 0 if window is None else int(window["events"])


def _pages(found: Findings, held: Held, episodes: Sequence[Mapping[str, Any]]) -> None:
    """Each episode has one incident at the receiver under the key of its urgency, resolved if the episode is;
    or one note when all was over.
    """
    by_key = collections.defaultdict(list)
    # of the monitor: by wall time
    health = [incident for incident in held.incidents if incident.payload["source"].startswith("softfail/")]
    for incident in held.incidents:
        if incident not in health:
            by_key[incident.dedup_key].append(incident)
    found.row(
        "pages about softfail itself", ", ".join(incident.payload["summary"][:60] for incident in health) or 0
    )
    wrong, missed = [], 0
    for episode in episodes:
        key = f"{held.prefix}/{episode['episode_id']}"
        some, note = by_key.pop(f"{key}/{episode['urgency']}", []), by_key.pop(f"{key}/missed", [])
        lower = by_key.pop(f"{key}/low", []) if episode["urgency"] == "high" else []
        missed += bool(note)
        unconfirmed = (
            len(some) == len(note) == 1
            and ("trigger", f"{key}/{episode['urgency']}", 202) not in held.answers
        )
        # taken, but answered by 503 or not at all: a note too is better than none
        if len(some) + len(note) != 1 and not unconfirmed:
            wrong.append(f"{key} ({episode['urgency']}): opened {len(some)} times, {len(note)} notes")
        open_ones = [item for item in (*some, *lower) if item.resolved_at is None]
        if open_ones and episode["resolved"] is not None:
            wrong.append(f"{key} ({episode['urgency']}): is over and was not resolved at the receiver")
        if len(lower) > 1:
            wrong.append(f"{key}/low: opened {len(lower)} times")
    wrong += [f"{key}: no episode of this name is expected" for key in by_key]
    over, high = (
        sum(episode["resolved"] is not None for episode in episodes),
        sum(episode["urgency"] == "high" for episode in episodes),
    )
    found.row("episodes / over / of high urgency", len(episodes), over, high)
    found.row(
        "triggers / resolves / told when all was over",
        sum(incident.triggers for incident in held.incidents),
        sum(incident.resolved_at is not None for incident in held.incidents),
        missed,
    )
    found.equal("episodes not told rightly", wrong)


def table(columns: Sequence[str], rows: Sequence[Rows]) -> str:
    """The rows of each column side by side.

    >>> print(table(["a", "b"], [[("events", "5")], [("events", "17"), ("lost", "0")]]))
    |        | a | b  |
    |--------|---|----|
    | events | 5 | 17 |
    | lost   |   | 0  |
    """
    names = list(dict.fromkeys(name for some in rows for name, _ in some))
    values = [dict(some) for some in rows]
    lines = [["", *columns], *([name, *(some.get(name, "") for some in values)] for name in names)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
    shown = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in lines
    ]
    return "\n".join([shown[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *shown[1:]])
