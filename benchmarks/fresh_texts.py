"""Cost of the evaluators on texts that they have not seen: each text once, in a new process, after other texts.

    python -m benchmarks.fresh_texts

RE2 builds the states of its automata while it reads, so a text that was seen before costs a fraction: that is what
a text costs a worker that has read many thousands. Each cell has both: fresh, and read again. Prose is
the documentation strings of Python's standard library; answers are those of LLMDrift, if they are there, joined
to 1 kB. The least of several processes counts, so that other processes disturb little.
"""

from __future__ import annotations

import argparse
import ast
import multiprocessing
import random
import sysconfig
import time
from pathlib import Path
from typing import Any

from benchmarks.evaluator_cost import ordinary, response
from benchmarks.event_generator import DATA, rows
from benchmarks.markdown_table import print_table
from monitor.evaluators.suite import DEFAULT_EVALUATORS, Suite

CHARS = 1000
SUITES: dict[str, tuple[str, ...]] = {
    "`refusal`": ("refusal",),
    "`known_failure`": ("known_failure",),
    "all defaults": DEFAULT_EVALUATORS,
}


def prose() -> list[str]:
    """Return texts of 1 kB of the documentation strings of the standard library, in random order."""
    texts = []
    for path in sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py")):
        if "site-packages" in path.parts or "test" in path.parts:
            continue
        try:
            tree = ast.parse(path.read_text("utf-8"))
        except (SyntaxError, UnicodeDecodeError):
            continue
        strings = [
            ast.get_docstring(node) or ""
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        ]
        texts += pieces("\n\n".join(filter(None, strings)))
    random.Random(1).shuffle(texts)
    return texts


def answers() -> list[str]:
    """Return texts of 1 kB of joined answers; empty without LLMDrift."""
    if not DATA.exists():
        return []
    found = [row[2] for row in rows(random.Random(1))[0]]
    random.Random(1).shuffle(found)
    return pieces("\n\n".join(text for text in found if len(text) > 30))


def pieces(text: str) -> list[str]:
    return [text[start : start + CHARS] for start in range(0, len(text) - CHARS, CHARS)]


def us_an_event(texts: list[str], names: tuple[str, ...], warm: int, measured: int) -> tuple[float, float]:
    """Return CPU microseconds for each of the texts after the first ``warm``: fresh, and read again (least of 5)."""
    suite = Suite.from_settings(names)
    events: list[Any] = [response(text) for text in texts[: warm + measured]]
    suite.judge_all(events[:warm])
    times_s = []
    for _ in range(6):
        began = time.process_time()
        suite.judge_all(events[warm:])
        times_s.append(time.process_time() - began)
    return tuple(time_s / len(events[warm:]) * 1e6 for time_s in (times_s[0], min(times_s[1:])))  # type: ignore[return-value]


def main() -> None:
    """Print a row for each suite and a column for each kind of text."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--warm", type=int, default=2000, help="texts before the measured ones")
    parser.add_argument("--measured", type=int, default=500)
    parser.add_argument("--runs", type=int, default=3, help="processes of each cell")
    options = parser.parse_args()
    kinds = {
        "prose": prose(),
        "answers": answers(),
        "random words": [event.output for event in ordinary(options.warm + options.measured)],
    }
    kinds = {kind: texts for kind, texts in kinds.items() if len(texts) > options.warm}
    table = []
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for label, names in SUITES.items():
            row = [label]
            for texts in kinds.values():
                arguments = (texts, names, options.warm, options.measured)
                runs = [pool.apply(us_an_event, arguments) for _ in range(options.runs)]
                row.append(" / ".join(f"{min(times):.1f}" for times in zip(*runs, strict=True)))
            table.append(row)
    print_table(["µs an event of 1 kB, fresh / again", *kinds], table)


if __name__ == "__main__":
    main()
