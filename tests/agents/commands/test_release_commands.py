"""``python -m agents compare`` and ``gate`` without Kafka: arguments, and that both read the log of a topic."""

from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from agents.commands import compare, event_topic, gate
from agents.process import exits
from monitor.backtest.event_files import Files
from tests.monitor.cli.release_events import write_release

ARMS = ("--feature", "bot/answer", "--a", "p1", "--b", "p2")


@pytest.fixture
def topic(tmp_path, monkeypatch):
    """Read a file in place of a topic."""
    events = write_release(tmp_path / "e.ndjson", failing=0.12, minutes=60)
    asked = []

    @contextmanager
    def reader(kafka, fetch_bytes):
        yield None

    def log(reader, topic, since_ms, until_ms):
        asked.append((topic, since_ms, until_ms))
        return SimpleNamespace(is_cut=since_ms is not None, records=Files([str(events)]).records)

    monkeypatch.setattr(event_topic, "BlockingTopicReader", reader)
    monkeypatch.setattr(event_topic, "EventLog", log)
    monkeypatch.setattr(
        event_topic, "connected", lambda path: SimpleNamespace(kafka=SimpleNamespace(prefix="softfail"))
    )
    return asked


def test_compare_reads_the_events_topic(topic, capsys):
    assert compare.main([*ARMS, "--from", "2026-03-02T09:00Z"]) == exits.OK
    captured = capsys.readouterr()
    assert "Verdict: roll back" in captured.out
    assert "begins after --from" in captured.err
    assert topic == [("softfail.events", 1772442000000, None)]


def test_gate_answers_by_exit_code(topic, capsys):
    assert gate.main([*ARMS, "--topic", "other"]) == 1
    assert topic == [("other", None, None)]
    assert gate.main(["--feature", "bot/answer", "--a", "p1", "--b", "p9"]) == 3
    assert "cannot tell" in capsys.readouterr().out


@pytest.mark.parametrize("command", [compare, gate])
def test_times_in_the_wrong_order_are_refused(command, capsys):
    with pytest.raises(SystemExit) as stop:
        command.main([*ARMS, "--from", "2026-03-02", "--to", "2026-03-01"])
    assert stop.value.code == 2
    assert "swap them" in capsys.readouterr().err
