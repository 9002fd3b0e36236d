"""Sketch the texts of a chunk of events, and detect their languages and formats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from monitor.ingest.batch import CountGroup
from monitor.ingest.repeated_texts import cached_features, cached_format, cached_language
from monitor.normal_form.finish_reason import called_tools
from monitor.normal_form.reasoning import answer_of
from monitor.normal_form.response import call_failed
from monitor.stats.sampling_weights import MILLION
from monitor.windows.metric_definitions import FORMATS, LANGUAGES
from monitor.windows.text_blocks import TEXT_NAMES, TextBlock

_FORMAT = FORMATS[0].name


def count_texts(events: Sequence[Any], group_of: Sequence[int], groups: Sequence[CountGroup]) -> None:
    """Sketch the texts of the first responses of each segment and pane, and count the formats of the answers;
    detect the language of fewer of them.

    Late texts are not sketched, since only rules read sketches.

    Args:
        group_of: index into ``groups`` of each event.
    """
    has_room = [group.texts(False).has_room(group.pane.start_us) for group in groups]
    if not any(has_room):  # in nearly all cases of high traffic
        return
    chosen: dict[str, tuple[list[TextBlock], list[str]]] = {name: ([], []) for name in TEXT_NAMES}
    for event, index in zip(events, group_of, strict=True):
        if not has_room[index] or (event.output is None and event.input is None):
            continue
        group = groups[index]
        block = group.texts(True)
        if not block.count_response(group.pane.start_us):
            has_room[index] = False
            continue
        answer = None if event.output is None else answer_of(event.output)
        if answer is not None and (name := _format(event, answer)):
            # Like sketches, formats and languages are not weighted.
            group.pane.category(_FORMAT).add(MILLION, {name: 1})
        wants_language = block.wants_language(group.pane.start_us)
        for name, category, text in zip(TEXT_NAMES, LANGUAGES, (event.input, event.output), strict=True):
            if text is None:
                continue
            if not group.is_late:
                chosen[name][0].append(block)
                chosen[name][1].append(text)
            read = answer if text is event.output else text
            if wants_language and read and (language := cached_language(read)) is not None:
                group.pane.category(category.name).add(MILLION, {language: 1})
    for name, (blocks, texts) in chosen.items():
        if texts:
            features = cached_features(texts)
            rows_by_block: dict[int, list[int]] = {}
            for row, block in enumerate(blocks):
                rows_by_block.setdefault(id(block), []).append(row)
            for rows in rows_by_block.values():
                blocks[rows[0]].update(name, features[rows])


def _format(event: Any, answer: str) -> str:
    """Return the format of an answer; empty if there is no answer: the call failed, or it calls a tool."""
    name = "" if call_failed(event) else cached_format(answer)
    return "" if name == "empty" and called_tools(event) else name
