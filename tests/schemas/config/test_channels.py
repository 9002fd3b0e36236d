from __future__ import annotations

from pathlib import Path

import pytest

from schemas.config.load import InvalidConfig, load

ALL = """
channels:
  pagerduty: {routing_key: "${PAGERDUTY_ROUTING_KEY}"}
  alertmanager: {url: "https://alertmanager:9093", username: bot, password: "${ALERTMANAGER_PASSWORD}"}
  slack: {webhook_url: "${SLACK_WEBHOOK_URL}"}
  webhook: {url: "${HOOK_URL}", secret: "${HOOK_SECRET}", headers: {X-Team: support, X-Api-Key: "${HOOK_KEY}"}}
"""
ENVIRONMENT = {
    "PAGERDUTY_ROUTING_KEY": "0123456789abcdef0123456789abcdef",
    "ALERTMANAGER_PASSWORD": "passpasspass",
    "HOOK_URL": "https://hooks.example/?k=urlurlurl",
    "SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/T0/B0/slackslack",
    "HOOK_SECRET": "signsignsignsign",
    "HOOK_KEY": "headheadhead",
}


@pytest.fixture
def write_config(tmp_path):
    def write(text) -> Path:
        (tmp_path / "softfail.yaml").write_text(text)
        return tmp_path / "softfail.yaml"

    return write


def test_secrets_of_channels_come_from_the_environment_and_are_in_no_output(write_config):
    config = load(write_config(ALL), ENVIRONMENT)
    assert config.channels.names() == ("pagerduty", "alertmanager", "slack", "webhook")
    assert config.channels.slack.webhook_url.get_secret_value() == ENVIRONMENT["SLACK_WEBHOOK_URL"]
    assert config.channels.webhook.headers["X-Api-Key"].get_secret_value() == "headheadhead"
    shown = f"{config!r}{config}{config.model_dump()}{config.model_dump_json()}"
    assert not [secret for secret in ENVIRONMENT.values() if secret in shown]


def test_reading_commands_need_no_secrets(write_config):
    assert load(write_config(ALL), {}, with_secrets=False).channels.names() == (
        "pagerduty",
        "alertmanager",
        "slack",
        "webhook",
    )


def test_each_missing_secret_is_reported_to_delivering_commands(write_config):
    with pytest.raises(InvalidConfig) as caught:
        load(write_config(ALL), {})
    assert [name for name in ENVIRONMENT if name not in str(caught.value)] == []


@pytest.mark.parametrize(
    "text",
    [
        "slack: {webhook_url: https://hooks.slack.com/services/T/B/geheim}",
        "alertmanager: {url: https://a, token: geheim}",
        "alertmanager: {url: https://a, username: b, password: geheim}",
        "webhook: {url: https://a, secret: geheim}",
    ],
)
def test_a_secret_in_the_file_is_refused_and_not_shown(write_config, text):
    with pytest.raises(InvalidConfig, match="the file contains a secret") as caught:
        load(write_config(f"channels: {{{text}}}"), {})
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("webhook: {url: geheim}", "channels.webhook.url: must be an address"),
        ("webhook: {url: [geheim]}", "channels.webhook.url: must be text"),
        (
            "webhook: {url: https://a, headers: {Host: geheim}}",
            "channels.webhook.headers: Host is set by softfail",
        ),
        (
            "webhook: {url: https://a, headers: {X-A: [geheim]}}",
            "channels.webhook.headers.X-A: must be text",
        ),
        (
            "webhook: {url: https://a, header: {X-A: geheim}}",
            "channels.webhook.header: no such key; did you mean 'headers'?",
        ),
        (
            "alertmanager: {url: 'https://geheim:geheim@a'}",
            "channels.alertmanager.url: must not contain credentials",
        ),
        ("slack: {}", "channels.slack.webhook_url: is missing; add it"),
    ],
)
def test_an_invalid_channel_is_reported_with_its_path_and_without_possible_secrets(write_config, text, says):
    with pytest.raises(InvalidConfig) as caught:
        load(write_config(f"channels: {{{text}}}"), {})
    assert says in str(caught.value)
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ("", "https://events.pagerduty.com/v2/change/enqueue"),
        ("change_events: false", ""),
        (
            "url: https://events.eu.pagerduty.com/v2/enqueue",
            "https://events.eu.pagerduty.com/v2/change/enqueue",
        ),
        (
            'url: "https://proxy.example/pd/v2/enqueue?team=a"',
            "https://proxy.example/pd/v2/change/enqueue?team=a",
        ),
        ("url: https://proxy.example/pagerduty", ""),
        ("url: https://proxy.example/pagerduty, change_events: false", ""),
    ],
)
def test_change_events_are_sent_to_the_configured_address(write_config, settings, url):
    text = f"channels: {{pagerduty: {{routing_key: '${{PAGERDUTY_ROUTING_KEY}}', {settings}}}}}"
    assert load(write_config(text), ENVIRONMENT).channels.pagerduty.changes_url == url


def test_change_events_without_an_address_are_refused(write_config):
    text = (
        "channels: {pagerduty: {routing_key: '${PAGERDUTY_ROUTING_KEY}', url:"
        " 'https://proxy.example/pagerduty', change_events: true}}"
    )
    with pytest.raises(
        InvalidConfig, match=r"channels\.pagerduty\.change_events: .*url, which must end in /v2/enqueue"
    ):
        load(write_config(text), ENVIRONMENT)
