"""What all workers have published, as a value: features, open episodes, transitions, silences, heartbeats and
failing answers. Fed with the records of the topics ``windows``, ``alerts`` and ``samples``; memory is bounded.

Records may come again and in any order between partitions. A record that cannot be read is skipped: nothing
is decided here.
"""

from __future__ import annotations

import json
from collections import OrderedDict, deque
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from monitor.channels.links import with_trace_urls
from monitor.delivery.silences import Silences
from monitor.fleet.judge_figures import JudgeFigures
from monitor.fleet.published_windows import PublishedSeries, PublishedWindow
from monitor.protocol.messages import Record
from monitor.wording.explanation import with_text
from schemas.config.monitor_config import Config
from schemas.record_kinds import record_kind
from schemas.records import Silence

FEATURES = 5_000
"""Features that are kept; the least recently active leaves first."""
EPISODES = 5_000
"""Open episodes that are kept, and as many ids of those that have ended."""
SAMPLED_FEATURES, SAMPLES = 500, 3
"""Features whose failing answers are kept, and how many of each."""
RECENT = 50
SEGMENTS = 200
IDLE_US = 24 * 3600 * 1_000_000
"""A feature without a window for so long is not shown."""

_Name = tuple[str, str, str]


class _Labels(msgspec.Struct):
    level: str
    service: str
    feature: str
    environment: str
    model: str = ""
    prompt_version: str = ""
    variant: str = ""
    dimensions: dict[str, str] = {}

    @property
    def segment(self) -> tuple[object, ...]:
        """What distinguishes the segments of a feature."""
        return self.model, self.prompt_version, self.variant, tuple(self.dimensions.items())


class _Shown:
    """One feature: its windows, its partition, and its segments."""

    def __init__(self, partition: int) -> None:
        self.series, self.partition = PublishedSeries(), partition
        self.segments: OrderedDict[tuple[object, ...], None] = OrderedDict()


