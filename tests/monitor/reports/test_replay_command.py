"""``python -m monitor replay`` as a user calls it."""

from __future__ import annotations

import json

import pytest

from monitor.backtest.engine import replay
from monitor.cli.replay import main
from monitor.protocol.messages import FileRecord
from schemas.records import Episode
from schemas.window_record import Window


@pytest.fixture(scope="module")
def log(tmp_path_factory, hours):
    """The hours as a file, with two invalid lines."""
    path = tmp_path_factory.mktemp("logs") / "hours.ndjson"
    lines = [json.dumps(hour) for hour in hours]
    path.write_text("\n".join([*lines[:100], "{}", "garbage", *lines[100:]]) + "\n")
    return path


@pytest.fixture(scope="module")
def config_files(tmp_path_factory, rules_only, errors_rule):
    """``softfail.yaml`` with a firing rule, ``other.yaml`` with a quiet one, and ``panes.yaml`` with the
    first rule and another pane length.
    """
    folder = tmp_path_factory.mktemp("configs")
    for name, rule, more in (
        ("softfail", errors_rule, {}),
        ("other", {**errors_rule, "above": 0.9}, {}),
        ("panes", {**errors_rule, "for": "5m"}, {"time": {"pane": "30s"}}),
    ):
        plain = {"default_rules": False, "no_data": {"severity": None}, "rules": [rule], **more}
        (folder / f"{name}.yaml").write_text(json.dumps(plain))
    return {path.stem: str(path) for path in folder.iterdir()}


