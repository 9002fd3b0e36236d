"""Generated documents are fresh, and their examples are valid."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from monitor.channels import CHANNELS
from monitor.config_check import load_checked_config
from monitor.documentation import __main__ as documentation
from monitor.documentation.metrics_page import _RATES
from monitor.evaluators import EVALUATORS
from monitor.evaluators.suite import Suite
from monitor.evaluators.verdict import State
from monitor.protocol.metrics import METRICS
from monitor.windows.metric_definitions import RATES, metric_fault
from schemas.event_decoder import STRUCTS
from schemas.generate.configuration_page import EXAMPLES
from schemas.generate.files import stale_files
from schemas.times import utc

ENVIRONMENT = {
    "PAGERDUTY_ROUTING_KEY": "0123456789abcdef0123456789abcdef",
    "KAFKA_PASSWORD": "a password",
    "SOFTFAIL_HTTP_TOKEN": "0123456789abcdef0123456789abcdef",
    "SOFTFAIL_DEAD_MANS_URL": "https://ping.example/abc",
    "SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/T0/B0/abc",
    "SOFTFAIL_WEBHOOK_SECRET": "0123456789abcdef",
}


def test_the_generated_documents_are_fresh():
    assert stale_files(documentation.generated()) == [], "run: make docs"


@pytest.mark.parametrize("name", EVALUATORS)
def test_the_failing_example_of_every_evaluator_fails_and_a_plain_answer_passes(name):
    evaluator = EVALUATORS[name]
    suite = Suite.from_settings([{name: dict(evaluator.example_parameters)}])
    position = suite.names.index(name)
    fields = {
        "event_id": "1",
        "time": utc(1_772_442_000_000_000),
        "service": "s",
        "feature": "f",
        "model": "m",
    }

    assert evaluator.failing_example, f"{evaluator.__name__} needs a failing_example"
    example = STRUCTS["response"](**fields, **evaluator.failing_example)
    assert suite.judge(example)[position].state == State.FAILED

    plain = STRUCTS["response"](**fields, output='{"total": 3, "currency": "euro"}', finish_reason="stop")
    assert suite.judge(plain)[position].state != State.FAILED


@pytest.mark.parametrize("name", CHANNELS)
def test_the_keys_of_every_channel_are_in_the_operations_page_and_in_an_example(name):
    operations = (Path(__file__).parents[3] / "docs" / "operations.md").read_text(encoding="utf-8")
    assert f"| `{name}` | " in operations, f"docs/operations.md, Channels: add the keys of {name}"
    example = yaml.safe_load(EXAMPLES["channels"])["channels"]
    assert name in example, f"EXAMPLES of schemas/generate/configuration_page.py: add {name} to channels"


@pytest.mark.parametrize("section", EXAMPLES)
def test_every_example_of_the_configuration_reference_is_a_valid_configuration(
    section, tmp_path, monkeypatch
):
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    tree = yaml.safe_load(EXAMPLES[section])
    assert not section or section in tree
    if section == "pinned":  # its file would have to exist
        tree["pinned"], tree["drift"] = {}, []
    path = tmp_path / "softfail.yaml"
    path.write_text(yaml.safe_dump(tree))
    load_checked_config(path)


def test_the_metrics_page_names_every_rate_and_every_series():
    page = documentation.generated()[
        next(path for path in documentation.generated() if path.name == "metrics.md")
    ]
    assert set(_RATES) == set(RATES)
    assert [name for name in METRICS if f"`{name}`" not in page] == []


def test_every_number_of_the_metrics_page_can_be_used_in_a_rule():
    page = documentation.generated()[
        next(path for path in documentation.generated() if path.name == "metrics.md")
    ]
    numbers = page.split("### Numbers")[1].split("###")[0]
    names = [line.split("`")[1] for line in numbers.splitlines() if line.startswith("| `")]
    assert len(names) > 10
    assert [name for name in names if metric_fault(f"{name}.p90", tuple(EVALUATORS))] == []
