"""The model of the demo as a target of ``golden run``: with the prompt that refuses, and mended."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from agents.demo import sample_texts

FEATURE = "support-bot/answer"


def broken(request: Mapping[str, Any]) -> str:
    """Answer as the prompt of the incident: refuse."""
    return random.Random(str(request["input"])).choice(sample_texts.REFUSALS)


def mended(request: Mapping[str, Any]) -> str:
    """Answer as the mended prompt: a text of the demo."""
    return sample_texts.exchange(FEATURE, random.Random(str(request["input"])))[1]
