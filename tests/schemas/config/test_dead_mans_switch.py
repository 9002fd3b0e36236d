from __future__ import annotations

import pytest

from schemas.config.load import InvalidConfig, load

URL = "https://hc-ping.com/geheimgeheim"


@pytest.fixture
def write_config(tmp_path):
    def write(health):
        (tmp_path / "softfail.yaml").write_text(f"health: {health}\nchannels: {{}}\n")
        return tmp_path / "softfail.yaml"

    return write


def test_the_address_comes_from_the_environment_and_is_in_no_output(write_config):
    environment = {"SOFTFAIL_DEAD_MANS_URL": URL}
    config = load(
        write_config('{dead_mans_url: "${SOFTFAIL_DEAD_MANS_URL}", dead_mans_interval: 2m}'), environment
    )
    assert (config.health.dead_mans_url.get_secret_value(), config.health.dead_mans_interval) == (URL, 120.0)
    assert "geheim" not in f"{config!r}{config}{config.model_dump()}{config.model_dump_json()}"
    assert (
        load(
            write_config("{}"), {"SOFTFAIL_HEALTH__DEAD_MANS_URL": URL}
        ).health.dead_mans_url.get_secret_value()
        == URL
    )


@pytest.mark.parametrize("needed", [False, "kafka", "channels"])
def test_a_process_that_sends_no_pings_needs_no_address(write_config, needed):
    assert (
        load(
            write_config('{dead_mans_url: "${SOFTFAIL_DEAD_MANS_URL}"}'), {}, with_secrets=needed
        ).health.dead_mans_url
        is not None
    )


def test_no_switch_is_configured_by_default(write_config):
    assert load(write_config("{}"), {}).health.dead_mans_url is None


@pytest.mark.parametrize(
    ("health", "url", "says"),
    [
        (f"{{dead_mans_url: '{URL}'}}", "", "health.dead_mans_url: the file contains a secret"),
        (
            '{dead_mans_url: "${NOT_SET}"}',
            "",
            "health.dead_mans_url: the environment has no variable NOT_SET",
        ),
        ('{dead_mans_url: "${URL}"}', "hc-ping.com/geheim", "health.dead_mans_url: must be an address"),
        ('{dead_mans_url: "${URL}"}', "ftp://hc-ping.com/geheim", "health.dead_mans_url: must be an address"),
        (
            '{dead_mans_url: "${URL}"}',
            "https://me:geheim@hc-ping.com/",
            "health.dead_mans_url: must not contain credentials",
        ),
        (
            '{dead_mans_url: "${URL}"}',
            "https://hc-ping.com/#geheim",
            "health.dead_mans_url: must not contain #",
        ),
        (
            '{dead_mans_url: "${URL}"}',
            "http://hc-ping.com/geheim",
            "would be sent unencrypted; write https://",
        ),
        (
            '{dead_mans_urls: "geheim"}',
            "",
            "health.dead_mans_urls: no such key; did you mean 'dead_mans_url'?",
        ),
        ("{dead_mans_interval: 0s}", "", "health.dead_mans_interval: "),
        ("{dead_mans_interval: 2h}", "", "health.dead_mans_interval: "),
    ],
)
def test_each_fault_names_its_path_and_the_remedy_without_the_secret(write_config, health, url, says):
    with pytest.raises(InvalidConfig) as caught:
        load(write_config(health), {"URL": url})
    assert says in str(caught.value)
    assert "geheim" not in str(caught.value)


def test_a_receiver_on_the_same_machine_needs_no_tls(write_config):
    assert (
        load(
            write_config('{dead_mans_url: "${URL}"}'), {"URL": "http://127.0.0.1:9000/x"}
        ).health.dead_mans_url
        is not None
    )
