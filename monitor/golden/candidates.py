"""Turn failing samples of production into candidates: clustered, redacted, with their origin."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from monitor.evaluators.configured import parse_setting
from monitor.golden.case_set import make_case
from schemas.golden import MAX_TEXT_CHARS, GoldenCase
from softfail.redact import redact

SIMILAR = 0.4
"""Inputs that share at least this part of their word pairs are one cluster."""
MAX_CLUSTERS = 2_000
_WORD = re.compile(r"\w+|\[[\w-]+\]")
_DIGITS = re.compile(r"\d+")


class Failure(NamedTuple):
    """A failing response: ``failed`` is evaluator -> reason; the rest are fields of a sample or an event."""

    failed: dict[str, str]
    input: str
    context: str | None
    service: str
    feature: str
    event_id: str
    time: str
    model: str
    prompt_version: str
    variant: str
    trace_id: str


class Cluster(NamedTuple):
    """Failures of the same feature and evaluators with similar inputs."""

    failures: list[Failure]
    shingles: list[frozenset[str]]


def failure_of_sample(sample: Mapping[str, Any]) -> Failure | None:
    """Return the failure of a record of ``softfail.samples``; None without an input, which no case can ask."""
    if not sample.get("input") or not sample.get("failed"):
        return None
    text = {
        name: str(sample.get(name) or "")
        for name in Failure._fields
        if name not in ("failed", "input", "context")
    }
    failed = {str(name): str(reason) for name, reason in sample["failed"].items()}
    return Failure(failed=failed, input=str(sample["input"]), context=sample.get("context"), **text)


def make_candidates(
    failures: Iterable[Failure], known: Sequence[GoldenCase], source: str, *, active: bool = False
) -> list[GoldenCase]:
    """Make a candidate of each cluster of failures, of the largest cluster first.

    Args:
        failures: from production.
        known: cases of the set; a cluster that is like a case from production makes no candidate.
        source: where the failures are from.
        active: whether the cases are active at once and must pass, in place of candidates.

    A candidate asks the input of the medoid: the failure that is most like the others. It names the evaluators
    that failed in production, so that it passes when they do.
    """
    seen = [(case.feature, _shingles(case.input)) for case in known if case.origin.failed]
    ids = {case.id for case in known}
    made = []
    for cluster in cluster_failures(failures):
        failure = cluster.failures[_medoid(cluster.shingles)]
        feature, shingles = f"{failure.service}/{failure.feature}", _shingles(redact(failure.input))
        if any(feature == other and _similarity(shingles, texts) >= SIMILAR for other, texts in seen):
            continue
        case = _candidate(failure, cluster, ids, source, active)
        ids.add(case.id)
        made.append(case)
    return made


def cluster_failures(failures: Iterable[Failure]) -> list[Cluster]:
    """Group failures by feature, failed evaluators and similar inputs; the largest cluster first.

    Each failure joins the first cluster whose first member is similar. Beyond ``MAX_CLUSTERS`` no cluster is opened.
    """
    groups: dict[tuple[Any, ...], list[Cluster]] = {}
    count = 0
    for failure in failures:
        shingles = _shingles(failure.input)
        group = groups.setdefault((failure.service, failure.feature, tuple(sorted(failure.failed))), [])
        for cluster in group:
            if _similarity(shingles, cluster.shingles[0]) >= SIMILAR:
                cluster.failures.append(failure)
                cluster.shingles.append(shingles)
                break
        else:
            if count < MAX_CLUSTERS:
                count += 1
                group.append(Cluster([failure], [shingles]))
    clusters = [cluster for group in groups.values() for cluster in group]
    return sorted(clusters, key=lambda cluster: -len(cluster.failures))


def _shingles(text: str | Any) -> frozenset[str]:
    """Return the pairs of words of a text; numbers count as one word, so order 123 is like order 456."""
    words = [_DIGITS.sub("0", word.lower()) for word in _WORD.findall(str(text)[:MAX_TEXT_CHARS])]
    return frozenset(f"{first} {second}" for first, second in zip(["", *words], [*words, ""], strict=True))


def _similarity(first: frozenset[str], second: frozenset[str]) -> float:
    union = len(first | second)
    return len(first & second) / union if union else 1.0


def _medoid(shingles: Sequence[frozenset[str]]) -> int:
    few = shingles[:50]  # enough for a typical one; all pairs of thousands would take minutes
    return max(range(len(few)), key=lambda index: sum(_similarity(few[index], other) for other in few))


def _candidate(failure: Failure, cluster: Cluster, ids: set[str], source: str, active: bool) -> GoldenCase:
    digest = hashlib.sha256(f"{failure.service}/{failure.feature}\0{failure.input}".encode()).hexdigest()
    case_id = next(
        name for size in range(8, 65) if (name := f"{failure.feature}-{digest[:size]}"[-256:]) not in ids
    )
    text = redact(failure.input)
    return make_case(
        {
            "id": case_id,
            "input": text,
            "context": None if failure.context is None else redact(failure.context),
            "feature": f"{failure.service}/{failure.feature}",
            "evaluators": _plain(failure.failed),
            "must_pass": active,
            "status": "active" if active else "candidate",
            "tags": ["from-production"],
            "origin": {
                "source": source,
                "event_id": failure.event_id,
                "time": failure.time,
                "model": failure.model,
                "prompt_version": failure.prompt_version,
                "variant": failure.variant,
                "trace_id": failure.trace_id,
                "failed": {name: redact(reason)[:300] for name, reason in failure.failed.items()},
                "similar": len(cluster.failures),
                "redacted": True,
            },
        }
    )


def _plain(failed: Mapping[str, str]) -> list[str] | None:
    """Return the evaluators that failed if none needs parameters or a configuration; else None: those of the feature."""
    try:
        for name in failed:
            parse_setting(name)
    except ValueError:
        return None
    return sorted(failed)
