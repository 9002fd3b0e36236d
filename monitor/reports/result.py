"""The result of a backtest: episodes, measured series, near misses and data gaps of one configuration."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from monitor.protocol.messages import Outputs
from monitor.reports.data_gaps import DataGap, data_gaps
from monitor.reports.episode_history import AlertHistory, RuleCount, by_rule
from monitor.reports.near_misses import NearMisses
from monitor.reports.plot_panels import Panel
from monitor.reports.time_series import Measurements
from monitor.rules.no_data import RULE as NO_DATA
from monitor.state.partition_state import PartitionState
from schemas.config.monitor_config import Config


class BacktestResult:
    """Collect what one configuration measured and reported; reports are made of it.

    Args:
        config: the configuration.
        name: its name, for people.
        state: the state of the core that runs it; data gaps are read from it.
        panels: what is to be plotted; None: windows are not collected.
        near_misses: whether to collect how close each rule came; this costs a second reading of the rules.
    """

    def __init__(
        self,
        config: Config,
        name: str,
        state: PartitionState,
        panels: Sequence[Panel] | None = None,
        *,
        near_misses: bool = False,
    ) -> None:
        self.config, self.name = config, name
        self.alerts = AlertHistory()
        self.measurements = Measurements(config.time.pane_us, panels or ())
        self.near_misses = NearMisses(config)
        self._state = state
        self.watermark_us: int | None = None  # up to where the log is applied; None: nothing read yet
        self._collects_windows, self._reads_near_misses = panels is not None, near_misses

    def take(self, outputs: Outputs) -> None:
        """Collect the records of a step."""
        self.alerts.take(outputs.records.get("alerts", ()))
        if self._collects_windows:
            self.measurements.take(outputs.records.get("windows", ()))

    def pane_closed(self, watermark_us: int | None) -> None:
        """Read the near misses at the last pane edge.

        Args:
            watermark_us: microseconds since 1970; None: nothing was read yet.
        """
        self.watermark_us = watermark_us
        if self._reads_near_misses and watermark_us is not None:
            pane_us = self.config.time.pane_us
            self.near_misses.read_rules(self._state, watermark_us // pane_us * pane_us)

    @property
    def end(self) -> datetime | None:
        """Time up to which the log is measured; None if the log is empty."""
        watermarks = (
            [] if self.watermark_us is None else [datetime.fromtimestamp(self.watermark_us / 1e6, UTC)]
        )
        return max([*watermarks, *([self.measurements.end] if self.measurements.end else [])], default=None)

    def rules(self) -> list[RuleCount]:
        """Count what each rule did."""
        return by_rule(self.alerts, _rule_names(self.config), self.end)

    def data_gaps(self) -> list[DataGap]:
        """List what was not measured, and why."""
        return data_gaps(self._state)


def _rule_names(config: Config) -> list[str]:
    rules = (*config.all_rules(), *config.all_burning(), *config.all_drift())
    return [rule.name for rule in rules] + ([NO_DATA] if config.no_data.severity else [])
