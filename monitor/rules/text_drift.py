"""Drift of texts: what inputs and outputs look like, by sketches."""

from __future__ import annotations

from typing import Any

from monitor.drift.mmd import mmd
from monitor.references.finder import ReferenceFinder
from monitor.references.reference import TextReference
from monitor.rules.drift_evidence import Finding
from monitor.stats.text_sketch import TextSketch
from monitor.windows.feature_series import FINE, FeatureState
from monitor.windows.segment_keys import UNLABELLED, SegmentKey
from monitor.windows.text_blocks import BLOCK_US, TEXT_NAMES

LEAST_TEXTS = 50
LENGTHS_US = (BLOCK_US, 6 * BLOCK_US, 24 * BLOCK_US)
"""5 m, 30 m, 2 h: where the first has too few texts, the next."""


class TextReader:
    """Compares the texts of a series with its reference, where a block of them ends."""

    def __init__(self, references: ReferenceFinder) -> None:
        self._references = references

    def read(
        self,
        reference: str,
        feature: FeatureState,
        at: SegmentKey | None,
        edge_us: int,
        since_us: int,
        name: str,
        cleared_us: int,
    ) -> tuple[Finding, TextReference] | None:
        """What a test says of one of ``TEXT_NAMES`` at an edge; None where nothing can be said, or no block ends."""
        if edge_us % BLOCK_US:
            return None
        for window_us in LENGTHS_US:
            if edge_us - window_us < cleared_us:
                return None
            current = self._texts(feature, at, edge_us - window_us, edge_us, name)
            if current.n >= LEAST_TEXTS:
                break
        else:
            return None
        before = self._references.texts(reference, feature, at, edge_us, window_us, since_us, name)
        if before is None:
            return None
        told = mmd(before.sketch, current)
        return Finding(name, "mmd", told.p_value, told.effect, window_us / 1e6, told.n, told.m), before

    def variation(self, reference: TextReference) -> float:
        """How far the worst of the reference's own blocks is from the whole."""
        if "varies" not in reference.cache:
            apart = [
                mmd(reference.sketch, block).effect for block in reference.blocks if block.n >= LEAST_TEXTS
            ]
            reference.cache["varies"] = max(apart, default=0.0)
        return float(reference.cache["varies"])

    def _texts(
        self, feature: FeatureState, at: SegmentKey | None, start_us: int, end_us: int, name: str
    ) -> TextSketch:
        out = TextSketch()
        segments = (
            [feature.segments[at]]
            if at is not None
            else [one for key, one in feature.segments.items() if key != UNLABELLED]
        )
        for segment in segments:
            for begin_us in range(start_us // BLOCK_US * BLOCK_US, end_us, BLOCK_US):
                block = segment.texts[FINE].get(begin_us)
                if block is not None and (sketch := block.sketch(name)) is not None:
                    out.merge(sketch)
        return out


def told(finding: Finding) -> dict[str, Any]:
    """The finding as evidence: texts have no value that could be stated."""
    return {
        "metric": finding.statistic, "value": None, "low": None, "high": None, "n": finding.n, "reference": None, "reference_n": finding.m,
        "test": finding.test, "p_value": float(f"{finding.p_value:.3g}"), "effect": float(f"{finding.effect:.3g}"), "window_s": finding.window_s,
    }  # fmt: skip


__all__ = ["TEXT_NAMES", "TextReader", "told"]
