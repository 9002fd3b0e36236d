"""Run all evaluators of a feature configuration on responses."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from monitor.evaluators import EVALUATORS
from monitor.evaluators.batch import NO_HITS, Batch, ask, other_verdicts
from monitor.evaluators.configured import EvaluatorSetting, closest, parse_setting
from monitor.evaluators.interface import Evaluator
from monitor.evaluators.label_cache import (
    LabelCache,
    LabelFacts,
    LabelVerdicts,
    judge_labels,
)
from monitor.evaluators.pattern_matcher import PatternMatcher
from monitor.evaluators.user_evaluator import UNKNOWN, UserEvaluator, UserSetting
from monitor.evaluators.verdict import State, Verdict
from monitor.normal_form.reasoning import may_think
from monitor.normal_form.response import normal_form

DEFAULT_EVALUATORS = tuple(name for name, kind in EVALUATORS.items() if not kind.opt_in)
"""Evaluators of a feature that names none: all that need no configuration."""

DEFAULTS = "defaults"
"""Stands for all of them in a list of evaluators."""

_ORDER = itemgetter(0, 1)


@dataclass(frozen=True, slots=True)
class Judged:
    """Verdicts on a batch of events.

    Attributes:
        codes: states, int8, shape (events, evaluators).
        failures, errors: event index -> (evaluator index, verdict), only for events that have any.
        label_verdicts: verdicts that labels decide; many events share them.
        label_rows: index into ``label_verdicts`` of each event, shape (events,).
        skips: (event index, evaluator index, reason) of the other skipped verdicts.
        failed_calls: whether the call of each event failed, shape (events,).
    """

    codes: npt.NDArray[np.int8]
    failures: dict[int, list[tuple[int, Verdict]]]
    errors: dict[int, list[tuple[int, Verdict]]]
    label_verdicts: list[LabelVerdicts]
    label_rows: npt.NDArray[np.int64]
    skips: list[tuple[int, int, str]]
    failed_calls: npt.NDArray[np.bool_]


class Suite:
    """The evaluators of one feature configuration, with one RE2 set for all their patterns.

    Attributes are parallel tuples: ``names``, ``gating``, ``reads_text``, ``sizes``, ``samples`` (share of the
    responses that an evaluator evaluates) and ``versions`` (name, version, digest of parameters and patterns;
    evaluators of different versions are different statistics). ``users``: those of users among them.
    """

    def __init__(self, evaluators: Sequence[Evaluator], gating: Mapping[str, bool] | None = None) -> None:
        """Make a suite. ``gating`` overrides ``Evaluator.gating`` by name."""
        overrides = gating or {}
        for evaluator in evaluators:
            evaluator.join(evaluators)
        self.names = tuple(evaluator.name for evaluator in evaluators)
        self.gating = tuple(overrides.get(evaluator.name, evaluator.gating) for evaluator in evaluators)
        self.reads_text = tuple(evaluator.reads_text for evaluator in evaluators)
        self.sizes = tuple(evaluator.sizes for evaluator in evaluators)
        self.samples = tuple(evaluator.sample for evaluator in evaluators)
        self.versions = tuple(identity_of(evaluator) for evaluator in evaluators)
        self.users = tuple(evaluator for evaluator in evaluators if isinstance(evaluator, UserEvaluator))
        self._evaluators = tuple(evaluators)
        self._cache = LabelCache(evaluators)
        self._match = PatternMatcher(evaluators)

    @classmethod
    def from_settings(
        cls,
        evaluators: Sequence[Any] | None = None,
        gating: Mapping[str, bool] | None = None,
        interaction: str | None = None,
    ) -> Suite:
        """Make the suite of a feature configuration.

        Args:
            evaluators: settings, parsed or as in the configuration; None: the default evaluators.
                ``defaults`` stands for those that the list does not name. ``error`` is always added, because a
                response with an error never passes.
            gating: evaluator name -> whether it gates; overrides ``Evaluator.gating``.
            interaction: ``sync`` | ``progressive`` | ``async``, for events without one; None: not configured.

        Raises:
            ValueError: an evaluator or parameter is unknown or repeated, or ``gating`` names an evaluator
                that is not in the suite.
        """
        settings: list[EvaluatorSetting | UserSetting] = [
            parse_setting(value) for value in with_defaults(evaluators)
        ]
        names = [setting.name for setting in settings]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"evaluator {name} is named {names.count(name)} times; name it once")
        if "error" not in names:
            settings.insert(0, parse_setting("error"))
            names.insert(0, "error")
        for name in gating or {}:
            if name not in names:
                raise ValueError(
                    f"gating: {name!r} is not among this feature's evaluators{closest(name, names)}; they are"
                    f" {', '.join(names)}"
                )
        for setting in settings:
            if isinstance(setting, UserSetting) and setting.sample < 1 and (gating or {}).get(setting.name):
                raise ValueError(
                    f"gating: {setting.name} evaluates a sample, so it cannot say which responses pass; set"
                    " sample: 1"
                )
        return cls([setting.build(interaction) for setting in settings], gating)

    def judge(self, event: Any) -> tuple[Verdict, ...]:
        """Return the verdict of each evaluator on a decoded ``response``; ``ERROR`` of an evaluator that
        raises.
        """
        labels = self._cache.labels_of(event)
        normal, decided, hits = self._decide(event, self._cache.get(labels) or self._cache.add(labels, event))
        verdicts = list(decided.verdicts)
        for index, evaluator in decided.undecided:
            verdicts[index] = ask(evaluator, normal, hits.get(index, NO_HITS) if hits else NO_HITS)
        return tuple(verdicts)

    def judge_all(self, events: Sequence[Any]) -> Judged:
        """Evaluate many events: return all states as an array, and verdicts only of failures and errors."""
        batches = self._batches(events)
        codes = np.zeros((len(events), len(self.names)), np.int8)
        rows = np.zeros(len(events), np.int64)
        failed_calls = np.zeros(len(events), bool)
        found: list[tuple[int, int, Verdict]] = []
        for row, batch in enumerate(batches):
            numbers = np.array(batch.numbers, np.int64)
            codes[numbers] = np.frombuffer(batch.decided.codes, np.int8)
            rows[numbers] = row
            failed_calls[numbers] = batch.failed
            for index, verdict in batch.decided.notable:
                found += [(number, index, verdict) for number in batch.numbers]
            for number, index, verdict in other_verdicts(batch):
                codes[number, index] = verdict[0]
                found.append((number, index, verdict))
        failures: dict[int, list[tuple[int, Verdict]]] = {}
        errors: dict[int, list[tuple[int, Verdict]]] = {}
        skips: list[tuple[int, int, str]] = []
        for number, index, verdict in sorted(found, key=_ORDER):
            if verdict[0] == State.SKIPPED:
                skips.append((number, index, verdict[1]))
            else:
                (failures if verdict[0] == State.FAILED else errors).setdefault(number, []).append(
                    (index, verdict)
                )
        label_verdicts = [batch.decided for batch in batches]
        return Judged(codes, failures, errors, label_verdicts, rows, skips, failed_calls)

    def _batches(self, events: Sequence[Any]) -> Collection[Batch]:
        """Return the events by the verdicts that their labels decide, in the order of their first events."""
        batches: dict[int, Batch] = {}
        get_facts, decide = self._cache.get, self._decide
        for number, (event, labels) in enumerate(
            zip(events, map(self._cache.labels_of, events), strict=True)
        ):
            facts = get_facts(labels) or self._cache.add(labels, event)
            normal, decided, hits = decide(event, facts)
            batch = batches.get(id(decided))
            if batch is None:
                batch = batches[id(decided)] = Batch(decided, failed=facts.failed)
            batch.numbers.append(number)
            batch.events.append(normal)
            if hits is not None:
                batch.hits.append(hits)
        return batches.values()

    def _decide(
        self, event: Any, facts: LabelFacts
    ) -> tuple[Any, LabelVerdicts, dict[int, list[str]] | None]:
        """Return an event in normal form, the verdicts that its labels decide, and its patterns if it has any."""
        output = event.output
        if facts.is_renamed or (output and may_think(output)):
            event = normal_form(event)
            output = event.output
        if not output:
            if (decided := facts.without_text) is None:
                decided = facts.without_text = judge_labels(self._evaluators, event, has_match=False)
        elif facts.failed or (hits := self._match(output)) is None:
            if (decided := facts.without_match) is None:
                decided = facts.without_match = judge_labels(self._evaluators, event, has_match=False)
        else:
            if (decided := facts.with_match) is None:
                decided = facts.with_match = judge_labels(self._evaluators, event, has_match=True)
            return event, decided, hits
        return event, decided, None


def with_defaults(evaluators: Sequence[Any] | None) -> Sequence[Any]:
    """Return a list of evaluators with the default ones in place of ``defaults``, but for those that it names.

    >>> with_defaults([{"length": {"max_chars": 9}}, "defaults"])[:3]
    [{'length': {'max_chars': 9}}, 'error', 'outcome']
    """
    if evaluators is None:
        return DEFAULT_EVALUATORS
    if DEFAULTS not in evaluators:
        return evaluators
    named = {next(iter(value), "") if isinstance(value, dict) else value for value in evaluators}
    position = list(evaluators).index(DEFAULTS)
    others = [value for value in evaluators if value != DEFAULTS]
    return [
        *others[:position],
        *(name for name in DEFAULT_EVALUATORS if name not in named),
        *others[position:],
    ]


def suite_for(config: Any, service: str, feature: str) -> Suite:
    """Make the suite of a feature.

    Args:
        config: a configuration; None: the default evaluators.
        service: of the feature.
        feature: of the feature.

    Raises:
        ValueError: as ``Suite.of``; the message names the feature.
    """
    if config is None:
        return Suite.from_settings()
    settings = config.feature(service, feature)
    try:
        return Suite.from_settings(settings.evaluators, settings.gating, settings.interaction)
    except ValueError as error:
        raise ValueError(f"{service}/{feature}: {error}") from None


def identity_of(evaluator: Evaluator) -> str:
    """Return what distinguishes the statistics of an evaluator: name, version, digest of its parameters.

    Empty: it is not known, because a user's evaluator could not be imported.
    """
    if evaluator.version == UNKNOWN:
        return ""
    text = json.dumps(evaluator.identity(), sort_keys=True)
    return f"{evaluator.name}@{evaluator.version}+{hashlib.sha256(text.encode()).hexdigest()[:12]}"
