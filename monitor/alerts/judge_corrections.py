"""By what the failure rates of judges are corrected: the newest that a calibrated judge stated, by feature."""

from __future__ import annotations

from functools import lru_cache

from monitor.state.partition_contents import JUDGE_LABELS
from monitor.state.partition_state import PartitionState
from monitor.stats.judge_correction import JudgeCorrection, read_correction
from monitor.windows.metric_definitions import evaluator_of_metric
from monitor.windows.segment_keys import FeatureKey
from schemas.config.monitor_config import Config


class JudgeCorrections:
    """Finds the correction of a metric of a feature."""

    def __init__(self, config: Config, partition_state: PartitionState) -> None:
        self._judges = frozenset(judge.name for judge in config.judges)
        self._partition_state = partition_state

    def find(self, key: FeatureKey, metric: str) -> JudgeCorrection | None:
        """Return the correction of the failure rate of a judge; None for any other metric, and of verdicts that
        came without: those of an uncalibrated judge, and of a release before this one.
        """
        judge = evaluator_of_metric(metric) if self._judges and metric.endswith(".fail_rate") else ""
        if judge not in self._judges:
            return None
        text, _ = self._partition_state.evaluators.get(key, {}).get(f"{judge}{JUDGE_LABELS}", ("", 0))
        return _read(text) if text else None

    def metrics(self, key: FeatureKey) -> dict[str, JudgeCorrection]:
        """Return metric -> correction of all judges of a feature."""
        names = (f"evaluator.{judge}.fail_rate" for judge in sorted(self._judges))
        return {name: correction for name in names if (correction := self.find(key, name)) is not None}


_read = lru_cache(maxsize=1024)(read_correction)
