"""What a partition says of its own health: shares of what went wrong lately, a lag, a loss. Wall time is an
argument.

Windows are kept in memory only: a new owner says how short it has looked (``observed_s``), and then what it
does not find proves nothing yet.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from monitor.protocol.severity import most_severe
from monitor.state.partition_state import PartitionState
from monitor.wording.number_format import share, span
from schemas.config.monitor_config import Health as Settings
from schemas.times import rfc3339

BEAT_S = 60.0  # between two heartbeats without news
LOOKS = 20  # a window
MOST_ERROR_SHARE = 0.5

Counts = Mapping[str, int]
"""By name, and parts of it by ``NAME/CAUSE``."""


class Figures(NamedTuple):
    """What only the shell knows of a partition."""

    caught_up: bool
    lost: int
    """Records that the log no longer held when their turn came, since the partition is owned."""
    recovery_s: float = 0.0
    """How long it had no owner at work when this one took it: from when it was given the partition until its state was read, seconds."""


class Share(NamedTuple):
    """A part of a whole that ought to be small: from ``warning`` on it is a finding, from ``error`` on a
    worse one.

    ``least``: of the part; below it nothing is said. ``each``: the worst of its causes is judged, each
    against a whole of its own.
    """

    name: str
    whole: str
    warning: float
    error: float
    least: int
    says: str
    worst: str = "error"
    each: bool = False


SHARES = (
    Share("dead-letters", "records", 0.01, 0.10, 10, "of records could not be read"),
    Share("evaluator-errors", "judged", 0.01, 0.10, 10, "of evaluations broke", each=True),
    Share(
        "producer-drops",
        "sampled",
        0.01,
        1.0,
        10,
        "of sampled calls were dropped by their producers",
        "warning",
    ),
    Share("events-missing", "numbered", 0.01, 1.0, 10, "of numbered events have not arrived", "warning"),
    Share(
        "wrong-partition",
        "records",
        0.20,
        1.0,
        100,
        "of records lay in a partition that is not theirs, and were sent on",
        "info",
    ),
)
"""Name of the count of the part -> what is too much of it. It is well again below half of ``warning``, or half of ``least``."""


class Found(NamedTuple):
    """A finding. ``since_us``: wall clock, microseconds since 1970."""

    name: str
    severity: str
    text: str
    since_us: int
    value: float | None = None

    def record(self) -> dict[str, Any]:
        """As ``schemas.records.Finding`` has it."""
        return {
            "name": self.name,
            "severity": self.severity,
            "text": self.text,
            "since": rfc3339(self.since_us),
            "value": self.value,
        }


class Shares:
    """Which of ``SHARES`` are too large, with hysteresis; a severity rises and does not sink before it is
    well.
    """

    def __init__(self, settings: Settings) -> None:
        error = max(settings.dead_letter_share, min(MOST_ERROR_SHARE, 10 * settings.dead_letter_share))
        self._shares = [
            (
                one._replace(warning=settings.dead_letter_share, error=error)
                if one.name == "dead-letters"
                else one
            )
            for one in SHARES
        ]
        self._found: dict[str, Found] = {}

    def judge(self, counts: Counts, seconds: float, now_us: int) -> list[Found]:
        """The findings of a window.

        Args:
            counts: counted in the window.
            seconds: its length.
            now_us: wall clock, microseconds since 1970.
        """
        for one in self._shares:
            value, part, mostly = _weighed(one, counts)
            before = self._found.get(one.name)
            if part >= one.least and value >= one.warning:
                severity = one.worst if one.worst != "error" else "error" if value >= one.error else "warning"
                since_us = now_us
                if before is not None:
                    severity, since_us = worse(severity, before.severity), before.since_us
                text = (
                    f"{share(value)} {one.says} in"
                    f" {span(max(1, round(seconds)))}{f' (mostly: {mostly})' if mostly else ''}"
                )
                self._found[one.name] = Found(one.name, severity, text, since_us, round(value, 6))
            elif before is not None and (part * 2 < one.least or value * 2 < one.warning):
                del self._found[one.name]
        return list(self._found.values())


class Health:
    """Of one partition. ``look`` is called often; it gives a heartbeat when one is due."""

    def __init__(self, settings: Settings, partition: int, partitions: int) -> None:
        self._settings, self._partition, self._partitions = settings, partition, partitions
        self._window_us = round(settings.window * 1e6)
        self._beat_us = min(round(BEAT_S * 1e6), self._window_us // 5)
        self._shares = Shares(settings)
        self._looks: deque[tuple[int, dict[str, int], Figures]] = deque()
        self._began_us = self._looked_us = self._told_us = 0
        self._lag_us: int | None = None  # since when it lags
        self._lost_us: int | None = None  # when records were lost last
        self._told: set[tuple[str, str]] = set()

    def is_due(self, now_us: int) -> bool:
        """Whether it is time to look again: twenty times a window. ``now_us``: wall clock, microseconds since
        1970.
        """
        return now_us - self._looked_us >= self._window_us // LOOKS or now_us < self._looked_us

    def look(
        self,
        counts: Counts,
        figures: Figures,
        watermark_us: int | None,
        now_us: int,
        more: Sequence[Found] = (),
    ) -> dict[str, Any] | None:
        """Take what was counted so far; the heartbeat to write, None if none is due.

        Args:
            counts: cumulative, by name; ``NAME/CAUSE`` is a part of NAME.
            figures: what the shell knows.
            watermark_us: event time, microseconds since 1970.
            now_us: wall clock, microseconds since 1970.
            more: what others have found.
        """
        self._began_us = self._began_us or now_us
        lost = figures.lost - (self._looks[-1][2].lost if self._looks else 0)
        self._looks.append((now_us, dict(counts), figures))
        while len(self._looks) > 2 and self._looks[1][0] <= now_us - self._window_us:
            self._looks.popleft()
        self._looked_us = now_us
        if lost > 0:
            self._lost_us = now_us
        observed_s = min(now_us - self._began_us, self._window_us) / 1e6
        window = self._window()
        found = [
            *self._shares.judge(window, observed_s, now_us),
            *self._lag(figures, watermark_us, now_us),
            *self._loss(figures, now_us),
        ]
        found += [*self._recovery(figures, now_us), *more]
        news = {(one.name, one.severity) for one in found}
        if self._told_us and news == self._told and now_us - self._told_us < self._beat_us:
            return None
        self._told, self._told_us = news, now_us
        return {
            "record": "health", "agent": "watch", "partition": self._partition, "partitions": self._partitions, "time": rfc3339(now_us),
            "observed_s": observed_s, "counts": window, "findings": [one.record() for one in found],
        }  # fmt: skip

    def _window(self) -> dict[str, int]:
        (_, before, _), (_, after, _) = self._looks[0], self._looks[-1]
        return {name: n - before.get(name, 0) for name, n in after.items() if n > before.get(name, 0)}

    def _lag(self, figures: Figures, watermark_us: int | None, now_us: int) -> list[Found]:
        behind_us = 0 if watermark_us is None or figures.caught_up else now_us - watermark_us
        firing = self._lag_us is not None and now_us - self._lag_us >= self._window_us
        if behind_us <= self._settings.lag * 1e6 * (0.5 if firing else 1):
            self._lag_us = None
            return []
        self._lag_us = self._lag_us or now_us
        if now_us - self._lag_us < self._window_us:
            return []
        text = (
            f"records wait, and the watermark is {span(round(behind_us / 6e7) * 60)} behind: panes close"
            " late, so pages come late"
        )
        return [Found("lag", "error", text, self._lag_us, round(behind_us / 1e6, 1))]

    def _loss(self, figures: Figures, now_us: int) -> list[Found]:
        if self._lost_us is None or now_us - self._lost_us > self._window_us:
            return []
        text = (
            f"{figures.lost:,} records were deleted by Kafka before they were read, and are measured nowhere"
        )
        return [Found("lost-records", "error", text, self._lost_us, float(figures.lost))]

    def _recovery(self, figures: Figures, now_us: int) -> list[Found]:
        took_s = figures.recovery_s
        if took_s < self._settings.recovery or now_us - self._began_us > self._window_us:
            return []
        text = (
            f"reading the state took {span(round(took_s))}: for so long nothing was measured, and pages were"
            " late by as much"
        )
        return [Found("recovery", "warning", text, self._began_us - round(took_s * 1e6), round(took_s, 1))]


def worse(one: str, other: str) -> str:
    """The worse of two severities."""
    return most_severe((one, other))


def counts_of(partition_state: PartitionState, records: int) -> dict[str, int]:
    """What a partition has counted so far. ``records``: applied since it is owned; all else is durable."""
    counts = {
        "records": records,
        "dead-letters": sum(partition_state.dead_letters.values()),
        "wrong-partition": partition_state.forwarded,
    }
    counts |= {f"dead-letters/{reason}": n for reason, n in partition_state.dead_letters.items()}
    broken: dict[str, int] = {}
    judged: dict[str, int] = {}
    for feature in partition_state.features.values():
        totals = feature.producer_totals()
        _add(
            counts,
            {"sampled": totals.sampled, "producer-drops": totals.dropped, "events-missing": feature.missing},
        )
        _add(counts, {"numbered": feature.missing + feature.received.get("response", 0)})
        _add(broken, feature.evaluator_errors)
        _add(judged, feature.verdicts)
    for evaluator, n in broken.items():
        counts[f"evaluator-errors/{evaluator}"] = n
        counts[f"judged/{evaluator}"] = n + judged.get(evaluator, 0)
    return counts


def _add(counts: dict[str, int], more: Mapping[str, int]) -> None:
    for name, n in more.items():
        counts[name] = counts.get(name, 0) + n


def _weighed(one: Share, counts: Counts) -> tuple[float, int, str]:
    """Share, part and main cause."""
    causes = {name.partition("/")[2]: n for name, n in counts.items() if name.startswith(f"{one.name}/")}
    if one.each:
        shares = [
            (_ratio(n, counts.get(f"{one.whole}/{cause}", 0)), n, cause)
            for cause, n in causes.items()
            if n >= one.least
        ]
        return max(shares, default=(0.0, 0, ""))
    part = counts.get(one.name, 0)
    return (
        _ratio(part, counts.get(one.whole, 0)),
        part,
        max(causes, key=lambda cause: (causes[cause], cause), default=""),
    )


def _ratio(part: int, whole: int) -> float:
    return min(1.0, part / whole) if whole > 0 else float(part > 0)
