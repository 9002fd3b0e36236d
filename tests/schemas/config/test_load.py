"""The configuration: loaded and validated as a whole, each fault with its path and remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from monitor.cli.check import main as check
from monitor.config_check import faults_of
from schemas.config.load import InvalidConfig, load
from schemas.config.monitor_config import Config
from schemas.fields import duration_s

KEY = "0123456789abcdef0123456789abcdef"
DESIGN = """
time: {pane: 60s, lateness: 30s}
features:
  - match: support-bot/*
    interaction: sync
    dimensions: [region]
    evaluators: [length, refusal, {json_schema: {file: answer.schema.json}}]
rules:
  - {name: pass-rate, on: pass_rate, below: 0.95, window: 5m, for: 1m, min_events: 50, severity: critical}
  - {name: errors, on: error_rate, above: 0.02, window: 5m, min_events: 50, severity: critical}
  - {name: refusals, on: evaluator.refusal.fail_rate, above: 0.10, clear: 0.05, window: 10m, severity: error}
  - {name: slow, on: duration_s.p90, above: budget, window: 10m, severity: warning}
channels:
  pagerduty: {routing_key: "${PAGERDUTY_ROUTING_KEY}"}
routes:
  - {severity: [critical, error], to: [pagerduty]}
"""


def write_config(folder: Path, text: str) -> Path:
    path = folder / "softfail.yaml"
    path.write_text(text)
    return path


def faults(folder: Path, text: str, **environment: str) -> list[str]:
    with pytest.raises(InvalidConfig) as raised:
        load(write_config(folder, text), environment)
    return raised.value.faults


def test_a_schema_file_without_an_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("schemas.config.load.MAX_SCHEMA_BYTES", 1 << 20)
    (tmp_path / "answer.json").write_bytes(b'{"type": "object"}' + b" " * (1 << 20))
    text = "features: [{match: a/b, evaluators: [{json_schema: {file: answer.json}}]}]"
    (fault,) = faults(tmp_path, text)
    assert fault == "features[0].evaluators[0].file: answer.json is not JSON: it has more than 1 MiB"


def test_an_empty_and_a_missing_file_give_the_defaults(tmp_path: Path) -> None:
    assert load(write_config(tmp_path, ""), {}) == load(None, {}) == Config()
    assert [rule.name for rule in Config().all_rules()] == [
        "error-rate",
        "pass-rate-floor",
        "pass-rate-fell",
        "failures-rose",
    ]
    assert Config().no_data.severity == "critical"
    assert Config().channels.names() == ("console",)


def test_the_example_configuration_is_valid(tmp_path: Path) -> None:
    (tmp_path / "answer.schema.json").write_text('{"type": "object"}')
    config = load(write_config(tmp_path, DESIGN), {"PAGERDUTY_ROUTING_KEY": KEY})
    assert faults_of(config) == []
    assert config.feature("support-bot", "answer").dimensions == ("region",)
    assert config.channels_for("support-bot", "answer", "production", "error") == ("pagerduty",)
    assert config.channels_for("support-bot", "answer", "production", "warning") == ()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("kafka: {broker: x}", "kafka.broker: no such key; did you mean 'brokers'?"),
        ("drift: [{name: x, refrence: y}]", "drift[0].refrence: no such key; did you mean 'reference'?"),
        ("rules: [{name: x, abov: 1}]", "rules[0].abov: no such key; did you mean 'above'?"),
        ("rules: [{name: x, zzz: 1}]", "rules[0].zzz: no such key; there are: name, "),
        ("rules: [{name: a, on: pass_rate, below: 95}]", "rules[0]: a rate lies between 0 and 1"),
        ("rules: [{name: a, on: pass_rate}]", "rules[0]: write exactly one of above and below"),
        ("rules: [{name: a, on: pass_rate, below: 0.9, window: soon}]", "rules[0].window: not a duration"),
        (
            "rules: [{name: a, on: pass_rate, below: 0.9}, {name: a, on: pass_rate, below: 0.8}]",
            "the name 'a' stands twice",
        ),
        ("rules: [{name: a, on: pass_rate, below: 0.9, clear: 0.8}]", "bad side"),
        ("rules: [{on: pass_rate, below: 0.9}]", "rules[0].name: is missing"),
        ("rules: [{name: a, on: pass_rate, below: 0.9, window: 90s}]", "not a whole number of panes"),
        ("time: {pane: 7s}", "divides an hour"),
        ("silences: [{match: a/*, reason: r}]", "write either from and to, or at and for"),
        ("silences: [{match: a/*, reason: r, at: 22:00, for: 2h}]", "silences[0].at: write it in quotes"),
        ("silences: [{match: a/*, reason: r, at: '24:00', for: 2h}]", "silences[0].at: "),
        (
            "silences: [{match: a/*, reason: r, at: '22:00', for: 2h, timezone: Mars/Base}]",
            "silences[0].timezone: is not a time zone",
        ),
        (
            "silences: [{match: a/*, reason: r, at: '22:00', for: 1d}]",
            "silences[0].for: the silence would never end",
        ),
        (
            "silences: [{match: a/*, reason: r, from: 2026-12-24T18:00:00Z, to: 2027-12-24T18:00:00Z}]",
            "silences[0].to: must be after from",
        ),
        (
            "silences: [{match: a/*, reason: r, from: 2026-12-24T18:00:00, to: 2026-12-25T18:00:00Z}]",
            "silences[0].from: ",
        ),
        ("silences: [{match: a/*, at: '22:00', for: 1h}]", "silences[0].reason: is missing"),
        (
            "drift: [{name: a, on: [output_tokens], reference: yesterday}]",
            "reference: 'yesterday' is none; write trailing 24h",
        ),
        (
            "drift: [{name: a, on: [output_tokens], window: 3h}]",
            "drift is the least that is looked at, 2h at most",
        ),
        ("drift: [{name: a}]\nrules: [{name: a, on: pass_rate, below: 0.9}]", "the name 'a' stands twice"),
        ("rules: [{name: a, on: duration_s.p90, above: baseline}]", "baseline goes with rates only"),
        ("rules: [{name: a, on: evaluator.*.fail_rate, above: 0.1}]", "goes with above: baseline only"),
        ("rules: [{name: a, on: pass_rate, below: baseline, clear: 0.9}]", "remove clear"),
        ("objectives: [{name: a, on: pass_rate, target: 0.93}]", "can never be reached; write burn:"),
        ("objectives: [{name: a, on: duration_s.p90, target: 0.97}]", "is no rate; write pass_rate"),
        (
            (
                "objectives: [{name: a, on: pass_rate, target: 0.97, burn: [{long: 5m, short: 1h, factor: 2,"
                " severity: error}]}]"
            ),
            "is not shorter",
        ),
        (
            "channels: {pagerduty: {routing_key: abc}}",
            "channels.pagerduty.routing_key: the file contains a secret",
        ),
        ('channels: {pagerduty: {routing_key: "${NOT_SET}"}}', "the environment has no variable NOT_SET"),
        ("routes: [{to: [slack]}]", "channel 'slack' is not configured"),
        (
            "features: [{match: a, evaluators: [{json_schema: {file: none.json}}]}]",
            "none.json cannot be read",
        ),
        ("- a", "must be a mapping"),
        ("a: [", "not YAML"),
    ],
)
def test_each_fault_names_its_path_and_the_remedy(tmp_path: Path, text: str, fault: str) -> None:
    assert any(fault in item for item in faults(tmp_path, text)), faults(tmp_path, text)


def test_all_faults_are_reported_together(tmp_path: Path) -> None:
    reported = faults(
        tmp_path,
        "time: {pane: 7s}\nkafka: {broker: x}\nrules: [{name: a, on: pass_rate, below: 95}]",
        SOFTFAIL_KAFFKA__X="1",
    )
    assert len(reported) == 4
    assert any("did you mean 'kafka'?" in item for item in reported)


def test_every_key_can_come_from_the_environment(tmp_path: Path) -> None:
    path = write_config(tmp_path, "rules: [{name: a, on: pass_rate, below: 0.9}]")
    environment = {
        "SOFTFAIL_KAFKA__BROKERS": "one:1,two:2",
        "SOFTFAIL_RULES__0__BELOW": "0.8",
        "SOFTFAIL_TIME__PANE": "30s",
        "SOFTFAIL_HTTP__PORT": "7070",
        "SOFTFAIL_CHANNELS__PAGERDUTY__ROUTING_KEY": "01234567890123456789012345678901",
        "SOFTFAIL_DEFAULT_RULES": "false",
        "SOFTFAIL_PROCESS_START": "x",
    }
    config = load(path, environment)
    assert (config.kafka.brokers, config.rules[0].below, config.time.pane, config.http.port) == (
        "one:1,two:2",
        0.8,
        30.0,
        7070,
    )
    assert config.channels.pagerduty is not None
    assert config.channels.pagerduty.routing_key.get_secret_value() == "01234567890123456789012345678901"
    assert [rule.name for rule in config.all_rules()] == ["a"]


def test_no_error_or_output_contains_a_secret(tmp_path: Path) -> None:
    config = load(
        write_config(tmp_path, DESIGN.replace(", {json_schema: {file: answer.schema.json}}", "")),
        {"PAGERDUTY_ROUTING_KEY": KEY},
    )
    assert KEY not in repr(config)
    assert KEY not in config.model_dump_json()
    short = faults(tmp_path, 'channels: {pagerduty: {routing_key: "${K}"}}', K="geheim")
    assert short
    assert "geheim" not in str(short)


def test_reading_commands_need_no_secrets(tmp_path: Path) -> None:
    text = 'channels: {pagerduty: {routing_key: "${NOT_SET}"}}'
    assert load(write_config(tmp_path, text), {}, with_secrets=False).channels.names() == ("pagerduty",)
    assert faults(tmp_path, text)
    with pytest.raises(InvalidConfig):  # what is no secret must be there all the same
        load(write_config(tmp_path, 'kafka: {brokers: "${NOT_SET}"}'), {}, with_secrets=False)


def test_a_rule_with_the_name_of_a_default_replaces_it(tmp_path: Path) -> None:
    config = load(write_config(tmp_path, "rules: [{name: error-rate, on: error_rate, above: 0.2}]"), {})
    assert [(rule.name, rule.above) for rule in config.all_rules()] == [
        ("pass-rate-floor", None),
        ("pass-rate-fell", None),
        ("failures-rose", "baseline"),
        ("error-rate", 0.2),
    ]


def test_check_prints_each_fault_and_exits_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules = (
        "{name: s, on: duration_s.p90, above: budget}",
        "{name: t, on: output_token.mean, above: 1}",
        "{name: u, on: duration_s.max, above: 1}",
        "{name: v, on: evaluator.refusals.fail_rate, above: 0.1}",
        "{name: w, on: refusal_rate, above: 0.1}",
    )
    bad = f"features: [{{match: a, evaluators: [refusl]}}]\nrules: [{', '.join(rules)}]"
    assert check([str(write_config(tmp_path, bad))]) == 1
    out = capsys.readouterr().out
    assert "features[0]" in out
    assert "refusal" in out
    assert "rules[0].above" in out
    assert "rules[1].on: there is no metric 'output_token'; did you mean 'output_tokens.mean'?" in out
    assert "rules[2].on: 'max' is no statistic of a number" in out
    assert "rules[3].on: there is no evaluator 'refusals'; did you mean 'refusal'?" in out
    assert (
        "rules[4].on: there is no metric 'refusal_rate'; did you mean 'evaluator.refusal.fail_rate'?" in out
    )
    assert check([str(write_config(tmp_path, ""))]) == 0
    assert "error-rate" in capsys.readouterr().out


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from([*Config.model_fields, "name", "on", "pane", "match", "x"]), inner, max_size=4
            )
        ),
        max_leaves=12,
    )
)
def test_no_yaml_tree_crashes_the_loader(tmp_path_factory: pytest.TempPathFactory, tree: Any) -> None:
    path = write_config(tmp_path_factory.mktemp("any"), yaml.safe_dump(tree))
    reported = ["none"]
    try:
        load(path, {})
    except InvalidConfig as error:
        reported = error.faults
    assert reported


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("5m", 300), ("1.5h", 5400), (30, 30), ("250ms", 0.25), ("2w", 1_209_600)],
)
def test_durations_accept_common_notations(text: str | int, seconds: float) -> None:
    assert duration_s(text) == seconds


LINKS = """
kafka: {security: {ca_file: ca.pem, cert_file: w.pem, key_password: "${KEY_PASSWORD}", username: bot, password: "${PASSWORD}"}}
http: {host: 0.0.0.0, token: "${TOKEN}"}
channels: {pagerduty: {routing_key: "${ROUTING_KEY}"}}
"""


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("kafka: {security: {pasword: x}}", "kafka.security.pasword: no such key; did you mean 'password'?"),
        ("kafka: {security: {username: bot}}", "kafka.security.password: is missing, and username is set"),
        (
            "kafka: {security: {username: bot, password: geheim}}",
            "kafka.security.password: the file contains a secret",
        ),
        (
            "kafka: {security: {cert_file: a, key_password: geheim}}",
            "kafka.security.key_password: the file contains a secret",
        ),
        ("kafka: {security: {protocol: TLS}}", "kafka.security.protocol: must be 'PLAINTEXT', 'SSL'"),
        (
            "kafka: {security: {protocol: PLAINTEXT, ca_file: a}}",
            "kafka.security.protocol: PLAINTEXT has no TLS",
        ),
        ("kafka: {security: {ca_file: a}, embedded: true}", "kafka.security: the embedded broker knows none"),
        ("http: {host: 0.0.0.0}", "http.token: is missing, and others can reach 0.0.0.0"),
        ("http: {token: geheim}", "http.token: the file contains a secret"),
        ('http: {token: "${SHORT}"}', "http.token: must be 16 to 500"),
    ],
)
def test_each_invalid_link_names_its_path_and_the_remedy(tmp_path: Path, text: str, fault: str) -> None:
    reported = faults(tmp_path, text, SHORT="geheim")
    assert any(item.startswith(fault) for item in reported), reported
    assert "geheim" not in str(reported)


def test_a_process_that_only_connects_needs_only_the_kafka_secrets(tmp_path: Path) -> None:
    path, environment = write_config(tmp_path, LINKS), {"KEY_PASSWORD": "geheim-1", "PASSWORD": "geheim-2"}
    security = load(path, environment, with_secrets="kafka").kafka.security
    assert security.password is not None
    assert security.password.get_secret_value() == "geheim-2"
    with pytest.raises(
        InvalidConfig, match=r"kafka\.security\.password: the environment has no variable PASSWORD"
    ):
        load(path, {"KEY_PASSWORD": "geheim-1"}, with_secrets="kafka")
    assert load(path, {}, with_secrets=False).http.token is not None
    with pytest.raises(InvalidConfig) as refused:
        load(path, environment)
    assert sorted(fault.split(":")[0] for fault in refused.value.faults if "environment" in fault) == [
        "channels.pagerduty.routing_key",
        "http.token",
    ]


def test_secrets_in_links_come_from_the_environment_unchanged(tmp_path: Path) -> None:
    environment = {
        "SOFTFAIL_KAFKA__SECURITY__USERNAME": "bot",
        "SOFTFAIL_KAFKA__SECURITY__PASSWORD": "0123: [not yaml",
        "SOFTFAIL_HTTP__TOKEN": "0123456789012345",
    }
    config = load(write_config(tmp_path, ""), environment)
    assert config.kafka.security.resolved == "SASL_SSL"
    assert config.kafka.security.password is not None
    assert (
        config.kafka.security.password.get_secret_value() == environment["SOFTFAIL_KAFKA__SECURITY__PASSWORD"]
    )
    assert config.http.token is not None
    assert config.http.token.get_secret_value() == "0123456789012345"


def test_an_invalid_yaml_line_is_reported_by_number_and_not_shown(tmp_path: Path) -> None:
    (reported,) = faults(tmp_path, "kafka:\n  security: {password: geheim, ca_file: [}\n")
    assert "not YAML: line 2, column" in reported
    assert "geheim" not in reported
