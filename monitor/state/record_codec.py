"""State records: the key and value of each part of a partition, and back.

A part is a tuple: kind, feature, and what tells parts of that kind apart:
``("pane", feature, segment, resolution, start_us)``, ``("texts", feature, segment, resolution, start_us)``,
``("baselines", feature, segment)``, ``("weights", feature, segment)``, ``("incident", feature, segment,
rule)``, ``("episode", feature)``, ``("feature", feature)``. The segment of incidents, baselines and weights
is None for the whole feature. One more record, the clock, has the watermark and the counts of the partition.
"""

from __future__ import annotations

from typing import Any

import msgspec

from monitor.incidents.episode import Episode
from monitor.incidents.incident import Incident
from monitor.rules.learned_baseline import Baseline
from monitor.state.partition_contents import PartitionContents
from monitor.stats.sampling_weights import WeightMemory
from monitor.windows.format_versions import decode_record, encode_record
from monitor.windows.pane import Pane
from monitor.windows.segment_keys import FeatureKey, segment_from_json, segment_to_json
from monitor.windows.segment_series import DAY, FINE, HOUR, LATE, shared_start
from monitor.windows.text_blocks import TextBlock

Part = tuple[Any, ...]

_encode_key = msgspec.json.Encoder().encode
_decode_key = msgspec.json.Decoder().decode

CLOCK_KEY = _encode_key(["clock"])
_KEY_LENGTHS = {
    "feature": 0,
    "pane": 3,
    "incident": 2,
    "episode": 0,
    "baselines": 1,
    "weights": 1,
    "texts": 3,
}


def record_key(part: Part) -> bytes:
    """Return the key of the record of a part."""
    kind, feature, *rest = part
    if kind in ("pane", "texts"):
        segment, resolution, start_us = rest
        return _encode_key([kind, *feature, segment_to_json(segment), resolution, start_us])
    if kind in ("baselines", "weights"):
        return _encode_key([kind, *feature, segment_to_json(rest[0])])
    if kind == "incident":
        segment, rule = rest
        return _encode_key([kind, *feature, segment_to_json(segment), rule])
    return _encode_key([kind, *feature])


def record_value(contents: PartitionContents, part: Part) -> bytes | None:
    """Return the value of the record of a part; None, which deletes it, if the part does not exist."""
    kind, feature, *rest = part
    if kind == "pane":
        return _pane_value(contents, feature, *rest)
    if kind == "texts":
        segment_key, resolution, start_us = rest
        segment = contents.find_segment(feature, segment_key)
        block = segment.texts[resolution].get(start_us) if segment else None
        return encode_record(block.state()) if block else None
    if kind == "baselines":
        baselines = contents.baselines.get(feature, {}).get(rest[0])
        return (
            encode_record({name: baselines[name].state() for name in sorted(baselines)})
            if baselines
            else None
        )
    if kind == "weights":
        state = contents.features.get(feature)
        memories = state.weights.memories.get(rest[0]) if state else None
        return (
            encode_record({name: memories[name].state() for name in sorted(memories)}) if memories else None
        )
    if kind == "incident":
        incident = contents.incidents.get(feature, {}).get((rest[0], rest[1]))
        return encode_record(incident.state_values()) if incident else None
    if kind == "episode":
        episode = contents.episodes.get(feature)
        return encode_record(episode.state_values()) if episode else None
    state = contents.features.get(feature)
    return encode_record([*state.state(), contents.evaluators.get(feature, {})]) if state else None


def _pane_value(
    contents: PartitionContents, feature: FeatureKey, segment_key: Any, resolution: str, start_us: int
) -> bytes | None:
    segment = contents.find_segment(feature, segment_key)
    pane = segment.panes_by_resolution[resolution].get(start_us) if segment else None
    if pane is None:
        return None
    state = pane.state()
    # Hours stay in memory for a week, and each is unpacked when a rule reads so far back. A fine pane whose
    # window is written is packed at once, unless rules read it at each edge.
    is_closed = pane.revision > 0 and not pane.stale
    if resolution not in (FINE, LATE) or (is_closed and not contents.features[feature].cache.reads_panes):
        pane.pack(state)
    return encode_record(state)


