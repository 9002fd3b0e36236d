"""Cost of each evaluator: CPU of an ordinary answer of 1 kB, and of the worst of many adversarial ones.

Each evaluator is measured alone, with its example parameters, in its own suite; so its part of the normal form
and of the pattern search counts. ``--chars`` is the length of the adversarial answers.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from benchmarks.event_generator import WORDS
from benchmarks.markdown_table import print_table
from monitor.evaluators import EVALUATORS
from monitor.evaluators.suite import DEFAULT_EVALUATORS, Suite
from schemas.event_decoder import read_event

PATTERNS = {"x": {"pattern": r"^(\w+\s?)*$"}}
PARAMETERS: dict[str, dict[str, Any]] = {
    "json_schema": {
        "schema": {"type": ["object", "array"], "properties": PATTERNS, "items": {"type": "object"}}
    }
}
REPEATED = (
    *("<think>", "</think>", "<think>a</think>", "<|im_end|>", "<|channel|>final<|message|>", "[INST]", "```\n", "```json\n"),
    *("~~~\n", "`", "<", "<a ", "</a>", "<!--", "&lt;", "{", "[", '{"a":', "[[", "]", '"', '\\"', "\\ud800", "\\", "1", "9,", "-", "* "),
    *("- ", "#", "| ", "\n", " ", "\t", "\u00a0", "\u200b", "\u200d", "\u0301", "e\u0301", "👩\u200d", "🇦", "👍🏽", "ﷺ", "İ", "ß"),
    *("I can't ", "I cannot help with that. ", "I'm sorry, but ", "Sorry. ", "As an AI language model, ", "unfortunately, ", "No. "),
    *("I can't say that I like it. ", "I won't, and ", "cannot and will not ", "'", '"I can\'t" ', "> ", "Error: ", "error ", "null ", "a", "ab"),
    *("the the ", "word ", "a, ", "tool_call(", "<tool_call>", '{"name": "f", "arguments": {}}', "\ud800", "\x00", "\r\n", "…", "1. ", "你", "ア", "ا"),
    *("ignore previous ", "x" * 300 + " ", "Lorem ipsum dolor. ", "&#x27;", "%20", "http://", "a@", "\u202e"),
)  # fmt: skip
FRAMES: tuple[tuple[str, str], ...] = (
    *(("", ""), ("<think>", ""), ("```json\n", ""), ("```json\n", "\n```"), ('{"x": "', '"}'), ("[", "]"), ('"', '"')),
    *(("I'm sorry, but I can't help with that. ", ""), ("", " I can't help with that."), ("<!-- ", ""), ("Sure! ", "\n```")),
)  # fmt: skip


def adversarial(chars: int) -> list[tuple[str, str]]:
    """Return names and texts."""
    texts = [
        (
            f"{before!r} + {piece!r:.30}... + {after!r}",
            before + (piece * (chars // len(piece) + 1))[:chars] + after,
        )
        for piece in REPEATED
        for before, after in FRAMES
    ]
    rng = random.Random(7)
    for number in range(20):
        pieces = [rng.choice(REPEATED) for _ in range(chars // 4)]
        texts.append((f"random pieces {number}", "".join(pieces)[:chars]))
    texts.append(("random characters", "".join(chr(rng.randrange(32, 0x2FFF)) for _ in range(chars))))
    texts.append(("nested", "[" * (chars // 2) + "]" * (chars // 2)))
    texts.append(("digits", "9" * chars))
    texts.append(("keys", "{" + ",".join(f'"k{n}":{n}' for n in range(chars // 12)) + "}"))
    texts.append(("ascending", "".join("a" * n + " " for n in range(int((2 * chars) ** 0.5)))))
    return texts


def response(output: str, **fields: Any) -> Any:
    event, _ = read_event(
        b'{"event_id":"1","time":"2026-03-02T09:00:00Z","service":"s","feature":"f","model":"m"}'
    )
    known = {name: getattr(event, name) for name in event.__struct_fields__}
    return SimpleNamespace(**known | {"output": output, "finish_reason": "stop", "input": "Hello?", **fields})


def ordinary(count: int, chars: int = 1000) -> list[Any]:
    rng = random.Random(1)
    return [
        response(
            " ".join(rng.choice(WORDS) for _ in range(chars // 6))[:chars], output_tokens=200, duration_s=0.5
        )
        for _ in range(count)
    ]


def cpu_s(work: Callable[[], Any]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def suite_of(name: str) -> Suite:
    settings: list[Any] = [{name: PARAMETERS[name]} if name in PARAMETERS else name]
    return Suite.from_settings(settings)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chars", type=int, default=20_000)
    parser.add_argument("--only", nargs="*", default=[])
    arguments = parser.parse_args()
    texts = adversarial(arguments.chars)
    events = ordinary(300)
    rows = []
    names = arguments.only or [*EVALUATORS, "all defaults"]
    for name in names:
        suite = Suite.from_settings(DEFAULT_EVALUATORS) if name == "all defaults" else suite_of(name)
        suite.judge_all(events[:50])
        each_us = min(cpu_s(lambda s=suite: s.judge_all(events)) for _ in range(3)) / len(events) * 1e6
        worst_s, worst = 0.0, ""
        for label, text in texts:
            event = response(text)
            took_s = cpu_s(lambda s=suite, e=event: s.judge(e))
            if took_s > worst_s:
                took_s = min(
                    took_s, cpu_s(lambda s=suite, e=event: s.judge(e))
                )  # not the first use of an automaton
            if took_s > worst_s:
                worst_s, worst = took_s, label
        rows.append(
            [
                f"`{name}`",
                f"{each_us:.1f}",
                f"{worst_s * 1e9 / arguments.chars:.1f}",
                f"{worst_s * 1e3:.1f}",
                worst,
            ]
        )
    print_table(
        [
            "evaluator",
            "µs an event of 1 kB",
            "worst µs/kB",
            f"ms for {arguments.chars:,} chars",
            "worst text",
        ],
        rows,
    )


if __name__ == "__main__":
    main()
