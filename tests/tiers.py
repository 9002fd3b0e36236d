"""Which tests a command runs, how they are spread over processes, and how many examples they try.

A test belongs to the tier of its folder (``TIERS``), so no test names its tier. pytest-xdist keeps together
the tests of a module that share a costly fixture, and runs one at a time what starts a broker of its own.
"""

from __future__ import annotations

import functools
import gc
import os
import re
from collections.abc import Generator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings

HERE = Path(__file__).parent
T = TypeVar("T")

CHECK, LONG, INTEGRATION = "check", "long", "integration"
TIERS = {
    "integration": INTEGRATION,
    "durability": INTEGRATION,
    # They need Python only, and take half of the time of all that do (decision 56).
    "durability/oracle": LONG,
    "scenarios": LONG,
    "benchmarks": LONG,
    "agents/demo": LONG,
    "monitor/alerts/test_learned_state.py": LONG,
    "monitor/alerts/test_page_policy.py": LONG,
    "monitor/alerts/test_sampling_designs.py": LONG,
    "monitor/alerts/test_scenarios.py": LONG,
    "monitor/backtest/test_llmdrift.py": LONG,
    "monitor/cli/golden/test_interrupted_run.py": LONG,
    "monitor/compare/test_confidence_sequence.py": LONG,
    "monitor/delivery/test_faults_by_channel.py": LONG,
    "monitor/rules/test_learned_baseline.py": LONG,
    "monitor/rules/test_low_traffic.py": LONG,
    "monitor/rules/test_quiet_reading.py": LONG,
    "monitor/rules/test_young_silence.py": LONG,
}
"""Tier by folder or module; the longest path that contains a test decides, and without one it is of ``CHECK``."""
TWICE = HERE / "integration"
"""In CI a test of this folder that fails runs once more, and is listed as unstable if it then passes (decision
55). Those of ``durability`` do not: what they prove is exact.
"""

# Fixtures that start a program which is not installed by pip.
SERVICES = {"kafka", "kafka_launcher", "prometheus", "promtool", "alertmanager", "chromium"}

# Profiles of hypothesis. A test that needs more or fewer examples states a multiple of ``examples()``.
settings.register_profile(
    "ci",
    max_examples=50,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.register_profile(
    "nightly",
    max_examples=500,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("ci")


def examples(share: float = 1) -> int:
    """This share of the examples of the profile, at least 5: ``@settings(max_examples=examples(1 / 4))``."""
    return max(5, round(share * settings().max_examples))


def nightly() -> bool:
    """Whether the long form of a test is wanted (``--hypothesis-profile nightly``)."""
    return settings.get_current_profile_name() == "nightly"


def by_profile(ci: T, nightly_: T) -> T:
    """The second in the long form of a test, which has the marker ``long_form``, else the first."""
    return nightly_ if nightly() else ci


def missing_service(reason: str) -> Any:
    """Skip the test that needs a program which this machine lacks; in CI it fails."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--tier``."""
    parser.addoption(
        "--tier",
        choices=(CHECK, LONG, INTEGRATION),
        help="only tests of this tier (tests/tiers.py); without it what is named, whatever its tier",
    )


def tier_of(path: Path) -> str:
    """The tier of a test module, or of all that lies in a folder."""
    if not path.is_relative_to(HERE):
        return CHECK
    folders = [path.relative_to(HERE), *path.relative_to(HERE).parents]
    return next((TIERS[str(folder)] for folder in folders if str(folder) in TIERS), CHECK)


def pytest_collection_finish() -> None:
    """Leave what the collection made (thousands of tests, all modules) out of later garbage collections."""
    gc.collect()
    gc.freeze()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out modules of other tiers before they are imported."""
    tier = config.getoption("--tier")
    if tier and collection_path.suffix == ".py" and tier_of(collection_path) != tier:
        return True
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what has a long form, and see that only ``integration`` needs a service."""
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if tier_of(item.path) != INTEGRATION and (services := SERVICES.intersection(fixtures)):
            raise pytest.UsageError(f"{item.nodeid} needs {sorted(services)}: move it to tests/integration")
        if _has_long_form(item):
            item.add_marker(pytest.mark.long_form)
        if os.environ.get("CI") and item.path.is_relative_to(TWICE):
            item.add_marker(pytest.mark.flaky(reruns=1))


def _has_long_form(item: pytest.Item) -> bool:
    return getattr(getattr(item, "obj", None), "is_hypothesis_test", False) or bool(
        item.get_closest_marker("seeds")
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Spread groups over the processes; tests without a group are spread one by one."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduler(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(config.rootpath / nodeid.partition("::")[0]) or nodeid

    return Scheduler(config, log)


@functools.cache
def group_of(module: Path) -> str | None:
    """What the tests of a module share: a broker that may be stopped, or costly results of the module; None
    if nothing.
    """
    text = module.read_text("utf-8")
    if re.search(r"\bown_kafka\b", text):
        return "own broker"
    shares = r"""scope=["']module["']|^@cache$|\bkafka_launcher\b"""
    return str(module) if re.search(shares, text, re.MULTILINE) else None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test of ``@pytest.mark.seeds(2, nightly=20)`` as many seeds, from 0."""
    if (marker := metafunc.definition.get_closest_marker("seeds")) is not None:
        count = marker.kwargs["nightly"] if nightly() else marker.args[0]
        metafunc.parametrize("seed", range(count))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print each failure after which a test ran once more, so that its cause can be found."""
    reports = terminalreporter.getreports("rerun")
    for report in reports:
        terminalreporter.write_sep("=", f"unstable: {report.nodeid}", yellow=True)
        terminalreporter.line(report.longreprtext)
    if reports:
        terminalreporter.line(f"{len(reports)} failed at first and ran once more: mend them", yellow=True)


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    """Escape surrogates in what a test printed: pytest-xdist cannot send them from process to process."""
    return _encodable((yield))


def _encodable(data: Any) -> Any:
    if isinstance(data, str):
        return data.encode("utf-8", "backslashreplace").decode()
    if isinstance(data, dict):
        return {_encodable(key): _encodable(value) for key, value in data.items()}
    return type(data)(map(_encodable, data)) if type(data) in (list, tuple) else data