def clock_value(contents: PartitionContents) -> bytes:
    """Return the value of the clock record."""
    return encode_record(
        [
            contents.digest,
            contents.watermark_us,
            contents.rolled_us,
            contents.dead_letters,
            contents.forwarded,
            contents.left_out,
        ]
    )


def restore_record(contents: PartitionContents, key: bytes, value: bytes) -> Part | None:
    """Restore what a record has; return its part, None for the clock.

    Raises:
        ValueError: it cannot be read, or is of an unknown layout or another pane length; the message names
            its key.
    """
    try:
        return _restore(contents, _decode_key(key), value)
    except (
        msgspec.MsgspecError,
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        OverflowError,
        RecursionError,
    ) as error:
        raise ValueError(f"state record {key!r} cannot be read: {error}") from None


def _restore(contents: PartitionContents, key: Any, value: bytes) -> Part | None:
    if not isinstance(key, list) or not key or not isinstance(key[0], str):
        raise ValueError("it is none of softfail's")
    kind = key[0]
    if kind == "clock":
        _restore_clock(contents, value)
        return None
    feature, rest = FeatureKey(*key[1:4]), key[4:]
    if len(rest) != _KEY_LENGTHS.get(kind, len(rest)):
        raise ValueError("its key is not as softfail writes them")
    if kind in ("pane", "texts"):
        return _restore_block(contents, kind, feature, rest, value)
    values = decode_record(kind, value)
    if kind == "baselines":
        segment = segment_from_json(rest[0])
        contents.feature_or_new(feature)
        contents.baselines.setdefault(feature, {})[segment] = {
            name: Baseline.from_state(state) for name, state in values.items()
        }
        return kind, feature, segment
    if kind == "weights":
        segment = segment_from_json(rest[0])
        contents.feature_or_new(feature).weights.memories[segment] = {
            name: WeightMemory.from_state(state) for name, state in values.items()
        }
        return kind, feature, segment
    if kind == "incident":
        segment, rule = segment_from_json(rest[0]), rest[1]
        contents.feature_or_new(feature)
        contents.incidents.setdefault(feature, {})[segment, rule] = Incident.from_state_values(values)
        return kind, feature, segment, rule
    if kind == "episode":
        contents.feature_or_new(feature)
        contents.episodes[feature] = Episode.from_state_values(feature, values)
        return kind, feature
    *state, evaluators = values
    contents.feature_or_new(feature).restore_state(state)
    contents.evaluators[feature] = evaluators
    return kind, feature


def _restore_clock(contents: PartitionContents, value: bytes) -> None:
    digest, watermark_us, rolled_us, dead_letters, forwarded, left_out = decode_record("clock", value)
    if digest != contents.digest:
        raise ValueError(
            f"it was counted with {digest}, the configuration says {contents.digest}; set it back, or use"
            " a new kafka.prefix"
        )
    contents.watermark_us, contents.rolled_us = watermark_us, rolled_us
    contents.dead_letters, contents.forwarded, contents.left_out = dead_letters, forwarded, left_out


def _restore_block(
    contents: PartitionContents, kind: str, feature: FeatureKey, rest: list[Any], value: bytes
) -> Part:
    """Restore a pane or a text block."""
    segment_key, resolution, start_us = segment_from_json(rest[0]), rest[1], rest[2]
    resolutions = (FINE, HOUR, DAY, LATE) if kind == "pane" else (FINE, HOUR)
    if segment_key is None or resolution not in resolutions or not isinstance(start_us, int):
        raise ValueError("no such pane" if kind == "pane" else "no such block of texts")
    state, start_us = decode_record(kind, value), shared_start(start_us)
    if kind == "texts":
        block = TextBlock.from_state(start_us, state)
        contents.segment_or_new(feature, segment_key).texts[resolution][start_us] = block
        return kind, feature, segment_key, resolution, start_us
    pane = Pane.from_state(start_us, state)
    segment = contents.segment_or_new(feature, segment_key)
    segment.panes_by_resolution[resolution][start_us] = pane
    segment.active_us = max(segment.active_us, start_us)
    if pane.stale:
        contents.unwritten.setdefault(start_us, set()).add((feature, segment_key))
    return kind, feature, segment_key, resolution, start_us
