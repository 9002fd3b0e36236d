"""``python -m monitor compare`` and ``gate``, on files."""

import json

import pytest

from monitor.__main__ import main
from tests.monitor.cli.release_events import write_release

ARMS = ("--feature", "bot/answer", "--a", "p1", "--b", "p2")


@pytest.fixture(scope="module")
def bad(tmp_path_factory):
    return str(write_release(tmp_path_factory.mktemp("bad") / "events.ndjson", failing=0.12))


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return str(write_release(tmp_path_factory.mktemp("good") / "events.ndjson", failing=0.02))


def test_compare_shows_both_versions_and_what_moved(bad, capsys):
    assert main(["compare", *ARMS, bad]) == 0
    out = capsys.readouterr().out
    assert out.startswith("bot/answer: prompt_version p1 and p2\n")
    (row,) = [line for line in out.splitlines() if line.startswith("error_rate ")]
    assert row.endswith("moved")
    assert "Verdict: roll back, since " in out
    assert "error_rate is worse: " in out


def test_json_states_differences_as_the_metric_is_named(bad, capsys):
    assert main(["compare", *ARMS, "--format", "json", bad]) == 0
    report = json.loads(capsys.readouterr().out)
    metrics = {metric["metric"]: metric for metric in report["metrics"]}
    assert metrics["pass_rate"]["high"] < 0 < metrics["error_rate"]["low"]
    assert metrics["pass_rate"]["difference"] == pytest.approx(-metrics["error_rate"]["difference"])
    assert report["arms"]["b"]["events"] == 115 * 25
    assert (report["verdict"], report["exit_code"]) == ("roll back", 1)


def test_the_page_loads_nothing_and_escapes_labels(tmp_path, capsys):
    events = write_release(
        tmp_path / "e.ndjson", failing=0.02, minutes=20, prompt_version="<script>alert(1)</script>"
    )
    output = tmp_path / "page.html"
    arms = ("--feature", "bot/answer", "--a", "p1", "--b", "<script>alert(1)</script>")
    assert main(["compare", *arms, "--format", "html", "--output", str(output), str(events)]) == 0
    page = output.read_text()
    assert "<script" not in page
    assert "default-src 'none'" in page
    assert page.count("<figure>") >= 2


@pytest.mark.parametrize(
    ("failing", "code", "verdict"), [(0.12, 1, "roll back"), (0.01, 0, "promote"), (0.035, 3, "hold")]
)
def test_the_gate_answers_by_exit_code(tmp_path, capsys, failing, code, verdict):
    events = write_release(tmp_path / "e.ndjson", failing=failing)
    assert main(["gate", *ARMS, str(events)]) == code
    assert f"Verdict: {verdict}, since " in capsys.readouterr().out


def test_a_version_without_events_is_no_mistake_of_the_gate_and_is_not_promoted(good, capsys):
    assert main(["gate", "--feature", "bot/answer", "--a", "p1", "--b", "p3", good]) == 3
    assert "Verdict: cannot tell" in capsys.readouterr().out


def test_a_new_version_that_fell_silent_is_not_promoted(tmp_path, capsys):
    events = write_release(tmp_path / "e.ndjson", failing=0.01, canary_until=100)
    assert main(["gate", *ARMS, str(events)]) == 3
    assert "the new version sent nothing for" in capsys.readouterr().out


def test_a_version_that_gets_other_questions_gets_no_verdict(tmp_path, capsys):
    events = write_release(tmp_path / "e.ndjson", failing=0.12, input_tokens=40)
    assert main(["gate", *ARMS, str(events)]) == 3
    assert "arms differ: inputs" in capsys.readouterr().out


def test_a_configured_gate_decides_by_its_metrics(tmp_path, bad, capsys):
    config = tmp_path / "softfail.yaml"
    config.write_text(
        "gates:\n- {name: g, feature: bot/answer, stable: p1, canary: p2, least_time: 30m,\n"
        "   metrics: [{metric: error_rate, worse_by: 0.5}, {metric: input_tokens.mean, margin_share: 0.5}]}\n"
    )
    assert main(["gate", "--config", str(config), "--format", "json", bad]) == 3
    report = json.loads(capsys.readouterr().out)
    states = {finding["metric"]: finding["state"] for finding in report["findings"]}
    assert states == {"error_rate": "undecided", "input_tokens.mean": "no worse"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--feature", "bot/answer", "--a", "p1"), "--b: is missing; give --b"),
        (("--feature", "answer", "--a", "p1", "--b", "p2"), "write service/feature"),
        (("--feature", "bot/answer", "--a", "p1", "--b", "p3"), "there are: p1 (9,125), p2 (2,875)"),
        (("--feature", "bot/other", "--a", "p1", "--b", "p2"), "there are: bot/answer"),
        ((*ARMS, "--environment", "staging"), "in staging"),
        (("--feature", "bot/answer", "--a", "p1", "--b", "p1"), "name two versions"),
    ],
)
def test_wrong_options_are_named_with_their_remedy(good, capsys, options, message):
    assert main(["compare", *options, good]) == 2
    assert message in capsys.readouterr().err


def test_a_gate_that_is_not_configured_is_named(good, capsys):
    assert main(["gate", "--gate", "x", *ARMS, good]) == 2
    assert "no gate 'x'; it has: none" in capsys.readouterr().err


def test_a_topic_is_read_by_agents(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["compare", "--topic", *ARMS])
    assert stop.value.code == 2
    assert "python -m agents compare" in capsys.readouterr().err


def test_unreadable_lines_are_left_out_and_printed(tmp_path, good, capsys):
    broken = tmp_path / "broken.ndjson"
    broken.write_text("{}\n")
    assert main(["compare", *ARMS, good, str(broken)]) == 1
    assert f"{broken}:1: " in capsys.readouterr().err


def test_versions_that_never_ran_together_are_compared_as_whole_periods_only_if_that_is_asked_for(
    tmp_path, capsys
):
    one = write_release(tmp_path / "a.ndjson", failing=0.02, minutes=30).read_text().splitlines()
    old = [line for line in one if '"p1"' in line]
    new = [line.replace("2026-03-02", "2026-03-03") for line in one if '"p2"' in line]
    events = tmp_path / "e.ndjson"
    events.write_text("\n".join(old + new) + "\n")
    assert main(["compare", *ARMS, str(events)]) == 0
    assert "no time in which both versions have events" in capsys.readouterr().out
    assert main(["compare", *ARMS, "--pair", "all", str(events)]) == 0
    assert "Whole periods were compared" in capsys.readouterr().out
