"""One configuration put to a log: the same core as the worker's, and what it told, measured and left out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from monitor.protocol.messages import Outputs, Record
from monitor.reports.data_gaps import Gap, gaps
from monitor.reports.episode_history import Findings, RuleCount, by_rule
from monitor.reports.near_misses import Margins
from monitor.reports.plot_panels import Panel
from monitor.reports.time_series import Measured
from monitor.rules.no_data import RULE as NO_DATA
from monitor.watch import Watch
from schemas.config.monitor_config import Config


class Trial:
    """Applies records and keeps account.

    Args:
        name: of the configuration, for people.
        panels: what is to be plotted; None: windows are not looked at.
        looks: whether margins are wanted; they cost a second reading of the rules.
    """

    def __init__(
        self, config: Config, name: str, panels: Sequence[Panel] | None = None, *, looks: bool = False
    ) -> None:
        self.config, self.name = config, name
        self.watch = Watch(config)
        self.findings = Findings()
        self.measured = Measured(config.time.pane_us, panels or ())
        self.margins = Margins(config)
        self._windows, self._looks = panels is not None, looks

    def apply(self, records: Sequence[Record]) -> Outputs:
        """Take records in, in the order of the log."""
        out = Outputs()
        for _ in self.watch.steps(records, None, out):
            self._look()
        return self._kept(out)

    def finish(self, until_us: int | None = None) -> Outputs:
        """The log has ended: let time go on to ``until_us``, microseconds since 1970, if it did, and close
        every pane that is open.
        """
        out = Outputs()
        if until_us is not None:
            out.extend(self.watch.advance(until_us - self.config.time.lateness_us))
        out.extend(self.watch.finish())
        self._look()
        return self._kept(out)

    @property
    def end(self) -> datetime | None:
        """Up to when the log is measured; None if it holds nothing."""
        mark_us = self.watch.watermark_us
        known = [] if mark_us is None else [datetime.fromtimestamp(mark_us / 1e6, UTC)]
        return max([*known, *([self.measured.end] if self.measured.end else [])], default=None)

    def rules(self) -> list[RuleCount]:
        """What each rule did."""
        return by_rule(self.findings, _names(self.config), self.end)

    def gaps(self) -> list[Gap]:
        """What was not measured."""
        return gaps(self.watch.book)

    def _look(self) -> None:
        mark_us = self.watch.watermark_us
        if self._looks and mark_us is not None:
            pane_us = self.config.time.pane_us
            self.margins.look(self.watch.book, mark_us // pane_us * pane_us)

    def _kept(self, out: Outputs) -> Outputs:
        self.findings.take(out.messages.get("alerts", ()))
        if self._windows:
            self.measured.take(out.messages.get("windows", ()))
        return out


def _names(config: Config) -> list[str]:
    """All that can fire, by name."""
    conditions = (*config.all_rules(), *config.all_burning(), *config.all_drift())
    return [one.name for one in conditions] + ([NO_DATA] if config.no_data.severity else [])
