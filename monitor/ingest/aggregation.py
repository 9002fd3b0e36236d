"""From events to panes, a chunk at a time: one dictionary operation per group and not per event.

Nothing here depends on where chunks are cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from monitor.evaluators import EVALUATORS
from monitor.evaluators.suite import Suite
from monitor.evaluators.verdict import State, Verdict
from monitor.ingest.accounting import count_sequence_numbers, count_skips
from monitor.ingest.batch import CountGroup
from monitor.ingest.language_detection import detect_language
from monitor.stats.exponential_buckets import bucket_codes
from monitor.stats.sampling_weights import MILLION
from monitor.stats.text_sketch import text_features
from monitor.windows.metric_definitions import (
    CATEGORIES,
    FEEDBACK_QUANTITIES,
    LANGUAGES,
    MAX_STAGES,
    RESPONSE_QUANTITIES,
    VERSIONS,
    Quantity,
)
from monitor.windows.pane import Pane
from monitor.windows.text_blocks import TEXT_NAMES, TextBlock

_CODES, _MIDDLE = 8192, 4096  # room for the bucket codes of one group
_EXTERNAL_EVALUATORS = 64  # names a pane that come from evaluation events; the others are counted under
_OTHER = "other"
_FIELDS = {
    quantity.field: attrgetter(quantity.field) for quantity in RESPONSE_QUANTITIES + FEEDBACK_QUANTITIES
}
_ERROR, _OUTPUT = attrgetter("error_type"), attrgetter("output")
_COUNTED = CATEGORIES + VERSIONS
_LABELS = attrgetter(*(category.name for category in _COUNTED))
_TEXTS = {"input_chars": "input", "output_chars": "output"}  # lengths that can be read off a text

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Failures = dict[int, list[tuple[int, Verdict]]]


def aggregate_responses(
    events: Sequence[Any], at: Sequence[int], groups: Sequence[CountGroup], suite: Suite
) -> Failures:
    """Evaluate responses and count them into the panes of their groups.

    Args:
        events: decoded responses, all of one suite.
        at: index into ``groups`` for each event.

    Returns:
        Event index -> what failed, as ``Suite.judge_all`` gives it.
    """
    judged = suite.judge_all(events)
    codes = judged.codes
    group, size = np.asarray(at, np.int64), len(groups)
    whole = np.bincount(group, minlength=size).tolist()
    errors = np.fromiter(map(bool, map(_ERROR, events)), bool, len(events))
    failed_calls = np.bincount(group[errors], minlength=size).tolist()
    for one, n, f in zip(groups, whole, failed_calls, strict=True):
        if n:
            one.pane.events += n
            one.pane.rate("error_rate").add(one.p, n, f)
    has_text = np.fromiter((text is not None for text in map(_OUTPUT, events)), bool, len(events))
    text = _read_from_text(events, has_text, groups, suite)
    _count_verdicts(codes, text, group, groups, suite)
    count_skips(judged, suite.names, group, groups)
    count_sequence_numbers(events, group, groups)
    _count_passes(codes, text, has_text, group, groups, suite)
    for quantity in RESPONSE_QUANTITIES:
        missing = _count_quantity(events, quantity, group, groups)
        if missing and quantity.field in _TEXTS:
            _count_lengths(events, missing, quantity.name, _TEXTS[quantity.field], group, groups)
    _count_categories(events, group, groups)
    _count_stages(events, at, groups)
    _count_texts(events, at, groups)
    return judged.failures


def aggregate_feedback(events: Sequence[Any], at: Sequence[int], groups: Sequence[CountGroup]) -> None:
    """Count feedback into the panes of its groups."""
    group = np.asarray(at, np.int64)
    for event, index in zip(events, at, strict=True):
        one = groups[index]
        if event.accepted is not None:
            one.pane.rate("feedback.acceptance_rate").add(one.p, 1, int(not event.accepted))
        if event.regenerated is not None:
            one.pane.rate("feedback.regeneration_rate").add(one.p, 1, int(event.regenerated))
    for quantity in FEEDBACK_QUANTITIES:
        _count_quantity(events, quantity, group, groups)


def aggregate_evaluations(events: Sequence[Any], at: Sequence[int], groups: Sequence[CountGroup]) -> None:
    """Count verdicts that were reached elsewhere. Their probability is the response's times the scorer's, as
    the event says.
    """
    known: dict[int, set[str]] = {}
    for event, index in zip(events, at, strict=True):
        one, name = groups[index], _metric_name(event.evaluator)
        if (names := known.get(id(one.pane))) is None:  # several groups may count into one pane
            names = known[id(one.pane)] = _external(one.pane)
        if name not in names and name not in EVALUATORS:
            if len(names) >= _EXTERNAL_EVALUATORS:
                name = _OTHER
            else:
                names.add(name)
        metric = f"evaluator.{name}.fail_rate"
        if event.passed is not None:
            one.pane.rate(metric).add(one.p, 1, int(not event.passed))
        if event.score is not None:
            value = np.array([round(event.score * 2**20)])
            one.pane.number(f"evaluator.{name}.score").add(
                one.p, 1, int(value[0]), {int(bucket_codes(value)[0]): 1}
            )


def _external(pane: Pane) -> set[str]:
    """Names of evaluators elsewhere that a pane has counted. Ours do not count: whether they came first
    depends on nothing that is in the log.
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
    return (rates | scores) - EVALUATORS.keys() - {_OTHER}


