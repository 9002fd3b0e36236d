"""Format versions of state records: each record states its layout; older ones are migrated, others refused.

Layout 1 is plain MessagePack. From layout 2 on a record begins with 0xC1, a byte that MessagePack never uses,
and the number of its layout, so a release without layouts cannot read it. A partition may have records of
several layouts at once, because a record is only written again when it changes. The header of the changelog
states the newest one (``agents.runtime.changelog``).

To change the content of a record: raise ``LAYOUT``, define the new shape, add the step from the old shape to
``MIGRATIONS``, and make golden files (``tests/monitor/state``) before and after.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from monitor.windows.unrepeated_labels import LabelState

LAYOUT = 10
MARK = 0xC1

_Counts = dict[str, int]

_ClockRecord = tuple[
    str,  # digest of what shapes the panes
    int | None,  # watermark
    int,  # edge up to which panes are rolled up
    _Counts,  # dead letters by reason
    int,  # forwarded events
    _Counts,  # optional fields left out, by field and reason
]
_CallsRecord = tuple[dict[int, list[int]], int]  # MeteredCalls.state()
_ProducerRecord = tuple[dict[str, list[int]], list[int], int, int, _CallsRecord]
_FeatureRecord = tuple[
    int,  # as FeatureState.state() returns them: first_us
    int,  # active_us
    _Counts,  # received
    int,  # late
    int,  # expired
    int,  # overflowed
    _Counts,  # evaluator_errors
    dict[int, int],  # hourly_responses
    list[str],  # healthy_rules
    dict[str, list[dict[str, Any]]],  # examples
    dict[str, Any],  # decided_changes
    _Counts,  # resolved_edges
    _ProducerRecord,
    _Counts,  # verdicts
    dict[str, _Counts],  # skipped
    list[list[int]],  # incident_spans
    _Counts,  # accepted_since
    dict[int, list[int]],  # longest_pauses
    dict[str, list[list[int]]],  # reference_gaps
    tuple[int, int, dict[str, LabelState], _Counts],  # UnrepeatedLabels.state()
    dict[str, tuple[str, int]],  # evaluator -> identity, and from which pane on it counts
]
_IncidentRecord = tuple[
    str,
    str,
    str,
    str,
    int,
    Literal["pending", "firing"],
    int,
    Literal["", "breach", "good", "between"],
    int,
    int,
    list[str],  # reported statistics
    dict[str, Any],
    tuple[dict[str, Any] | None, dict[str, Any] | None],  # figures: decided, worst
    tuple[list[dict[str, Any]], list[dict[str, Any]], int],  # present, written, changes
    tuple[int, dict[str, Any] | None, int, int, int, int],  # PresentStretch.state_values()
]
_RisenState = tuple[
    float, float, float, float, float, float, tuple[float, float], tuple[float, float]
]  # Risen
_BaselineState = tuple[
    int,  # begun_us
    list[float],  # ShiryaevRoberts.state()
    _RisenState | None,
    tuple[float, float],  # Units
]
_WeightState = tuple[float, float, float, float, float, float, float]

SHAPES: Mapping[str, Any] = {
    "clock": _ClockRecord,
    "feature": _FeatureRecord,
    "pane": list[Any],  # Pane.from_state() checks it, and unpacks it when it is read
    "incident": _IncidentRecord,
    "episode": tuple[str, int, str, str, str, dict[str, dict[str, Any]], list[str]],
    "texts": tuple[dict[int, int], dict[str, bytes]],  # responses by pane; name -> TextSketch.state()
    "baselines": dict[str, _BaselineState],  # metric, or metric@calls -> Baseline.state()
    "weights": dict[str, _WeightState],  # rate -> WeightMemory.state()
}
"""Kind of record -> content in the layout of this release; a different number or type is refused."""

LENGTHS: Mapping[int, Mapping[str, int]] = {
    1: {"clock": 6, "feature": 12, "pane": 7, "incident": 11, "episode": 7}
}
"""Layout -> kind -> number of values."""


def _migrate_clock_1(values: list[Any]) -> list[Any]:
    layout, *rest = values
    if layout != 1:
        raise ValueError(_unknown_layout(layout))
    return rest


def _migrate_feature_1(values: list[Any]) -> list[Any]:
    """Turn meters into producers, whose event numbers are tracked; layout 1 counted no verdicts and skips."""
    meters = values[10]
    producers = [{name: [*meter, 0, 0, 0] for name, meter in meters.items()}, [0, 0, 0, 0], 0, 0]
    return [*values[:10], {}, values[11], producers, {}, {}, [], {}, {}, {}]


def _migrate_pane_1(values: list[Any]) -> list[Any]:
    """Add categories and ``rates_at_close``, which layout 1 does not have."""
    return [*values, [], None]


def _migrate_baselines_3(baselines: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Add units, which layout 3 does not have: none. ``Baseline`` drops what was learnt of several weights."""
    return {name: [*state, [0.0, 0.0]] for name, state in baselines.items()}


