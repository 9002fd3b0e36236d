"""Seeded stream of events with a known truth: all kinds of defective events, and faults that must page.

INTERFACE

- ``Corpus(seed, partitions=4, speed=40.0, length_s=120.0, jump_at=0.5)``: ``length_s``: seconds of the
  publisher's clock with defective events and faults. ``jump_at``: the share of it at which all clocks skip a
  week (None: no jump).
- ``corpus.settings() -> dict``: the softfail configuration of the corpus, without kafka, http and channels.
- ``corpus.message(elapsed_s) -> Message(key, value, partition, headers, meant)``: the next message at this
  time of the publisher's clock, in seconds, which never decreases. ``value`` may be None; publish it as null.
  ``partition`` None: choose it by the hash of the key, or any partition if the key is None. ``headers``: list
  of (str, bytes). ``meant``: the kind of message ("plain", "late", "poison:...", "misplaced", ...), to count
  the published messages by kind.
- ``corpus.faults -> list[Fault(service, feature, environment, metric, begin, end)]``: true faults, times RFC
  3339 (event time).
- ``corpus.calm_from_s``: from then on (0.85 of length_s) all events are healthy, in their partition and in
  order. After ``length_s``, ``message`` continues like that without end. Publish until ``elapsed_s >=
  length_s`` and the workers have caught up, then 3 s more, so that no output depends on the wall clock. At
  ``speed`` 40 publish at least 300 messages a second: with fewer, a fault may be detected late or not at all.
  A fault of n s of event time lasts n / speed s of the clock. An outage of a channel must be shorter, or the
  page becomes a note.

Event time runs ``speed`` times as fast as the publisher's clock, from 2026-03-02 on, so that the wall clock
closes no pane before the end. For the same reason, events in order are at most 1 s late and late events at
least 32 s: their pane is closed, however far the wall clock advanced during a pause. A producer whose clock
is ahead sends bursts that leave the watermark just before an edge.
"""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from tests.durability.soak import corpus_values as values
from tests.durability.soak.corpus_faults import spans
from tests.durability.soak.oracle_events import partition_of

BEGIN = datetime(2026, 3, 2, 9, 6, 40, tzinfo=UTC)
WEEK_S = 7 * 86_400
CALM = 0.85  # share of the run after which all events are healthy
PANE_S, LATENESS_S = 10, 20
AHEAD_S, BEHIND_S = 180, 150  # errors of clocks
SOURCES = (*(f"shop/f{n}" for n in range(5)), *(f"bot/f{n}" for n in range(5, 10)), "desk/f10", "desk/canary")
OFTEN = tuple(3 if source == "bot/f8" else 1 for source in SOURCES)


class Message(NamedTuple):
    """Message to publish; see the interface above."""

    key: bytes | None
    value: bytes | None
    partition: int | None = None
    headers: tuple[tuple[str, bytes], ...] = ()
    meant: str = "plain"


class Fault(NamedTuple):
    """True fault, in event time (RFC 3339)."""

    service: str
    feature: str
    environment: str
    metric: str
    begin: str
    end: str


