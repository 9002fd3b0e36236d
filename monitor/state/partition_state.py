"""All that is counted in one partition, and which of it differs from what is durable."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from monitor.incidents.episode import Episode
from monitor.incidents.incident import Incident
from monitor.rules.learned_baseline import Baseline
from monitor.windows import format_versions
from monitor.windows.feature_series import DAY, FINE, HOUR, FeatureState, SegmentSeries
from monitor.windows.pane import Pane, merge_rates
from monitor.windows.segment_keys import OVERFLOW, FeatureKey, SegmentKey, segment_from_json, segment_to_json
from monitor.windows.text_blocks import BLOCK_US, TextBlock

MAX_MIGRATED = 2000  # records of an older layout that are written anew at a checkpoint

_key = msgspec.json.Encoder().encode
_read_key = msgspec.json.Decoder().decode


class PartitionState:
    """Features, incidents and episodes of one partition, as a value that can be taken apart into records and
    put together again.
    """

    def __init__(self, pane_us: int, digest: str) -> None:
        self.pane_us = pane_us
        self.digest = digest  # of what shapes the panes; state of another shape is refused
        self.features: dict[FeatureKey, FeatureState] = {}
        self.incidents: dict[FeatureKey, dict[tuple[SegmentKey | None, str], Incident]] = {}
        self.episodes: dict[FeatureKey, Episode] = {}
        self.watermark_us: int | None = None
        self.rolled_us = 0  # hours before this edge hold no fine panes
        self.dead_letters: dict[str, int] = {}
        self.forwarded = 0
        # pane start -> panes counted into since their window was written
        self.unwritten: dict[int, set[tuple[FeatureKey, SegmentKey]]] = {}
        # name -> identity, and from which pane on it counts
        self.evaluators: dict[FeatureKey, dict[str, tuple[str, int]]] = {}
        self.baselines: dict[FeatureKey, dict[SegmentKey | None, dict[str, Baseline]]] = {}
        self._dirty: dict[tuple[Any, ...], None] = {}
        # what was read in an older layout and not written since
        self._outdated: dict[tuple[Any, ...], None] = {}

    def feature(self, key: FeatureKey) -> FeatureState:
        """The feature, made when it is first asked for."""
        state = self.features.get(key)
        if state is None:
            state = self.features[key] = FeatureState(key)
        self._dirty["feature", key] = None
        return state

    def pane(self, feature: FeatureState, segment: SegmentSeries, start_us: int) -> Pane:
        """The fine pane to count into, made when it is first asked for; it will be written at its edge, or at
        the next one if that is past.
        """
        pane = segment.panes.get(start_us)
        if pane is None:
            pane = segment.panes[start_us] = Pane(start_us)
        pane.open_for_counting()
        segment.active_us = max(segment.active_us, start_us)
        feature.invalidate_pane(start_us)
        self.unwritten.setdefault(start_us, set()).add((feature.key, segment.key))
        self._dirty["pane", feature.key, segment.key, FINE, start_us] = None
        return pane

    def texts(
        self, feature: FeatureState, segment: SegmentSeries, start_us: int, will_change: bool
    ) -> TextBlock:
        """The block of texts for what lies in the pane from ``start_us`` on; kept when it will change."""
        at_us = start_us // BLOCK_US * BLOCK_US
        block = segment.texts[FINE].get(at_us)
        if block is None:
            block = TextBlock(at_us)
        if will_change:
            segment.texts[FINE][at_us] = block
            # what a reference of texts holds are whole blocks
            if at_us + BLOCK_US <= feature.references_until_us:
                feature.clear_references()
            self.mark_texts(feature.key, segment.key, FINE, at_us)
        return block

    def overflow(self, feature: FeatureState) -> None:
        """The least recently active segment leaves: what it holds goes to `other`. Windows already written
        stay as they are.
        """
        leaving = feature.least_active()
        other = feature.segments.get(OVERFLOW) or feature.segments.setdefault(
            OVERFLOW, SegmentSeries(OVERFLOW)
        )
        for resolution, panes in leaving.panes_by_resolution.items():
            for start_us, pane in panes.items():
                target = other.panes_by_resolution[resolution].get(start_us)
                if target is None:
                    target = other.panes_by_resolution[resolution][start_us] = Pane(start_us)
                closed = merge_rates(target.closed_rates(), pane.closed_rates())
                target.merge(pane)
                on_time = target.revision > target.late or pane.revision > pane.late
                target.late += pane.late
                target.revision = target.late + on_time
                target.stale = target.stale or pane.stale
                target.rates_at_close = closed if closed and target.stale else None
                if pane.stale:
                    self.unwritten.setdefault(start_us, set()).add((feature.key, OVERFLOW))
                    self.unwritten[start_us].discard((feature.key, leaving.key))
                feature.invalidate_pane(start_us)
                self.mark_pane(feature.key, leaving.key, resolution, start_us)
                self.mark_pane(feature.key, OVERFLOW, resolution, start_us)
        for resolution, blocks in leaving.texts.items():
            for start_us, block in blocks.items():
                other.texts[resolution].setdefault(start_us, TextBlock(start_us)).merge(block)
                self.mark_texts(feature.key, leaving.key, resolution, start_us)
                self.mark_texts(feature.key, OVERFLOW, resolution, start_us)
        other.active_us = max(other.active_us, leaving.active_us)
        self.drop_segment(feature, leaving.key)
        feature.overflowed += 1
        self.mark_feature(feature.key)

    def drop_segment(self, feature: FeatureState, key: SegmentKey) -> None:
        """A segment that holds nothing any more is gone, and with it what was learnt of it."""
        del feature.segments[key]
        if self.baselines.get(feature.key, {}).pop(key, None) is not None:
            self.mark_baselines(feature.key, key)

    def drop_feature(self, key: FeatureKey) -> None:
        """The same of a whole feature."""
        del self.features[key]
        for at in self.baselines.pop(key, {}):
            self.mark_baselines(key, at)

    def mark_baselines(self, feature: FeatureKey, segment: SegmentKey | None) -> None:
        """What was learnt of a series has changed."""
        self._dirty["baselines", feature, segment] = None

    def mark_pane(self, feature: FeatureKey, segment: SegmentKey, resolution: str, start_us: int) -> None:
        """A pane has changed, or is gone."""
        self._dirty["pane", feature, segment, resolution, start_us] = None

    def mark_texts(self, feature: FeatureKey, segment: SegmentKey, resolution: str, start_us: int) -> None:
        """A block of texts has changed, or is gone."""
        self._dirty["texts", feature, segment, resolution, start_us] = None

    def mark_feature(self, feature: FeatureKey) -> None:
        """A feature's own figures have changed, or it is gone."""
        self._dirty["feature", feature] = None

    def mark_incident(self, feature: FeatureKey, segment: SegmentKey | None, rule: str) -> None:
        """An incident has changed, or is over."""
        self._dirty["incident", feature, segment, rule] = None

    def mark_episode(self, feature: FeatureKey) -> None:
        """An episode has changed, or is over."""
        self._dirty["episode", feature] = None

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """Records that differ since the last call; None deletes. With them go some that were read in an older
        layout, until none is left.
        """
        dirty, self._dirty = self._dirty, {}
        for at in list(self._outdated)[:MAX_MIGRATED]:
            del self._outdated[at]
            dirty[at] = None
        for at in dirty:
            if at[0] == "feature" and at[1] not in self.features:
                self.evaluators.pop(at[1], None)
        return [
            *((self._record_key(at), self._record_value(at)) for at in dirty),
            (_key(["clock"]), self._clock()),
        ]

    def restore(self, records: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Put together again what ``changed`` gave, in the order of the log.

        Raises:
            ValueError: a record cannot be read, or is of an unknown layout or another pane length; the
                message names its key.
        """
        for key, value in dict(records).items():  # of each key the last
            if value is not None:
                try:
                    at = self._take(_read_key(key), value)
                except (
                    msgspec.MsgspecError,
                    ValueError,
                    TypeError,
                    KeyError,
                    IndexError,
                    OverflowError,
                ) as error:
                    raise ValueError(f"state record {key!r} cannot be read: {error}") from None
                if at is not None and format_versions.record_layout(value) != format_versions.LAYOUT:
                    self._outdated[at] = None

    def _record_key(self, at: tuple[Any, ...]) -> bytes:
        kind, feature, *rest = at
        if kind in ("pane", "texts"):
            segment, resolution, start_us = rest
            return _key([kind, *feature, segment_to_json(segment), resolution, start_us])
        if kind == "baselines":
            return _key([kind, *feature, segment_to_json(rest[0])])
        if kind == "incident":
            segment, rule = rest
            return _key(["incident", *feature, segment_to_json(segment), rule])
        return _key([kind, *feature])

    def _record_value(self, at: tuple[Any, ...]) -> bytes | None:
        kind, feature, *rest = at
        if kind == "pane":
            segment, resolution, start_us = rest
            held = self.features[feature].segments.get(segment) if feature in self.features else None
            pane = held.panes_by_resolution[resolution].get(start_us) if held else None
            if pane is None:
                return None
            written = pane.state()
            # a week of hours stays, and each is built anew when a rule looks so far back
            if resolution != FINE:
                pane.pack(written)
            return format_versions.encode_record(written)
        if kind == "texts":
            segment, resolution, start_us = rest
            holder = self.features[feature].segments.get(segment) if feature in self.features else None
            block = holder.texts[resolution].get(start_us) if holder else None
            return format_versions.encode_record(block.state()) if block else None
        if kind == "baselines":
            learnt = self.baselines.get(feature, {}).get(rest[0])
            return (
                format_versions.encode_record({name: learnt[name].state() for name in sorted(learnt)})
                if learnt
                else None
            )
        if kind == "incident":
            incident = self.incidents.get(feature, {}).get((rest[0], rest[1]))
            return format_versions.encode_record(incident.state_values()) if incident else None
        if kind == "episode":
            episode = self.episodes.get(feature)
            return format_versions.encode_record(episode.state_values()) if episode else None
        state = self.features.get(feature)
        return (
            format_versions.encode_record([*state.state(), self.evaluators.get(feature, {})])
            if state
            else None
        )

    def _clock(self) -> bytes:
        return format_versions.encode_record(
            [self.digest, self.watermark_us, self.rolled_us, self.dead_letters, self.forwarded]
        )

    def _take(self, key: Any, value: bytes) -> tuple[Any, ...] | None:
        """Take one record in; what it is of, as ``_dirty`` names it."""
        if not isinstance(key, list) or not key or not isinstance(key[0], str):
            raise ValueError("it is none of softfail's")
        kind = key[0]
        if kind == "clock":
            digest, watermark_us, rolled_us, dead_letters, forwarded = format_versions.decode_record(
                kind, value
            )
            if digest != self.digest:
                raise ValueError(
                    f"it was counted with {digest}, the configuration says {self.digest}; set it back, or use"
                    " a new kafka.prefix"
                )
            self.watermark_us, self.rolled_us, self.dead_letters, self.forwarded = (
                watermark_us,
                rolled_us,
                dead_letters,
                forwarded,
            )
            return None
        feature = FeatureKey(*key[1:4])
        rest = key[4:]
        if len(rest) != {
            "feature": 0,
            "pane": 3,
            "incident": 2,
            "episode": 0,
            "baselines": 1,
            "texts": 3,
        }.get(kind, len(rest)):
            raise ValueError("its key is not as softfail writes them")
        if kind == "pane":
            segment, resolution, start_us = segment_from_json(rest[0]), rest[1], rest[2]
            if segment is None or resolution not in (FINE, HOUR, DAY) or not isinstance(start_us, int):
                raise ValueError("no such pane")
            self._take_pane(
                self._known(feature),
                segment,
                resolution,
                Pane.from_state(start_us, format_versions.decode_record(kind, value)),
            )
            return kind, feature, segment, resolution, start_us
        values = format_versions.decode_record(kind, value)
        if kind == "texts":
            segment, resolution, start_us = segment_from_json(rest[0]), rest[1], rest[2]
            if segment is None or resolution not in (FINE, HOUR) or not isinstance(start_us, int):
                raise ValueError("no such block of texts")
            state = self._known(feature)
            held = state.segments.get(segment) or state.segments.setdefault(segment, SegmentSeries(segment))
            held.texts[resolution][start_us] = TextBlock.from_state(start_us, values)
            return kind, feature, segment, resolution, start_us
        if kind == "baselines":
            segment = segment_from_json(rest[0])
            self._known(feature)
            self.baselines.setdefault(feature, {})[segment] = {
                name: Baseline.from_state(state) for name, state in values.items()
            }
            return kind, feature, segment
        if kind == "incident":
            segment, rule = segment_from_json(rest[0]), rest[1]
            self._known(feature)
            self.incidents.setdefault(feature, {})[segment, rule] = Incident.from_state_values(values)
            return kind, feature, segment, rule
        if kind == "episode":
            self._known(feature)
            self.episodes[feature] = Episode.from_state_values(feature, values)
        else:
            *state, evaluators = values
            self._known(feature).restore_state(state)
            self.evaluators[feature] = evaluators
        return kind, feature

    def _known(self, key: FeatureKey) -> FeatureState:
        return self.features.get(key) or self.features.setdefault(key, FeatureState(key))

    def _take_pane(self, feature: FeatureState, key: SegmentKey, resolution: str, pane: Pane) -> None:
        segment = feature.segments.get(key) or feature.segments.setdefault(key, SegmentSeries(key))
        segment.panes_by_resolution[resolution][pane.start_us] = pane
        segment.active_us = max(segment.active_us, pane.start_us)
        if pane.stale:
            self.unwritten.setdefault(pane.start_us, set()).add((feature.key, key))
