"""Turn findings about softfail itself into episodes: one for the whole deployment, and one for each channel
that does not deliver.

Fed with the heartbeats of all partitions; the wall clock is an argument. Its state is durable, so a restart
neither repeats an episode nor forgets one. Only the times of the last heartbeats are not: after a restart
each partition has the full time again to send one.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from monitor.protocol.messages import Outputs, to_json
from monitor.protocol.metrics import Measure
from monitor.protocol.service import MONITOR, subject_of
from monitor.self_health.channel_findings import channel_findings
from monitor.self_health.finding_state import FindingState, Report
from monitor.self_health.health_episodes import HealthEpisodes
from monitor.self_health.share_checks import HealthFinding, ShareChecks, coverage, described, findings_in
from monitor.wording.explanation import with_text
from monitor.wording.number_format import span
from schemas.config.monitor_config import Config
from schemas.records import Heartbeat

STATE_PREFIX = b"health/"  # of its state records
LEAST_SILENCE_US = 60_000_000  # a restart or a rebalance takes less than this
GAP_US = 30_000_000  # after such a time without an evaluation no partition counts as silent
DOUBT = 0.2  # of the window that a ticket waits while it may become a page
# how long a finding stays after its last report
_KEPT_US = {"lost-records": 3_600_000_000, "refused": 3_600_000_000, "recovery": 3_600_000_000}
_SEEN = b"health/seen"
_ALL = "all"  # the part that reports what concerns no single partition


class WorkerAlerts:
    """Open, update and resolve the episodes of the service ``softfail``."""

    def __init__(self, config: Config) -> None:
        self._window_us = round(config.health.window * 1e6)
        self._findings: dict[tuple[str, str], FindingState] = {}  # by subject and name
        self._episodes = HealthEpisodes(config)
        self._partitions = 0
        self._refused: dict[str, int] = {}  # channel -> refusals that were reported
        self._heartbeats: dict[
            int, tuple[int, Heartbeat]
        ] = {}  # the last of each partition, and when it came
        self._share_checks = ShareChecks(config.health)
        self._began_us = self._evaluated_us = 0
        self._changed: dict[bytes, None] = {}  # keys of state records, an ordered set

    # incoming records

    def take(self, heartbeat: Heartbeat, now_us: int) -> None:
        """Take a heartbeat. ``now_us``: wall clock, microseconds since 1970."""
        if heartbeat.agent == "judge":
            self._take_judges(heartbeat, now_us)
        if heartbeat.agent != "watch":
            return
        if heartbeat.partitions != self._partitions:
            self._partitions = heartbeat.partitions
            self._changed[_SEEN] = None
        self._heartbeats[heartbeat.partition] = now_us, heartbeat
        findings = seen_by_one = findings_in(heartbeat)
        if heartbeat.partitions > 1 and heartbeat.counts.get("records"):
            findings = [finding.as_one_partition_sees_it() for finding in findings]
        part, looked_long_enough = str(heartbeat.partition), heartbeat.observed_s * 1e6 >= self._window_us
        self._add(MONITOR, part, findings, now_us)
        if findings != seen_by_one:
            self._findings[MONITOR, "dead-letters"].may_rise = True
        if looked_long_enough:
            self._clear(MONITOR, part, {finding.name for finding in findings}, now_us)

    def _take_judges(self, heartbeat: Heartbeat, now_us: int) -> None:
        """Take the findings of a process of judges. That it is silent is no finding: it runs for tickets only."""
        part = f"judge/{heartbeat.partition}"
        self._add(MONITOR, part, findings_in(heartbeat), now_us)
        self._clear(MONITOR, part, {finding.name for finding in heartbeat.findings}, now_us)

    def check_channel(
        self,
        channel: str,
        open_since_us: int | None,
        open_reason: str,
        refused: int,
        refused_reason: str,
        now_us: int,
        *,
        unexpected: str | None = "",
    ) -> None:
        """Take the state of a channel.

        Args:
            channel: its name.
            open_since_us: since when its circuit breaker is open; None if it is closed.
            open_reason: why the last step failed.
            refused: how many steps it has ever refused.
            refused_reason: why it refused the last.
            now_us: wall clock, microseconds since 1970.
            unexpected: an answer since its last success that was not the receiver's own; empty: none; None:
                not known yet, so what was reported before stays.
        """
        if open_since_us is not None and now_us - open_since_us < self._window_us:
            open_since_us = None  # it may still close by itself
        previous = self._refused.get(channel, 0)
        if refused != previous:
            self._refused[channel] = refused
            self._changed[_SEEN] = None
        reason = refused_reason if refused > previous else None
        findings = channel_findings(channel, open_since_us, open_reason, reason, unexpected, now_us)
        self._add(subject_of(channel), channel, findings, now_us)
        kept = {finding.name for finding in findings} | (
            {"unexpected-answer"} if unexpected is None else set()
        )
        self._clear(subject_of(channel), channel, kept, now_us)

    def evaluate(self, now_us: int) -> Outputs:
        """Evaluate all findings and return records for ``alerts``. Call it often, and only when all
        heartbeats that there are were taken.

        ``now_us``: wall clock, microseconds since 1970.
        """
        if not self._began_us or now_us - self._evaluated_us > GAP_US or now_us < self._evaluated_us:
            self._began_us = now_us
        self._evaluated_us = now_us
        looked_long_enough = now_us - self._began_us >= self._window_us
        self._check_totals(now_us, may_clear=looked_long_enough)
        self._check_heartbeats(now_us, may_add=looked_long_enough)
        self._drop_cleared(now_us)
        outputs = Outputs()
        for subject in sorted({*self._episodes.open, *(subject for subject, _ in self._findings)}):
            findings = {
                name: finding
                for (about, name), finding in self._findings.items()
                if about == subject and self._is_decided(name, finding, now_us)
            }
            shown = self._episodes.update(subject, findings, self._partitions, now_us, outputs)
            if shown is not None:
                self._changed[_key("episode", subject)] = None
                self._changed |= dict.fromkeys(_key("finding", subject, name) for name in shown)
        return outputs

    def _check_totals(self, now_us: int, *, may_clear: bool) -> None:
        """Check the shares over all partitions: what is spread over many, none of them finds alone, and one
        of them may have few records but bad ones.
        """
        heartbeats, totals = self._heartbeats.values(), Counter[str]()
        recent = [beat for heard_us, beat in heartbeats if now_us - heard_us < self._window_us]
        for heartbeat in recent:
            totals.update(heartbeat.counts)
        seconds = max((heartbeat.observed_s for heartbeat in recent), default=self._window_us / 1e6)
        texts = described(totals, seconds)
        for (subject, name), state in self._findings.items():
            if subject == MONITOR and name in texts:
                state.over_all = texts[name]
        findings = []
        # a part of the partitions may have most of what is wrong: wait for the others after a restart
        if self._partitions > 1 and (len(recent) == self._partitions or may_clear):
            findings = self._share_checks.check(totals, seconds, now_us, coverage(recent, self._window_us))
        self._add(MONITOR, _ALL, findings, now_us)
        if may_clear:
            self._clear(MONITOR, _ALL, {finding.name for finding in findings}, now_us)

    def _is_decided(self, name: str, finding: FindingState, now_us: int) -> bool:
        """Return whether a finding can be shown: a ticket waits while it may become a page, but what was shown
        stays.

        Where one partition has mostly unreadable records, the share of all may still rise.
        """
        may_page = name == "dead-letters" and finding.may_rise and finding.severity() == "warning"
        waited = now_us - finding.added_us >= DOUBT * self._window_us
        finding.was_shown = finding.was_shown or not may_page or waited
        return finding.was_shown

    def _check_heartbeats(self, now_us: int, *, may_add: bool) -> None:
        """Report partitions from which no heartbeat comes."""
        limit_us = max(self._window_us, LEAST_SILENCE_US)
        text = (
            f"no heartbeat for {span(round(limit_us / 1e6))}: it has no owner, or its worker hangs; events that"
            " are published there are not measured"
        )
        heartbeats = self.last_heartbeats()
        parts = [(str(partition), heard_us) for partition, heard_us in heartbeats.items()]
        for part, heard_us in [*parts, (_ALL, now_us if heartbeats else 0)]:
            since_us = max(heard_us, self._began_us)
            if may_add and now_us - since_us >= limit_us:
                self._add(MONITOR, part, [HealthFinding("no-heartbeat", "error", text, since_us)], now_us)
            elif now_us - heard_us < limit_us:
                self._clear_finding(MONITOR, "no-heartbeat", part, now_us)

    # findings

    def _add(self, subject: str, part: str, findings: Sequence[HealthFinding], now_us: int) -> None:
        """Take what one part finds now."""
        for finding in findings:
            state = self._findings.get((subject, finding.name))
            if state is None:
                state = self._findings[subject, finding.name] = FindingState()
                state.added_us = now_us
            state.add(part, Report(finding.severity, finding.since_us, finding.text, finding.value))
            self._changed[_key("finding", subject, finding.name)] = None

    def _clear(self, subject: str, part: str, kept: set[str], now_us: int) -> None:
        """Clear the findings of a part, except those named in ``kept`` and the one about its heartbeats."""
        for about, name in list(self._findings):
            if about == subject and name not in {"no-heartbeat", *kept}:
                self._clear_finding(subject, name, part, now_us)

    def _clear_finding(self, subject: str, name: str, part: str, now_us: int) -> None:
        state = self._findings.get((subject, name))
        if state is not None and state.clear(part, now_us):
            self._changed[_key("finding", subject, name)] = None

    def _drop_cleared(self, now_us: int) -> None:
        for (subject, name), state in list(self._findings.items()):
            if state.drop_cleared(now_us, _KEPT_US.get(name, 0)):
                self._changed[_key("finding", subject, name)] = None
            if not state.reports:
                del self._findings[subject, name]

    # metrics and status

    def last_heartbeats(self) -> dict[int, int]:
        """Return when the last heartbeat of each partition came, wall clock, microseconds since 1970; 0: none
        since this object was made.
        """
        return {
            partition: self._heartbeats[partition][0] if partition in self._heartbeats else 0
            for partition in range(self._partitions)
        }

    @property
    def evaluated_us(self) -> int:
        """When it was evaluated last, wall clock, microseconds since 1970; 0: never."""
        return self._evaluated_us

    def measures(self) -> Iterator[Measure]:
        """Yield the values for /metrics: the same gauges as for any feature."""
        for episode in self._episodes.open.values():
            feature = episode.feature
            yield Measure("softfail_episodes", (*feature, episode.urgency), 1)
            for incident in episode.shown_firing():
                yield Measure("softfail_incidents", (*feature, incident.rule, incident.severity), 1)

    def episodes(self, now_us: int) -> list[dict[str, Any]]:
        """Return the open episodes for the status page."""
        return [with_text(msgspec.to_builtins(record)) for record in self._episodes.records(now_us)]

    # saved state

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """Return the state records that differ since the last call."""
        keys, self._changed = self._changed, {}
        return [(key, self._state(key)) for key in keys]

    def restore(
        self, records: Iterable[tuple[bytes, bytes]], counts: Mapping[str, Mapping[str, int]]
    ) -> None:
        """Take back what ``changed`` returned.

        Args:
            records: state records.
            counts: deliveries by channel and outcome; refusals among them count as reported where no record
                says otherwise.

        Raises:
            ValueError: a record cannot be read; names its key.
        """
        self._refused = {channel: outcomes.get("refused", 0) for channel, outcomes in counts.items()}
        for key, value in records:
            try:
                values, path = json.loads(value), key.decode().split("/")
                if key == _SEEN:
                    self._partitions, self._refused = int(values["partitions"]), dict(values["refused"])
                elif path[1] == "episode":
                    self._episodes.restore(path[2], values)
                elif path[1] == "finding":
                    self._findings[path[2], path[3]] = FindingState.from_state_values(values)
                else:
                    raise ValueError("no record of self-health")
            except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
                raise ValueError(f"state record {key!r}: {error}") from None

    def _state(self, key: bytes) -> bytes | None:
        _, kind, *path = key.decode().split("/")
        if kind == "seen":
            return to_json({"partitions": self._partitions, "refused": self._refused})
        if kind == "episode":
            episode = self._episodes.state_values(path[0])
            return to_json(episode) if episode else None
        finding = self._findings.get((path[0], path[1]))
        return to_json(finding.state_values()) if finding else None


def _key(*path: str) -> bytes:
    return STATE_PREFIX + "/".join(path).encode()
