"""Count a chunk of events into panes: one dictionary operation for each group instead of each event.

The result does not depend on where chunks are cut.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from operator import attrgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from monitor.evaluators import EVALUATORS
from monitor.evaluators.suite import Suite
from monitor.evaluators.verdict import State, Verdict
from monitor.ingest.absent_outcomes import pass_absent_outcomes
from monitor.ingest.accounting import count_sequence_numbers, count_skips
from monitor.ingest.batch import CountGroup
from monitor.ingest.number_aggregation import count_quantities, count_stages, metric_part
from monitor.ingest.text_aggregation import count_texts
from monitor.stats.exponential_buckets import bucket_codes
from monitor.windows.metric_definitions import (
    CATEGORIES,
    FEEDBACK_QUANTITIES,
    RESPONSE_QUANTITIES,
    VERSIONS,
)
from monitor.windows.pane import Pane

_MAX_EXTERNAL_EVALUATORS = 64
"""Names of one pane that come from evaluation events; further ones are counted as ``other``."""
_OTHER = "other"
_SCORE_UNIT = 2**20  # integer units of a score of 1
_OUTPUT = attrgetter("output")
_COUNTED = CATEGORIES + VERSIONS
_LABELS = attrgetter(*(category.name for category in _COUNTED))

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Failures = dict[int, list[tuple[int, Verdict]]]


def aggregate_responses(
    events: Sequence[Any],
    group_of: Sequence[int],
    groups: Sequence[CountGroup],
    suite: Suite,
    pane_us: int,
) -> Failures:
    """Evaluate responses and count them into the panes of their groups.

    Args:
        events: decoded responses, all of one suite; may be empty.
        group_of: index into ``groups`` of each event.
        pane_us: length of a pane, microseconds.

    Returns:
        Event index -> failed verdicts, as ``Suite.judge_all`` gives them.
    """
    judged = suite.judge_all(events)
    codes = judged.codes
    group, size = np.asarray(group_of, np.int64), len(groups)
    calls = np.bincount(group, minlength=size).tolist()
    errors = judged.failed_calls
    failed_calls = np.bincount(group[errors], minlength=size).tolist()
    for target, n, f in zip(groups, calls, failed_calls, strict=True):
        if n:
            target.pane.events += n
            target.count_rate("error_rate", n, f)
    has_text = np.fromiter((text is not None for text in map(_OUTPUT, events)), bool, len(events))
    by_text = _reads_text(events, has_text, groups, suite)
    count_skips(judged, suite.names, group, groups)
    codes = pass_absent_outcomes(codes, errors, group, groups, suite)
    _count_verdicts(codes, by_text, group, groups, suite)
    count_sequence_numbers(events, group, groups)
    _count_passes(codes, by_text, has_text, group, groups, suite)
    count_quantities(events, RESPONSE_QUANTITIES, group, groups)
    _count_categories(events, group, groups)
    count_stages(events, group_of, groups)
    count_texts(events, has_text, group, groups, pane_us)
    return judged.failures


def aggregate_feedback(events: Sequence[Any], group_of: Sequence[int], groups: Sequence[CountGroup]) -> None:
    """Count feedback into the panes of its groups."""
    for event, index in zip(events, group_of, strict=True):
        target = groups[index]
        if event.accepted is not None:
            target.count_rate("feedback.acceptance_rate", 1, int(not event.accepted))
        if event.regenerated is not None:
            target.count_rate("feedback.regeneration_rate", 1, int(event.regenerated))
    count_quantities(events, FEEDBACK_QUANTITIES, np.asarray(group_of, np.int64), groups)


def aggregate_evaluations(
    events: Sequence[Any], group_of: Sequence[int], groups: Sequence[CountGroup], own: Collection[str] = ()
) -> None:
    """Count verdicts of evaluators elsewhere.

    Their probability, which the event states, is that of the response times that of the evaluation. ``own``:
    names of the feature's evaluators.
    """
    own = {*own, *EVALUATORS}
    names_by_pane: dict[int, set[str]] = {}
    for event, index in zip(events, group_of, strict=True):
        target, name = groups[index], metric_part(event.evaluator)
        if (names := names_by_pane.get(id(target.pane))) is None:  # several groups may count into one pane
            names = names_by_pane[id(target.pane)] = _external_evaluators(target.pane, own)
        if name not in names and name not in own:
            if len(names) >= _MAX_EXTERNAL_EVALUATORS:
                name = _OTHER
            else:
                names.add(name)
        if event.passed is not None:
            target.count_rate(f"evaluator.{name}.fail_rate", 1, int(not event.passed))
        if event.score is not None:
            value = np.array([round(event.score * _SCORE_UNIT)])
            buckets = {int(bucket_codes(value)[0]): 1}
            target.pane.number(f"evaluator.{name}.score").add(target.call_ppm, 1, int(value[0]), buckets)


def _external_evaluators(pane: Pane, own: Collection[str]) -> set[str]:
    """Return the names of evaluators elsewhere that a pane has counted.

    Evaluators of the worker do not count: which of them came first does not follow from the log.
    """
    rates = {
        name.removeprefix("evaluator.").removesuffix(".fail_rate")
        for name in pane.rates
        if name.startswith("evaluator.")
    }
    scores = {
        name.removeprefix("evaluator.").removesuffix(".score")
        for name in pane.numbers
        if name.startswith("evaluator.")
    }
    return (rates | scores).difference(own) - {_OTHER}


def _reads_text(events: Sequence[Any], has_text: Mask, groups: Sequence[CountGroup], suite: Suite) -> Mask:
    """Return which verdicts depend on the text, shape (events, evaluators); those weigh by its probability.

    A verdict that a stated size decides does not depend on the text.
    """
    by_text = np.tile(np.array(suite.reads_text, bool), (len(events), 1))
    if all(group.content_probability == 1 for group in groups):  # both probabilities are the same
        return by_text
    for column, sizes in enumerate(suite.sizes):
        if sizes:
            by_text[:, column] = has_text & np.array(
                [all(getattr(event, size) is None for size in sizes) for event in events], bool
            )
    return by_text


def _count_verdicts(
    codes: npt.NDArray[np.int8], by_text: Mask, group: Ints, groups: Sequence[CountGroup], suite: Suite
) -> None:
    size = len(groups)
    for column, name in enumerate(suite.names):
        verdicts, reads_text = codes[:, column], by_text[:, column]
        metric = f"evaluator.{name}.fail_rate"
        for weighs_by_text, mask in ((False, ~reads_text), (True, reads_text)):
            if not mask.any():
                continue
            applied = np.bincount(group[mask & (verdicts <= State.FAILED)], minlength=size).tolist()
            failed = np.bincount(group[mask & (verdicts == State.FAILED)], minlength=size).tolist()
            for target, n, f in zip(groups, applied, failed, strict=True):
                if n:
                    target.count_rate(metric, n, f, by_text=weighs_by_text, sample=suite.samples[column])
                    totals = target.feature.verdicts
                    totals[name] = totals.get(name, 0) + n
        broken = verdicts == State.ERROR
        if broken.any():
            for target, n in zip(groups, np.bincount(group[broken], minlength=size).tolist(), strict=True):
                if n:
                    totals = target.feature.evaluator_errors
                    totals[name] = totals.get(name, 0) + n


def _count_passes(
    codes: npt.NDArray[np.int8],
    by_text: Mask,
    has_text: Mask,
    group: Ints,
    groups: Sequence[CountGroup],
    suite: Suite,
) -> None:
    """Count the pass rate: a response passes if no gating evaluator fails it.

    A response that fails without its text being read fails whatever the text is, so it weighs by the
    probability of the call. Any other response with a text weighs by the probability of the text, and stands
    for the responses without one. Those do not count, because whether they would pass is unknown. If no text
    is sampled out, all weigh by the probability of the call.
    """
    gating = np.array(suite.gating, bool)
    failed = (codes == State.FAILED)[:, gating]
    failed_anyway = (failed & ~by_text[:, gating]).any(axis=1)
    failed_text = (failed & by_text[:, gating]).any(axis=1)
    counted = (codes[:, gating] <= State.FAILED).any(axis=1)
    unsampled = np.array([target.content_probability == 1 for target in groups], bool)[group]
    counts_text = has_text & ~failed_anyway & counted
    counts_call = failed_anyway | (~has_text & unsampled & counted)
    size = len(groups)
    rows = [
        np.bincount(group[mask], minlength=size).tolist()
        for mask in (counts_call, failed_anyway, counts_text, counts_text & failed_text)
    ]
    for target, n, f, n_text, f_text in zip(groups, *rows, strict=True):
        if n:
            target.count_rate("pass_rate", n, f)
        if n_text:
            target.count_rate("pass_rate", n_text, f_text, by_text=True)


def _count_categories(events: Sequence[Any], group: Ints, groups: Sequence[CountGroup]) -> None:
    """Count labels, all at once by combination, since few combinations occur.

    The value that stands for a missing label is not counted, as the number of calls is known.
    """
    labels = list(map(_LABELS, events))
    numbers = {row: number for number, row in enumerate(dict.fromkeys(labels))}
    size = len(numbers)
    rows = np.fromiter(map(numbers.__getitem__, labels), np.int64, len(labels))
    pairs, times = np.unique(group * size + rows, return_counts=True)
    present = [
        [
            (category.name, str(label))
            for category, label in zip(_COUNTED, row, strict=True)
            if label not in (None, "") and str(label) != category.absent
        ]
        for row in numbers
    ]
    totals: dict[tuple[int, str], dict[str, int]] = {}
    for pair, n in zip(pairs.tolist(), times.tolist(), strict=True):
        index, number = divmod(pair, size)
        for name, label in present[number]:
            counts = totals.setdefault((index, name), {})
            counts[label] = counts.get(label, 0) + n
    for (index, name), counts in totals.items():
        groups[index].pane.category(name).add(groups[index].call_ppm, counts)
