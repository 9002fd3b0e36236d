"""The second half of the demo, without its first: samples of an incident become cases, red, then green."""

from __future__ import annotations

import asyncio

from agents.demo.golden_gate import play_gate

SAMPLE = {
    "record": "sample",
    "failed": {"refusal": "refusal: cannot_help"},
    "input": "How do I return a kettle?",
    "context": None,
    "service": "support-bot",
    "feature": "answer",
    "event_id": "e",
    "time": "2026-11-30T00:00:00Z",
    "model": "gpt-4o",
    "prompt_version": "12",
}


async def play(folder):
    lines = []
    faults = await play_gate(
        folder, [SAMPLE, {**SAMPLE, "failed": {"error": "timeout"}}], lambda text, *_: lines.append(text)
    )
    return faults, lines


def test_the_fault_becomes_a_case_the_gate_is_red_and_the_mend_makes_it_green(tmp_path):
    faults, lines = asyncio.run(play(tmp_path))
    assert faults == []
    assert [line.strip() for line in lines if "exit code" in line] == [
        "exit code 0",
        "exit code 1",
        "exit code 0",
    ]
    assert any("must pass and failed 3 of 3 times" in line for line in lines)
    assert any("PASSED: the case that must pass did" in line for line in lines)
