"""Two configurations over the same records: which episodes only one of them has, and in what those differ
that both have.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from monitor.reports.episode_history import Feature, Findings, Told
from monitor.wording.episode_text import clock
from schemas.times import rfc3339

Kind = Literal["only_here", "only_there", "changed", "same"]
_FOREVER = datetime.max


@dataclass(frozen=True)
class Difference:
    """Episodes of one feature that overlap in time: ``here`` under the configuration in use, ``there`` under
    the other.
    """

    feature: Feature
    here: tuple[Told, ...]
    there: tuple[Told, ...]

    @property
    def kind(self) -> Kind:
        """``same`` only if nobody would notice: times, severity, urgency and rules are equal."""
        if not self.there:
            return "only_here"
        if not self.here:
            return "only_there"
        return "changed" if self.changes() else "same"

    @property
    def since(self) -> datetime:
        """When the first of them began."""
        return min(told.since for told in (*self.here, *self.there))

    def changes(self, shown: Callable[[datetime], str] = clock) -> list[tuple[str, str, str]]:
        """What differs: name, as it is here, as it is there, with times as ``shown``. Empty unless both have
        episodes.
        """
        if not self.here or not self.there:
            return []
        mine, theirs = _noticed(self.here, shown), _noticed(self.there, shown)
        return [(name, mine[name], theirs[name]) for name in mine if mine[name] != theirs[name]]

    def record(self) -> dict[str, Any]:
        """As NDJSON has it."""
        service, feature, environment = self.feature
        return {
            "record": "difference",
            "kind": self.kind,
            "service": service,
            "feature": feature,
            "environment": environment,
            "here": [_plain(told) for told in self.here],
            "there": [_plain(told) for told in self.there],
            "changes": [
                {"what": what, "here": here, "there": there} for what, here, there in self.changes(rfc3339)
            ],
        }


def differences(here: Findings, there: Findings) -> list[Difference]:
    """Every episode of both, once: those of one feature and environment that overlap, also through others,
    stand together. By time.
    """
    found: list[Difference] = []
    for feature in sorted({told.feature for side in (here, there) for told in side.episodes.values()}):
        both = [
            (told, side)
            for side, findings in enumerate((here, there))
            for told in findings.episodes.values()
            if told.feature == feature
        ]
        reached: datetime | None = None
        group: list[tuple[Told, int]] = []
        for told, side in sorted(both, key=lambda pair: (pair[0].since, pair[1])):
            if group and reached is not None and told.since > reached:
                found.append(_of(feature, group))
                group, reached = [], None
            group.append((told, side))
            until = (told.until or _FOREVER).replace(tzinfo=told.since.tzinfo)
            reached = until if reached is None else max(reached, until)
        found.append(_of(feature, group))
    return sorted(found, key=lambda one: (one.since, one.feature))


def _of(feature: Feature, group: Sequence[tuple[Told, int]]) -> Difference:
    return Difference(
        feature,
        tuple(told for told, side in group if side == 0),
        tuple(told for told, side in group if side == 1),
    )


def _noticed(some: tuple[Told, ...], shown: Callable[[datetime], str]) -> dict[str, str]:
    """What a person would notice of them."""

    def each(values: list[str]) -> str:
        return ", ".join(values)

    return {
        "episodes": str(len(some)),
        "since": each([shown(told.since) for told in some]),
        "told": each([shown(told.first.time) for told in some]),
        "paged": each([shown(told.paged) if told.paged else "never" for told in some]),
        "until": each([shown(told.until) if told.until else "still open" for told in some]),
        "severity": each([told.latest.severity for told in some]),
        "urgency": each([told.latest.urgency for told in some]),
        "rules": each(sorted({rule for told in some for rule in told.rules})),
    }


def _plain(told: Told) -> dict[str, Any]:
    return {
        "episode_id": told.first.episode_id,
        "since": rfc3339(told.since),
        "told": rfc3339(told.first.time),
        "paged": rfc3339(told.paged) if told.paged else None,
        "until": rfc3339(told.until) if told.until else None,
        "severity": told.latest.severity,
        "urgency": told.latest.urgency,
        "rules": list(told.rules),
    }
