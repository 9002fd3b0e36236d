"""The live table of a backtest."""

from __future__ import annotations

import io

from monitor.diagnosis.change_detection import ChangeRecord
from monitor.reports.live_table import LiveTable


def test_a_change_has_a_separate_line_and_is_not_a_episode():
    stream = io.StringIO()
    table = LiveTable(stream)
    time = "2026-03-02T11:01:00Z"
    change = ChangeRecord(
        change_id="c1",
        service="shop",
        feature="chat",
        environment="production",
        kind="prompt version",
        name="v8\x1b[31m",
        before="v7",
        time=time,
        decided_at=time,
    )
    table.take(change)
    table.end()
    assert stream.getvalue() == (
        "  2026-03-02 11:01:00  CHANGE    shop/chat [production]: new prompt version v8 [31m (before: v7)\n"
        "\n"
        "0 windows, 0 episodes\n"
    )
