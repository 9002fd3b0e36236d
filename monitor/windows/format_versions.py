"""How records of state are written, release by release: each says its layout, and one of another is migrated
or refused by name.

Layout 1 is plain MessagePack. From layout 2 on a record begins with 0xC1, a byte that MessagePack never uses,
and the number of its layout: a release that knows no layouts cannot read it. A partition may hold records of
several layouts at once, for they are written anew as they change; its header has the newest
(``agents.runtime.changelog``).

To change what a record holds: raise ``LAYOUT``, state the new shape, add the step from the old one to
``MIGRATIONS``, and make golden files (``tests/monitor/state``) before and after.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

LAYOUT = 3
MARK = 0xC1

_Counts = dict[str, int]

SHAPES: Mapping[str, Any] = {
    # digest of what shapes panes, watermark, rolled up to, dead letters by reason, forwarded
    "clock": tuple[str, int | None, int, _Counts, int],
    # as FeatureState.state() says, and evaluator -> identity and since when it counts
    "feature": tuple[
        int, int, _Counts, int, int, int, _Counts, dict[int, int], list[str], dict[str, list[dict[str, Any]]], dict[str, Any], _Counts,
        tuple[dict[str, list[int]], list[int], int, int], _Counts, dict[str, _Counts], list[list[int]], _Counts, dict[int, list[int]],
        dict[str, tuple[str, int]],
    ],
    # as Pane.state() says; Pane.from_state() checks it, and unpacks it when it is looked at
    "pane": list[Any],
    "incident": tuple[
        str, str, str, str, int, Literal["pending", "firing"], int, Literal["", "breach", "good", "between"], int, int, dict[str, Any],
    ],
    "episode": tuple[str, int, str, str, str, dict[str, dict[str, Any]], list[str]],
    # pane -> responses taken, name -> as TextSketch.state() says; metric -> as Baseline.state() says
    "texts": tuple[dict[int, int], dict[str, bytes]],
    "baselines": dict[str, tuple[int, list[float], tuple[float, float, float, float, float, float] | None]],
}  # fmt: skip
"""Kind of record -> what it holds in the layout of this release. Whatever differs in number or type is refused."""

LENGTHS: Mapping[int, Mapping[str, int]] = {
    1: {"clock": 6, "feature": 12, "pane": 7, "incident": 11, "episode": 7}
}
"""How many values a record of an older layout has."""


def _clock_of_1(values: list[Any]) -> list[Any]:
    layout, *rest = values
    if layout != 1:
        raise ValueError(_foreign(layout))
    return rest


def _feature_of_1(values: list[Any]) -> list[Any]:
    """Meters became producers, which are followed by the numbers of their events; verdicts and skips were not
    counted.
    """
    meters = values[10]
    producers = [{name: [*meter, 0, 0, 0] for name, meter in meters.items()}, [0, 0, 0, 0], 0, 0]
    return [*values[:10], {}, values[11], producers, {}, {}, [], {}, {}, {}]


def _pane_of_1(values: list[Any]) -> list[Any]:
    """Categories were not counted, and a late pane did not know what it had been."""
    return [*values, [], None]


MIGRATIONS: Mapping[int, Mapping[str, Callable[[list[Any]], list[Any]]]] = {
    1: {"clock": _clock_of_1, "feature": _feature_of_1, "pane": _pane_of_1},
    2: {},  # names of metrics became numbers; spelt out they mean the same (``monitor.windows.metric_ids``)
}
"""Layout -> kind -> how its values become those of the next layout. A kind that is not named stayed as it was."""

_PREFIX = bytes((MARK, LAYOUT))
_encode = msgspec.msgpack.Encoder().encode
_plain = msgspec.msgpack.Decoder(list[Any])
_decoders = {kind: msgspec.msgpack.Decoder(shape) for kind, shape in SHAPES.items()}


def encode_record(values: Any) -> bytes:
    """A record of this release's layout: equal values give equal bytes. ``values``: a list, or one that is
    MessagePack already.
    """
    return _PREFIX + (values if isinstance(values, bytes) else _encode(values))


def record_layout(value: bytes) -> int:
    """The layout that a record says it has, whether this release knows it or not.

    >>> record_layout(encode_record(["b1", 0])), record_layout(bytes([0x90]))
    (3, 1)
    """
    if value[:2] == _PREFIX:  # as nearly always
        return LAYOUT
    if value[:1] != _PREFIX[:1]:
        return 1
    return value[1] if len(value) > 1 else 0


def decode_record(kind: str, value: bytes) -> Any:
    """The values of a record, in today's shape; of a pane the bytes that ``Pane.from_state`` reads.

    Raises:
        ValueError: the layout is not known here, or something else stands there than the layout has.
    """
    layout = record_layout(value)
    marked = value[:1] == _PREFIX[:1]
    if not 1 <= layout <= LAYOUT or (marked and layout == 1):
        raise ValueError(_foreign(layout))
    if kind not in SHAPES:
        raise ValueError("no such kind of record; it may be of a newer release: upgrade this worker")
    body = value[2:] if marked else value
    steps = [MIGRATIONS[at][kind] for at in range(layout, LAYOUT) if kind in MIGRATIONS[at]]
    if kind == "pane" and not steps:
        return body
    if not steps:
        return _decoders[kind].decode(body)
    values = _plain.decode(body)
    if len(values) != LENGTHS[layout][kind]:
        if kind == "clock" and values and values[0] != layout:
            raise ValueError(_foreign(values[0]))
        raise ValueError(
            f"a {kind} of layout {layout} has {LENGTHS[layout][kind]} values, this one {len(values)}"
        )
    try:
        for step in steps:
            values = step(values)
    except (AttributeError, TypeError) as error:
        raise ValueError(f"it is no {kind} of layout {layout}: {error}") from None
    return _encode(values) if kind == "pane" else msgspec.convert(values, SHAPES[kind])


def _foreign(layout: Any) -> str:
    newer = isinstance(layout, int) and layout > LAYOUT
    remedy = "upgrade this worker" if newer else "it was not written by softfail, or is broken"
    return f"it is of layout {layout}, this release reads 1 to {LAYOUT}; {remedy}"