def _migrate_baselines_4(baselines: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Add the end of the first block of the newest bucket (long ago), and the events since a rise (none)."""
    none = [0.0, 0.0]
    return {
        name: [begun_us, [*detector, 0.0], None if risen is None else [*risen, none, none], units]
        for name, (begun_us, detector, risen, units) in baselines.items()
    }


def _migrate_feature_4(values: list[Any]) -> list[Any]:
    """Add gaps of references: until layout 4 each episode was a gap of all rules and series."""
    return [*values[:18], {"": values[15]} if values[15] else {}, *values[18:]]


def _migrate_incident_4(values: list[Any]) -> list[Any]:
    """Add the reported statistics: those of the evidence."""
    *progress, evidence = values
    findings = evidence.get("findings") or [evidence]
    return [*progress, [finding["metric"] for finding in findings], evidence]


def _migrate_feature_5(values: list[Any]) -> list[Any]:
    """Add the calls by pane: none is known before the last meter."""
    entries, *rest = values[12]
    last_us = max((entry[10] for entry in entries.values() if len(entry) > 10), default=0)
    return [*values[:12], [entries, *rest, [{}, last_us]], *values[13:]]


def _migrate_clock_6(values: list[Any]) -> list[Any]:
    """Add the fields left out: before, such an event was a dead letter."""
    return [*values, {}]


def _migrate_incident_7(values: list[Any]) -> list[Any]:
    """Add figures, which layout 7 does not have: none. The first that is read counts as written."""
    return [*values, [None, None], [[], [], 0]]


def _migrate_feature_8(values: list[Any]) -> list[Any]:
    """Add labels that never repeat, which layout 8 does not have: none."""
    return [*values[:19], [0, 0, {}, {}], *values[19:]]


def _migrate_incident_9(values: list[Any]) -> list[Any]:
    """Add the present stretch, which layout 9 does not have: the incident has not failed again."""
    return [*values, [0, None, 0, 0, 0, 0]]


MIGRATIONS: Mapping[int, Mapping[str, Callable[[Any], Any]]] = {
    1: {"clock": _migrate_clock_1, "feature": _migrate_feature_1, "pane": _migrate_pane_1},
    2: {},  # names of metrics became numbers; names are still read (``monitor.windows.metric_ids``)
    3: {"baselines": _migrate_baselines_3},
    4: {
        "baselines": _migrate_baselines_4,
        "feature": _migrate_feature_4,
        "incident": _migrate_incident_4,
    },
    5: {"feature": _migrate_feature_5},
    6: {"clock": _migrate_clock_6},
    7: {"incident": _migrate_incident_7},
    8: {"feature": _migrate_feature_8},
    9: {"incident": _migrate_incident_9},
}
"""Layout -> kind -> function from its values to those of the next layout. Kinds without one are unchanged."""

_PREFIX = bytes((MARK, LAYOUT))
_encode = msgspec.msgpack.Encoder().encode
_plain = msgspec.msgpack.Decoder()
_decoders = {kind: msgspec.msgpack.Decoder(shape) for kind, shape in SHAPES.items()}


def encode_record(values: Any) -> bytes:
    """Return a record in the layout of this release; equal values give equal bytes.

    ``values``: a list of plain values, or a list that is MessagePack already.
    """
    return _PREFIX + (values if isinstance(values, bytes) else _encode(values))


def record_layout(value: bytes) -> int:
    """Return the layout that a record states, even if this release does not know it.

    >>> record_layout(encode_record(["b1", 0])), record_layout(bytes([0x90]))
    (10, 1)
    """
    if value[:2] == _PREFIX:  # in nearly all cases
        return LAYOUT
    if value[:1] != _PREFIX[:1]:
        return 1
    return value[1] if len(value) > 1 else 0


def decode_record(kind: str, value: bytes) -> Any:
    """Return the values of a record in the current shape; of a pane the bytes for ``Pane.from_state``.

    Raises:
        ValueError: this release does not know the layout, or the content does not have its shape.
    """
    layout = record_layout(value)
    marked = value[:1] == _PREFIX[:1]
    if not 1 <= layout <= LAYOUT or (marked and layout == 1):
        raise ValueError(_unknown_layout(layout))
    if kind not in SHAPES:
        raise ValueError("no such kind of record; it may be of a newer release: upgrade this worker")
    body = value[2:] if marked else value
    steps = [MIGRATIONS[old][kind] for old in range(layout, LAYOUT) if kind in MIGRATIONS[old]]
    if kind == "pane" and not steps:
        return body
    if not steps:
        return _decoders[kind].decode(body)
    values = _plain.decode(body)
    length = LENGTHS.get(layout, {}).get(kind)
    if length is not None and (not isinstance(values, list) or len(values) != length):
        if not isinstance(values, list):
            raise ValueError(f"it is no {kind} of layout {layout}")
        if kind == "clock" and values and values[0] != layout:
            raise ValueError(_unknown_layout(values[0]))
        raise ValueError(f"a {kind} of layout {layout} has {length} values, this one {len(values)}")
    try:
        for step in steps:
            values = step(values)
    except (AttributeError, TypeError) as error:
        raise ValueError(f"it is no {kind} of layout {layout}: {error}") from None
    return _encode(values) if kind == "pane" else msgspec.convert(values, SHAPES[kind])


def _unknown_layout(layout: Any) -> str:
    newer = isinstance(layout, int) and layout > LAYOUT
    remedy = "upgrade this worker" if newer else "it was not written by softfail, or is broken"
    return f"it is of layout {layout}, this release reads 1 to {LAYOUT}; {remedy}"
