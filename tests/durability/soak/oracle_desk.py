"""Rules evaluated at every edge, and the incidents of a feature and environment joined to episodes."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from tests.durability.soak.oracle_rules import HOUR_US, Incident, Rule, digest, opened, reading
from tests.durability.soak.oracle_weights import Weights
from tests.durability.soak.oracle_windows import Series

DAY_US, GONE_US = 24 * HOUR_US, 15 * 60 * 1_000_000
SEVERITIES = ("info", "warning", "error", "critical")
PAGING = SEVERITIES[2:]
Key = tuple[str, str, str]
At = tuple[str, str, str, tuple[tuple[str, str], ...]]  # model, prompt version, variant, dimensions
UNLABELLED: At = ("", "", "", ())


@dataclass
class Episode:
    """Overlapping incidents of a feature and environment."""

    name: str
    started_us: int
    opened_us: int
    severity: str = "info"
    urgency: str = "low"
    resolved_us: int | None = None
    firing: set[str] = field(default_factory=set)
    rules: set[str] = field(default_factory=set)
    # series and rules that fired in it and ended a while ago
    over: set[tuple[At | None, str]] = field(default_factory=set)


class Feature:
    """Input of rules for a feature: the feature as a whole, and its segments."""

    def __init__(self, key: Key, pane_us: int) -> None:
        self.key, self._pane_us = key, pane_us
        self.whole = Series(pane_us)
        self.segments: dict[At, Series] = {}
        self.active_us = 0  # latest pane with a response
        self.born_us: int | None = None  # first pane
        self.segment_active_us: dict[At, int] = {}  # latest pane with any event
        self.incidents: dict[tuple[At | None, str], Incident] = {}
        self.episode: Episode | None = None
        self.cleared: dict[tuple[At | None, str], int] = {}
        self.clear_rules: set[str] = set()
        self.weights = Weights()

    def series(self, segment_key: At) -> Series:
        """Return the series of a segment; create it at first use."""
        return self.segments.get(segment_key) or self.segments.setdefault(segment_key, Series(self._pane_us))


class Desk:
    """Rules, incidents and episodes of a partition. ``transitions`` and ``episodes`` grow."""

    def __init__(self, rules: list[Rule], paging: tuple[str, ...], pane_us: int) -> None:
        self._rules, self._paging, self._pane_us = rules, paging, pane_us
        self.transitions: list[tuple[int, dict[str, Any]]] = []
        self.episodes: list[tuple[Key, Episode]] = []

    def look(self, feature: Feature, edge_us: int, rolled_us: int) -> None:
        """Evaluate every rule on the feature and its segments."""
        if not feature.incidents and feature.active_us < edge_us - DAY_US:
            return
        changes: list[tuple[At | None, Incident, str, str]] = []
        service, name, environment = feature.key
        for rule in self._rules:
            if not fnmatchcase(f"{service}/{name}", rule.match) or environment not in (
                rule.environments or (environment,)
            ):
                continue
            if rule.level != "segment":
                changes += self._apply(rule, feature, None, feature.whole, edge_us, rolled_us)
            for segment_key in sorted(feature.segments) if rule.level != "feature" else ():
                live = (
                    feature.segment_active_us[segment_key] >= edge_us - DAY_US
                    or (segment_key, rule.name) in feature.incidents
                )
                if segment_key != UNLABELLED and live:
                    changes += self._apply(
                        rule, feature, segment_key, feature.segments[segment_key], edge_us, rolled_us
                    )
        for change in self._end_page(feature, changes, edge_us):
            self._join(feature, *change, edge_us)
        if feature.episode is not None and not feature.episode.firing:
            feature.episode.resolved_us, feature.episode = edge_us, None

    def _apply(
        self,
        rule: Rule,
        feature: Feature,
        segment_key: At | None,
        series: Series,
        edge_us: int,
        rolled_us: int,
    ) -> list[tuple[Any, Incident, str, str]]:
        opened_incident = feature.incidents.get((segment_key, rule.name))
        is_gone = segment_key is not None and self._is_gone(rule, feature, segment_key, edge_us)
        if is_gone and opened_incident is None:
            return []
        state, evidence = reading(
            rule,
            series,
            edge_us,
            rolled_us,
            feature.cleared.get((segment_key, rule.name)),
            feature.weights.units(segment_key, rule.on),
            feature.born_us or 0,
            opened_incident.evidence.get("value")
            if opened_incident is not None and opened_incident.state == "firing"
            else None,
        )
        if state == "good" and (segment_key is None or rule.level == "segment"):
            feature.clear_rules.add(rule.name)
        ended = feature.active_us < edge_us - DAY_US
        changes: list[tuple[Any, Incident, str, str]] = []
        if opened_incident is None:
            if state != "breach" or ended:
                return []
            newborn = (
                rule.severity in PAGING and not rule.page_newborn and rule.name not in feature.clear_rules
            )
            opened_incident = opened(
                rule, feature.key, _plain(segment_key), edge_us, "warning" if newborn else rule.severity
            )
            feature.incidents[segment_key, rule.name] = opened_incident
            if rule.for_s:
                changes.append((segment_key, opened_incident, "pending", "breached"))
        keep_us = HOUR_US if self._came_back(feature, segment_key, opened_incident) else 0
        if is_gone:
            change: tuple[str, str] | None = (
                "resolved",
                "segment_gone" if opened_incident.state == "firing" else "did not last",
            )
        elif ended:
            change = ("resolved", "became_normal: silent for a day, so it is taken to have ended")
        else:
            change = opened_incident.step(rule, state, evidence, edge_us, keep_us)
        if change is not None:
            changes.append((segment_key, opened_incident, *change))
            if change[0] == "resolved":
                del feature.incidents[segment_key, rule.name]
                feature.cleared[segment_key, rule.name] = edge_us
        elif not opened_incident.evidence:
            opened_incident.evidence = evidence
        return changes

    def _end_page(
        self, feature: Feature, changes: list[tuple[At | None, Incident, str, str]], edge_us: int
    ) -> list[tuple[At | None, Incident, str, str]]:
        """End a paging episode an hour after its last paging incident, or 15 minutes if another incident
        fires; return the remaining changes.
        """
        episode = feature.episode
        if episode is None or episode.urgency != "high":
            return changes
        ending = [incident for _, incident, state, _ in changes if state == "resolved"]
        firing = [incident for incident in feature.incidents.values() if incident.state == "firing"]
        if any(item.severity in PAGING and item.name in episode.firing for item in (*firing, *ending)):
            return changes
        pages = {rule.name for rule in self._rules if rule.severity in PAGING}
        calm_us = edge_us - max(
            (at_us for (_, rule), at_us in feature.cleared.items() if rule in pages), default=0
        )
        if calm_us < (
            HOUR_US // 4
            if any(state == "firing" and incident.severity in PAGING for _, incident, state, _ in changes)
            else HOUR_US
        ):
            return changes
        over = [change for change in changes if change[2] == "resolved" and change[1].name in episode.firing]
        for change in over:
            self._join(feature, *change, edge_us)
        left = [
            (segment_key, incident, "firing", "what paged beside it is over")
            for (segment_key, _), incident in feature.incidents.items()
            if incident.state == "firing" and incident.name in episode.firing
        ]
        episode.resolved_us, feature.episode = edge_us, None
        return [change for change in changes if change not in over] + left

    def _came_back(self, feature: Feature, segment_key: At | None, opened_incident: Incident) -> bool:
        """Return whether the rule fired and ended within the hour before it fired again, in this episode or
        in an episode that ended within that hour.
        """
        since_us = opened_incident.since_us
        if (
            since_us - feature.cleared.get((segment_key, opened_incident.rule), since_us - 2 * HOUR_US)
            > HOUR_US
        ):
            return False
        ended = [
            episode.resolved_us
            for key, episode in self.episodes
            if key == feature.key and episode.resolved_us is not None
        ]
        return (
            feature.episode is not None and (segment_key, opened_incident.rule) in feature.episode.over
        ) or any(0 <= since_us - at_us <= HOUR_US for at_us in ended)

    def _is_gone(self, rule: Rule, feature: Feature, segment_key: At, edge_us: int) -> bool:
        since_us = edge_us - max(GONE_US, round(rule.window_s * 1e6))
        return (
            feature.segment_active_us[segment_key] + self._pane_us
            <= since_us
            < feature.active_us + self._pane_us
        )

    def _join(
        self,
        feature: Feature,
        segment_key: At | None,
        incident: Incident,
        state: str,
        reason: str,
        edge_us: int,
    ) -> None:
        episode = feature.episode
        joins = state == "firing" or (episode is not None and incident.name in episode.firing)
        if joins:
            if episode is None:
                first = (
                    incident.name
                    if reason != "what paged beside it is over"
                    else f"{incident.name} again at {edge_us}"
                )
                episode = feature.episode = Episode(digest((feature.key, first)), incident.since_us, edge_us)
                self.episodes.append((feature.key, episode))
            (episode.firing.add if state == "firing" else episode.firing.discard)(incident.name)
            if state == "resolved":
                episode.over.add((segment_key, incident.rule))
            episode.rules.add(incident.rule)
            episode.started_us = min(episode.started_us, incident.since_us)
            episode.severity = max(episode.severity, incident.severity, key=SEVERITIES.index)
            if feature.key[2] in self._paging and episode.severity in PAGING:
                episode.urgency = "high"
        self.transitions.append(
            (
                edge_us,
                {
                    "record": "transition",
                    "incident_id": incident.name,
                    "episode_id": episode.name if joins and episode else None,
                    "rule": incident.rule,
                    "severity": incident.severity,
                    "state": state,
                    "reason": reason,
                    **labels(feature.key, segment_key),
                    "evidence": incident.evidence,
                },
            )
        )


def labels(key: Key, segment_key: At | None) -> dict[str, Any]:
    """Return the labels of a segment (None: the feature as a whole) in the form of records."""
    model, prompt_version, variant, dimensions = segment_key or UNLABELLED
    return {
        "level": "feature" if segment_key is None else "segment",
        "service": key[0],
        "feature": key[1],
        "environment": key[2],
        "model": model,
        "prompt_version": prompt_version,
        "variant": variant,
        "dimensions": dict(dimensions),
    }


def _plain(segment_key: At | None) -> Any:
    return (
        None
        if segment_key is None
        else [segment_key[0], segment_key[1], segment_key[2], [list(pair) for pair in segment_key[3]]]
    )
