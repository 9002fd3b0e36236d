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
from monitor.evaluators.configured import EvaluatorSetting, closest, parse_setting
from monitor.evaluators.interface import Evaluator
from monitor.evaluators.label_cache import (
    MAX_COMBINATIONS,
    LabelVerdicts,
    error_verdict,
    judge_labels,
    label_getter,
)
from monitor.evaluators.re2_patterns import search_set
from monitor.evaluators.text_scan import WHOLE_CHARS, text_to_scan
from monitor.evaluators.user_evaluator import UNKNOWN, UserEvaluator, UserSetting
from monitor.evaluators.verdict import PASSED, State, Verdict
from monitor.normal_form.response import normal_form

DEFAULT_EVALUATORS = tuple(name for name, kind in EVALUATORS.items() if not kind.opt_in)
"""Evaluators of a feature that names none: all that need no configuration."""

DEFAULTS = "defaults"
"""Stands for all of them in a list of evaluators."""

_NO_HITS: Collection[str] = ()
_index = itemgetter(0)


@dataclass(frozen=True, slots=True)
class Judged:
    """Verdicts on a batch of events.

    Attributes:
        codes: states, int8, shape (events, evaluators).
        failures, errors: event index -> (evaluator index, verdict), only for events that have any.
        label_verdicts: for each event the verdicts that its labels decide; many events share one object.
        skips: (event index, evaluator index, reason) of the other skipped verdicts.
    """

    codes: npt.NDArray[np.int8]
    failures: dict[int, list[tuple[int, Verdict]]]
    errors: dict[int, list[tuple[int, Verdict]]]
    label_verdicts: list[LabelVerdicts]
    skips: list[tuple[int, int, str]]


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
        self._labels = label_getter(evaluators)
        # caches by labels: of events without output text, with a text in which no pattern occurs, and others
        self._without_text: dict[Any, LabelVerdicts] = {}
        self._without_match: dict[Any, LabelVerdicts] = {}
        self._with_match: dict[Any, LabelVerdicts] = {}
        self._match = _PatternMatcher(evaluators)

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
        decided, others = self._judge(event)
        verdicts = list(decided.verdicts)
        for index, verdict in others:
            verdicts[index] = verdict
        return tuple(verdicts)

    def judge_all(self, events: Sequence[Any]) -> Judged:
        """Evaluate many events: return all states as an array, and verdicts only of failures and errors."""
        rows: list[bytes | bytearray] = []
        failures: dict[int, list[tuple[int, Verdict]]] = {}
        errors: dict[int, list[tuple[int, Verdict]]] = {}
        label_verdicts: list[LabelVerdicts] = []
        skips: list[tuple[int, int, str]] = []
        for number, event in enumerate(events):
            decided, others = self._judge(event)
            label_verdicts.append(decided)
            if others:
                # PASSED is 0, the initial code
                others = [item for item in others if item[1][0]]
            if not others and not decided.notable:  # nearly always
                rows.append(decided.codes)
                continue
            codes = bytearray(decided.codes)
            for index, verdict in others:
                codes[index] = verdict[0]
            rows.append(codes)
            for item in sorted((*decided.notable, *others), key=_index) if decided.notable else others:
                if item[1][0] != State.SKIPPED:
                    (failures if item[1][0] == State.FAILED else errors).setdefault(number, []).append(item)
                else:
                    skips.append((number, item[0], item[1][1]))
        states = np.frombuffer(b"".join(rows), np.int8).reshape(len(rows), len(self.names))
        return Judged(states, failures, errors, label_verdicts, skips)

    def _judge(self, event: Any) -> tuple[LabelVerdicts, list[tuple[int, Verdict]]]:
        """Return the verdicts that the labels decide, and the other verdicts that are not ``PASSED``."""
        event = normal_form(event)
        labels, hits = self._labels(event), None
        if not event.output:
            cache = self._without_text
        elif event.error_type or (hits := self._hits(event.output)) is None:
            cache = self._without_match
        else:
            cache = self._with_match
        decided = cache.get(labels)
        if decided is None:
            if len(cache) >= MAX_COMBINATIONS:
                cache.clear()
            decided = cache[labels] = judge_labels(
                self._evaluators, event, has_match=cache is self._with_match
            )
        others = []
        for index, call in decided.undecided:
            try:
                verdict = call(event, hits.get(index, _NO_HITS) if hits else _NO_HITS)
            except Exception as error:  # noqa: BLE001  # one faulty evaluator must not affect the others
                verdict = error_verdict(error)
            if verdict is not PASSED:
                others.append((index, verdict))
        return decided, others

    def _hits(self, output: str) -> dict[int, list[str]] | None:
        try:
            return self._match(output if len(output) <= WHOLE_CHARS else text_to_scan(output))
        except UnicodeEncodeError:  # a lone surrogate, which JSON can carry
            return self._match(text_to_scan(output))


class _PatternMatcher:
    """One RE2 set for the patterns of all evaluators, and a smaller one for ASCII texts.

    Evaluators may share a pattern; it is matched once.
    """

    def __init__(self, evaluators: Sequence[Evaluator]) -> None:
        owners: dict[str, list[tuple[int, str]]] = {}
        beyond_ascii = set()
        for index, evaluator in enumerate(evaluators):
            for name, pattern in evaluator.patterns.items():
                owners.setdefault(pattern, []).append((index, name))
                if name in evaluator.non_ascii_patterns:
                    beyond_ascii.add(pattern)
        ascii_patterns = tuple(pattern for pattern in owners if pattern not in beyond_ascii)
        self._owners = tuple(owners.values())
        self._ascii_owners = tuple(owners[pattern] for pattern in ascii_patterns)
        self._match = search_set(tuple(owners)) if owners else _no_match
        self._ascii_match = search_set(ascii_patterns) if ascii_patterns else _no_match

    def __call__(self, text: str) -> dict[int, list[str]] | None:
        """Return evaluator index -> names of its patterns that occur in the text; None without any."""
        if text.isascii():
            numbers, owners = self._ascii_match(text.encode()), self._ascii_owners
        else:
            numbers, owners = self._match(text.encode()), self._owners
        if not numbers:
            return None
        hits: dict[int, list[str]] = {}
        for number in numbers:
            for index, name in owners[number]:
                hits.setdefault(index, []).append(name)
        return hits


def _no_match(data: bytes) -> None:
    return None


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
