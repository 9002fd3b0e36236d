"""Sketch the texts of a chunk of events, and detect their languages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from monitor.ingest.batch import CountGroup
from monitor.ingest.language_detection import detect_language
from monitor.stats.sampling_weights import MILLION
from monitor.stats.text_sketch import text_features
from monitor.windows.metric_definitions import LANGUAGES
from monitor.windows.text_blocks import TEXT_NAMES, TextBlock


def count_texts(events: Sequence[Any], group_of: Sequence[int], groups: Sequence[CountGroup]) -> None:
    """Sketch the texts of the first responses of each segment and pane; detect the language of fewer of them.

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
        wants_language = block.wants_language(group.pane.start_us)
        for name, category, text in zip(TEXT_NAMES, LANGUAGES, (event.input, event.output), strict=True):
            if text is None:
                continue
            chosen[name][0].append(block)
            chosen[name][1].append(text)
            if wants_language and (language := detect_language(text)) is not None:
                # Like sketches, languages are not weighted.
                group.pane.category(category.name).add(MILLION, {language: 1})
    for name, (blocks, texts) in chosen.items():
        if texts:
            features = text_features(texts)
            rows_by_block: dict[int, list[int]] = {}
            for row, block in enumerate(blocks):
                rows_by_block.setdefault(id(block), []).append(row)
            for rows in rows_by_block.values():
                blocks[rows[0]].update(name, features[rows])