class Fleet:
    """The read model. Times are microseconds since 1970.

    Args:
        config: for the silences that it plans.
    """

    def __init__(self, config: Config) -> None:
        self._features: OrderedDict[_Name, _Shown] = OrderedDict()
        self._edges_us: dict[int, int] = {}  # partition -> the end of its last window
        self._episodes: OrderedDict[str, tuple[int, bytes]] = OrderedDict()  # id -> offset, record
        self._ended: OrderedDict[str, int] = OrderedDict()  # id -> offset
        self._texts: dict[str, tuple[int, dict[str, Any]]] = {}  # id -> offset, record with text
        self._recent: deque[dict[str, Any]] = deque(maxlen=RECENT)
        self._silences, self._links = Silences(config.silences), config.links
        self._heartbeats: dict[int, dict[str, Any]] = {}
        self._judges = JudgeFigures()
        self._samples: OrderedDict[tuple[str, str], deque[bytes]] = OrderedDict()
        self._decode_labels = msgspec.json.Decoder(_Labels).decode
        self._decode_window = msgspec.json.Decoder(PublishedWindow).decode

    # incoming records

    def take(self, topic: str, record: Record, now_us: int) -> None:
        """Take a record. ``topic``: ``windows``, ``alerts`` or ``samples``."""
        if record.value is None:
            return
        try:
            if topic == "windows":
                self._take_window(record, record.value)
            elif topic == "samples":
                self._take_sample(record.value)
            else:
                self._take_alert(record, record.value, now_us)
        except (ValueError, KeyError, TypeError, msgspec.MsgspecError, RecursionError):
            return

    def _take_window(self, record: Record, value: bytes) -> None:
        labels = self._decode_labels(value)
        name = labels.service, labels.feature, labels.environment
        shown = self._features.get(name)
        if shown is None:
            shown = self._features[name] = _Shown(record.partition)
        self._features.move_to_end(name)
        while len(self._features) > FEATURES:
            self._features.popitem(last=False)
        if labels.level == "segment":
            shown.segments[labels.segment] = None
            if len(shown.segments) > SEGMENTS:
                shown.segments.popitem(last=False)
            return
        shown.series.add(self._decode_window(value))
        shown.partition = record.partition
        self._edges_us[record.partition] = max(self._edges_us.get(record.partition, 0), shown.series.end_us)

    def _take_alert(self, record: Record, value: bytes, now_us: int) -> None:
        kind = record_kind(value, record.headers)
        if kind == "episode":
            self._take_episode(json.loads(value), record.offset, value)
        elif kind == "transition":
            self._recent.append(json.loads(value))
        elif kind == "silence":
            self._silences.take(Silence.model_validate_json(value), now_us)
        elif kind == "judged":
            self._judges.take(value)
        elif kind == "health":
            heartbeat = json.loads(value)
            if heartbeat["agent"] == "watch":
                self._heartbeats[int(heartbeat["partition"])] = heartbeat

    def _take_episode(self, episode: dict[str, Any], offset: int, value: bytes) -> None:
        name = str(episode["episode_id"])
        if offset < max(self._episodes.get(name, (0, b""))[0], self._ended.get(name, 0)):
            return  # read again after a reconnect
        if episode["state"] == "resolved":
            self._episodes.pop(name, None)
            self._texts.pop(name, None)
            self._ended[name] = offset
        else:
            self._episodes[name] = offset, value
        for kept in (self._episodes, self._ended):
            while len(kept) > EPISODES:
                kept.popitem(last=False)

    def _take_sample(self, value: bytes) -> None:
        labels = json.loads(value)
        name = labels["service"], labels["feature"]
        self._samples.setdefault(name, deque(maxlen=SAMPLES)).append(value)
        self._samples.move_to_end(name)
        while len(self._samples) > SAMPLED_FEATURES:
            self._samples.popitem(last=False)

    # what is shown

    def refresh(self) -> Iterator[None]:
        """Bring the figures of all features up to date in short steps, so that ``status`` is quick."""
        for name in list(self._features):
            if (shown := self._features.get(name)) is not None:
                self._figures(shown)
            yield

    def status(self, now_us: int) -> dict[str, Any]:
        """Return what the status page shows of all workers, with the fields of ``monitor.status``.

        A feature has no account: the counters of a partition are known to its worker only.
        """
        self._silences.drop_expired(now_us)
        features = [
            self._feature(name, shown)
            for name, shown in sorted(self._features.items())
            if shown.series.end_us >= now_us - IDLE_US
        ]
        return {
            "features": features,
            "episodes": [self._with_text(name) for name in sorted(self._episodes)],
            "recent": list(self._recent),
            "silences": [
                {**silence.status(until_us), "holds": 0}
                for silence, until_us in self._silences.active(now_us)
            ],
            "judges": self._judges.status(now_us),
            "partitions": [
                {"agent": "watch", "partition": partition, "heard_at": heartbeat["time"]}
                for partition, heartbeat in sorted(self._heartbeats.items())
            ],
        }

    def samples(self, match: str) -> list[dict[str, Any]]:
        """Return the last failing answers of the features that a pattern matches, the newest first.

        ``match``: ``service/feature`` with * and ?; empty for all.
        """
        decoded = [
            json.loads(value)
            for name, values in self._samples.items()
            if not match or fnmatchcase("/".join(name), match)
            for value in values
        ]
        return sorted(decoded, key=lambda sample: str(sample.get("time", "")), reverse=True)

    def _feature(self, name: _Name, shown: _Shown) -> dict[str, Any]:
        service, feature, environment = name
        return {
            "service": service,
            "feature": feature,
            "environment": environment,
            **self._figures(shown),
            "segments": len(shown.segments),
        }

    def _figures(self, shown: _Shown) -> dict[str, Any]:
        return shown.series.figures(self._edges_us.get(shown.partition, shown.series.end_us))

    def _with_text(self, name: str) -> dict[str, Any]:
        offset, value = self._episodes[name]
        previous = self._texts.get(name)
        if previous is None or previous[0] != offset:
            self._texts[name] = previous = offset, self._explained(json.loads(value))
        return previous[1]

    def _explained(self, episode: dict[str, Any]) -> dict[str, Any]:
        """Add text to an episode; one of a newer release that cannot be read stays as it is."""
        try:
            return with_trace_urls(with_text(episode), self._links)
        except ValueError:
            return episode
