"""Print the records of a backtest while it runs: a row for each window, transitions, episodes, a summary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TextIO

from monitor.diagnosis.change_detection import ChangeRecord
from monitor.incidents.records import EpisodeRecord, TransitionRecord
from monitor.protocol.messages import OutputRecord
from monitor.rules.evidence import Evidence, SilenceEvidence
from monitor.windows.record import WindowRecord
from softfail.sanitize import sanitize


class LiveTable:
    """Write a line for each record. Control characters are removed from texts that come from events."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._windows = 0
        self._episodes: dict[str, EpisodeRecord] = {}
        self._has_header = False

    def take(self, record: OutputRecord) -> None:
        """Print one record: a feature's window, a transition, an episode or a change."""
        match record:
            case WindowRecord():
                self._windows += 1
                if record.level == "feature":
                    self._window(record)
            case TransitionRecord():
                self._transition(record)
            case EpisodeRecord():
                self._episodes[record.episode_id] = record
                self._print(
                    f"  {_clock(record.time)}  EPISODE {record.state} ({record.urgency} urgency)"
                    f" {_feature_name(record)}: {record.reason}"
                )
            case ChangeRecord():
                before = f" (before: {record.before})" if record.before else ""
                self._print(
                    f"  {_clock(record.time)}  CHANGE    {_feature_name(record)}: new {record.kind}"
                    f" {record.name}{before}"
                )

    def end(self) -> None:
        """Print the summary."""
        self._print("")
        self._print(
            f"{self._windows} windows, {len(self._episodes)} episode{'' if len(self._episodes) == 1 else 's'}"
        )
        for episode in self._episodes.values():
            rules = ", ".join(sorted({incident.rule for incident in episode.incidents}))
            over = f"resolved {_clock(episode.time)}" if episode.state == "resolved" else "still open"
            self._print(
                f"  {_feature_name(episode)}  {episode.severity}, {episode.urgency} urgency: "
                f"{rules}; since {_clock(episode.started_at)}, {over}"
            )

    def _print(self, line: str) -> None:
        self._stream.write(sanitize(line) + "\n")

    def _transition(self, record: TransitionRecord) -> None:
        labels = filter(None, (record.model, record.prompt_version, record.variant))
        segment = sanitize(" ".join(labels) or "all", 300)
        self._print(
            f"  {_clock(record.time)}  {record.state.upper():8}  {record.rule} ({record.severity}) on"
            f" {_feature_name(record)} {segment}: {_evidence(record.evidence)}"
        )

    def _window(self, record: WindowRecord) -> None:
        if not self._has_header:
            self._print(
                f"{'window':20} {'feature':32} {'events':>7} {'passed':>16} {'errors':>8} {'p90 s':>8}"
                f" {'out tokens':>10}"
            )
            self._has_header = True
        metrics = record.metrics
        passed, errors = metrics.get("pass_rate"), metrics.get("error_rate")
        name = sanitize(f"{record.service}/{record.feature}", 32)
        revised = f" r{record.revision}" if record.revision > 1 else ""
        rate = (
            f"{passed['value']:6.1%} ±{(passed['high'] - passed['low']) / 2:5.1%}"
            if passed and passed["value"] is not None
            else "-"
        )
        self._print(
            f"{_clock(record.start):20} {name:32.32} {record.events:7d} {rate:>16} {_rate(errors):>8}"
            f" {_number(metrics.get('duration_s.p90'), 2):>8}"
            f" {_number(metrics.get('output_tokens.mean'), 1):>10}{revised}"
        )


def _feature_name(record: TransitionRecord | EpisodeRecord | ChangeRecord) -> str:
    return sanitize(f"{record.service}/{record.feature} [{record.environment}]", 300)


def _clock(time: str) -> str:
    return time.replace("T", " ").rstrip("Z")


def _rate(metric: Mapping[str, Any] | None) -> str:
    return "-" if not metric or metric["value"] is None else f"{metric['value']:.1%}"


def _number(metric: Mapping[str, Any] | None, digits: int) -> str:
    return "-" if not metric or metric["value"] is None else f"{metric['value']:.{digits}f}"


def _evidence(evidence: Evidence) -> str:
    if isinstance(evidence, SilenceEvidence) and evidence.expected is not None:
        return f"no events in {evidence.window_s:.0f} s; {evidence.expected:g} were expected"
    value, low, high = evidence.value, evidence.low, evidence.high
    threshold = (
        f"above {evidence.above:g}"
        if evidence.above is not None
        else f"below {evidence.below:g}"
        if evidence.below is not None
        else "against the reference"
    )
    if value is None:
        return f"{evidence.metric} unknown ({threshold})"
    interval = f" ({'-' if low is None else f'{low:.4g}'} to {'-' if high is None else f'{high:.4g}'})"
    return (
        f"{evidence.metric} {value:.4g}{interval}, {threshold}, {evidence.n:.0f} events in"
        f" {evidence.window_s:.0f} s"
    )
