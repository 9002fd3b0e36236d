"""All evaluators of one feature configuration, judging responses together."""

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
from monitor.evaluators.label_cache import REMEMBERED, Settled, broken, labels_of, settled
from monitor.evaluators.re2_patterns import search_set
from monitor.evaluators.text_scan import WHOLE_CHARS, scanned
from monitor.evaluators.verdict import PASSED, State, Verdict

DEFAULT_EVALUATORS = tuple(name for name, kind in EVALUATORS.items() if not kind.opt_in)
"""What judges a feature that names no evaluators: all that need no configuration."""

_NO_HITS: Collection[str] = ()
_index = itemgetter(0)


@dataclass(frozen=True, slots=True)
class Judged:
    """Verdicts on a run of events.

    ``codes``: states, int8, shape (events, evaluators). ``failures`` and ``errors``: event index ->
    (evaluator index, verdict), only for events that have any. ``settled``: for each event what its labels
    settled, the same object for many; ``skips``: (event index, evaluator index, reason) of what was skipped
    besides.
    """

    codes: npt.NDArray[np.int8]
    failures: dict[int, list[tuple[int, Verdict]]]
    errors: dict[int, list[tuple[int, Verdict]]]
    settled: list[Settled]
    skips: list[tuple[int, int, str]]


class Suite:
    """The evaluators of one feature configuration, with one RE2 set for all their patterns.

    Attributes are parallel tuples: ``names``, ``gating``, ``reads_text``, ``sizes`` and ``versions`` (an
    identity: name, version, digest of parameters and patterns; where it differs, it is another statistic).
    """

    def __init__(self, evaluators: Sequence[Evaluator], gating: Mapping[str, bool] | None = None) -> None:
        """``gating`` moves evaluators by name; the others are as their class says."""
        moved = gating or {}
        self.names = tuple(evaluator.name for evaluator in evaluators)
        self.gating = tuple(moved.get(evaluator.name, evaluator.gating) for evaluator in evaluators)
        self.reads_text = tuple(evaluator.reads_text for evaluator in evaluators)
        self.sizes = tuple(evaluator.sizes for evaluator in evaluators)
        self.versions = tuple(_identity(evaluator) for evaluator in evaluators)
        self._evaluators = tuple(evaluators)
        self._labels = labels_of(evaluators)
        self._silent: dict[Any, Settled] = {}  # by labels, of events without output text
        self._plain: dict[Any, Settled] = {}  # of those in whose text no pattern occurs
        self._marked: dict[Any, Settled] = {}  # of the others
        self._owners = [
            (index, name) for index, evaluator in enumerate(evaluators) for name in evaluator.patterns
        ]
        patterns = tuple(pattern for evaluator in evaluators for pattern in evaluator.patterns.values())
        self._match = search_set(patterns) if patterns else _nothing

    @classmethod
    def of(
        cls,
        evaluators: Sequence[Any] | None = None,
        gating: Mapping[str, bool] | None = None,
        interaction: str | None = None,
    ) -> Suite:
        """The suite of a feature configuration.

        ``evaluators``: settings, parsed or as the configuration has them; None: the default ones. ``error``
        is always among them, because a response with an error never passes. ``interaction``: ``sync`` |
        ``progressive`` | ``async``, for events that do not say.

        Raises:
            ValueError: an evaluator or parameter is not known, is named twice, or ``gating`` names one that
                is not in the suite.
        """
        settings: list[EvaluatorSetting] = [
            parse_setting(value) for value in (DEFAULT_EVALUATORS if evaluators is None else evaluators)
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
        return cls([setting.build(interaction) for setting in settings], gating)

    def judge(self, event: Any) -> tuple[Verdict, ...]:
        """One verdict per name on a decoded ``response``. An evaluator that breaks answers ``ERROR``; nothing
        is raised.
        """
        known, others = self._judge(event)
        verdicts = list(known.verdicts)
        for index, verdict in others:
            verdicts[index] = verdict
        return tuple(verdicts)

    def judge_all(self, events: Sequence[Any]) -> Judged:
        """The same for many events, as states in an array and verdicts where they say more."""
        rows: list[bytes | bytearray] = []
        failures: dict[int, list[tuple[int, Verdict]]] = {}
        errors: dict[int, list[tuple[int, Verdict]]] = {}
        labelled: list[Settled] = []
        skips: list[tuple[int, int, str]] = []
        for number, event in enumerate(events):
            known, others = self._judge(event)
            labelled.append(known)
            if others:
                # PASSED is 0, as it stands in the codes already
                others = [item for item in others if item[1][0]]
            if not others and not known.notable:  # as nearly always
                rows.append(known.codes)
                continue
            codes = bytearray(known.codes)
            for index, verdict in others:
                codes[index] = verdict[0]
            rows.append(codes)
            for item in sorted((*known.notable, *others), key=_index) if known.notable else others:
                if item[1][0] != State.SKIPPED:
                    (failures if item[1][0] == State.FAILED else errors).setdefault(number, []).append(item)
                else:
                    skips.append((number, item[0], item[1][1]))
        states = np.frombuffer(b"".join(rows), np.int8).reshape(len(rows), len(self.names))
        return Judged(states, failures, errors, labelled, skips)

    def _judge(self, event: Any) -> tuple[Settled, list[tuple[int, Verdict]]]:
        """What the labels settle, and those of the other verdicts that are no plain pass."""
        labels, hits = self._labels(event), None
        if not event.output:
            memory = self._silent
        elif event.error_type or (hits := self._hits(event.output)) is None:
            memory = self._plain
        else:
            memory = self._marked
        known = memory.get(labels)
        if known is None:
            if len(memory) >= REMEMBERED:
                memory.clear()
            known = memory[labels] = settled(self._evaluators, event, memory is self._marked)
        others = []
        for index, call in known.open:
            try:
                verdict = call(event, hits.get(index, _NO_HITS) if hits else _NO_HITS)
            except Exception as error:  # noqa: BLE001  # one broken evaluator must cost neither the event nor the others
                verdict = broken(error)
            if verdict is not PASSED:
                others.append((index, verdict))
        return known, others

    def _hits(self, output: str) -> dict[int, list[str]] | None:
        try:
            found = self._match((output if len(output) <= WHOLE_CHARS else scanned(output)).encode())
        except UnicodeEncodeError:  # a lone surrogate, which JSON can carry
            found = self._match(scanned(output).encode())
        if not found:
            return None
        hits: dict[int, list[str]] = {}
        for number in found:
            index, name = self._owners[number]
            hits.setdefault(index, []).append(name)
        return hits


def _nothing(data: bytes) -> None:
    return None


def suite_for(config: Any, service: str, feature: str) -> Suite:
    """The suite for a feature. ``config`` has ``feature(service, feature)``, giving ``evaluators``,
    ``gating`` and ``interaction``; None: defaults.

    Raises:
        ValueError: as ``Suite.of``, with the feature named.
    """
    if config is None:
        return Suite.of()
    chosen = config.feature(service, feature)
    try:
        return Suite.of(chosen.evaluators, chosen.gating, chosen.interaction)
    except ValueError as error:
        raise ValueError(f"{service}/{feature}: {error}") from None


def _identity(evaluator: Evaluator) -> str:
    text = json.dumps(evaluator.identity(), sort_keys=True)
    return f"{evaluator.name}@{evaluator.version}+{hashlib.sha256(text.encode()).hexdigest()[:12]}"
