"""A short run of ``tests/fuzz.py``; ten million take some twenty minutes: ``python tests/fuzz.py --values
10000000``.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest


@pytest.mark.seeds(1, nightly=4)
def test_every_input_is_counted_or_a_dead_letter_with_its_reason(seed):
    spec = importlib.util.spec_from_file_location("fuzz", Path(__file__).parents[2] / "fuzz.py")
    fuzz = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fuzz)
    counts = fuzz.run(20_000, seed, say=lambda line: None)
    assert (
        counts["dead-lettered"]
        + counts["measured"]
        + counts["forwarded"]
        + counts["expired"]
        + counts["meters"]
        == counts["values"]
    )
    assert {
        "dead letter: empty",
        "dead letter: future",
        "dead letter: invalid",
        "dead letter: unreadable",
    } <= counts.keys()
    assert (
        min(
            counts["measured"],
            counts["forwarded"],
            counts["expired"],
            counts["meters"],
            counts["dead-lettered"],
        )
        > 50
    )
