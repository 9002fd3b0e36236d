"""The second half of the demo: the fault that paged becomes a case, the gate is red, the mend makes it green."""

from __future__ import annotations

import asyncio
import json
import shlex
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import agents

SET, SAMPLES = "golden.ndjson", "samples.ndjson"
WAIT_S = 10.0
TIMEOUT_S = 180.0
_TARGET = "python:agents.demo.golden_target:"


def failing_samples(brokers: str, topic: str) -> list[dict[str, Any]]:
    """Return the failure samples that the worker has written.

    Raises:
        RuntimeError: there is none within ten seconds.
    """
    from confluent_kafka import Consumer

    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": "demo-golden",
            "auto.offset.reset": "earliest",
            "log_level": 2,
        }
    )
    consumer.subscribe([topic])
    found: list[dict[str, Any]] = []
    end_s = time.monotonic() + WAIT_S
    try:
        while time.monotonic() < end_s:
            messages = consumer.consume(500, timeout=0.5)
            found += [json.loads(message.value()) for message in messages if not message.error()]
            if found and not messages:
                return found
    finally:
        consumer.close()
    if not found:
        raise RuntimeError("the worker wrote no failure samples")
    return found


async def play_gate(folder: Path, samples: list[dict[str, Any]], say: Callable[..., None]) -> list[str]:
    """Play the second half; return what did not happen as planned.

    Args:
        folder: gets the samples and a copy of the demo's set.
        samples: of the worker.
        say: prints a line.
    """
    refused = [sample for sample in samples if "refusal" in sample.get("failed", {})]
    (folder / "golden.run.ndjson").unlink(missing_ok=True)  # of an interrupted demo
    (folder / SAMPLES).write_text("".join(json.dumps(sample) + "\n" for sample in refused), "utf-8")
    shutil.copy(Path(__file__).with_name(SET), folder / SET)
    run = ("run", SET, "--target")
    faults = []
    for title, arguments, planned in (
        (
            "the fault becomes cases that must pass",
            ("add", SAMPLES, "--to", SET, "--must-pass", "--most", "3"),
            0,
        ),
        ("the gate, with the prompt of the incident", (*run, f"{_TARGET}broken"), 1),
        ("the gate, with the mended prompt", (*run, f"{_TARGET}mended"), 0),
    ):
        say(f"now: {title}")
        say(f"$ python -m monitor golden {shlex.join(arguments)}", "bold")
        code, lines = await _command(folder, *arguments)
        for line in lines[:4]:
            say(f"  {line}")
        say(f"  exit code {code}", "green" if code == planned else "red")
        if code != planned:
            faults.append(f"golden {arguments[0]}: exit code {code}, {planned} planned")
            break
    return faults


async def _command(folder: Path, *arguments: str) -> tuple[int, list[str]]:
    root = Path(agents.__file__).parents[1]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        f"import sys; sys.path[:0] = [{str(root)!r}, {str(root / 'sdk')!r}]\n"
        "from monitor.cli.golden.main import main; sys.exit(main(sys.argv[1:]))",
        *arguments,
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            output, _ = await process.communicate()
    except BaseException:
        process.kill()
        await process.wait()
        raise
    assert process.returncode is not None
    return process.returncode, [line for line in output.decode().splitlines() if line.strip()]
