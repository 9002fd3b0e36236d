"""Any rule on any series at an edge: which of the kinds of rules answers."""

from __future__ import annotations

from monitor.alerts.baseline_store import Baselines
from monitor.alerts.evaluator_versions import Statistics, evaluator_of
from monitor.incidents.incident import Incident
from monitor.protocol.messages import to_json
from monitor.references.pinned import PinnedReferences
from monitor.rules import burn_rate, no_data, threshold
from monitor.rules.drift import DriftReader
from monitor.rules.reading import Reading
from monitor.state.partition_state import PartitionState
from monitor.windows.feature_series import DAY_US, FINE_RETENTION_US, FeatureState
from monitor.windows.segment_keys import SegmentKey, segment_to_json
from schemas.config.monitor_config import Config
from schemas.config.rules import Burning, Drift, Rule, Watched
from schemas.pin_file import pinned_name

NORMAL_US = DAY_US  # what differs from what was learnt for this long is what is normal now


class Readers:
    """Reads rules: thresholds off windows, falls off baselines, drift against references, silence."""

    def __init__(self, config: Config, partition_state: PartitionState) -> None:
        self._config, self._partition_state = config, partition_state
        self.statistics = Statistics(config, partition_state)
        self.baselines = Baselines(config, partition_state, self.statistics)
        self._pins = PinnedReferences(config.pinned)
        self._drift = DriftReader(partition_state.pane_us, self._pins)
        self._no_data = no_data.as_rule(config.no_data) if config.no_data.severity else None
        self.rules: tuple[Watched, ...] = (*config.all_rules(), *config.all_burning(), *config.all_drift())
        self.silence = self._no_data

    def read(
        self,
        rule: Watched,
        feature: FeatureState,
        at: SegmentKey | None,
        edge_us: int,
        known: Incident | None,
    ) -> Reading:
        """What a rule says of a series (``at`` None: the whole feature). ``known``: its incident, if it is
        pending or firing.
        """
        if rule is self._no_data:
            return no_data.read(self._config.no_data, feature, edge_us, self._partition_state.pane_us)
        if isinstance(rule, Rule):
            if rule.is_learnt:
                return self.baselines.read(rule, feature, at, edge_us)
            cleared_us = self.statistics.cleared_us(
                feature.key,
                rule,
                feature.resolved_edges.get(named(at, rule)) if feature.resolved_edges else None,
            )
            interaction = self._config.feature(feature.key.service, feature.key.feature).interaction
            return threshold.read(
                rule, feature if at is None else feature.segments[at], edge_us, interaction, cleared_us
            )
        changed = self.statistics.changed(feature.key)
        if isinstance(rule, Drift):
            moved_us = feature.accepted_since.get(named(at, rule), 0) if feature.accepted_since else 0
            known_s = known.evidence.get("window_s") if known is not None else None
            if pinned_name(rule.reference) is not None:
                changed = self._pins.changed(
                    rule.reference,
                    feature.key,
                    self._partition_state.evaluators.get(feature.key, {}),
                    edge_us - FINE_RETENTION_US,
                )
            gating, over_us = (
                self.statistics.gating(feature.key),
                feature.resolved_edges.get(named(at, rule), 0) if feature.resolved_edges else 0,
            )
            return self._drift.read(rule, feature, at, edge_us, known_s, moved_us, gating, changed, over_us)
        assert isinstance(rule, Burning)
        return burn_rate.read(
            rule,
            feature if at is None else feature.segments[at],
            edge_us,
            changed.get(evaluator_of(rule.on), 0),
        )

    def has_become_normal(self, rule: Watched, known: Incident, edge_us: int) -> bool:
        """Whether what differs from a learnt baseline or a reference has lasted for a day. A pinned reference
        stays what it is.
        """
        learnt = (isinstance(rule, Drift) and pinned_name(rule.reference) is None) or (
            isinstance(rule, Rule) and rule.is_learnt
        )
        return learnt and known.state == "firing" and edge_us - known.since_us >= NORMAL_US

    def learn_anew(self, rule: Watched, feature: FeatureState, at: SegmentKey | None, since_us: int) -> None:
        """Take what has been since then for the normal."""
        feature.accepted_since.pop(named(at, rule), None)
        feature.accepted_since[named(at, rule)] = since_us
        if len(feature.accepted_since) > MOVED:
            del feature.accepted_since[next(iter(feature.accepted_since))]
        if isinstance(rule, Rule):
            self.baselines.forget(rule, feature, at)
        self._partition_state.mark_feature(feature.key)


MOVED = 1000  # changes of what is normal that a feature remembers; the oldest goes first


def named(at: SegmentKey | None, rule: Watched) -> str:
    """A rule on a series, as one text."""
    return to_json([rule.name, segment_to_json(at)]).decode()
