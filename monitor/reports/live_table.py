"""Print the records of a backtest while it runs: a row for each window, transitions, episodes, a summary."""

from __future__ import annotations

from typing import Any, TextIO

from softfail.sanitize import sanitize


class LiveTable:
    """Write a line for each record. Control characters are removed from texts that come from events."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._windows = 0
        self._transitions: dict[tuple[str, str], int] = {}
        self._episodes: dict[str, dict[str, Any]] = {}
        self._has_header = False

    def take(self, record: dict[str, Any]) -> None:
        """Print one record."""
        if record["record"] == "window":
            self._windows += 1
            if record["level"] == "feature":
                self._window(record)
            return
        feature = _place(record)
        if record["record"] == "transition":
            state, rule = record["state"], record["rule"]
            self._transitions[rule, state] = self._transitions.get((rule, state), 0) + 1
            segment = sanitize(
                " ".join(filter(None, (record["model"], record["prompt_version"], record["variant"])))
                or "all",
                300,
            )
            self._print(
                f"  {_clock(record['time'])}  {state.upper():8}  {rule} ({record['severity']}) on {feature}"
                f" {segment}: {_evidence(record['evidence'])}"
            )
        else:
            self._episodes[record["episode_id"]] = record
            self._print(
                f"  {_clock(record['time'])}  EPISODE {record['state']} ({record['urgency']} urgency) "
                f"{feature}:"
                f" {record['reason']}"
            )

    def end(self) -> None:
        """Print the summary."""
        self._print("")
        self._print(
            f"{self._windows} windows, {len(self._episodes)} episode{'' if len(self._episodes) == 1 else 's'}"
        )
        for episode in self._episodes.values():
            rules = ", ".join(sorted({incident["rule"] for incident in episode["incidents"]}))
            over = f"resolved {_clock(episode['time'])}" if episode["state"] == "resolved" else "still open"
            self._print(
                f"  {_place(episode)}  {episode['severity']}, {episode['urgency']} urgency: "
                f"{rules}; since {_clock(episode['started_at'])}, {over}"
            )

    def _print(self, line: str) -> None:
        self._stream.write(sanitize(line) + "\n")

    def _window(self, record: dict[str, Any]) -> None:
        if not self._has_header:
            self._print(
                f"{'window':20} {'feature':32} {'events':>7} {'passed':>16} {'errors':>8} {'p90 s':>8}"
                f" {'out tokens':>10}"
            )
            self._has_header = True
        metrics = record["metrics"]
        passed, errors = metrics.get("pass_rate"), metrics.get("error_rate")
        name = sanitize(f"{record['service']}/{record['feature']}", 32)
        revised = f" r{record['revision']}" if record["revision"] > 1 else ""
        rate = (
            f"{passed['value']:6.1%} ±{(passed['high'] - passed['low']) / 2:5.1%}"
            if passed and passed["value"] is not None
            else "-"
        )
        self._print(
            f"{_clock(record['start']):20} {name:32.32} {record['events']:7d} {rate:>16} {_rate(errors):>8}"
            f" {_number(metrics.get('duration_s.p90'), 2):>8}"
            f" {_number(metrics.get('output_tokens.mean'), 1):>10}{revised}"
        )


def _place(record: dict[str, Any]) -> str:
    return sanitize(f"{record['service']}/{record['feature']} [{record['environment']}]", 300)


def _clock(time: str) -> str:
    return time.replace("T", " ").rstrip("Z")


def _rate(metric: dict[str, Any] | None) -> str:
    return "-" if not metric or metric["value"] is None else f"{metric['value']:.1%}"


def _number(metric: dict[str, Any] | None, digits: int) -> str:
    return "-" if not metric or metric["value"] is None else f"{metric['value']:.{digits}f}"


def _evidence(evidence: dict[str, Any]) -> str:
    if evidence.get("expected") is not None:
        return (
            f"nothing for {evidence['window_s']:.0f} s where {evidence['expected']:g} events were to be"
            " expected"
        )
    value, low, high = evidence["value"], evidence["low"], evidence["high"]
    above, below = evidence.get("above"), evidence.get("below")
    bound = (
        f"above {above:g}"
        if above is not None
        else f"below {below:g}"
        if below is not None
        else "against what it was"
    )
    if value is None:
        return f"{evidence['metric']} unknown ({bound})"
    interval = f" ({'-' if low is None else f'{low:.4g}'} to {'-' if high is None else f'{high:.4g}'})"
    return (
        f"{evidence['metric']} {value:.4g}{interval}, {bound}, {evidence['n']:.0f} events in"
        f" {evidence['window_s']:.0f} s"
    )
