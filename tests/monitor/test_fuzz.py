"""A short run of ``tests/fuzz.py``; ten million take some twenty minutes: ``python tests/fuzz.py --values
10000000``.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_is_sent_is_counted_or_in_the_dead_letters_with_its_reason(seed):
    spec = importlib.util.spec_from_file_location("fuzz", Path(__file__).parents[1] / "fuzz.py")
    fuzz = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fuzz)
    found = fuzz.run(20_000, seed, say=lambda line: None)
    assert (
        found["dead-lettered"] + found["measured"] + found["forwarded"] + found["expired"] + found["meters"]
        == found["values"]
    )
    assert {
        "dead letter: empty",
        "dead letter: future",
        "dead letter: invalid",
        "dead letter: unreadable",
    } <= found.keys()
    assert (
        min(found["measured"], found["forwarded"], found["expired"], found["meters"], found["dead-lettered"])
        > 50
    )
