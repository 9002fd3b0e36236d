"""The least effect that a drift must have to matter: the usual one of its kind, and more than the reference
itself varies. ``least_change`` adds the least change in the metric's own unit.
"""

from __future__ import annotations

import math

from monitor.drift import DRIFT_TESTS
from monitor.drift.histogram_distance import HistogramShape, histogram_distance
from monitor.drift.interface import Distribution
from monitor.references.reference import Reference, TextReference
from monitor.rules.drift_evidence import NEVER_SEEN, DriftResult, shares
from monitor.rules.threshold import z_of
from monitor.windows.metric_definitions import CATEGORIES, FORMATS, LANGUAGES, TEXT_CATEGORIES
from monitor.windows.pane import Pane
from schemas.config.rules import Drift

EFFECTS = {"number": 0.1, "category": 0.1, "rate": 0.2, "text": 0.3, "language": 0.3, "format": 0.2}
"""Least effect by kind of statistic.

Numbers: a tenth of a standard deviation (normalised Wasserstein). Categories: Jensen-Shannon distance. Rates:
Cohen's h. These are Evidently's defaults and Cohen's small effect. Texts: the root of the share of texts that
were replaced by wholly different ones; more than the answers of LLMDrift vary within one month. Languages:
Jensen-Shannon distance; 0.3 is one of six texts in a new language, less may be the conversation of one
person. Formats: the same; 0.2 is one of thirteen texts in a new format, as the mix of tasks varies more than
other categories.
"""

YOUNG_FACTOR = 5.0
"""Factor on the effect where the reference is shorter than half an hour; for texts ``FEW_TEXTS_FACTOR``."""
FEW_TEXTS_FACTOR = 5 / 3
FEW_TEXTS = 50
"""Texts of a window below which languages and formats need ``FEW_TEXTS_FACTOR`` times the effect, too."""
VARIATION_FACTOR = 1.25
"""Factor on the distance of the reference's farthest own block, which a window must exceed."""
MIN_BLOCK_EVENTS = 50
"""Effective events of a block from which it shows how much the reference varies."""

_ABSENT = {category.name: category.absent for category in CATEGORIES + TEXT_CATEGORIES}
_TEXT_KINDS = {
    **{category.name: "language" for category in LANGUAGES},
    **{category.name: "format" for category in FORMATS},
}


def least_text_effect(rule: Drift, reference: TextReference, variation: float) -> float:
    """Return the effect that a drift of texts needs.

    Args:
        variation: distance of the reference's farthest own block from the whole, as an effect.
    """
    least = max(rule.effect or 0.0, EFFECTS["text"]) * (FEW_TEXTS_FACTOR if reference.is_young else 1)
    return max(least, VARIATION_FACTOR * variation)


def least_effect(rule: Drift, result: DriftResult, reference: Reference) -> float:
    """Return the effect that a drift of a number, category or rate needs; 0 for a model never seen before."""
    if result.test == NEVER_SEEN:
        return 0.0
    kind = statistic_kind(result.statistic)
    least = rule.effect or EFFECTS[kind]
    if kind in _TEXT_KINDS.values():
        least *= FEW_TEXTS_FACTOR if reference.is_young or result.n < FEW_TEXTS else 1
    else:
        least *= YOUNG_FACTOR if reference.is_young else 1
    variation = _variation(reference, result.statistic, kind)
    # the whole interval must lie beyond it: numbers and arcsines of rates have a standard error of
    # 1/sqrt(n)
    if variation and kind in ("number", "rate"):
        return max(least, VARIATION_FACTOR * variation + z_of(rule.confidence) / math.sqrt(result.n))
    return max(least, VARIATION_FACTOR * variation)


def _variation(reference: Reference, name: str, kind: str) -> float:
    """Return the distance of the reference's farthest own block from the whole."""
    return reference.cached(("varies", name), lambda: _farthest(reference, name, kind))


def _farthest(reference: Reference, name: str, kind: str) -> float:
    whole = reference.pane.unpacked()
    distances = (_apart(block.unpacked(), whole, name, kind) for block in reference.blocks)
    return float(max(distances, default=0.0))


def statistic_kind(statistic: str) -> str:
    """Return the key of ``EFFECTS`` and ``LEAST_CHANGES`` for a statistic of panes.

    >>> [statistic_kind(name) for name in ("output_tokens", "finish_reason", "output_language", "error_rate")]
    ['number', 'category', 'language', 'rate']
    """
    if statistic in _TEXT_KINDS:
        return _TEXT_KINDS[statistic]
    if statistic in _ABSENT:
        return "category"
    return "rate" if statistic.endswith("_rate") else "number"


def _apart(block: Pane, whole: Pane, name: str, kind: str) -> float:
    """Return the effect between a block of the reference and all of it, less the effect of chance; 0 where
    the block has too few events.
    """
    if kind == "number":
        return _numbers_apart(block, whole, name)
    if name in _ABSENT:
        (now, n), (then, m) = shares(name, _ABSENT[name], block), shares(name, _ABSENT[name], whole)
        if n < MIN_BLOCK_EVENTS or not now or not then:
            return 0.0
        return DRIFT_TESTS["jensen_shannon"](
            Distribution.from_weights(then, m), Distribution.from_weights(now, n)
        ).effect
    if name not in block.rates:
        return 0.0
    now_rate, then_rate = block.rates[name].estimate(1.0), whole.rates[name].estimate(1.0)
    if now_rate.n < MIN_BLOCK_EVENTS or now_rate.value is None or then_rate.value is None:
        return 0.0
    result = DRIFT_TESTS["two_proportions"](
        Distribution.from_rate(then_rate.value, then_rate.n),
        Distribution.from_rate(now_rate.value, now_rate.n),
    )
    return float(max(0.0, abs(result.effect) - 1 / now_rate.n**0.5))


def _numbers_apart(block: Pane, whole: Pane, name: str) -> float:
    if name not in block.numbers:
        return 0.0
    scale = min(block.numbers[name].scale, whole.numbers[name].scale)
    shape, whole_shape = (
        HistogramShape.from_number(block.numbers[name], scale),
        HistogramShape.from_number(whole.numbers[name], scale),
    )
    if shape is None or whole_shape is None or shape.n < MIN_BLOCK_EVENTS:
        return 0.0
    return float(max(0.0, histogram_distance(whole_shape, shape).wasserstein - 1 / shape.n**0.5))