def _metric_name(name: str) -> str:
    return "".join(char if char.isalnum() or char in "_-" else "_" for char in name)


def _read_from_text(
    events: Sequence[Any], has_text: Mask, groups: Sequence[CountGroup], suite: Suite
) -> Mask:
    """Which verdicts come from the text, shape (events, evaluators): those weigh by p·q. One that a stated
    size answers does not.
    """
    read = np.tile(np.array(suite.reads_text, bool), (len(events), 1))
    if all(one.q == 1 for one in groups):  # p and p·q are one
        return read
    for column, sizes in enumerate(suite.sizes):
        if sizes:
            read[:, column] = has_text & np.array(
                [all(getattr(event, size) is None for size in sizes) for event in events], bool
            )
    return read


def _count_verdicts(
    codes: npt.NDArray[np.int8], text: Mask, group: Ints, groups: Sequence[CountGroup], suite: Suite
) -> None:
    size = len(groups)
    for column, name in enumerate(suite.names):
        verdicts, by_text = codes[:, column], text[:, column]
        metric = f"evaluator.{name}.fail_rate"
        for read, mask in ((False, ~by_text), (True, by_text)):
            if not mask.any():
                continue
            applied = np.bincount(group[mask & (verdicts <= State.FAILED)], minlength=size).tolist()
            failed = np.bincount(group[mask & (verdicts == State.FAILED)], minlength=size).tolist()
            for one, n, f in zip(groups, applied, failed, strict=True):
                if n:
                    one.pane.rate(metric).add(one.pq if read else one.p, n, f)
                    one.feature.verdicts[name] = one.feature.verdicts.get(name, 0) + n
        broken = verdicts == State.ERROR
        if broken.any():
            for one, n in zip(groups, np.bincount(group[broken], minlength=size).tolist(), strict=True):
                if n:
                    one.feature.evaluator_errors[name] = one.feature.evaluator_errors.get(name, 0) + n


def _count_passes(
    codes: npt.NDArray[np.int8],
    text: Mask,
    has_text: Mask,
    group: Ints,
    groups: Sequence[CountGroup],
    suite: Suite,
) -> None:
    """Passed: no gating evaluator failed it.

    What fails without its text being read fails whatever the text says, so it weighs by p. What else has text
    weighs by p·q and stands for the responses whose text was sampled out: those are left out, for nobody
    knows whether they would pass. Without such sampling (q = 1) all weigh by p.
    """
    gating = np.array(suite.gating, bool)
    failed = (codes == State.FAILED)[:, gating]
    failed_anyway = (failed & ~text[:, gating]).any(axis=1)
    failed_text = (failed & text[:, gating]).any(axis=1)
    counted = (codes[:, gating] <= State.FAILED).any(axis=1)
    unsampled = np.array([one.q == 1 for one in groups], bool)[group]
    by_text = has_text & ~failed_anyway & counted
    by_call = failed_anyway | (~has_text & unsampled & counted)
    size = len(groups)
    rows = [
        np.bincount(group[mask], minlength=size).tolist()
        for mask in (by_call, failed_anyway, by_text, by_text & failed_text)
    ]
    for one, n, f, n_text, f_text in zip(groups, *rows, strict=True):
        if n:
            one.pane.rate("pass_rate").add(one.p, n, f)
        if n_text:
            one.pane.rate("pass_rate").add(one.pq, n_text, f_text)


def _count_quantity(
    events: Sequence[Any], quantity: Quantity, group: Ints, groups: Sequence[CountGroup]
) -> Sequence[int]:
    """Count a number of the events that have it; indices of those that have not."""
    raw = list(map(_FIELDS[quantity.field], events))
    missing: Sequence[int] = ()
    if (absent := raw.count(None)) == len(raw):
        return range(len(raw))
    if absent:
        missing = [index for index, value in enumerate(raw) if value is None]
        present = [index for index, value in enumerate(raw) if value is not None]
        raw = [raw[index] for index in present]
        group = group[present]
    values = (
        np.array(raw, np.int64)
        if quantity.unit == 1
        else np.rint(np.array(raw, np.float64) / quantity.unit).astype(np.int64)
    )
    _count_values(quantity.name, values, group, groups, by_text=False)
    return missing


def _count_lengths(
    events: Sequence[Any],
    missing: Sequence[int],
    name: str,
    text: str,
    group: Ints,
    groups: Sequence[CountGroup],
) -> None:
    """Lengths that the service did not state are read off the text, and so weigh by p·q."""
    of_text = attrgetter(text)
    texts = list(
        map(of_text, events if len(missing) == len(events) else [events[index] for index in missing])
    )
    if None in texts:
        missing = [index for index, value in zip(missing, texts, strict=True) if value is not None]
        texts = [value for value in texts if value is not None]
    if texts:
        _count_values(
            name,
            np.array(list(map(len, texts)), np.int64),
            group[np.asarray(missing, np.int64)],
            groups,
            by_text=True,
        )


