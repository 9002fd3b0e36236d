"""The Prometheus alerts: what they ask for is exported, they fire when they should, and Prometheus is given
them.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from monitor.protocol.metrics import METRICS

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy/prometheus/alerts.yml"
CASES = Path(__file__).with_name("alerts_test.yml")
ALERTS = [rule for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"] for rule in group["rules"]]
ALL = pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])


@ALL
def test_an_alert_uses_exported_metrics_and_labels_and_rates_of_counters_only(rule):
    asked = re.findall(r"\b(softfail_\w+)(?:\{([^}]*)\})?", rule["expr"])
    assert {name for name, _ in asked} <= set(METRICS)
    labels = {"job"}.union(*(METRICS[name].labels for name, _ in asked))
    for name, selector in asked:
        assert set(re.findall(r"(\w+)\s*=~?", selector)) <= set(METRICS[name].labels)
        rated = re.search(rf"increase\({name}\b", rule["expr"]) is not None
        assert rated == (METRICS[name].kind == "counter") or name == "softfail_restarts_total"
    for group in re.findall(r"\bby \(([^)]*)\)", rule["expr"]):
        assert {label.strip() for label in group.split(",")} <= labels


@ALL
def test_an_alert_has_a_description_and_shows_only_its_own_labels(rule):
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["annotations"].keys() == {"summary", "description"}
    labels = {
        label.strip() for group in re.findall(r"\bby \(([^)]*)\)", rule["expr"]) for label in group.split(",")
    }
    assert set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values()))) <= labels


def test_every_alert_has_a_test_case_in_which_it_fires():
    tests = yaml.safe_load(CASES.read_text("utf-8"))["tests"]
    fired = {
        case["alertname"] for test in tests for case in test["alert_rule_test"] if case.get("exp_alerts")
    }
    assert fired == {rule["alert"] for rule in ALERTS}


def test_the_rules_are_mounted_where_prometheus_reads_them():
    (file,) = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text("utf-8"))["rule_files"]
    volumes = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]["prometheus"][
        "volumes"
    ]
    assert f"./deploy/prometheus/alerts.yml:{file}:ro" in volumes