def run(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    output = capsys.readouterr()
    return code, output.out, output.err


def test_ndjson_equals_the_records_of_the_core_on_the_topics(
    capsys, log, hours, config_files, rules_only, errors_rule
):
    code, out, err = run(capsys, log, "--format", "ndjson", "--config", config_files["softfail"])
    records = [FileRecord(line, nth) for nth, line in enumerate(log.read_bytes().splitlines(), 1)]
    expected = [
        message.value.decode()
        for outputs in replay(rules_only(errors_rule), records)
        for topic, message in outputs.order
        if topic in ("windows", "alerts")
    ]
    assert out.splitlines() == expected
    assert code == 1
    assert f"{log}:101: " in err
    assert "2 lines could not be read and were left out" in err
    kinds = {json.loads(line)["record"] for line in expected}
    assert kinds == {"window", "transition", "episode"}
    Window.model_validate_json(next(line for line in expected if '"record":"window"' in line))
    Episode.model_validate_json(next(line for line in expected if '"record":"episode"' in line))


def test_the_table_shows_windows_transitions_and_episodes(capsys, log, config_files):
    _, out, _ = run(capsys, log, "--config", config_files["softfail"])
    assert "FIRING" in out
    assert "EPISODE opened" in out
    assert "1 episode\n" in out


def test_the_summary_lists_episodes_rules_unreadable_and_unjudged_events(capsys, log, config_files):
    code, out, err = run(capsys, log, "--format", "summary", "--config", config_files["softfail"])
    assert (code, err) == (1, "2 lines could not be read and were left out\n")
    assert out.startswith("1 page, 0 tickets in 2 h of 2 features\n")
    assert "errors" in out
    assert "closest elsewhere: search/rerank" in out
    assert "COULD NOT BE READ (2)" in out
    assert "NOT MEASURED" in out


def test_what_if_lists_each_episode_of_only_one_configuration(capsys, log, config_files):
    _, out, _ = run(
        capsys,
        log,
        "--format",
        "summary",
        "--config",
        config_files["softfail"],
        "--what-if",
        config_files["other"],
    )
    assert (
        "WHAT IF other.yaml (against softfail.yaml): pages 1 → 0, tickets 0 → 0; 1 only with softfail.yaml, 0"
        " only with other.yaml, " in out
    )
    assert "only with softfail.yaml: page (critical) support-bot/answer" in out


def test_what_if_in_ndjson_appends_one_record_per_difference(capsys, log, config_files):
    _, alone, _ = run(capsys, log, "--format", "ndjson", "--config", config_files["softfail"])
    _, both, _ = run(
        capsys,
        log,
        "--format",
        "ndjson",
        "--config",
        config_files["softfail"],
        "--what-if",
        config_files["panes"],
    )
    assert both.startswith(alone)
    (difference,) = (json.loads(line) for line in both.removeprefix(alone).splitlines())
    assert (difference["record"], difference["kind"], difference["feature"]) == (
        "difference",
        "changed",
        "answer",
    )
    assert "opened" in {item["what"] for item in difference["changes"]}


def test_two_equal_configurations_have_no_differences(capsys, log, config_files):
    _, out, _ = run(
        capsys,
        log,
        "--format",
        "table",
        "--config",
        config_files["softfail"],
        "--what-if",
        config_files["softfail"],
    )
    assert "0 with both but not alike, 1 the same\n" in out


def test_only_the_requested_times_and_features_are_replayed(capsys, log, config_files):
    _, out, _ = run(
        capsys,
        log,
        "--format",
        "ndjson",
        "--from",
        "2026-11-02T00:40Z",
        "--to",
        "2026-11-02T01:20",
        "--match",
        "search/*",
    )
    windows = [json.loads(line) for line in out.splitlines() if '"record":"window"' in line]
    assert {window["feature"] for window in windows} == {"rerank"}
    starts = [window["start"][11:16] for window in windows]
    assert (min(starts), max(starts)) == ("00:40", "01:19")


def test_html_is_written_to_its_file_atomically(capsys, log, tmp_path, config_files):
    report = tmp_path / "report.html"
    code, out, _ = run(
        capsys, log, "--format", "html", "--output", report, "--config", config_files["softfail"]
    )
    assert (code, out) == (1, "")
    assert report.read_text().startswith("<!doctype html>")
    assert report.read_text().endswith("</html>\n")
    assert list(tmp_path.iterdir()) == [report]


def test_a_failing_replay_keeps_the_previous_report(capsys, log, tmp_path):
    report, cut = tmp_path / "report.html", tmp_path / "cut.ndjson.gz"
    report.write_text("the old one")
    cut.write_bytes(b"\x1f\x8b\x08")
    code, _, err = run(capsys, cut, "--format", "html", "--output", report)
    assert code == 2
    assert "cut.ndjson.gz" in err
    assert report.read_text() == "the old one"
    assert sorted(tmp_path.iterdir()) == [cut, report]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{log}", "--from", "2026-11-03", "--to", "2026-11-02"], "--from must be before --to"),
        (["{log}", "--from", "yesterday"], "'yesterday' is not a time; write 2026-11-01"),
        (["{log}", "--match", "answer"], "write service/feature"),
        (["{log}", "--format", "html", "--output", "{folder}/none/report.html"], "does not exist; create it"),
        (["{log}", "--output", "{log}"], "is one of the input files"),
        ([], "FILE"),
    ],
)
def test_invalid_arguments_exit_with_2_and_the_remedy(capsys, log, tmp_path, arguments, message):
    with pytest.raises(SystemExit) as ended:
        main([argument.format(log=log, folder=tmp_path) for argument in arguments])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_an_invalid_other_configuration_is_reported_with_its_file_name(capsys, log, tmp_path):
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("rules: [{name: a, on: pass_rate, below: 95}]\n")
    code, out, err = run(capsys, log, "--format", "summary", "--what-if", wrong)
    assert (code, out) == (2, "")
    assert f"{wrong}: rules[0]" in err
    code, _, err = run(capsys, log, "--what-if", tmp_path / "none.yaml")
    assert code == 2
    assert err.count("none.yaml") == 1


def test_a_missing_file_exits_with_2_and_its_name(capsys, tmp_path):
    code, _, err = run(capsys, tmp_path / "gone.ndjson")
    assert (code, err) == (2, f"{tmp_path / 'gone.ndjson'}: cannot be read: No such file or directory\n")


@pytest.mark.parametrize("form", ["table", "summary"])
def test_no_label_writes_terminal_control_characters(capsys, tmp_path, hours, form):
    path = tmp_path / "evil.ndjson"
    evil = "\x1b]0;owned\x07\x1b[2J\u202e\u200b\n"
    path.write_text(
        "\n".join(
            json.dumps({**hour, "service": evil, "feature": evil, "model": evil})
            for hour in hours
            if hour["feature"] == "answer"
        )
    )
    code, out, _ = run(capsys, path, "--format", form)
    assert code == 0
    assert "owned" in out
    assert not set("\x1b\x07\u202e\u200b") & set(out)


def test_an_empty_input_is_reported_and_is_not_an_error(capsys, tmp_path):
    path = tmp_path / "empty.ndjson"
    path.write_text("\n\n")
    code, out, _ = run(capsys, path, "--format", "summary")
    assert (code, out.splitlines()[0]) == (0, "nothing was measured")
