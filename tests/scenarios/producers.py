"""Producers of the scenario bench: processes that number their calls and send meters, and how they end."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

METER_S = 10.0  # between two meters, as the SDK sends them

Timed = tuple[datetime, bytes]
"""When a record arrives, and the record."""


@dataclass(frozen=True)
class Process:
    """A process of a service from one minute to another. ``closes``: whether it sends last meters; else it is
    killed. ``features``: that it serves; empty: all of the service.
    """

    service: str
    begin: float
    end: float
    closes: bool = False
    features: tuple[str, ...] = ()


def metered(calls: Sequence[Timed], processes: Sequence[Process], start: datetime) -> list[Timed]:
    """Return calls and meters of processes: each call has the first process of its service that lives then,
    and is lost if there is none. ``start``: of minute 0.
    """
    moments = [start + timedelta(minutes=process.begin) for process in processes]
    served: dict[tuple[int, str], list[datetime]] = {}
    records: list[Timed] = []
    for moment, value in calls:
        call = json.loads(value)
        minute = (moment - start).total_seconds() / 60
        name = f"{call['service']}/{call['feature']}"
        number = next((nth for nth, process in enumerate(processes) if _serves(process, name, minute)), None)
        if number is None:
            continue
        times = served.setdefault((number, name), [])
        times.append(moment)
        numbered = call | {"producer_id": f"process-{number}", "sequence": len(times)}
        records.append((moment, json.dumps(numbered).encode()))
    for (number, name), times in served.items():
        process = processes[number]
        end = start + timedelta(minutes=process.end)
        records += _meters(name, f"process-{number}", moments[number], times, end, closes=process.closes)
    return sorted(records, key=lambda record: record[0])


def _serves(process: Process, feature: str, minute: float) -> bool:
    is_own = feature in process.features or feature.partition("/")[0] == process.service
    return process.begin <= minute < process.end and is_own and feature in (process.features or (feature,))


def _meters(
    feature: str, producer: str, began: datetime, times: Sequence[datetime], end: datetime, *, closes: bool
) -> Iterator[Timed]:
    moment, seen = times[0] + timedelta(seconds=METER_S), 0
    while moment < end:
        while seen < len(times) and times[seen] <= moment:
            seen += 1
        yield moment, _meter(feature, producer, began, moment, seen)
        moment += timedelta(seconds=METER_S)
    if closes:
        yield end, _meter(feature, producer, began, end, len(times), closing=True)


def _meter(
    feature: str, producer: str, began: datetime, moment: datetime, seen: int, *, closing: bool = False
) -> bytes:
    service, _, name = feature.partition("/")
    fields = {
        "kind": "meter",
        "event_id": f"{producer} {feature} {moment.timestamp()}",
        "time": moment.isoformat(),
        "service": service,
        "feature": name,
        "producer_id": producer,
        "started_at": began.isoformat(),
        "seen": seen,
        "sampled": seen,
        "sent": seen,
        "dropped": 0,
        "closing": closing,
    }
    return json.dumps(fields).encode()
