"""The report in one sentence."""

from __future__ import annotations

from monitor.backtest.run import Trial
from monitor.reports.report_text import count, length


def headline(trial: Trial) -> str:
    """Like: 3 pages, 2 tickets in 7 days of 12 features."""
    start, end = trial.measured.start, trial.measured.end
    if start is None or end is None:
        return "nothing was measured"
    told = f"{count(trial.findings.pages, 'page')}, {count(trial.findings.tickets, 'ticket')}"
    return f"{told} in {length(end - start)} of {count(len(trial.measured.series), 'feature')}"
