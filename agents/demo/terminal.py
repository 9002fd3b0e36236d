"""The output of the demo: a live display, or plain lines."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from agents.demo.fake_pagerduty import PagerDutyIncident
from agents.demo.scenario import Phase

LINE_S = 5.0  # between two plain lines when nothing happens


class Terminal:
    """Shows the state of the demo. A context manager; ``say`` prints a line, ``show`` updates the display."""

    def __init__(self, plan: Sequence[Phase], headless: bool) -> None:
        self._plan = plan
        self._console = Console(highlight=False)
        self._live = None if headless else Live(console=self._console, refresh_per_second=4, transient=False)
        self._last = 0.0

    def __enter__(self) -> Terminal:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def say(self, text: str, style: str = "") -> None:
        """Print a line with the time."""
        line = Text(f"{datetime.now(UTC):%H:%M:%S}  {text}", style=style)
        (self._live.console if self._live else self._console).print(line, soft_wrap=True)

    def show(
        self,
        phase: int,
        elapsed_s: float,
        sent: int,
        rates: Mapping[str, float],
        incidents: Sequence[PagerDutyIncident],
        url: str,
    ) -> None:
        """Show the present state. ``elapsed_s``: since the phase began."""
        if self._live:
            self._live.update(self._panel(phase, elapsed_s, sent, rates, incidents, url))
        elif time.monotonic() - self._last >= LINE_S:
            self._last = time.monotonic()
            shown = (
                ", ".join(f"{feature} {rate:.1%}" for feature, rate in sorted(rates.items())) or "none yet"
            )
            opened = sum(incident.resolved_at is None for incident in incidents)
            self.say(
                f"{self._plan[phase].name}: {sent} calls; pass rates over 5 min: {shown}; {opened} open"
                " incidents"
            )

    def _panel(
        self,
        current: int,
        elapsed_s: float,
        sent: int,
        rates: Mapping[str, float],
        incidents: Sequence[PagerDutyIncident],
        url: str,
    ) -> Panel:
        bars = Table.grid(padding=(0, 2))
        for number, phase in enumerate(self._plan):
            share = (
                1.0
                if number < current
                else min(1.0, elapsed_s / phase.duration_s)
                if number == current
                else 0.0
            )
            style = "bold" if number == current else "dim"
            bars.add_row(
                Text(phase.name, style),
                ProgressBar(total=1.0, completed=share, width=30),
                Text(f"{phase.duration_s:.0f} s", style),
            )
        features = Table("feature", "pass rate (5 min)", box=None, padding=(0, 2))
        for feature, rate in sorted(rates.items()):
            features.add_row(feature, Text(f"{rate:.1%}", "red" if rate < 0.95 else "green"))
        pages = Table("at the receiver", "", box=None, padding=(0, 2))
        for incident in incidents:
            state = (
                Text("TRIGGERED", "bold red") if incident.resolved_at is None else Text("resolved", "green")
            )
            pages.add_row(state, Text(str(incident.payload.get("summary", "")), overflow="fold"))
        foot = Text(f"{sent} calls reported. Status page: {url}   (Ctrl-C ends)", "dim")
        parts: list[RenderableType] = [
            bars,
            Text(),
            features,
            Text(),
            *((pages, Text()) if incidents else ()),
            foot,
        ]
        return Panel(Group(*parts), title="softfail demo", expand=False)


def announcer(say: Callable[..., Any]) -> Callable[[Sequence[PagerDutyIncident]], None]:
    """Return a function that announces each incident when it opens and when it is resolved."""
    announced: dict[int, bool] = {}

    def announce(incidents: Sequence[PagerDutyIncident]) -> None:
        for number, incident in enumerate(incidents):
            if number not in announced:
                announced[number] = False
                say(
                    f"PAGE at the receiver ({incident.payload['severity']}): {incident.payload['summary']}",
                    "bold red",
                )
            if incident.resolved_at is not None and not announced[number]:
                announced[number] = True
                say(
                    f"RESOLVED at the receiver after {incident.resolved_at - incident.opened_at:.0f} s:"
                    f" {incident.dedup_key}",
                    "bold green",
                )

    return announce
