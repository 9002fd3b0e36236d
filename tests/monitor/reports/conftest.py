from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from monitor.backtest.run import BacktestRun
from monitor.protocol.messages import FileRecord
from monitor.reports.plot_panels import metrics_of, panels_of
from monitor.reports.result import BacktestResult
from schemas.config.monitor_config import Config


@pytest.fixture(scope="session")
def week() -> ModuleType:
    """The module that generates traffic of several features, with troubles."""
    spec = importlib.util.spec_from_file_location("made_week", Path(__file__).parent / "week.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["made_week"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def hours(week: ModuleType) -> list[dict[str, Any]]:
    """Two hours of two features, one of which fails for twenty minutes."""
    troubles = (week.Trouble("support-bot/answer", 1, 1.35, "errors", 0.5),)
    return list(week.events(2, 20, ("support-bot/answer", "search/rerank"), seed=3, troubles=troubles))


@pytest.fixture(scope="session")
def rules_only() -> Callable[..., Config]:
    """Make a configuration with only these rules: no defaults and no no-data rule."""

    def make(*rules: dict[str, Any], **more: Any) -> Config:
        return Config.model_validate(
            {"default_rules": False, "no_data": {"severity": None}, "rules": list(rules), **more}
        )

    return make


@pytest.fixture(scope="session")
def run_backtest() -> Callable[..., BacktestResult]:
    """Run a backtest of a configuration on events (dictionaries, or raw bytes)."""

    def put(config: Config, events: Iterable[dict[str, Any] | bytes]) -> BacktestResult:
        run = BacktestRun(config, "softfail.yaml", panels_of(metrics_of([config])), near_misses=True)
        run.apply(
            [
                FileRecord(event if isinstance(event, bytes) else json.dumps(event).encode(), nth + 1)
                for nth, event in enumerate(events)
            ]
        )
        run.finish()
        return run.result

    return put


@pytest.fixture(scope="session")
def errors_rule() -> dict[str, Any]:
    """A rule that the trouble in ``hours`` breaches."""
    return {
        "name": "errors",
        "on": "error_rate",
        "above": 0.05,
        "window": "5m",
        "for": "1m",
        "severity": "critical",
    }