def _count_values(
    name: str, values: Ints, group: Ints, groups: Sequence[CountGroup], *, by_text: bool
) -> None:
    size = len(groups)
    counts = np.bincount(group, minlength=size)
    sums = np.zeros(size, np.int64)
    np.add.at(sums, group, values)
    pairs, times = np.unique(group * _CODES + (bucket_codes(values) + _MIDDLE), return_counts=True)
    of, codes, how_often = pairs // _CODES, (pairs % _CODES - _MIDDLE).tolist(), times.tolist()
    ends = np.searchsorted(of, np.arange(size), side="right").tolist()
    begin = 0
    for one, n, total, end in zip(groups, counts.tolist(), sums.tolist(), ends, strict=True):
        if n:
            one.pane.number(name).add(
                one.pq if by_text else one.p,
                n,
                total,
                dict(zip(codes[begin:end], how_often[begin:end], strict=True)),
            )
        begin = end


def _count_categories(events: Sequence[Any], group: Ints, groups: Sequence[CountGroup]) -> None:
    """Count labels: as few combinations of them occur, all at once. What stands for absence is not counted:
    how many calls there were is known.
    """
    labels = list(map(_LABELS, events))
    number = {row: nth for nth, row in enumerate(dict.fromkeys(labels))}
    size = len(number)
    pairs, times = np.unique(
        group * size + np.fromiter(map(number.__getitem__, labels), np.int64, len(labels)), return_counts=True
    )
    present = [
        [
            (one.name, str(label))
            for one, label in zip(_COUNTED, row, strict=True)
            if label not in (None, "") and str(label) != one.absent
        ]
        for row in number
    ]
    held: dict[tuple[int, str], dict[str, int]] = {}
    for pair, n in zip(pairs.tolist(), times.tolist(), strict=True):
        at, nth = divmod(pair, size)
        for name, label in present[nth]:
            counts = held.setdefault((at, name), {})
            counts[label] = counts.get(label, 0) + n
    for (at, name), counts in held.items():
        groups[at].pane.category(name).add(groups[at].p, counts)


def _count_stages(events: Sequence[Any], at: Sequence[int], groups: Sequence[CountGroup]) -> None:
    # of each group stage -> seconds; None: its pane has no room for it
    held: list[dict[str, list[float] | None]] = [{} for _ in groups]
    for event, index in zip(events, at, strict=True):
        if event.stages_s:
            mine = held[index]
            for stage, seconds in event.stages_s.items():
                if stage not in mine:
                    mine[stage] = _stage(groups[index].pane, f"stage.{_metric_name(stage)}_s")
                if (values := mine[stage]) is not None:
                    values.append(seconds)
    for stage in dict.fromkeys(stage for mine in held for stage in mine):
        several = [(index, values) for index, mine in enumerate(held) if (values := mine.get(stage))]
        if several:
            micros = np.rint(np.concatenate([values for _, values in several]) * 1e6).astype(np.int64)
            group = np.repeat([index for index, _ in several], [len(values) for _, values in several])
            _count_values(f"stage.{_metric_name(stage)}_s", micros, group, groups, by_text=False)


def _stage(pane: Pane, name: str) -> list[float] | None:
    """Room for the values of a stage, which takes its place in the pane at once: the next stage of this event
    may be one too many.
    """
    if name not in pane.numbers and sum(known.startswith("stage.") for known in pane.numbers) >= MAX_STAGES:
        return None
    pane.number(name)
    return []


def _count_texts(events: Sequence[Any], at: Sequence[int], groups: Sequence[CountGroup]) -> None:
    """Sketch the texts of the first responses of each segment and pane that have any; of fewer of them, tell
    the language.
    """
    has_room = [group.texts(False).has_room(group.pane.start_us) for group in groups]
    if not any(has_room):  # as nearly always where there is much traffic
        return
    chosen: dict[str, tuple[list[TextBlock], list[str]]] = {name: ([], []) for name in TEXT_NAMES}
    for event, index in zip(events, at, strict=True):
        if not has_room[index] or (event.output is None and event.input is None):
            continue
        group = groups[index]
        block = group.texts(True)
        if not block.count_response(group.pane.start_us):
            has_room[index] = False
            continue
        wants_language = block.wants_language(group.pane.start_us)
        for name, category, text in zip(TEXT_NAMES, LANGUAGES, (event.input, event.output), strict=True):
            if text is not None:
                chosen[name][0].append(block)
                chosen[name][1].append(text)
                if wants_language and (language := detect_language(text)) is not None:
                    group.pane.category(category.name).add(MILLION, {language: 1})  # as texts: by no weight
    for name, (into, texts) in chosen.items():
        if texts:
            vectors = text_features(texts)
            places: dict[int, list[int]] = {}
            for place, block in enumerate(into):
                places.setdefault(id(block), []).append(place)
            for of in places.values():
                into[of[0]].update(name, vectors[of])
