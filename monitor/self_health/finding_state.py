"""Who reports a finding about softfail itself, and since when."""

from __future__ import annotations

from typing import Any, NamedTuple

from monitor.protocol.severity import most_severe, severity_rank
from softfail.sanitize import sanitize

TEXT_CHARS = 300
NAMED = 8  # partitions that a text names


class Report(NamedTuple):
    """What one part said last. ``gone_us``: since when it no longer says so."""

    severity: str
    since_us: int
    text: str
    value: float | None
    gone_us: int | None = None


class Holding:
    """One finding, with its reports by part: a partition's number, ``all``, or a channel's name."""

    def __init__(self) -> None:
        self.reports: dict[str, Report] = {}
        self.told = ""
        """Where it was when an episode told of it last."""

    def report(self, part: str, report: Report) -> None:
        """Take a report; it began when this part first said so."""
        before = self.reports.get(part)
        since_us = report.since_us if before is None else min(before.since_us, report.since_us)
        self.reports[part] = report._replace(since_us=since_us, text=sanitize(report.text, TEXT_CHARS))

    def clear(self, part: str, now_us: int) -> bool:
        """This part does not find it any more; True if that is news."""
        before = self.reports.get(part)
        if before is None or before.gone_us is not None:
            return False
        self.reports[part] = before._replace(gone_us=now_us)
        return True

    def expire(self, now_us: int, kept_us: int) -> bool:
        """Drop what has been gone for ``kept_us``; True if anything was."""
        gone = [
            part
            for part, one in self.reports.items()
            if one.gone_us is not None and now_us - one.gone_us >= kept_us
        ]
        for part in gone:
            del self.reports[part]
        return bool(gone)

    def worst(self) -> Report:
        """The report to be told."""
        return max(
            self.reports.values(),
            key=lambda one: (severity_rank(one.severity), one.value or 0.0, one.text),
        )

    def severity(self) -> str:
        """The worst."""
        return most_severe(one.severity for one in self.reports.values())

    def since_us(self) -> int:
        """The earliest, microseconds since 1970."""
        return min(one.since_us for one in self.reports.values())

    def where(self, partitions: int = 0) -> str:
        """Which partitions, in words; empty if it is no matter of single ones.

        >>> holding = Holding()
        >>> for part in ("7", "3"):
        ...     holding.report(part, Report("error", 0, "", None))
        >>> holding.where(16), holding.where(2)
        (', in partitions 3, 7', ', in all partitions')
        """
        numbers = sorted(int(part) for part in self.reports if part.isdigit())
        if not numbers or partitions == 1:
            return ""
        if len(numbers) == partitions:
            return ", in all partitions"
        more = f" and {len(numbers) - NAMED} more" if len(numbers) > NAMED else ""
        return f", in partition{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers[:NAMED]))}{more}"

    def plain(self) -> dict[str, Any]:
        """Plain values, at most some 100 bytes a part: the text stands once."""
        text = self.worst().text
        parts = {
            part: [one.severity, one.since_us, one.value, one.gone_us] for part, one in self.reports.items()
        }
        return {"text": text, "told": self.told, "parts": parts}

    @classmethod
    def of(cls, plain: dict[str, Any]) -> Holding:
        """Back from ``plain``."""
        holding = cls()
        holding.told = plain["told"]
        for part, (severity, since_us, value, gone_us) in plain["parts"].items():
            holding.reports[part] = Report(severity, since_us, plain["text"], value, gone_us)
        if not holding.reports:
            raise ValueError("nobody reports it")
        return holding
