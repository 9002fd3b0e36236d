"""Contents of Kafka and their expected values: read in a common form, compared exactly. Standard library
only.

INTERFACE (``records`` are kafka-python's ``ConsumerRecord`` or any object with topic, partition, offset,
timestamp, key, value, headers):

- ``windows_of(records) -> dict[bytes, dict]``: the windows topic; key -> last revision, as
  ``oracle.Truth.windows``. Read it ``read_committed``.
- ``letters_of(records) -> list[tuple[str, str]]``: the dead letter topic; sorted ("PARTITION-OFFSET" of the
  refused record, class), with duplicates, as ``oracle.Truth.dead_letters``.
- ``transitions_of(records, until=None) -> list[dict]``, ``episodes_of(records, until=None) -> list[dict]``:
  the alerts topic, in the form of ``oracle.Truth.transitions`` and ``.episodes``. ``until``: RFC 3339; later
  edges are left out (give ``truth.compared_until``).
- ``before(truth.transitions, until) -> list``: the same cut for the oracle; cut both sides with the same
  ``until``.
- ``compare(got, expected) -> list[str]``: two dicts by key, or two lists; a line per difference, empty when
  equal. Integers, texts and null must be equal; floats within 1e-9 relative. ``compare(...,
  revisions=False)`` leaves ``revision`` out (see ``oracle`` on the wall clock).
- ``faults_found(episodes, faults) -> list[str]``: each ``corpus.faults`` has exactly one episode that
  overlaps it, and each episode a fault.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

TOLERANCE = 1e-9
FOUND_S = 300  # maximum delay of an episode after the end of its fault, for features with few events
_IDENTITY = ("time", "incident_id", "state")


def windows_of(records: Iterable[Any]) -> dict[bytes, dict[str, Any]]:
    """Return key -> the last record of that key in its partition."""
    return {
        record.key: json.loads(record.value)
        for record in sorted(records, key=_place)
        if record.value is not None
    }


def letters_of(records: Iterable[Any]) -> list[tuple[str, str]]:
    """Return ("PARTITION-OFFSET" of the refused record, class), sorted, with duplicates. Marks of
    re-injection are no dead letters.
    """
    letters = [json.loads(record.value) for record in records if record.value is not None]
    return sorted(
        (f"{letter['partition']}-{letter['offset']}", class_of(letter))
        for letter in letters
        if "offset" in letter
    )


def class_of(letter: Mapping[str, Any]) -> str:
    """Return the oracle's class of the reason of a dead letter."""
    if letter["value"] is None:
        return "empty"
    if not letter["field"]:
        return "misplaced" if letter["error"].startswith("sent on once") else "unreadable"
    if letter["field"] == "time" and "ahead of the broker's clock" in letter["error"]:
        return "future"
    return f"invalid:{letter['field'].partition('.')[0]}"


def transitions_of(records: Iterable[Any], until: str | None = None) -> list[dict[str, Any]]:
    """Return transitions without ``decided_at``, in the oracle's order."""
    records_found = [
        {name: item for name, item in alert.items() if name != "decided_at"}
        for alert in _alerts(records, "transition")
    ]
    return before(
        sorted(records_found, key=lambda item: json.dumps([item[name] for name in _IDENTITY])), until
    )


def before(records_found: Sequence[dict[str, Any]], until: str | None) -> list[dict[str, Any]]:
    """Return transitions at edges up to ``until``, or episodes opened by then; None: all. RFC 3339.

    An episode that resolved later counts as open.
    """
    if until is None:
        return list(records_found)
    limit = _time(until)
    within = [item for item in records_found if _time(item.get("time") or item["opened"]) <= limit]
    return [
        {**item, "resolved": None} if item.get("resolved") and _time(item["resolved"]) > limit else item
        for item in within
    ]


def episodes_of(records: Iterable[Any], until: str | None = None) -> list[dict[str, Any]]:
    """Return a dict per episode in the form of the oracle; ``fault`` if it was opened or resolved twice."""
    records_found: dict[str, dict[str, Any]] = {}
    states: Counter[tuple[str, str]] = Counter()
    for alert in _alerts(records, "episode"):
        name = alert["episode_id"]
        states[name, alert["state"]] += 1
        page = records_found.setdefault(
            name,
            {
                "episode_id": name,
                **{label: alert[label] for label in ("service", "feature", "environment")},
                "opened": alert["time"],
                "resolved": None,
                "rules": [],
            },
        )
        page |= {"severity": alert["severity"], "urgency": alert["urgency"], "started": alert["started_at"]}
        page["rules"] = sorted({*page["rules"], *(incident["rule"] for incident in alert["incidents"])})
        if alert["state"] == "resolved":
            page["resolved"] = alert["time"]
    for (name, state), times in states.items():
        if state in ("opened", "resolved") and times > 1:
            records_found[name]["fault"] = f"{state} {times} times"
    return before(
        sorted(records_found.values(), key=lambda item: json.dumps([item["opened"], item["episode_id"]])),
        until,
    )


