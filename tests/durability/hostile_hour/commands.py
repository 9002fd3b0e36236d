"""The commands that a person calls, on topics that are full of junk."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.durability.real_time import ROUTING_KEY

ROOT = Path(__file__).parents[3]
COMMANDS = (
    ("deadletters", "--limit", "5"),
    ("deadletters", "--reinject", "--yes", "--format", "ndjson"),  # none can be read
    ("state", "inspect"),
    ("silence", "list"),
)


def command_faults(directory: Path) -> Iterator[str]:
    """Run each command with the configuration of the first worker; yield those that fail."""
    for words in COMMANDS:
        done = subprocess.run(
            [sys.executable, "-m", "agents", *words, "--config", str(directory / "softfail1.yaml")],
            cwd=ROOT,
            env=os.environ | {"PAGERDUTY_ROUTING_KEY": ROUTING_KEY},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        (directory / f"{words[0]}.txt").write_text(done.stdout + done.stderr)
        if done.returncode or "Traceback" in done.stderr:
            yield f"{' '.join(words)}: exit code {done.returncode}, {done.stderr[-300:]}"
