"""Drift tests: two distributions in, a ``Comparison`` out. One a file; the dict is all there is. No rule reads them yet."""

from monitor.drift.categories import chi_square, g
from monitor.drift.comparison import Comparison, Distribution, DriftTest
from monitor.drift.divergence import hellinger, jensen_shannon
from monitor.drift.kolmogorov_smirnov import kolmogorov_smirnov
from monitor.drift.proportions import two_proportions
from monitor.drift.psi import psi
from monitor.drift.wasserstein import wasserstein

__all__ = ["DRIFT_TESTS", "Comparison", "Distribution"]

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