def compare(actual: Any, expected: Any, revisions: bool = True) -> list[str]:
    """Return a line per difference, none when equal.

    Dicts are compared by key; lists of transitions, episodes and dead letters by their identity.
    ``revisions`` False leaves ``revision`` out.
    """
    if isinstance(actual, list) and isinstance(expected, list):
        actual, expected = _by_identity(actual), _by_identity(expected)
    lines = [f"{_shown(key)}: missing" for key in expected.keys() - actual.keys()]
    lines += [f"{_shown(key)}: not expected" for key in actual.keys() - expected.keys()]
    for key in actual.keys() & expected.keys():
        lines += [
            f"{_shown(key)}{path}: got {a!r}, expected {b!r}"
            for path, a, b in _differences(actual[key], expected[key], "")
            if revisions or path != ".revision"
        ]
    return sorted(lines)


def faults_found(episodes: Sequence[Mapping[str, Any]], faults: Sequence[Any]) -> list[str]:
    """Compare pages with the intended faults.

    Each fault has a single episode, opened in it and resolved after it; no other episode pages.
    """
    lines, with_text = [], set()
    for fault in faults:
        begin, end = _time(fault.begin), _time(fault.end)
        own_episodes = [
            episode
            for episode in episodes
            if [episode["service"], episode["feature"], episode["environment"]]
            == [fault.service, fault.feature, fault.environment]
            and begin <= _time(episode["opened"]) <= end + timedelta(seconds=FOUND_S)
        ]
        with_text |= {item["episode_id"] for item in own_episodes}
        # the fault belongs to an episode that returned within the hour, which then lasts for another hour
        if not own_episodes and any(covers(episode, fault) for episode in episodes):
            continue
        if len(own_episodes) != 1 or own_episodes[0]["urgency"] != "high":
            lines.append(
                f"{fault}: {len(own_episodes)} episodes, {sum(item['urgency'] == 'high' for item in own_episodes)} of them"
                " page, expected one"
            )
        lines += [
            f"{fault}: its episode {item['episode_id']} ended at {item['resolved']}"
            for item in own_episodes
            if item["resolved"] is None or (_time(item["resolved"]) < end and fault.metric != "rollback")
        ]
    return lines + [
        f"no fault explains episode {episode}"
        for episode in episodes
        if episode["episode_id"] not in with_text
    ]


def covers(episode: Mapping[str, Any], fault: Any) -> bool:
    """Return whether a paging episode lasted for the whole of a fault of its feature."""
    is_same_feature = [episode["service"], episode["feature"], episode["environment"]] == [
        fault.service,
        fault.feature,
        fault.environment,
    ]
    lasted = (
        episode["resolved"] is not None
        and _time(episode["opened"]) < _time(fault.begin)
        and _time(episode["resolved"]) > _time(fault.end)
    )
    return is_same_feature and lasted and episode["urgency"] == "high"


def _alerts(records: Iterable[Any], kind: str) -> list[dict[str, Any]]:
    records_found = [
        json.loads(record.value) for record in sorted(records, key=_place) if record.value is not None
    ]
    return [item for item in records_found if item["record"] == kind]


def _place(record: Any) -> tuple[int, int]:
    return record.partition, record.offset


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _by_identity(items: list[Any]) -> dict[Any, Any]:
    """Number items of equal identity, so that duplicates differ."""
    counts: Counter[Any] = Counter()
    out = {}
    for item in items:
        name = (
            (item["episode_id"],)
            if isinstance(item, dict) and "opened" in item
            else (
                tuple(item[field] for field in _IDENTITY)
                if isinstance(item, dict)
                else tuple(item)
                if isinstance(item, list | tuple)
                else (item,)
            )
        )
        out[(*name, counts[name])] = item
        counts[name] += 1
    return out


def _shown(key: Any) -> str:
    return key.decode("utf-8", "replace") if isinstance(key, bytes) else str(key)


def _differences(actual: Any, expected: Any, path: str) -> list[tuple[str, Any, Any]]:
    if isinstance(actual, Mapping) and isinstance(expected, Mapping):
        names = [*expected, *(name for name in actual if name not in expected)]
        return [
            difference
            for name in names
            for difference in _differences(
                actual.get(name, "absent"), expected.get(name, "absent"), f"{path}.{name}"
            )
        ]
    if (
        isinstance(actual, list | tuple)
        and isinstance(expected, list | tuple)
        and len(actual) == len(expected)
    ):
        return [
            difference
            for index, pair in enumerate(zip(actual, expected, strict=True))
            for difference in _differences(*pair, f"{path}[{index}]")
        ]
    return [] if _equal(actual, expected) else [(path, actual, expected)]


def _equal(actual: Any, expected: Any) -> bool:
    if type(actual) is type(expected) and actual == expected:
        return True
    if isinstance(actual, float) or isinstance(expected, float):
        numbers = all(
            isinstance(item, int | float) and not isinstance(item, bool) for item in (actual, expected)
        )
        return numbers and math.isclose(actual, expected, rel_tol=TOLERANCE, abs_tol=1e-15)
    return False
