from __future__ import annotations

import json
import re
from pathlib import Path

import yaml

from monitor.protocol.metrics import METRICS

ROOT = Path(__file__).parents[2]
DASHBOARD = json.loads((ROOT / "deploy/grafana/dashboards/softfail.json").read_text("utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = [(panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]]
VARIABLES = [variable["query"]["query"] for variable in DASHBOARD["templating"]["list"]]


def test_every_metric_of_the_dashboard_is_listed():
    used = {name for _, expression in EXPRESSIONS for name in re.findall(r"\bsoftfail_\w+", expression)}
    used |= {name for query in VARIABLES for name in re.findall(r"\bsoftfail_\w+", query)}
    assert used
    assert used - set(METRICS) == set()


def test_every_label_selected_or_grouped_by_belongs_to_its_metric():
    for title, expression in EXPRESSIONS:
        for name, selector in re.findall(r"\b(softfail_\w+)\{([^}]*)\}", expression):
            assert set(re.findall(r"(\w+)\s*=~?", selector)) <= set(METRICS[name].labels), title
        labels = {
            label for name in re.findall(r"\bsoftfail_\w+", expression) for label in METRICS[name].labels
        }
        for group in re.findall(r"\bby \(([^)]*)\)", expression):
            assert {label.strip() for label in group.split(",")} <= labels, title


def test_counters_are_read_as_rates_and_gauges_as_values():
    for title, expression in EXPRESSIONS:
        for name in re.findall(r"\bsoftfail_\w+", expression):
            rated = re.search(rf"(rate|increase)\({name}\b", expression) is not None
            assert rated == (METRICS[name].kind == "counter") or name == "softfail_restarts_total", title


def test_panels_have_unique_ids_and_places_and_one_provisioned_datasource():
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    places = [
        (x, y)
        for place in (panel["gridPos"] for panel in DASHBOARD["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(places) == len(set(places)), "two panels overlap"
    provisioned = ROOT / "deploy/grafana/provisioning/datasources/prometheus.yml"
    (datasource,) = yaml.safe_load(provisioned.read_text("utf-8"))["datasources"]
    asking = [
        *PANELS,
        *(target for panel in PANELS for target in panel["targets"]),
        *DASHBOARD["templating"]["list"],
    ]
    assert {panel["datasource"]["uid"] for panel in asking} == {datasource["uid"]}


def test_the_required_metrics_are_on_the_dashboard():
    text = " ".join(expression for _, expression in EXPRESSIONS)
    wanted = [
        "softfail_pass_rate",
        'evaluator="refusal"',
        "softfail_error_rate",
        'metric="duration_s"',
        'metric="output_tokens"',
        "softfail_incidents",
        "softfail_received_events_total",
        "softfail_watermark_lag_seconds",
        "softfail_consumer_lag_records",
        "softfail_dead_letters_total",
        'stage="dropped"',
        "softfail_missing_events",
        "softfail_dead_man_withheld",
        "softfail_dead_man_pings_total",
        "softfail_channel_open",
    ]
    assert [name for name in wanted if name not in text] == []
    assert [variable["name"] for variable in DASHBOARD["templating"]["list"]] == [
        "service",
        "feature",
        "environment",
    ]
