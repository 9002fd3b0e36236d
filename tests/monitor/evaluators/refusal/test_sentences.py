"""Sentences in the way of native speakers, refusals and answers like them. Those of a language were written
before its patterns; ``mixed`` and most of ``en`` were written to try the patterns.

One file a language: ``-`` begins a refusal, ``+`` an answer, ``\\n`` is a line break.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.evaluators.refusal.languages import LANGUAGES
from monitor.evaluators.suite import Suite
from monitor.evaluators.verdict import State

FILES = sorted((Path(__file__).parent / "sentences").glob("*.txt"))
SENTENCES = [
    pytest.param(line[0] == "-", line[2:].replace("\\n", "\n"), id=f"{path.stem}-{number}")
    for path in FILES
    for number, line in enumerate(path.read_text().splitlines(), 1)
]
THOROUGH = {"en", "de", "fr", "zh"}


@pytest.mark.parametrize(("refuses", "text"), SENTENCES)
def test_a_sentence_of_a_native_speaker_is_understood(refuses, text, response):
    verdict = Suite.from_settings(["refusal"]).judge(response(output=text))[1]
    assert verdict.state is (State.FAILED if refuses else State.PASSED), verdict.reason


def test_every_language_has_sentences():
    counts = {path.stem: len(path.read_text().splitlines()) for path in FILES}
    assert counts.keys() == {"en", "mixed", *LANGUAGES}
    assert all(count >= (40 if code in THOROUGH else 15) for code, count in counts.items()), counts