class Corpus:
    """Corpus of a seed; see the interface above."""

    def __init__(
        self,
        seed: int,
        partitions: int = 4,
        speed: float = 40.0,
        length_s: float = 120.0,
        jump_at: float | None = 0.5,
    ) -> None:
        self.partitions, self.speed, self.length_s, self.calm_from_s = (
            partitions,
            speed,
            length_s,
            CALM * length_s,
        )
        self._rng = random.Random(seed)
        self._jump_s = None if jump_at is None else jump_at * length_s * speed
        self._spans = spans(
            random.Random(seed + 1), SOURCES, length_s * speed, CALM * length_s * speed, self._jump_s
        )
        last_s = CALM * length_s * speed - 2 * AHEAD_S
        self._bursts = [
            second
            for second in range(300, int(last_s), 1500)
            if self._jump_s is None or abs(second - self._jump_s) > 2 * AHEAD_S
        ]
        self._ahead: list[float] = []  # event times of the current burst
        self._number = 0

    @property
    def faults(self) -> list[Fault]:
        """Return the faults that must page, in order of their start."""
        return [
            Fault(
                *span.source.split("/"),
                "production",
                span.metric,
                self._rfc3339(span.begin_s),
                self._rfc3339(span.end_s),
            )
            for span in self._spans
        ]

    def settings(self) -> dict[str, Any]:
        """Return the softfail configuration of the corpus."""
        return values.settings(PANE_S, LATENESS_S)

    def message(self, elapsed_s: float) -> Message:
        """Return the next message at ``elapsed_s`` seconds after the publisher started."""
        rng, world_s = self._rng, elapsed_s * self.speed
        self._number += 1
        if self._bursts and world_s >= self._bursts[0]:
            edge_s = (self._event_s(self._bursts.pop(0)) + AHEAD_S) // PANE_S * PANE_S
            self._ahead = [edge_s + LATENESS_S + rng.random() * 0.4 for _ in range(4)]
        if self._ahead:
            return self._at(self._ahead.pop(), world_s, "ahead", SOURCES[len(self._bursts) % len(SOURCES)])
        if elapsed_s >= self.calm_from_s:
            return self._at(self._event_s(world_s) - rng.random(), world_s, "plain")
        chance = rng.random()
        for share, make in self._ODD:
            if chance < share:
                return make(self, world_s)
            chance -= share
        return self._at(self._event_s(world_s) - rng.random(), world_s, "plain")

    def _at(self, event_s: float, world_s: float, meant: str, source: str | None = None) -> Message:
        rng = self._rng
        source = source or rng.choices(SOURCES, OFTEN)[0]
        span = next(
            (span for span in self._spans if span.source == source and span.begin_s <= world_s < span.end_s),
            None,
        )
        event, kind = values.event(rng, source, span.metric if span else "", f"{self._number:x}")
        text = self._written(event_s)
        value = json.dumps({**event, "time": text}, ensure_ascii=rng.random() < 0.5).encode()
        return Message(
            source.encode(), value, None, (), kind if meant == "plain" and kind != "response" else meant
        )

    def _late(self, world_s: float) -> Message:
        return self._at(self._event_s(world_s) - self._rng.uniform(32, 300), world_s, "late")

    def _very_late(self, world_s: float) -> Message:
        return self._at(self._event_s(world_s) - self._rng.uniform(300, 6900), world_s, "very late")

    def _behind(self, world_s: float) -> Message:
        return self._at(self._event_s(world_s) - BEHIND_S - self._rng.random(), world_s, "behind", SOURCES[0])

    def _expired(self, world_s: float) -> Message:
        return self._at(self._event_s(world_s) - self._rng.uniform(8000, 20_000), world_s, "expired")

    def _poison(self, world_s: float) -> Message:
        valid = self._at(self._event_s(world_s), world_s, "plain")
        name, value = values.poison(self._rng, valid.value or b"")
        return Message(valid.key, value, None, (), f"poison:{name}")

    def _misplaced(self, world_s: float) -> Message:
        valid = self._at(self._event_s(world_s) - self._rng.random(), world_s, "plain")
        right = partition_of(*(valid.key or b"").decode().split("/"), self.partitions)
        other = (
            (right + self._rng.randrange(1, self.partitions)) % self.partitions
            if self.partitions > 1
            else right
        )
        return valid._replace(
            partition=other, headers=(("traceparent", b"00-%x" % self._number),), meant="misplaced"
        )

    def _keyless(self, world_s: float) -> Message:
        return self._at(self._event_s(world_s) - self._rng.random(), world_s, "plain")._replace(
            key=None, meant="without key"
        )

    def _miskeyed(self, world_s: float) -> Message:
        return self._at(self._event_s(world_s) - self._rng.random(), world_s, "plain")._replace(
            key=b"another/key", meant="wrong key"
        )

    _ODD = (
        (0.02, _late),
        (0.002, _very_late),
        (0.005, _behind),
        (0.003, _expired),
        (0.01, _poison),
        (0.01, _misplaced),
        (0.005, _keyless),
        (0.005, _miskeyed),
    )

    def _event_s(self, world_s: float) -> float:
        return world_s + (WEEK_S if self._jump_s is not None and world_s >= self._jump_s else 0)

    def _written(self, event_s: float) -> str:
        time = BEGIN + timedelta(seconds=event_s)
        form = self._rng.randrange(4)
        if form == 0:
            return time.astimezone(values.BERLIN).isoformat()
        return time.isoformat().replace(
            "+00:00", f"{self._rng.randrange(1000):03}Z" if form == 1 and time.microsecond else "Z"
        )

    def _rfc3339(self, world_s: float) -> str:
        return (BEGIN + timedelta(seconds=round(self._event_s(world_s)))).isoformat().replace("+00:00", "Z")
