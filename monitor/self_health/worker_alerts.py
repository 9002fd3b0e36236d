"""Findings about softfail itself become episodes: one for the whole deployment, and one for each channel that
does not deliver.

Fed with heartbeats of all partitions; the wall clock is an argument. What it holds is durable, so a restart
neither repeats an episode nor forgets one; only who was heard of when is learnt anew, with the whole patience
again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from monitor.protocol.messages import Outputs, to_json
from monitor.protocol.metrics import Measure
from monitor.protocol.service import MONITOR, subject_of
from monitor.self_health.finding_state import Holding, Report
from monitor.self_health.health_episodes import Telling
from monitor.self_health.partition_health import Found, Shares
from monitor.wording.explanation import with_text
from monitor.wording.number_format import span
from schemas.config.monitor_config import Config
from schemas.records import Heartbeat
from schemas.times import microseconds

STATE = b"health/"  # before its state records
LEAST_SILENCE_US = 60_000_000  # a restart and a rebalance are no silence
GAP_US = 30_000_000  # after such a time without a look nobody is blamed for silence
# a finding stays, once it is no longer reported
_KEPT_US = {"lost-records": 3_600_000_000, "refused": 3_600_000_000, "recovery": 3_600_000_000}
_SEEN = b"health/seen"


class HealthDesk:
    """Opens, updates and ends episodes of the service ``softfail``."""

    def __init__(self, config: Config) -> None:
        self._window_us = round(config.health.window * 1e6)
        self._holdings: dict[tuple[str, str], Holding] = {}  # of subject and finding
        self._telling = Telling(config)
        self._partitions = 0
        self._refused: dict[str, int] = {}  # channel -> refusals that are accounted for
        self._heard: dict[int, tuple[int, Heartbeat]] = {}
        self._shares = Shares(config.health)
        self._began_us = self._looked_us = 0
        self._dirty: dict[bytes, None] = {}

    def take(self, beat: Heartbeat, now_us: int) -> None:
        """Take a heartbeat. ``now_us``: wall clock, microseconds since 1970."""
        found = [
            Found(finding.name, finding.severity, finding.text, microseconds(finding.since), finding.value)
            for finding in beat.findings
        ]
        if beat.agent != "watch":
            return
        if beat.partitions != self._partitions:
            self._partitions = beat.partitions
            self._dirty[_SEEN] = None
        self._heard[beat.partition] = now_us, beat
        self._report(
            MONITOR, str(beat.partition), found, now_us, knows=beat.observed_s * 1e6 >= self._window_us
        )

    def channel(
        self,
        name: str,
        open_since_us: int | None,
        open_reason: str,
        refused: int,
        refused_reason: str,
        now_us: int,
    ) -> None:
        """Take how a channel does: since when its breaker is open, and how many steps it has refused for
        good, ever.
        """
        found = []
        if open_since_us is not None and now_us - open_since_us >= self._window_us:
            found.append(
                Found(
                    "channel-down",
                    "error",
                    f"{name} takes nothing: {open_reason or 'no answer'}",
                    open_since_us,
                )
            )
        known = self._refused.get(name, 0)
        if refused != known:
            self._refused[name] = refused
            self._dirty[_SEEN] = None
        if refused > known:
            text = f"{name} refuses for good what it is told: {refused_reason}; it is in the dead letters"
            found.append(Found("refused", "error", text, now_us))
        self._report(subject_of(name), name, found, now_us, knows=True)

    def look(self, now_us: int) -> Outputs:
        """What became of it all: records for ``alerts``. Call it often, and only when all heartbeats that
        there are were taken.
        """
        if not self._began_us or now_us - self._looked_us > GAP_US or now_us < self._looked_us:
            self._began_us = now_us
        self._looked_us = now_us
        aware = now_us - self._began_us >= self._window_us
        self._report(MONITOR, "all", self._summed(now_us), now_us, knows=aware)
        self._report_silence(now_us, aware=aware)
        out = Outputs()
        for at, holding in list(self._holdings.items()):
            if holding.expire(now_us, _KEPT_US.get(at[1], 0)):
                self._dirty[_key("finding", *at)] = None
            if not holding.reports:
                del self._holdings[at]
        for subject in sorted({*self._telling.episodes, *(subject for subject, _ in self._holdings)}):
            held = {name: one for (about, name), one in self._holdings.items() if about == subject}
            if (told := self._telling.tell(subject, held, self._partitions, now_us, out)) is not None:
                self._dirty |= dict.fromkeys(
                    [_key("episode", subject), *(_key("finding", subject, name) for name in told)]
                )
        return out

    def _summed(self, now_us: int) -> list[Found]:
        """What no partition sees for itself, because it is spread over all of them."""
        total: dict[str, int] = {}
        for heard_us, beat in self._heard.values():
            if now_us - heard_us < self._window_us:
                for name, n in beat.counts.items():
                    total[name] = total.get(name, 0) + n
        found = self._shares.judge(total, self._window_us / 1e6, now_us)
        return [] if self._partitions == 1 else found

    def _report_silence(self, now_us: int, *, aware: bool) -> None:
        limit_us = max(self._window_us, LEAST_SILENCE_US)
        text = (
            f"no heartbeat for {span(round(limit_us / 1e6))}: nobody owns it, or its worker hangs; what is"
            " published there is not measured"
        )
        heard = self.heard()
        for part, heard_us in [
            *((str(number), at_us) for number, at_us in heard.items()),
            ("all", now_us if heard else 0),
        ]:
            since_us = max(heard_us, self._began_us)
            silent = (
                [Found("no-heartbeat", "error", text, since_us)]
                if aware and now_us - since_us >= limit_us
                else []
            )
            self._report(
                MONITOR, part, silent, now_us, knows=now_us - heard_us < limit_us, only="no-heartbeat"
            )

    def _report(
        self,
        subject: str,
        part: str,
        found: list[Found],
        now_us: int,
        *,
        knows: bool,
        only: str | None = None,
    ) -> None:
        """Take what one part finds now; what it does not find is well again, if it ``knows``."""
        for one in found:
            holding = self._holdings.setdefault((subject, one.name), Holding())
            holding.report(part, Report(one.severity, one.since_us, one.text, one.value))
            self._dirty[_key("finding", subject, one.name)] = None
        names = {one.name for one in found}
        for (about, name), holding in self._holdings.items():
            if (
                about == subject
                and name not in names
                and (name == only if only else name != "no-heartbeat")
                and knows
                and holding.clear(part, now_us)
            ):
                self._dirty[_key("finding", subject, name)] = None

    # what is shown and kept

    def heard(self) -> dict[int, int]:
        """When each partition that there is was heard of last: wall clock, microseconds since 1970; 0: not
        since this desk began.
        """
        return {
            partition: self._heard[partition][0] if partition in self._heard else 0
            for partition in range(self._partitions)
        }

    @property
    def looked_us(self) -> int:
        """When it looked last, as ``heard``: not while there are records to be read."""
        return self._looked_us

    def measures(self) -> Iterator[Measure]:
        """What /metrics shows: the same gauges as for any feature."""
        for episode in self._telling.episodes.values():
            at = episode.feature
            yield Measure("softfail_episodes", (*at, episode.urgency), 1)
            for incident in episode.shown_firing():
                yield Measure("softfail_incidents", (*at, incident.rule, incident.severity), 1)

    def episodes(self, now_us: int) -> list[dict[str, Any]]:
        """The open episodes, for the status page."""
        return [with_text(msgspec.to_builtins(record)) for record in self._telling.shown(now_us)]

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """State records that differ since the last call."""
        dirty, self._dirty = self._dirty, {}
        return [(key, self._value(key)) for key in dirty]

    def restore(
        self, records: Iterable[tuple[bytes, bytes]], counts: Mapping[str, Mapping[str, int]]
    ) -> None:
        """Take back what ``changed`` gave; ``counts``: of deliveries by channel and result, which count as
        known where no record says otherwise.

        Raises:
            ValueError: a record cannot be read; names its key.
        """
        self._refused = {channel: results.get("refused", 0) for channel, results in counts.items()}
        for key, value in records:
            try:
                raw, at = json.loads(value), key.decode().split("/")
                if key == _SEEN:
                    self._partitions, self._refused = int(raw["partitions"]), dict(raw["refused"])
                elif at[1] == "episode":
                    self._telling.restore(at[2], raw)
                elif at[1] == "finding":
                    self._holdings[at[2], at[3]] = Holding.of(raw)
                else:
                    raise ValueError("no record of the health desk")
            except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
                raise ValueError(f"state record {key!r}: {error}") from None

    def _value(self, key: bytes) -> bytes | None:
        _, kind, *at = key.decode().split("/")
        if kind == "seen":
            return to_json({"partitions": self._partitions, "refused": self._refused})
        if kind == "episode":
            episode = self._telling.plain(at[0])
            return to_json(episode) if episode else None
        holding = self._holdings.get((at[0], at[1]))
        return to_json(holding.plain()) if holding else None


def _key(*parts: str) -> bytes:
    return STATE + "/".join(parts).encode()
