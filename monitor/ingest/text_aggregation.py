"""Sketch the texts of a chunk of events, and detect their languages and formats."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from monitor.ingest.batch import CountGroup
from monitor.ingest.repeated_texts import cached_features, cached_format, cached_language
from monitor.ingest.text_sampling import choose_texts
from monitor.normal_form.finish_reason import called_tools
from monitor.normal_form.reasoning import answer_of
from monitor.normal_form.response import call_failed
from monitor.stats.sampling_weights import MILLION
from monitor.windows.metric_definitions import FORMATS, LANGUAGES
from monitor.windows.text_blocks import TEXT_NAMES, TextBlock

_FORMAT = FORMATS[0].name
_INPUT = attrgetter("input")

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


def count_texts(
    events: Sequence[Any], has_output: Mask, group: Ints, groups: Sequence[CountGroup], pane_us: int
) -> None:
    """Sketch the texts of some responses, and count their languages and formats.

    Late texts are not sketched, since only rules read sketches.

    Args:
        has_output: of each event, whether it has an output.
        group: index into ``groups`` of each event.
        pane_us: length of a pane, microseconds.
    """
    has_input = np.fromiter((text is not None for text in map(_INPUT, events)), bool, len(events))
    chosen = choose_texts(has_output | has_input, group, groups, pane_us)
    texts: dict[str, tuple[list[CountGroup], list[str]]] = {name: ([], []) for name in TEXT_NAMES}
    for index, group_index in zip(chosen.tolist(), group[chosen].tolist(), strict=True):
        event, target = events[index], groups[group_index]
        answer = None if event.output is None else answer_of(event.output)
        if answer is not None and (name := _format(event, answer)):
            # Like sketches, formats and languages are not weighted.
            target.pane.category(_FORMAT).add(MILLION, {name: 1})
        for name, category, text in zip(TEXT_NAMES, LANGUAGES, (event.input, event.output), strict=True):
            if text is None:
                continue
            if not target.is_late:
                texts[name][0].append(target)
                texts[name][1].append(text)
            read = answer if text is event.output else text
            if read and (language := cached_language(read)) is not None:
                target.pane.category(category.name).add(MILLION, {language: 1})
    for name, (targets, some) in texts.items():
        if some:
            _sketch(name, targets, some)


def _sketch(name: str, targets: Sequence[CountGroup], texts: Sequence[str]) -> None:
    """Add texts to the sketches ``name`` of their blocks."""
    rows_by_block: dict[int, tuple[TextBlock, list[int]]] = {}
    for row, target in enumerate(targets):
        block = target.texts(target.pane.start_us, True)
        rows_by_block.setdefault(id(block), (block, []))[1].append(row)
    features = cached_features(texts)
    for block, rows in rows_by_block.values():
        block.update(name, features[rows])


def _format(event: Any, answer: str) -> str:
    """Return the format of an answer; empty if there is no answer: the call failed, or it calls a tool."""
    name = "" if call_failed(event) else cached_format(answer)
    return "" if name == "empty" and called_tools(event) else name
