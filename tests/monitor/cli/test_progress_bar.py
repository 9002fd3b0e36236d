from __future__ import annotations

import itertools

import pytest

from monitor.cli.progress_bar import EVERY, with_progress
from monitor.protocol.messages import FileRecord


class Counted:
    """A source of this many records."""

    unit = "records"

    def __init__(self, total):
        self.total, self.done = total, 0

    def records(self):
        for number in range(self.total):
            self.done = number + 1
            yield FileRecord(b"{}", number)


@pytest.mark.parametrize("shown", [True, False])
def test_a_bar_passes_all_lines_unchanged(shown):
    with with_progress(Counted(3 * EVERY), shown=shown, clock=itertools.count(0, 10).__next__) as records:
        assert [record.offset for record in records] == list(range(3 * EVERY))


def test_an_input_read_immediately_shows_no_bar(capsys):
    with with_progress(Counted(3 * EVERY), shown=True, clock=lambda: 0.0) as records:
        assert len(list(records)) == 3 * EVERY
    assert capsys.readouterr() == ("", "")


def test_a_long_input_shows_its_progress_on_standard_error_only(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    with with_progress(Counted(3 * EVERY), shown=True, clock=itertools.count(0, 10).__next__) as records:
        for _ in records:
            pass
    output = capsys.readouterr()
    assert output.out == ""
    assert f"{2 * EVERY + 1}/{3 * EVERY}" in output.err


def test_a_failing_reader_removes_the_bar(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")

    def read():
        with with_progress(Counted(3 * EVERY), shown=True, clock=itertools.count(0, 10).__next__) as records:
            for record in records:
                if record.offset == 2 * EVERY:
                    raise RuntimeError("full")

    with pytest.raises(RuntimeError, match="full"):
        read()
    assert capsys.readouterr().err[-12:].count("\x1b[2K") == 1  # the line of the bar is erased
