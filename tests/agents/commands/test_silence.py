"""``python -m agents silence`` without Kafka: accepted and refused arguments, and the output."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agents.commands import command_line
from agents.commands.silence import main
from agents.kafka import known_features, silence_records
from agents.kafka.silence_records import new_silence
from monitor.delivery.alert_records import read_alert_record
from schemas.records import Silence

NOW = datetime.now(UTC)
ADD = ["add", "--match", "bot/*", "--for", "2h", "--reason", "deploy"]


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> dict[str, Silence]:
    """The alerts topic and its broker, replaced by the written records."""
    silences: dict[str, Silence] = {}

    async def reachable(*_: Any, **__: Any) -> None:
        pass

    async def read_silences(*_: Any) -> dict[str, Silence]:
        return silences

    def write(_: Any, silence: Silence) -> None:
        letter = read_alert_record(silence.model_dump_json().encode())  # as the notifier takes it
        assert letter == silence
        silences[silence.silence_id] = silence

    monkeypatch.setattr(command_line, "await_broker", reachable)
    monkeypatch.setattr(silence_records, "read_silences", read_silences)

    async def known(_: Any, __: Any, enough: Any) -> set[Any]:
        features = {("bot", "answer", "production"), ("shop-bot", "agent", "production")}
        return next(({feature} for feature in features if enough(feature)), features)

    monkeypatch.setattr(silence_records, "write_silence", write)
    monkeypatch.setattr(known_features, "read_known_features", known)
    return silences


@pytest.mark.parametrize(
    ("match", "warning"),
    [
        (
            "shop-bot/agnt",
            "warning: match: no feature that sends events is shop-bot/agnt; the nearest is shop-bot/agent",
        ),
        ("shpo-bot/*", "warning: match: no feature that sends events is shpo-bot/*"),
        ("shop-bot/*", ""),
        ("*", ""),
        ("softfail/*", ""),
    ],
)
def test_a_silence_of_no_known_feature_is_added_with_a_warning_that_names_the_nearest(
    topic, capsys, match, warning
):
    assert main(["add", "--match", match, "--for", "2h", "--reason", "deploy"]) == 0
    assert [silence.match for silence in topic.values()] == [match]
    err = capsys.readouterr().err
    assert (warning in err) if warning else (err == "")


def test_a_silence_of_another_environment_than_the_features_have_says_which_they_have(topic, capsys):
    assert main([*ADD, "--environment", "prdo"]) == 0
    assert "sends events in prdo; they do in production" in capsys.readouterr().err


def test_add_writes_a_silence_that_starts_now_and_prints_how_to_end_it(topic, capsys, monkeypatch):
    monkeypatch.setenv("USER", "ann")
    assert main([*ADD, "--environment", "prod*", "--severity", "warning", "info"]) == 0
    (silence,) = topic.values()
    assert (silence.match, silence.environments, silence.severity, silence.author, silence.reason) == (
        "bot/*",
        ["prod*"],
        ["warning", "info"],
        "ann",
        "deploy",
    )
    assert silence.ends_at - silence.starts_at == timedelta(hours=2)
    assert abs(silence.starts_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert f"python -m agents silence end {silence.silence_id}" in capsys.readouterr().out


def test_end_expires_a_silence_now_and_once(topic, capsys):
    main(ADD)
    (name,) = topic
    assert main(["end", name]) == 0
    assert topic[name].ends_at <= datetime.now(UTC)
    assert main(["end", name]) == 1
    assert f"silence {name} ended at" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "says"),
    [("nobody", "there is no silence nobody"), ("silences[0]", "it is configured in softfail.yaml")],
)
def test_an_unknown_silence_cannot_be_ended(topic, capsys, name, says):
    assert main(["end", name]) == 1
    assert says in capsys.readouterr().err


def test_list_shows_active_then_scheduled_and_no_expired_silences(topic, capsys, tmp_path):
    config = tmp_path / "softfail.yaml"
    config.write_text(
        "silences: [{match: b/*, from: 2020-01-01T00:00:00Z, to: 2020-01-02T00:00:00Z, reason: past},"
        f" {{match: c/*, from: '{NOW + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}', to:"
        f" '{NOW + timedelta(days=2):%Y-%m-%dT%H:%M:%SZ}', reason: later}}]"
    )
    main([*ADD[:-1], "\x1b[2J\u202ex\u200b", "--author", "ann"])
    (name,) = topic
    assert main(["list", "--config", str(config)]) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    assert [line.split()[:2] for line in lines] == [[name, "active"], ["silences[1]", "planned"]]
    assert "ann:  [2Jx" in lines[0]
    assert main(["list", "--config", str(config), "--format", "ndjson"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["state"], row["match"]) for row in rows] == [("active", "bot/*"), ("planned", "c/*")]


def test_list_without_silences_states_it(topic, capsys):
    assert (main(["list"]), capsys.readouterr().out) == (0, "no silences\n")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"match": "bot"}, "match: matches no feature; write service/feature"),
        ({"length_s": 0}, "for: must be 1 s to 30 d"),
        ({"length_s": 31 * 86_400}, "for: must be 1 s to 30 d"),
        ({"reason": " "}, "reason: is empty"),
        ({"author": "a" * 201}, "author: has 201"),
        ({"environments": ["e"] * 21}, "environment: more than 20"),
    ],
)
def test_invalid_requests_are_refused_by_name(change, says):
    fields = {
        "match": "bot/*",
        "length_s": 60.0,
        "reason": "r",
        "author": "a",
        "environments": [],
        "severity": [],
    } | change
    with pytest.raises(ValueError, match=says):
        new_silence(now=NOW, **fields)


def test_a_refusal_gives_a_one_line_error_and_exit_code_1(topic, capsys):
    assert main([*ADD[:2], "bot", *ADD[3:]]) == 1
    assert (topic, capsys.readouterr().err.startswith("refused: match: ")) == ({}, True)


def test_at_most_a_thousand_silences_are_accepted(topic, capsys, monkeypatch):
    monkeypatch.setattr(silence_records, "MOST", 2)
    assert [main(ADD), main(ADD), main(ADD)] == [0, 0, 1]
    assert "refused: 2 silences are active or planned" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [[], ["add"], [*ADD[:4], "soon", *ADD[5:]], [*ADD, "--severity", "loud"], ["end"], ["begin"]]
)
def test_invalid_arguments_exit_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


def test_an_invalid_configuration_or_the_embedded_broker_exits_with_78(tmp_path: Path, capsys):
    config = tmp_path / "softfail.yaml"
    config.write_text("kafka: {embedded: true}")
    assert main(["list", "--config", str(config)]) == 78
    assert "needs an Apache Kafka" in capsys.readouterr().err
    config.write_text("silences: [{match: bot, reason: r, at: '22:00', for: 1h}]")
    assert main(["list", "--config", str(config)]) == 78
    assert "silences[0].match: matches no feature" in capsys.readouterr().err
