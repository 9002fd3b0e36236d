"""``python -m monitor plan``."""

import json

import pytest

from monitor.__main__ import main
from tests.monitor.cli.release_events import write_release


def test_a_plan_from_numbers(capsys):
    assert (
        main(["plan", "--baseline", "0.95", "--detect", "0.02", "--session", "5", "--calls-a-day", "3000"])
        == 0
    )
    out = capsys.readouterr().out
    assert "To see a fall from 95 to 93 %" in out
    assert "about 7.9 days" in out
    assert "worth 1.4 calls" in out


def test_a_plan_from_past_events(tmp_path, capsys):
    events = write_release(tmp_path / "e.ndjson", failing=0.03, minutes=60)
    assert main(["plan", "--feature", "bot/answer", "--detect", "0.02", "--format", "json", str(events)]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["baseline"] == pytest.approx(0.97, abs=0.01)
    assert plan["inflation"] == pytest.approx(1.0, abs=0.4)
    assert plan["days"] == pytest.approx(plan["all_calls"] / 6000, rel=0.01)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--baseline", "2"], "--baseline is 2.0"),
        (["--baseline", "0.9", "--share", "1"], "--share is 1.0"),
        (["--feature", "bot/other", "FILE"], "no pass_rate of bot/other"),
        (["--feature", "bot", "FILE"], "write service/feature"),
        (["--feature", "bot/answer", "--metric", "evaluator.refusal.fail_rate", "FILE"], "give --baseline"),
    ],
)
def test_wrong_options_are_named(tmp_path, capsys, arguments, message):
    events = str(write_release(tmp_path / "e.ndjson", failing=0.03, minutes=6))
    assert main(["plan", "--detect", "0.02", *(events if one == "FILE" else one for one in arguments)]) == 2
    assert message in capsys.readouterr().err


def test_without_files_the_baseline_is_needed(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["plan", "--detect", "0.02"])
    assert stop.value.code == 2
    assert "--baseline: is missing" in capsys.readouterr().err
