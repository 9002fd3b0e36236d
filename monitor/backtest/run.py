"""Run one configuration over a log, with the core that the worker uses."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from monitor.evaluators.user_evaluator import Requests, Verdicts
from monitor.protocol.messages import Outputs, Record
from monitor.reports.plot_panels import Panel
from monitor.reports.result import BacktestResult
from monitor.watch import Watch
from schemas.config.monitor_config import Config


class BacktestRun:
    """Apply records to a core and collect the result.

    Args:
        config: the configuration.
        name: its name, for people.
        panels: the plots of the report; None: windows are not collected.
        near_misses: whether to collect how close each rule came.
        evaluate: runs evaluators of users, with the time in seconds for their error budgets; None: each of
            their evaluations is an error.
    """

    def __init__(
        self,
        config: Config,
        name: str,
        panels: Sequence[Panel] | None = None,
        *,
        near_misses: bool = False,
        evaluate: Callable[[Requests, float], Verdicts] | None = None,
    ) -> None:
        self._evaluate = evaluate
        self.watch = Watch(config)
        self.result = BacktestResult(
            config, name, self.watch.partition_state, panels, near_misses=near_misses
        )
        self._lateness_us = config.time.lateness_us

    def apply(self, records: Sequence[Record]) -> Outputs:
        """Apply records in the order of the log."""
        if self._evaluate is not None and (requests := self.watch.requests(records)):
            self.watch.give(self._evaluate(requests, (self.watch.watermark_us or 0) / 1e6))
        outputs = Outputs()
        for _ in self.watch.steps(records, None, outputs):
            self.result.pane_closed(self.watch.watermark_us)
        self.result.take(outputs)
        self.result.watermark_us = self.watch.watermark_us
        return outputs

    def finish(self, until_us: int | None = None) -> Outputs:
        """End the log and close every open pane.

        Args:
            until_us: time to which the watermark advances, microseconds since 1970; None: it stays.
        """
        outputs = Outputs()
        if until_us is not None:
            outputs.extend(self.watch.advance(until_us - self._lateness_us))
        outputs.extend(self.watch.finish())
        self.result.pane_closed(self.watch.watermark_us)
        self.result.take(outputs)
        return outputs
