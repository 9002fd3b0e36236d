"""promptfoo itself judges recorded answers; the checks that its assertions are imported as judge the same.

Needs the npm package: ``promptfoo`` on the path, or its path in ``PROMPTFOO`` (`npm install promptfoo`, 1.9 GB). Its
provider ``echo`` returns the prompt, so the prompt is the recorded answer. Part of `make soak`, which says so if the
package is not there: ``python -m tests.monitor.golden.promptfoo_oracle``.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from monitor.evaluators.verdict import State
from monitor.golden.checks import judge_check
from monitor.golden.importers import FORMATS
from tests.monitor.golden.test_checks import answer

PROMPTFOO = os.environ.get("PROMPTFOO") or shutil.which("promptfoo")

ANSWERS = (
    "Hello world",
    "hello WORLD, it costs 1,000 euros",
    '{"color": "red", "n": [1, 2], "total": 3}',
    'Here it is: {"color": "blue", "total": "three"} and more',
    '```json\n{"total": 4}\n```',
    "[1, 2, 3]",
    "<p>Hi <b>you</b></p>",
    "Text with <b>bold</b> and <i>more</i> markup",
    "<root><child>1</child></root>",
    "data: <root><child>1</child></root> end",
    "I'm sorry, but I can't help with that.",
    "As an AI language model, I cannot do this.",
    "3",
    "42.0",
    "one two three four five",
    "a\n- b\n- c",
    "2026-11-30",
    "the cat sat on the mat",
    "Ünïcödé 日本",
)
SCHEMA = {"type": "object", "required": ["total"], "properties": {"total": {"type": "number"}}}
ASSERTIONS: tuple[dict[str, Any], ...] = (
    {"type": "equals", "value": "Hello world"},
    {"type": "equals", "value": 3},
    {"type": "equals", "value": {"color": "red", "n": [1, 2], "total": 3}},
    {"type": "contains", "value": "world"},
    {"type": "icontains", "value": "World"},
    {"type": "contains", "value": 3},
    {"type": "contains-any", "value": ["cat", "bold"]},
    {"type": "contains-all", "value": ["cat", "mat"]},
    {"type": "icontains-any", "value": ["HELLO", "xyz"]},
    {"type": "icontains-all", "value": ["HELLO", "world"]},
    {"type": "starts-with", "value": "Hello"},
    {"type": "regex", "value": "\\d{4}-\\d\\d"},
    {"type": "regex", "value": "^[a-z ]+$"},
    {"type": "is-json"},
    {"type": "is-json", "value": SCHEMA},
    {"type": "contains-json"},
    {"type": "contains-json", "value": SCHEMA},
    {"type": "is-html"},
    {"type": "contains-html"},
    {"type": "is-xml"},
    {"type": "contains-xml"},
    {"type": "levenshtein", "value": "Hello word", "threshold": 3},
    {"type": "levenshtein", "value": "Hello wor"},
    {"type": "word-count", "value": 5},
    {"type": "word-count", "value": {"min": 2, "max": 6}},
    {"type": "rouge-n", "value": "the cat sat on a mat", "threshold": 0.7},
    {"type": "javascript", "value": "output.length < 12"},
    {"type": "javascript", "value": "output.toLowerCase().includes('hello')"},
    {"type": "javascript", "value": "JSON.parse(output).color === 'red'"},
    {"type": "javascript", "value": "output.split(/\\s+/).length"},
    {"type": "javascript", "value": "Math.max(0, 1 - output.length / 20)", "threshold": 0.4},
    {"type": "javascript", "value": "const words = output.split(' ');\nreturn words.filter(w => w.length > 2).length >= 3;"},
    {"type": "javascript", "value": "try {\n  return JSON.parse(output).total > 2;\n} catch {\n  return false;\n}"},
    {"type": "javascript", "value": "({pass: /\\d/.test(output), score: 0.5, reason: 'digits'})"},
    {"type": "assert-set", "threshold": 0.5, "assert": [{"type": "contains", "value": "cat"}, {"type": "icontains", "value": "hello"}]},
    {"type": "assert-set", "assert": [{"type": "contains", "value": "cat"}, {"type": "contains", "value": "mat"}]},
)  # fmt: skip
LOOSER = {"contains-html": "promptfoo wants two signs of HTML"}
"""Kinds that promptfoo judges by a rule of thumb of its own."""


def both_ways(assertion: dict[str, Any]) -> list[dict[str, Any]]:
    if assertion["type"] == "assert-set":
        return [assertion]
    return [assertion, {**assertion, "type": f"not-{assertion['type']}"}]


def compare(folder: Path) -> tuple[int, list[tuple[Any, ...]]]:
    """Return the number of verdicts, and those that differ."""
    assertions = [each for assertion in ASSERTIONS for each in both_ways(assertion)]
    tests = [
        {"vars": {"answer": text}, "assert": [assertion]} for text in ANSWERS for assertion in assertions
    ]
    config = {"prompts": ["{{answer}}"], "providers": ["echo"], "tests": tests}
    (folder / "config.json").write_text(json.dumps(config))
    run = subprocess.run(
        [PROMPTFOO or "", "eval", "-c", "config.json", "-o", "out.json", "--no-cache", "--no-progress-bar", "--no-table", "--no-write"],
        cwd=folder,
        env={**os.environ, "PROMPTFOO_DISABLE_TELEMETRY": "1", "PROMPTFOO_DISABLE_UPDATE": "1", "PROMPTFOO_CONFIG_DIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=900,
    )  # fmt: skip
    results = json.loads((folder / "out.json").read_text())["results"]["results"]
    assert len(results) == len(tests), run.stderr
    theirs = {result["testIdx"]: bool(result["success"]) for result in results}
    imported = FORMATS["promptfoo"](config, "set", lambda name: name)
    assert imported.notes == []
    differences = []
    for index, (case, test) in enumerate(zip(imported.cases, tests, strict=True)):
        ours = judge_check(case.checks[0], answer(test["vars"]["answer"])).state is State.PASSED
        kind = test["assert"][0]["type"].removeprefix("not-")
        if ours != theirs[index] and kind not in LOOSER:
            differences.append(
                (test["assert"][0], test["vars"]["answer"], "passes here" if ours else "fails here")
            )
    return len(tests), differences


def main() -> int:
    if not PROMPTFOO:
        print(
            "promptfoo is not installed, so its verdicts were not compared (npm install promptfoo; PROMPTFOO=its path)"
        )
        return 0
    with tempfile.TemporaryDirectory() as folder:
        count, differences = compare(Path(folder))
    for difference in differences:
        print(*difference)
    print(f"{count} verdicts, {len(differences)} differ from promptfoo's")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
