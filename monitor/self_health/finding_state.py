"""State of one finding about softfail itself: which parts report it, since when, how severe."""

from __future__ import annotations

from typing import Any, NamedTuple

from monitor.protocol.severity import most_severe, severity_rank
from monitor.rules.evidence import HealthEvidence
from monitor.rules.reading import Reading
from softfail.sanitize import sanitize

TEXT_CHARS = 300
NAMED = 8  # partitions that a text names


class Report(NamedTuple):
    """The last report of one part. ``gone_us``: since when the part does not report the finding."""

    severity: str
    since_us: int
    text: str
    value: float | None
    gone_us: int | None = None


class FindingState:
    """Reports of one finding, by part: the number of a partition, ``all``, or the name of a channel."""

    def __init__(self) -> None:
        self.reports: dict[str, Report] = {}
        self.over_all: tuple[str, float] | None = None
        """Text and value over all partitions, if they are known; else those of the worst report count."""
        self.added_us = 0
        """When it was reported for the first time, wall clock; 0: before a restart."""
        self.may_rise = False
        """Whether a partition by itself would page."""
        self.was_shown = False
        """Whether its episode lists it; after a restart that follows from ``added_us``."""
        self.sent_partitions = ""
        """The partitions that the last record of its episode named."""

    def add(self, part: str, report: Report) -> None:
        """Add or replace the report of a part; it keeps the time of its first report."""
        previous = self.reports.get(part)
        since_us = report.since_us if previous is None else min(previous.since_us, report.since_us)
        self.reports[part] = report._replace(since_us=since_us, text=sanitize(report.text, TEXT_CHARS))

    def clear(self, part: str, now_us: int) -> bool:
        """Note that a part does not report it any more; return whether it did until now."""
        previous = self.reports.get(part)
        if previous is None or previous.gone_us is not None:
            return False
        self.reports[part] = previous._replace(gone_us=now_us)
        return True

    def drop_cleared(self, now_us: int, kept_us: int) -> bool:
        """Drop the reports that have been cleared for ``kept_us``; return whether there were any."""
        gone = [
            part
            for part, report in self.reports.items()
            if report.gone_us is not None and now_us - report.gone_us >= kept_us
        ]
        for part in gone:
            del self.reports[part]
        return bool(gone)

    def worst(self) -> Report:
        """Return the most severe report, of equal ones that with the largest value."""
        return max(
            self.reports.values(),
            key=lambda report: (severity_rank(report.severity), report.value or 0.0, report.text),
        )

    def text(self) -> str:
        """Describe it over all partitions, or as the worst report does."""
        return sanitize(self.over_all[0], TEXT_CHARS) if self.over_all else self.worst().text

    def severity(self) -> str:
        """Return the most severe severity."""
        return most_severe(report.severity for report in self.reports.values())

    def since_us(self) -> int:
        """Return since when it is reported, microseconds since 1970."""
        return min(report.since_us for report in self.reports.values())

    def reading(self, name: str, window_s: float) -> Reading:
        """Return it as a reading for its incident: a breach for as long as there are reports.

        Args:
            name: of the finding.
            window_s: seconds that the reports look back.
        """
        value = self.over_all[1] if self.over_all else self.worst().value
        evidence = HealthEvidence(metric=name, value=value, low=None, high=None, n=0.0, window_s=window_s)
        return Reading("breach", evidence)

    def partitions_text(self, partitions: int = 0) -> str:
        """Name the partitions that report it; empty if it does not concern single ones.

        ``partitions``: how many there are.

        >>> finding = FindingState()
        >>> for part in ("7", "3"):
        ...     finding.add(part, Report("error", 0, "", None))
        >>> finding.partitions_text(16), finding.partitions_text(2)
        (', in partitions 3, 7', ', in all partitions')
        """
        numbers = sorted(int(part) for part in self.reports if part.isdigit())
        if not numbers or partitions == 1:
            return ""
        if len(numbers) == partitions:
            return ", in all partitions"
        more = f" and {len(numbers) - NAMED} more" if len(numbers) > NAMED else ""
        return f", in partition{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers[:NAMED]))}{more}"

    def state_values(self) -> dict[str, Any]:
        """Return plain values for the state topic, at most some 100 bytes a part: the text stands once."""
        parts = {
            part: [report.severity, report.since_us, report.value, report.gone_us]
            for part, report in self.reports.items()
        }
        return {"text": self.text(), "told": self.sent_partitions, "parts": parts}

    @classmethod
    def from_state_values(cls, values: dict[str, Any]) -> FindingState:
        """Restore it from ``state_values``.

        Raises:
            ValueError: nobody reports it.
        """
        finding = cls()
        finding.sent_partitions = values["told"]
        for part, (severity, since_us, value, gone_us) in values["parts"].items():
            finding.reports[part] = Report(severity, since_us, values["text"], value, gone_us)
        if not finding.reports:
            raise ValueError("nobody reports it")
        return finding
