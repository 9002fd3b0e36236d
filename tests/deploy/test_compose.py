from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from schemas.config.load import load

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
SERVICES = COMPOSE["services"]
ALL = pytest.mark.parametrize("name", SERVICES)
TOKEN = "0123456789abcdef"
_PINNED = re.compile(r"[\w./\-]+:v?\d+\.\d+\.\d+[\w.\-]*")


def test_the_services_are_those_of_the_documents():
    assert set(SERVICES) == {"kafka", "topics", "worker", "prometheus", "grafana"}


@ALL
def test_every_image_is_pinned_to_a_full_version(name):
    assert _PINNED.fullmatch(SERVICES[name]["image"])


@ALL
def test_every_published_port_is_on_loopback_only(name):
    assert [
        port
        for port in SERVICES[name].get("ports", ())
        if not re.fullmatch(r"127\.0\.0\.1:\d+:\d+", str(port))
    ] == []


@ALL
def test_every_volume_is_a_file_that_exists_or_a_named_volume_that_is_declared(name):
    for volume in SERVICES[name].get("volumes", ()):
        source, target, *mode = volume.split(":")
        assert target.startswith("/")
        if source.startswith("."):
            assert (ROOT / source).exists(), source
            assert mode == ["ro"], f"{source} is ours; a container has no business writing it"
        else:
            assert source in COMPOSE["volumes"]


@ALL
def test_every_dependency_is_a_service_and_waits_for_a_condition_it_can_reach(name):
    for other, how in SERVICES[name].get("depends_on", {}).items():
        assert other in SERVICES
        checked = "test" in SERVICES[other]["healthcheck"]
        assert how["condition"] in (
            ("service_healthy", "service_started") if checked else ("service_completed_successfully",)
        )


@ALL
def test_every_long_running_service_has_a_healthcheck_and_a_restart_policy(name):
    service = SERVICES[name]
    if service["healthcheck"].get("disable"):
        assert service["restart"].startswith("on-failure"), "a one-shot"
    else:
        assert service["healthcheck"]["test"]
        assert service["restart"] == "unless-stopped"


@ALL
def test_no_secret_has_a_default(name):
    for key, value in SERVICES[name].get("environment", {}).items():
        if re.search(r"PASSWORD|TOKEN|SECRET|ROUTING_KEY", key):
            assert re.fullmatch(r"\$\{\w+:\?[^}]+\}|\$\{\w+:-\}", value), (
                f"{key} must come from the environment"
            )
    assert SERVICES["grafana"]["environment"]["GF_SECURITY_ADMIN_PASSWORD"].startswith(
        "${GRAFANA_ADMIN_PASSWORD:?"
    )
    assert SERVICES["grafana"]["environment"]["GF_AUTH_ANONYMOUS_ENABLED"] == "false"


def test_the_commands_of_the_worker_image_exist():
    from agents.__main__ import COMMANDS

    dockerfile = (ROOT / "deploy/Dockerfile").read_text("utf-8")
    assert 'ENTRYPOINT ["python", "-m", "agents"]' in dockerfile
    assert {SERVICES[name]["command"][0] for name in ("topics", "worker")} <= set(COMMANDS)


def test_every_file_copied_by_the_dockerfile_exists_and_is_not_ignored():
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    dockerfile = (ROOT / "deploy/Dockerfile").read_text("utf-8")
    sources = [
        source
        for line in re.findall(r"^COPY (.+)$", dockerfile, re.MULTILINE)
        for source in line.split()[:-1]
    ]
    assert sources
    for source in sources:
        assert (ROOT / source).exists(), source
        assert f"!{source}" in ignored


def test_the_dockerfile_pins_its_base_image_and_runs_as_an_unprivileged_user():
    lines = (ROOT / "deploy/Dockerfile").read_text("utf-8").splitlines()
    (base,) = (line.split()[1] for line in lines if line.startswith("FROM"))
    assert _PINNED.fullmatch(base)
    assert [line for line in lines if line.startswith("USER")] == ["USER 10001"]


def test_the_configuration_of_the_worker_is_valid_in_its_environment():
    environment = {key: str(value) for key, value in SERVICES["worker"]["environment"].items()} | {
        "SOFTFAIL_HTTP_TOKEN": TOKEN
    }
    config = load(ROOT / "deploy/softfail.yaml", environment)
    assert config.kafka.brokers == "kafka:19092"
    assert (
        f"INSIDE://{config.kafka.brokers}" in SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    )
    assert SERVICES["worker"]["ports"] == [f"127.0.0.1:{config.http.port}:{config.http.port}"]


def test_enabling_pagerduty_as_in_the_comment_needs_only_the_key(tmp_path):
    text = (ROOT / "deploy/softfail.yaml").read_text("utf-8").replace("  # pagerduty:", "  pagerduty:")
    (tmp_path / "softfail.yaml").write_text(text)
    config = load(
        tmp_path / "softfail.yaml", {"PAGERDUTY_ROUTING_KEY": "0" * 32, "SOFTFAIL_HTTP_TOKEN": TOKEN}
    )
    assert config.channels.names() == ("pagerduty", "console")


def test_prometheus_scrapes_the_port_of_the_worker():
    scrapes = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text("utf-8"))["scrape_configs"]
    (targets,) = (
        scrape["static_configs"][0]["targets"] for scrape in scrapes if scrape["job_name"] == "softfail"
    )
    assert targets == ["worker:6066"]


def test_services_reachable_from_other_containers_require_the_token_and_prometheus_has_it():
    environment = {key: str(value) for key, value in SERVICES["worker"]["environment"].items()} | {
        "SOFTFAIL_HTTP_TOKEN": TOKEN
    }
    http = load(ROOT / "deploy/softfail.yaml", environment).http
    assert not http.is_loopback
    assert http.token is not None
    assert http.token.get_secret_value() == TOKEN
    (scrape,) = (
        job
        for job in yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text("utf-8"))[
            "scrape_configs"
        ]
        if job["job_name"] == "softfail"
    )
    (secret,) = SERVICES["prometheus"]["secrets"]
    assert scrape["authorization"] == {"credentials_file": f"/run/secrets/{secret}"}
    assert COMPOSE["secrets"][secret] == {"environment": "SOFTFAIL_HTTP_TOKEN"}
    for probe in (
        SERVICES["worker"]["healthcheck"]["test"][-1],
        (ROOT / "deploy/Dockerfile").read_text("utf-8"),
    ):
        assert "/healthz" in probe, "the path that needs no token"


def test_grafana_datasource_and_dashboards_are_mounted_where_it_reads_them():
    provisioning = ROOT / "deploy/grafana/provisioning"
    (datasource,) = yaml.safe_load((provisioning / "datasources/prometheus.yml").read_text("utf-8"))[
        "datasources"
    ]
    assert datasource["url"] == "http://prometheus:9090"
    (provider,) = yaml.safe_load((provisioning / "dashboards/softfail.yml").read_text("utf-8"))["providers"]
    assert f"./deploy/grafana/dashboards:{provider['options']['path']}:ro" in SERVICES["grafana"]["volumes"]


def test_docker_compose_accepts_the_file():
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True).returncode:
        # also in CI, where there is none: the tests above hold without it
        pytest.skip("needs docker with the compose plugin")
    environment = {
        "GRAFANA_ADMIN_PASSWORD": "x",
        "SOFTFAIL_HTTP_TOKEN": TOKEN,
        "PATH": "/usr/bin:/bin",
        "HOME": "/nonexistent",
    }
    subprocess.run(
        [docker, "compose", "config", "--quiet"], cwd=ROOT, env=environment, check=True, capture_output=True
    )
