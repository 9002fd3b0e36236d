"""Where rules, incidents and episodes of a feature meet at an edge."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

from monitor.alerts.rule_evaluation import Readers, named
from monitor.diagnosis.attribution import origin
from monitor.diagnosis.change_detection import Changes
from monitor.diagnosis.likely_causes import causes
from monitor.incidents.episode import Episode, begun
from monitor.incidents.incident import AGAIN, Change, Incident, digest_of, opened, transition
from monitor.ingest.failure_samples import chosen
from monitor.protocol.messages import Message, Outputs, to_json
from monitor.protocol.severity import PAGING
from monitor.rules import no_data
from monitor.rules.reading import Reading
from monitor.state.partition_state import PartitionState
from monitor.stats.rate import Rate
from monitor.windows.feature_series import DAY_US, HOUR_US, FeatureState, SegmentSeries
from monitor.windows.segment_keys import UNLABELLED, FeatureKey, SegmentKey, segment_labels
from schemas.config.monitor_config import Config
from schemas.config.rules import Watched
from schemas.times import rfc3339

LOST, REOPENED = "an incident of it is gone from the state", "its episode is gone from the state"
GOES_ON = "what paged beside it is over"  # why an incident that fires goes on in another episode
UNSEEN = "a value that was never seen before"  # what is news of an incident that fires already
NEWS = (UNSEEN, AGAIN)
CLEARED = 1000  # clearings that a feature remembers; the oldest goes first
SPANS = 100  # incidents of which a feature remembers when they were
BEFORE_US = 5 * 60 * 1_000_000  # what breaches began to go wrong before it did
GONE_US = 15 * 60 * 1_000_000  # a segment is gone after this silence, or its rule's window if that is longer
# after the last of what pages the page is over, and what only warns goes on as a ticket of its own
CALM_US = HOUR_US
# what pages so long after the last of what paged is another page, not more of that one
FRESH_US = 15 * 60 * 1_000_000
# what comes back within this time after it had ended is over when it has been well for as long
RELAPSE_US = HOUR_US

Fresh = Sequence[tuple[SegmentKey, dict[str, Rate]]]


class Desk:
    """Looks at one feature after the other, at every edge."""

    def __init__(self, config: Config, partition_state: PartitionState) -> None:
        self.partition_state = partition_state
        self._config = config
        self._changes = Changes(partition_state)
        self._readers = Readers(config, partition_state)
        self._rules = self._readers.rules
        self._no_data = self._readers.silence
        paging = [
            rule.name
            for rule in (*self._rules, *([self._no_data] if self._no_data else []))
            if rule.severity in PAGING
        ]
        # how they are named among what has cleared
        self._paging = tuple(to_json([name]).decode()[:-1] + "," for name in paging)
        self._digests = {
            rule.name: digest_of(rule) for rule in (*self._rules, *([self._no_data] if self._no_data else []))
        }

    def look(
        self, feature: FeatureState, fresh: Fresh, edge_us: int, decided_us: int, *, late: bool, out: Outputs
    ) -> None:
        """Read every rule on the feature and its segments, and write what changed.

        ``fresh``: what was counted since the last edge.
        ``late``: this edge lies over 24 h behind the wall clock, so that what happens at it is recorded and
        pages nobody.
        """
        key = feature.key
        incidents = self.partition_state.incidents.get(key, {})
        if (
            not incidents
            and key not in self.partition_state.episodes
            and feature.active_us < edge_us - DAY_US
        ):
            return
        if fresh and not late:  # of a back-fill nobody needs to be told what was new then
            self._changes.look(feature, fresh, edge_us, decided_us, out)
        # by the hour, as rolled-up panes know it: the same before and after a restart
        day_us = (edge_us - DAY_US) // HOUR_US * HOUR_US
        self._readers.statistics.look(feature)
        self._readers.baselines.feed(feature, fresh, edge_us)
        changes = self._drop_changed_rules(key, incidents)
        reopened, reasons = self._reopened(key, incidents), self._lost(key, incidents, changes)
        for rule in self._rules:
            if not fnmatchcase(f"{key.service}/{key.feature}", rule.match) or key.environment not in (
                rule.environments or (key.environment,)
            ):
                continue
            if rule.level != "segment":
                changes += self._apply(rule, feature, None, edge_us)
            if rule.level != "feature":
                for at in sorted(feature.segments):
                    if at != UNLABELLED and (
                        feature.segments[at].active_us >= day_us or (at, rule.name) in incidents
                    ):
                        changes += self._apply(rule, feature, at, edge_us)
        if self._no_data:
            changes += self._apply(self._no_data, feature, None, edge_us)
        # what is over needs no episode any more
        over = {one.incident_id for _, one, change in changes if change.state == "resolved"}
        changes = [
            *((at, one, change) for at, one, change in reopened if one.incident_id not in over),
            *changes,
        ]
        self._write(feature, changes, reasons, edge_us, decided_us, late=late, out=out)

    def _drop_changed_rules(
        self, key: FeatureKey, incidents: dict[tuple[SegmentKey | None, str], Incident]
    ) -> list[tuple[Any, Incident, Change]]:
        """Incidents of a rule that was edited or removed end, and so do those whose segment has left."""
        segments = self.partition_state.features[key].segments
        changes = []
        for (at, name), incident in list(incidents.items()):
            if self._digests.get(name) != incident.digest:
                changes.append((at, incident, Change("resolved", "rule_changed")))
            elif at is not None and at not in segments:
                changes.append((at, incident, Change("resolved", "segment_gone")))
            else:
                continue
            self._forget(key, at, name)
        return changes

    def _reopened(
        self, key: FeatureKey, incidents: dict[tuple[SegmentKey | None, str], Incident]
    ) -> list[tuple[Any, Incident, Change]]:
        """Incidents that fire in no episode, because a record of state was dropped: they are told anew."""
        episode = self.partition_state.episodes.get(key)
        return [
            (at, one, Change("firing", REOPENED))
            for (at, _), one in incidents.items()
            if one.state == "firing" and (episode is None or not episode.knows(one.incident_id))
        ]

    def _lost(
        self,
        key: FeatureKey,
        incidents: dict[tuple[SegmentKey | None, str], Incident],
        changes: list[tuple[Any, Incident, Change]],
    ) -> list[str]:
        """Let the episode go on without incidents of which the record of state was dropped: nothing else
        would ever end them.
        """
        episode = self.partition_state.episodes.get(key)
        if episode is None:
            return []
        lost = (
            episode.firing
            - {one.incident_id for one in incidents.values()}
            - {one.incident_id for _, one, _ in changes}
        )
        for name in lost:
            episode.let_go(name)
        return [LOST] if lost else []

    def _apply(
        self, rule: Watched, feature: FeatureState, at: SegmentKey | None, edge_us: int
    ) -> list[tuple[Any, Incident, Change]]:
        """Read one rule on one series and let the incident decide."""
        known = self.partition_state.incidents.get(feature.key, {}).get((at, rule.name))
        gone = at is not None and self._is_gone(rule, feature, feature.segments[at], edge_us)
        if gone and known is None:
            return []
        silence = rule is self._no_data
        reading = self._readers.read(rule, feature, at, edge_us, known)
        if (
            reading.state == "good"
            and (at is None or rule.level == "segment")
            and rule.name not in feature.healthy_rules
        ):
            feature.healthy_rules.add(rule.name)
            self.partition_state.mark_feature(feature.key)
        # nothing is left to read: it would fire for ever, and silence begin again at each edge
        ended = feature.active_us < edge_us - DAY_US
        if known is None:
            if reading.state != "breach" or ended:
                return []
            known = opened(rule, feature.key, at, edge_us, self._severity(rule, feature))
            self.partition_state.incidents.setdefault(feature.key, {})[at, rule.name] = known
            changes = [(at, known, Change("pending", "breached"))] if rule.for_ else []
        else:
            changes = []
        if gone:
            change: Change | None = Change(
                "resolved", "segment_gone" if known.state == "firing" else "did not last"
            )
        elif ended:
            change = Change("resolved", "became_normal: silent for a day, so it is taken to have ended")
        elif self._readers.has_become_normal(rule, known, edge_us):
            change = Change(
                "resolved", "became_normal: it has been so for a day, and is the reference from now on"
            )
            self._readers.learn_anew(rule, feature, at, known.since_us)
        else:
            was = known.evidence.get("test")
            change = known.step(
                rule,
                reading,
                edge_us,
                RELAPSE_US if self._is_relapse(rule, feature, at, known, reading) else 0,
            )
            if (
                change is None
                and known.state == "firing"
                and was != "never_seen"
                and known.evidence.get("test") == "never_seen"
            ):
                changes.append((at, known, Change("firing", UNSEEN)))
        if silence and known.state == "firing":
            no_data.learn(feature, edge_us, self.partition_state.pane_us)
            self.partition_state.mark_feature(feature.key)
        self.partition_state.mark_incident(feature.key, at, rule.name)
        if change is not None:
            changes.append((at, known, change))
            if change.state == "resolved":
                self._forget(feature.key, at, rule.name)
                feature.resolved_edges.pop(named(at, rule), None)
                feature.resolved_edges[named(at, rule)] = edge_us
                if len(feature.resolved_edges) > CLEARED:
                    del feature.resolved_edges[next(iter(feature.resolved_edges))]
                self.partition_state.mark_feature(feature.key)
        elif not known.evidence:
            known.evidence = reading.evidence
        return changes

    def _is_relapse(
        self, rule: Watched, feature: FeatureState, at: SegmentKey | None, known: Incident, reading: Reading
    ) -> bool:
        """Whether an incident that might end now had come back soon after it had ended, in this episode or
        since one before: a rate that goes up and down around its threshold for hours would else be a page
        each time.
        """
        if (
            known.state != "firing"
            or reading.state != "good"
            or known.since_us - feature.resolved_edges.get(named(at, rule), -RELAPSE_US) > RELAPSE_US
        ):
            return False
        episode, shown = (
            self.partition_state.episodes.get(feature.key),
            {"rule": rule.name, "state": "resolved", **segment_labels(feature.key, at)},
        )
        # what was only pending is not shown
        again = episode is not None and any(
            shown.items() <= one.items() for one in episode.incidents.values()
        )
        return again or any(
            known.since_us - RELAPSE_US <= end_us <= known.since_us for _, end_us in feature.incident_spans
        )

    def _severity(self, rule: Watched, feature: FeatureState) -> str:
        """The rule's severity; of a feature that was never well, a warning, where the rule asks for that."""
        paging = rule.severity in ("critical", "error")
        return (
            "warning"
            if paging and not rule.page_newborn and rule.name not in feature.healthy_rules
            else rule.severity
        )

    def _is_gone(self, rule: Watched, feature: FeatureState, segment: SegmentSeries, edge_us: int) -> bool:
        """Whether a segment has fallen silent while its feature has traffic."""
        since_us = edge_us - max(GONE_US, round(rule.window * 1e6))
        active_us = segment.active_us
        # rolled up: a restored segment knows it by the hour, and this one must say the same
        if active_us < self.partition_state.rolled_us:
            active_us = active_us // HOUR_US * HOUR_US
        return (
            active_us + self.partition_state.pane_us
            <= since_us
            < feature.active_us + self.partition_state.pane_us
        )

    def _forget(self, key: FeatureKey, at: SegmentKey | None, name: str) -> None:
        del self.partition_state.incidents[key][at, name]
        if not self.partition_state.incidents[key]:
            del self.partition_state.incidents[key]
        self.partition_state.mark_incident(key, at, name)

    def _write(
        self,
        feature: FeatureState,
        changes: list[tuple[Any, Incident, Change]],
        reasons: list[str],
        edge_us: int,
        decided_us: int,
        *,
        late: bool,
        out: Outputs,
    ) -> None:
        key = feature.key
        episode = self.partition_state.episodes.get(key)
        if not changes and episode is None:
            return
        if episode is not None and not reasons and self._has_calmed(feature, episode, changes, edge_us):
            changes, episode, reasons = (
                self._end_page(feature, episode, changes, edge_us, decided_us, out),
                None,
                [],
            )
        state = "updated"
        for at, incident, change in changes:
            was_known = episode is not None and episode.knows(incident.incident_id)
            if change.state == "firing" or was_known:
                if episode is None:
                    first = (
                        incident.incident_id
                        if change.reason not in (REOPENED, GOES_ON, *NEWS)
                        else f"{incident.incident_id} again at {edge_us}"
                    )
                    episode = self.partition_state.episodes[key] = begun(key, first, incident.since_us)
                    feature.clear_references()
                    self.partition_state.mark_feature(key)
                    feature.incident_spans = [
                        *feature.incident_spans[-SPANS + 1 :],
                        [incident.since_us - BEFORE_US, 0],
                    ]
                    state = "opened"
                again = {"returned": rfc3339(edge_us)} if change.reason == AGAIN else {}
                rose = episode.take(
                    _shown(key, at, incident, change) | again,
                    may_page=key.environment in self._config.page_environments,
                )
                state = "escalated" if rose and state != "opened" else state
                episode.started_us = min(episode.started_us, incident.since_us)
                reasons.append(f"{incident.rule}: {change.reason}")
            held = (
                episode.episode_id
                if episode is not None and (change.state == "firing" or was_known)
                else None
            )
            if change.reason not in NEWS:  # the incident's state stays as it is
                out.add("alerts", transition(key, at, incident, change, held, edge_us, decided_us))
        if episode is None:
            return
        muted = "over 24 h old on arrival" if late and not self._config.page_old_events else ""
        if muted != episode.muted:
            episode.muted = muted
            reasons = reasons or [
                "it is over 24 h old" if muted else "it still lasts, and is no longer over 24 h old"
            ]
        if reasons:
            self._write_episode(feature, episode, state, "; ".join(reasons), edge_us, decided_us, out)

    def _has_calmed(
        self,
        feature: FeatureState,
        episode: Episode,
        changes: list[tuple[Any, Incident, Change]],
        edge_us: int,
    ) -> bool:
        """Whether nothing that pages fires in an episode that paged, and that for so long that its page is
        over: it would else stay open as long as any warning does, a day perhaps, and whatever pages in that
        time would be news of a page that somebody has dealt with.
        """
        firing = [
            one
            for one in self.partition_state.incidents.get(feature.key, {}).values()
            if one.state == "firing"
        ]
        # an edited rule's too, of which no clearing is on record
        ending = [one for _, one, change in changes if change.state == "resolved"]
        if episode.urgency != "high" or any(
            one.severity in PAGING and episode.knows(one.incident_id) for one in (*firing, *ending)
        ):
            return False
        ended_us = max(
            (end_us for name, end_us in feature.resolved_edges.items() if name.startswith(self._paging)),
            default=0,
        )
        fresh = any(change.state == "firing" and one.severity in PAGING for _, one, change in changes)
        return edge_us - ended_us >= (FRESH_US if fresh else CALM_US)

    def _end_page(
        self,
        feature: FeatureState,
        episode: Episode,
        changes: list[tuple[Any, Incident, Change]],
        edge_us: int,
        decided_us: int,
        out: Outputs,
    ) -> list[tuple[Any, Incident, Change]]:
        """Resolve an episode of which only warnings are left; gives what another one begins with."""
        key, rest, reasons = feature.key, [], []
        for at, incident, change in changes:
            if change.state == "resolved" and episode.knows(incident.incident_id):
                episode.take(_shown(key, at, incident, change), may_page=False)
                reasons.append(f"{incident.rule}: {change.reason}")
                out.add(
                    "alerts", transition(key, at, incident, change, episode.episode_id, edge_us, decided_us)
                )
            else:
                rest.append((at, incident, change))
        going = [
            (at, one, Change("firing", GOES_ON))
            for (at, _), one in self.partition_state.incidents.get(key, {}).items()
            if one.state == "firing" and episode.knows(one.incident_id)
        ]
        for _, one, _ in going:
            episode.part(one.incident_id)
        on = "; what only warns goes on as a ticket of its own" if going else ""
        self._write_episode(
            feature,
            episode,
            "resolved",
            "; ".join([*reasons, f"nothing that pages fires any more{on}"]),
            edge_us,
            decided_us,
            out,
        )
        return rest + going

    def _write_episode(
        self,
        feature: FeatureState,
        episode: Episode,
        state: str,
        reason: str,
        edge_us: int,
        decided_us: int,
        out: Outputs,
    ) -> None:
        key = feature.key
        if episode.over:
            state = "resolved"
            del self.partition_state.episodes[key]
            for span in feature.incident_spans:
                span[1] = span[1] or edge_us
            feature.clear_references()
            self.partition_state.mark_feature(key)
        self.partition_state.mark_episode(key)
        firing = [
            one["evidence"]["metric"]
            for one in episode.incidents.values()
            if one["state"] == "firing" or episode.over
        ]
        found = causes(
            feature, episode.incidents, episode.started_us, edge_us, self.partition_state.rolled_us
        )
        came_from = origin(feature, episode.incidents, episode.started_us, edge_us)
        record = episode.record(
            state,
            reason,
            edge_us,
            decided_us,
            self._config.kafka.prefix,
            chosen(feature.examples, firing),
            found,
            came_from,
        )
        out.add("alerts", Message(f"{key.service}/{key.feature}".encode(), to_json(record), 0))


def _shown(key: FeatureKey, at: SegmentKey | None, incident: Incident, change: Change) -> dict[str, Any]:
    return {
        "incident_id": incident.incident_id,
        "rule": incident.rule,
        "severity": incident.severity,
        "state": change.state,
        "since": rfc3339(incident.since_us),
        **segment_labels(key, at),
        "evidence": incident.evidence,
    }
