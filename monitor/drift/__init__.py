"""Drift tests: two distributions, or two sketches of texts, in; a ``Comparison`` out. One a file; the dicts
are all there is.
"""

from monitor.drift.category_tests import chi_square, g
from monitor.drift.divergences import hellinger, jensen_shannon
from monitor.drift.interface import Comparison, Distribution, DriftTest, TextTest
from monitor.drift.kolmogorov_smirnov import kolmogorov_smirnov
from monitor.drift.mmd import mmd
from monitor.drift.psi import psi
from monitor.drift.two_proportions import two_proportions
from monitor.drift.wasserstein import wasserstein

__all__ = ["DRIFT_TESTS", "TEXT_TESTS", "Comparison", "Distribution"]

DRIFT_TESTS: dict[str, DriftTest] = {
    "psi": psi,
    "jensen_shannon": jensen_shannon,
    "hellinger": hellinger,
    "wasserstein": wasserstein,
    "kolmogorov_smirnov": kolmogorov_smirnov,
    "chi_square": chi_square,
    "g": g,
    "two_proportions": two_proportions,
}
"""Name -> test. Adding one is a file, a line here and a test."""

TEXT_TESTS: dict[str, TextTest] = {"mmd": mmd}
"""Name -> test of texts, by their sketches."""
