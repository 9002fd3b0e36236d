"""Render the weekly report as one HTML file that loads nothing, so it can be mailed."""

from __future__ import annotations

from monitor.reports.html.page import environment, style_sheet
from monitor.reports.weekly.report import WeeklyReport


def render_weekly(report: WeeklyReport) -> str:
    """Return the page. jinja2 escapes every value, and each is sanitized before."""
    return environment().get_template("weekly.html.j2").render(css=style_sheet(), report=report)
