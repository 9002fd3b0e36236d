"""Drift tests, one file each: two distributions, or two sketches of texts, in; a ``Comparison`` out."""

from monitor.drift.category_tests import g_test
from monitor.drift.divergences import jensen_shannon
from monitor.drift.interface import Comparison, Distribution, DriftTest, TextTest
from monitor.drift.mmd import mmd
from monitor.drift.two_proportions import two_proportions

__all__ = ["DRIFT_TESTS", "TEXT_TESTS", "Comparison", "Distribution"]

DRIFT_TESTS: dict[str, DriftTest] = {
    "jensen_shannon": jensen_shannon,
    "g": g_test,
    "two_proportions": two_proportions,
}
"""Name -> test. CONTRIBUTING.md says how to add one."""

TEXT_TESTS: dict[str, TextTest] = {"mmd": mmd}
"""Name -> test of texts by their sketches."""
