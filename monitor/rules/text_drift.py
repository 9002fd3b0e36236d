"""Drift of texts: inputs and outputs against those of the reference, by sketches."""

from __future__ import annotations

from monitor.drift.mmd import mmd
from monitor.references.finder import ReferenceFinder
from monitor.references.gaps import Gaps
from monitor.references.reference import TextReference
from monitor.rules.drift_evidence import DriftResult
from monitor.rules.evidence import TextFinding
from monitor.stats.text_sketch import TextSketch
from monitor.windows.feature_series import FeatureState
from monitor.windows.segment_keys import UNLABELLED, SegmentKey
from monitor.windows.segment_series import FINE
from monitor.windows.text_blocks import BLOCK_US

LEAST_TEXTS = 50
LENGTHS_US = (BLOCK_US, 6 * BLOCK_US, 24 * BLOCK_US)
"""Windows to try in turn where there are too few texts: 5 m, 30 m, 2 h."""


class TextReader:
    """Compares the texts of a series with its reference, where a block of them ends."""

    def __init__(self, references: ReferenceFinder) -> None:
        self._references = references

    def read(
        self,
        reference: str,
        feature: FeatureState,
        segment_key: SegmentKey | None,
        edge_us: int,
        since_us: int,
        name: str,
        cleared_us: int,
        gaps: Gaps = (),
        alpha: float = 0.0,
    ) -> tuple[DriftResult, TextReference] | None:
        """Test the texts of one of ``TEXT_NAMES`` at a pane edge; None where there are too few, or no block
        ends.

        ``alpha``: as ``mmd`` takes it.
        """
        if edge_us % BLOCK_US:
            return None
        for window_us in LENGTHS_US:
            if edge_us - window_us < cleared_us:
                return None
            current = _texts(feature, segment_key, edge_us - window_us, edge_us, name)
            if current.n >= LEAST_TEXTS:
                break
        else:
            return None
        before = self._references.texts(
            reference, feature, segment_key, edge_us, window_us, since_us, name, gaps
        )
        if before is None:
            return None
        result = mmd(before.sketch, current, alpha)
        drift = DriftResult(name, "mmd", result.p_value, result.effect, window_us / 1e6, result.m, result.n)
        return drift, before

    def variation(self, reference: TextReference) -> float:
        """Return the distance of the reference's farthest own block from the whole."""
        if "varies" not in reference.cache:
            whole = reference.sketch
            distances = [mmd(whole, block).effect for block in reference.blocks if block.n >= LEAST_TEXTS]
            reference.cache["varies"] = max(distances, default=0.0)
        return float(reference.cache["varies"])


def _texts(
    feature: FeatureState, segment_key: SegmentKey | None, start_us: int, end_us: int, name: str
) -> TextSketch:
    """Merge the sketches of [start, end); ``segment_key`` None: of all segments that have labels."""
    merged = TextSketch()
    segments = (
        [feature.segments[segment_key]]
        if segment_key is not None
        else [segment for key, segment in feature.segments.items() if key != UNLABELLED]
    )
    for segment in segments:
        for begin_us in range(start_us // BLOCK_US * BLOCK_US, end_us, BLOCK_US):
            block = segment.texts[FINE].get(begin_us)
            if block is not None and (sketch := block.sketch(name)) is not None:
                merged.merge(sketch)
    return merged


def finding(drift: DriftResult) -> TextFinding:
    """Return the finding of a drift of texts, which have no value to show."""
    return TextFinding(
        metric=drift.statistic,
        value=None,
        low=None,
        high=None,
        n=drift.n,
        reference=None,
        reference_n=drift.m,
        test=drift.test,
        p_value=float(f"{drift.p_value:.3g}"),
        effect=float(f"{drift.effect:.3g}"),
        window_s=drift.window_s,
    )
